// A RapidJSON writer at the end of a string, in terms of keys with a value, or with null where
// there is none. RapidJSON writes and escapes; knows nothing of what is described.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include <rapidjson/writer.h>

#include "base/cpp_only.hpp"

namespace pg_status {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : end_(out), writer_(end_) {}

  void Begin() { writer_.StartObject(); }
  void Begin(std::string_view key) {
    Key(key);
    writer_.StartObject();
  }
  void End() { writer_.EndObject(); }
  void BeginList() { writer_.StartArray(); }
  void BeginList(std::string_view key) {
    Key(key);
    writer_.StartArray();
  }
  void EndList() { writer_.EndArray(); }

  void Null(std::string_view key) {
    Key(key);
    writer_.Null();
  }
  void Flag(std::string_view key, bool value) {
    Key(key);
    writer_.Bool(value);
  }
  void Text(std::string_view key, std::string_view value) {
    Key(key);
    writer_.String(value.data(), Size(value));
  }
  void FlagOrNull(std::string_view key, bool known, bool value) {
    Key(key);
    known ? writer_.Bool(value) : writer_.Null();
  }
  void TextOrNull(std::string_view key, std::string_view value) {
    value.empty() ? Null(key) : Text(key, value);
  }
  // Never through a double, which is exact only up to 2^53.
  void Number(std::string_view key, std::uint64_t value) {
    Key(key);
    writer_.Uint64(value);
  }
  void NumberOrNull(std::string_view key, bool known, std::uint64_t value) {
    known ? Number(key, value) : Null(key);
  }
  // A value that was written before.
  void Ready(std::string_view key, std::string_view json) {
    Key(key);
    writer_.RawValue(json.data(), json.size(), rapidjson::kArrayType);
  }
  // In a list.
  void ElementOrNull(bool known, std::uint64_t value) {
    known ? writer_.Uint64(value) : writer_.Null();
  }
  // JSON has no word for what is not finite.
  void Fraction(std::string_view key, double value) {
    if (!std::isfinite(value)) return Null(key);
    Key(key);
    writer_.Double(value);
  }

 private:
  // What RapidJSON writes into.
  class StringEnd {
   public:
    using Ch = char;
    explicit StringEnd(std::string& out) : out_(out) {}
    void Put(char c) { out_.push_back(c); }
    void Flush() {}

   private:
    std::string& out_;
  };

  // RapidJSON's own allocators do not look whether they got memory.
  class Memory {
   public:
    static constexpr bool kNeedFree = true;
    void* Malloc(std::size_t bytes) { return bytes == 0 ? nullptr : Got(std::malloc(bytes)); }
    void* Realloc(void* old, std::size_t /*old_bytes*/, std::size_t bytes) {
      if (bytes != 0) return Got(std::realloc(old, bytes));
      std::free(old);
      return nullptr;
    }
    static void Free(void* memory) { std::free(memory); }

   private:
    static void* Got(void* memory) {
      if (memory == nullptr) throw std::bad_alloc();
      return memory;
    }
  };

  static rapidjson::SizeType Size(std::string_view text) {
    return static_cast<rapidjson::SizeType>(text.size());
  }
  void Key(std::string_view key) { writer_.Key(key.data(), Size(key)); }

  StringEnd end_;
  rapidjson::Writer<StringEnd, rapidjson::UTF8<>, rapidjson::UTF8<>, Memory> writer_;
};

}  // namespace pg_status
