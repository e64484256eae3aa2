// Bytes -> requests: HTTP/1.0, HTTP/1.1 and bare lines on the same port. A state machine without
// sockets and without a clock; the HTTP head is parsed by Boost.Beast.
//
// A first line that is not an HTTP request line ("METHOD SP target SP HTTP/x") is a bare line
// command: a path without its leading slash, for nc, telnet and load balancers that send text.
// After a line command nothing more is read from that client; after an HTTP request only HTTP is
// understood, so that what follows it by mistake is never taken for a command.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Method : std::uint8_t { kGet, kHead, kOptions, kOther };

struct Request {
  bool line = false;  // a bare line command; only path and query mean anything
  Method method = Method::kGet;
  int version_minor = 1;    // of HTTP/1.x
  bool keep_alive = false;  // the client will reuse the connection
  bool wants_json = false;  // Accept lists application/json literally, with q other than 0
  bool has_body = false;    // Content-Length > 0 or a Transfer-Encoding
  // false: a broken percent escape, a NUL, more than kMaxParameters, or a target that is no path;
  // path is then "/" and query empty, and neither means anything.
  bool path_ok = true;
  std::string path;  // percent-decoded, begins with '/'; "*" of OPTIONS * is kept as it is
  // Percent-decoded ('+' is a blank), in order, duplicates kept; an item without '=' has an empty
  // value.
  std::vector<std::pair<std::string, std::string>> query;

  // The first value of that name (case-sensitive).
  std::optional<std::string_view> Parameter(std::string_view name) const;
};

class RequestReader {
 public:
  enum class Status : std::uint8_t {
    kNeedMore,   // nothing complete yet
    kRequest,    // request() is the next one
    kBad,        // not HTTP and not a line: answer 400 and close
    kBadEnding,  // an HTTP head whose lines end in a bare LF: answer 400 with a word of help, and
                 // close
    kTooLarge,   // a head over kMaxHead or a line over kMaxLine: answer 431 and close
  };

  static constexpr std::size_t kMaxHead = 16384;
  static constexpr std::size_t kMaxLine = 1024;  // without its newline
  static constexpr std::size_t kMaxParameters = 64;

  // Takes bytes in, as many as there is room for (kMaxHead in all); returns how many were taken.
  // There is always room after Next() said kNeedMore. Once nothing more is parsed, all are taken
  // and dropped.
  std::size_t Feed(std::string_view bytes);

  // Looks for the next request in what was fed. After kBad, kBadEnding, kTooLarge, after a line and
  // after a request with a body it stays with that answer.
  Status Next();

  const Request& request() const { return request_; }

  // Bytes of an unfinished request are waiting: a partial head, for the time-out of a whole head.
  bool in_the_middle() const { return start_ < buffer_.size(); }

 private:
  Status FirstLine(std::string_view line);
  Status TakeLine(std::string_view line);
  Status TakeHead(std::size_t size);
  Status Stop(Status status);
  void Drop(std::size_t bytes);
  std::string_view Unread() const { return std::string_view(buffer_).substr(start_); }

  std::string buffer_;        // at most kMaxHead
  std::size_t start_ = 0;     // what is before it was taken
  std::size_t line_ = 0;      // from start_: where the line being looked at begins
  std::size_t searched_ = 0;  // from start_: no newline between line_ and here
  int empty_lines_ = 0;       // skipped since the last request
  bool is_first_ = true;      // no request was found yet
  Request request_;
  Status final_ = Status::kNeedMore;  // once not kNeedMore, nothing more is parsed
};

}  // namespace pg_status
