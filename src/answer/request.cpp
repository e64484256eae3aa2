// Finds requests in a stream of bytes. What a head means as HTTP is Boost.Beast's business; here is
// told where a request ends, whether it is HTTP at all, and what its path and parameters are. Knows
// neither routes nor answers.
//
// What is found never depends on how the bytes were cut into pieces: each rule looks at a fixed
// number of bytes or at a whole line, and a head is parsed once, when all of it is there.
#include "answer/request.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <limits>

namespace pg_status {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

// Buffers above this are given back as soon as they are empty; smaller ones are used again.
constexpr std::size_t kKeptCapacity = 4096;

// Between two requests (RFC 9112, 2.2): old clients end a request with one newline too many.
constexpr int kMaxEmptyLines = 2;

void ClearText(std::string& text) {
  text.clear();
  if (text.capacity() > kKeptCapacity) text.shrink_to_fit();
}

// ---- text -------------------------------------------------------------------------------------

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool IsTokenChar(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return IsAlphanumeric(c) || kOthers.find(c) != std::string_view::npos;
}

// A request or a line never begins with anything else: this is TLS, or some binary protocol.
bool CanBeginText(char c) {
  return (c >= ' ' && c < '\x7f') || c == '\r' || c == '\n' || c == '\t';
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Cuts the next element off the front of a list; a separator within quotes is text.
std::string_view NextElement(std::string_view& list, char separator) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < list.size(); ++end) {
    const char c = list[end];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\' && end + 1 < list.size()) ++end;
    if (!quoted && c == separator) break;
  }
  const std::string_view element = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return Trim(element);
}

// ---- Accept -----------------------------------------------------------------------------------

// "0", "0.", "0.0", "0.000"
bool IsZeroQuality(std::string_view text) {
  if (text.empty() || text[0] != '0') return false;
  const bool has_point = text.size() > 1 && text[1] == '.';
  return text.find_first_not_of('0', has_point ? 2 : 1) == std::string_view::npos;
}

bool IsWantedJson(std::string_view range) {
  if (!EqualsIgnoringCase(NextElement(range, ';'), "application/json")) return false;
  while (!range.empty()) {
    std::string_view value = NextElement(range, ';');
    const std::string_view name = NextElement(value, '=');
    if (EqualsIgnoringCase(name, "q")) return !IsZeroQuality(Trim(value));
  }
  return true;
}

bool AcceptsJson(std::string_view accept) {
  while (!accept.empty()) {
    if (IsWantedJson(NextElement(accept, ','))) return true;
  }
  return false;
}

// ---- target -----------------------------------------------------------------------------------

enum class Plus : std::uint8_t { kIsPlus, kIsBlank };

// The value of a hexadecimal digit, or -1.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Appends the percent-decoded text. False for a broken escape and for a NUL, however it is written.
bool Decode(std::string_view text, Plus plus, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus == Plus::kIsBlank) {
      c = ' ';
    } else if (c == '%') {
      if (text.size() - i < 3) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return false;
    out += c;
  }
  return true;
}

bool DecodeQuery(std::string_view text, Request& request) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;
    if (request.query.size() == RequestReader::kMaxParameters) return false;
    const std::size_t name_end = std::min(item.find('='), item.size());
    auto& [name, value] = request.query.emplace_back();
    if (!Decode(item.substr(0, name_end), Plus::kIsBlank, name)) return false;
    if (name_end == item.size()) continue;
    if (!Decode(item.substr(name_end + 1), Plus::kIsBlank, value)) return false;
  }
  return true;
}

// Appends to path, sets query.
bool DecodePathAndQuery(std::string_view text, Request& request) {
  const std::size_t path_end = std::min(text.find('?'), text.size());
  return Decode(text.substr(0, path_end), Plus::kIsPlus, request.path) &&
         (path_end == text.size() || DecodeQuery(text.substr(path_end + 1), request));
}

// Whether the target was "scheme://authority..."; only what comes after these is left of it.
bool StripAuthority(std::string_view& target) {
  const auto is_scheme_char = [](char c) {
    return IsAlphanumeric(c) || c == '+' || c == '-' || c == '.';
  };
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) return false;
  if (!std::all_of(target.begin(), target.begin() + scheme_end, is_scheme_char)) return false;
  target.remove_prefix(scheme_end + 3);
  target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  return true;
}

bool DecodeTarget(std::string_view target, Request& request) {
  if (target == "*" && request.method == Method::kOptions) {
    request.path = target;
    return true;
  }
  if (target.empty() || target[0] != '/') {
    if (!StripAuthority(target)) return false;
    if (target.empty() || target[0] == '?') request.path = "/";
  }
  return DecodePathAndQuery(target, request);
}

void RefusePath(Request& request) {
  request.path_ok = false;
  request.path = "/";
  request.query.clear();
}

// ---- head -------------------------------------------------------------------------------------

