// A value, or the reason why there is none. The reason is a sentence for the person who wrote the
// input.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/cpp_only.hpp"

namespace pg_status {

struct Error {
  std::string message;
};

template <typename T>
class Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): so that a function can say `return value;`
  Result(T value) : state_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): and `return Error{...};`
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  // Only when ok().
  const T& value() const { return std::get<T>(state_); }
  T& value() { return std::get<T>(state_); }
  const T& operator*() const { return value(); }
  const T* operator->() const { return &value(); }

  // Only when not ok().
  const std::string& error() const { return std::get<Error>(state_).message; }

 private:
  std::variant<T, Error> state_;
};

}  // namespace pg_status
