// The addresses of one host, and which of them is to be tried next. Knows when a name has none any
// more; does not ask for them itself.
//
// An address that served is tried first from then on; one that did not is tried last. (libpq would
// go on to the next of a list only after some failures, and not after silence, so it is given one
// at a time.)
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/cpp_only.hpp"

namespace pg_status {

class AddressBook {
 public:
  // What a lookup found. The same addresses in another order are no news.
  void Found(std::vector<std::string> addresses);

  // A name server answered that the name does not exist, or has no address. After so many answers
  // of that kind in a row (`limit`) the addresses there were are forgotten; true then.
  bool DoesNotExist(int limit);

  // There was such an answer, and no other since.
  bool in_doubt() const { return denials_ > 0; }

  bool empty() const { return addresses_.empty(); }
  std::size_t size() const { return addresses_.size(); }
  const std::vector<std::string>& all() const { return addresses_; }
  bool Has(const std::string& address) const;

  // A walk is over all addresses, once each: BeginWalk() is at the first, GoOn() at the next one,
  // false when there is none left. current() is "" when there are no addresses.
  void BeginWalk();
  bool GoOn();
  std::string current() const;
  std::size_t left() const { return left_; }  // of the walk, the current one included

  // The current one served: the next walk begins with it.
  void Served();

 private:
  std::vector<std::string> addresses_;
  std::size_t first_ = 0;  // where the next walk begins
  std::size_t current_ = 0;
  std::size_t left_ = 0;
  int denials_ = 0;
};

}  // namespace pg_status