Method MethodOf(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::kGet;
    case http::verb::head:
      return Method::kHead;
    case http::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

// Fills a Request from the parser's events. Never sees a body: only heads are put in.
class HeadParser final : public http::basic_parser<true> {
 public:
  explicit HeadParser(Request& request) : request_(request) {
    header_limit(RequestReader::kMaxHead);
    // A body is refused by whoever answers, with the right status, however long it claims to be.
    body_limit(std::numeric_limits<std::uint64_t>::max());
  }

  // After the whole head.
  void Finish() {
    request_.keep_alive = keep_alive() && !says_close_;
    if (content_length().value_or(0) > 0) request_.has_body = true;
  }

 private:
  void on_request_impl(http::verb verb, BeastView, BeastView target, int version,
                       error_code&) override {
    request_.method = MethodOf(verb);
    request_.version_minor = version - 10;
    if (!DecodeTarget({target.data(), target.size()}, request_)) RefusePath(request_);
  }

  void on_field_impl(http::field name, BeastView, BeastView value, error_code&) override {
    if (name == http::field::accept) {
      request_.wants_json |= AcceptsJson({value.data(), value.size()});
    } else if (name == http::field::transfer_encoding) {
      request_.has_body = true;
    } else if (name == http::field::connection) {
      // "close" wins over "keep-alive" in HTTP/1.0 too, where the parser lets it lose.
      says_close_ |= http::token_list(value).exists("close");
    }
  }

  // Newer versions of the library ask for this one; it is no override in older ones.
  void on_trailer_field_impl(http::field, BeastView, BeastView, error_code&) {}
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(BeastView body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  Request& request_;
  bool says_close_ = false;
};

// ---- lines ------------------------------------------------------------------------------------

std::size_t TokenLength(std::string_view line) {
  return static_cast<std::size_t>(std::find_if_not(line.begin(), line.end(), IsTokenChar) -
                                  line.begin());
}

// Begins with a token, a blank and something: enough to let it be longer than a line command.
bool CanBeRequestLine(std::string_view beginning) {
  const std::size_t method = TokenLength(beginning);
  return method > 0 && method + 1 < beginning.size() && beginning[method] == ' ';
}

// METHOD SP target SP HTTP/... Targets with blanks pass here, to be refused as HTTP.
bool IsRequestLine(std::string_view line) {
  return CanBeRequestLine(line) &&
         line.find(" HTTP/", TokenLength(line) + 2) != std::string_view::npos;
}

bool IsEmptyLine(std::string_view line) { return line.empty() || line == "\r"; }

// As new, but with the memory it had.
void Reset(Request& request) {
  std::string path = std::move(request.path);
  auto query = std::move(request.query);
  ClearText(path);
  query.clear();
  request = Request();
  request.path = std::move(path);
  request.query = std::move(query);
}

}  // namespace

std::optional<std::string_view> Request::Parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::size_t RequestReader::Feed(std::string_view bytes) {
  if (final_ != Status::kNeedMore) return bytes.size();
  buffer_.erase(0, start_);
  start_ = 0;
  const std::size_t taken = std::min(bytes.size(), kMaxHead - buffer_.size());
  buffer_.append(bytes.substr(0, taken));
  return taken;
}

RequestReader::Status RequestReader::Next() {
  while (final_ == Status::kNeedMore) {
    const std::string_view rest = Unread();
    if (rest.empty()) return Status::kNeedMore;
    if (!CanBeginText(rest[0])) return Stop(Status::kBad);

    const std::size_t newline = std::min(rest.find('\n', searched_), rest.size());
    if (line_ == 0 && newline > kMaxLine && !CanBeRequestLine(rest.substr(0, kMaxLine + 1))) {
      return Stop(Status::kTooLarge);
    }
    if (newline == rest.size()) {
      searched_ = newline;
      return rest.size() < kMaxHead ? Status::kNeedMore : Stop(Status::kTooLarge);
    }
    const std::string_view line = rest.substr(line_, newline - line_);
    if (line_ == 0 && !IsRequestLine(line)) {
      const Status status = FirstLine(line);
      if (status != Status::kNeedMore) return status;
      continue;
    }
    if (line.empty() || line.back() != '\r') return Stop(Status::kBadEnding);
    if (line == "\r") return TakeHead(newline + 1);
    line_ = searched_ = newline + 1;
  }
  return final_;
}

// A line that is no HTTP request line, where a request should begin. kNeedMore: it was skipped.
RequestReader::Status RequestReader::FirstLine(std::string_view line) {
  if (line.size() > kMaxLine) return Stop(Status::kTooLarge);
  if (is_first_) return TakeLine(line);
  if (!IsEmptyLine(line) || ++empty_lines_ > kMaxEmptyLines) return Stop(Status::kBad);
  Drop(line.size() + 1);
  return Status::kNeedMore;
}

RequestReader::Status RequestReader::TakeLine(std::string_view line) {
  Reset(request_);
  request_.line = true;
  request_.path = "/";
  const std::size_t last = line.find_last_not_of(" \t\r");
  line = line.substr(0, last == std::string_view::npos ? 0 : last + 1);
  if (!DecodePathAndQuery(line, request_)) RefusePath(request_);
  return Stop(Status::kRequest);
}

// The first `size` bytes are a whole head, its empty line included.
RequestReader::Status RequestReader::TakeHead(std::size_t size) {
  Reset(request_);
  HeadParser parser(request_);
  error_code error;
  const std::size_t used = parser.put(boost::asio::const_buffer(Unread().data(), size), error);
  if (error == http::error::header_limit) return Stop(Status::kTooLarge);  // a huge folded header
  if (error || used != size || !parser.is_header_done()) return Stop(Status::kBad);
  parser.Finish();
  if (request_.has_body) return Stop(Status::kRequest);

  Drop(size);
  is_first_ = false;
  empty_lines_ = 0;
  return Status::kRequest;
}

RequestReader::Status RequestReader::Stop(Status status) {
  final_ = status;
  Drop(buffer_.size() - start_);
  return status;
}

void RequestReader::Drop(std::size_t bytes) {
  start_ += bytes;
  line_ = searched_ = 0;
  if (start_ < buffer_.size()) return;
  start_ = 0;
  ClearText(buffer_);
}

}  // namespace pg_status
