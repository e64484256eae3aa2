// The name of a WAL receiver; see receiver_name.hpp.
//
// Values are not quoted, so libpq's own parser would take a blank in a value for its end. What
// helps: a receiver always has a fallback_application_name, and libpq lists the application_name,
// if there is one, directly before it, and "options" before that.
#include "probe/receiver_name.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kName = "application_name=";
constexpr std::string_view kFallback = "fallback_application_name=";
// In "options" it is for the server, which prefers the one that libpq sends.
constexpr std::string_view kSwitch = "-c ";

// Where the keyword begins, at or after `from`: at the beginning of the text, or behind a blank.
std::size_t FindKeyword(std::string_view text, std::string_view keyword, std::size_t from) {
  for (;;) {
    const std::size_t at = text.find(keyword, from);
    if (at == std::string_view::npos || at == 0 || text[at - 1] == ' ') return at;
    from = at + 1;
  }
}

bool EndsInSwitch(std::string_view text) {
  return text.size() >= kSwitch.size() && text.substr(text.size() - kSwitch.size()) == kSwitch;
}

std::string Cut(std::string_view name) { return std::string(name.substr(0, kMaxApplicationName)); }

}  // namespace

std::optional<std::string> ReceiverName(std::string_view conninfo, std::string_view fallback) {
  const std::string last = std::string(kFallback).append(fallback);
  const std::size_t end = FindKeyword(conninfo, last, 0);
  if (end == std::string_view::npos ||
      FindKeyword(conninfo, last, end + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view before = conninfo.substr(0, end == 0 ? 0 : end - 1);
  std::optional<std::string_view> name;
  for (std::size_t at = FindKeyword(before, kName, 0); at != std::string_view::npos;
       at = FindKeyword(before, kName, at + 1)) {
    if (EndsInSwitch(before.substr(0, at))) continue;
    if (name) return std::nullopt;
    name = before.substr(at + kName.size());
  }
  return Cut(name.value_or(fallback));
}

}  // namespace pg_status
