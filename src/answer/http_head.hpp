// Writes the head of an HTTP response: status line and header fields, the same on every HTTP port.
// Knows nothing of paths, bodies or hosts.
//
// A response is AppendStatus, AppendFields, then the body. The cut between the two is where a
// client's wishes end: all that follows AppendStatus is the same for every client, so a caller may
// keep it ready made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "answer/request.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What the head says of the connection after this response.
enum class Persistence : std::uint8_t {
  kUnsaid,     // it stays, as HTTP/1.1 takes for granted
  kKeepAlive,  // it stays, and an HTTP/1.0 client has to be told
  kClose,
};

Persistence PersistenceFor(const Request& request, bool close);

// Appends the status line and what is said of the connection. A status that this house never
// answers with is written without a reason, which HTTP allows.
void AppendStatus(int status, Persistence persistence, std::string& out);

inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";
inline constexpr std::string_view kJsonType = "application/json";

// The texts come from this house, never from a client: they are written as they are.
struct HeadFields {
  std::string_view port;          // which port answers: "discovery", "check"
  std::string_view content_type;  // "" none
  // In the answer to HEAD that of the body left out, or nullopt: it would have to be written first.
  std::optional<std::size_t> content_length = 0;
  std::string_view allow;                                  // the methods, with status 405; "" none
  std::optional<std::uint64_t> generation = std::nullopt;  // of changes; nullopt: not told
  std::string_view reason;  // why nobody is named, in a word; "" not told
  std::string_view policy;  // Content-Security-Policy of what a browser shows; "" none
};

// Appends the fields and the empty line that ends the head.
void AppendFields(const HeadFields& fields, std::string& out);

}  // namespace pg_status
