// The head of an HTTP response. Knows nothing of paths, bodies or hosts; allocates nothing but what
// the output string needs to grow.
#include "answer/http_head.hpp"

#include <charconv>
#include <limits>

namespace pg_status {
namespace {

struct StatusLine {
  int status;
  std::string_view line;
};

// Whole lines, so that the usual one is a single copy; the most frequent first.
constexpr StatusLine kStatusLines[] = {
    {200, "HTTP/1.1 200 OK\r\n"},
    {404, "HTTP/1.1 404 Not Found\r\n"},
    {503, "HTTP/1.1 503 Service Unavailable\r\n"},
    {400, "HTTP/1.1 400 Bad Request\r\n"},
    {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
    {413, "HTTP/1.1 413 Payload Too Large\r\n"},
    {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
};

// In the order of Persistence.
constexpr std::string_view kConnectionFields[] = {
    "",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
};

void AppendNumber(std::uint64_t number, std::string& out) {
  char digits[std::numeric_limits<std::uint64_t>::digits10 + 1];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), number);
  out.append(digits, end.ptr);
}

void AppendStatusLine(int status, std::string& out) {
  for (const StatusLine& known : kStatusLines) {
    if (known.status != status) continue;
    out.append(known.line);
    return;
  }
  out.append("HTTP/1.1 ");
  AppendNumber(static_cast<std::uint64_t>(status), out);
  out.append(" \r\n");
}

void AppendField(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  out.append(name);
  out.append(value);
  out.append("\r\n");
}

}  // namespace

Persistence PersistenceFor(const Request& request, bool close) {
  if (close) return Persistence::kClose;
  return request.version_minor == 0 ? Persistence::kKeepAlive : Persistence::kUnsaid;
}

void AppendStatus(int status, Persistence persistence, std::string& out) {
  AppendStatusLine(status, out);
  out.append(kConnectionFields[static_cast<std::size_t>(persistence)]);
}

void AppendFields(const HeadFields& fields, std::string& out) {
  AppendField("Content-Type: ", fields.content_type, out);
  if (fields.content_length) {
    out.append("Content-Length: ");
    AppendNumber(*fields.content_length, out);
    out.append("\r\n");
  }
  AppendField("Allow: ", fields.allow, out);
  out.append("Cache-Control: no-store\r\n");
  AppendField("X-Pg-Status-Port: ", fields.port, out);
  if (fields.generation) {
    out.append("X-Pg-Status-Generation: ");
    AppendNumber(*fields.generation, out);
    out.append("\r\n");
  }
  AppendField("X-Pg-Status-Reason: ", fields.reason, out);
  if (!fields.policy.empty()) {
    AppendField("Content-Security-Policy: ", fields.policy, out);
    out.append("X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
  }
  out.append("\r\n");
}

}  // namespace pg_status
