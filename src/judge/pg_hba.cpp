// See pg_hba.hpp. The complaint, in any language that PostgreSQL speaks, names pg_hba.conf, and
// then in that language's quotes the client's address, the role and the database.
#include "judge/pg_hba.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/ip_address.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kMaxWord = 63;  // a role's or a database's name

struct Quotes {
  std::string_view open;
  std::string_view close;
};
// As the translations of PostgreSQL 15 write them: most; German; Spanish and French.
constexpr Quotes kQuotes[] = {{"\"", "\""}, {"\u00bb", "\u00ab"}, {"\u00ab", "\u00bb"}};

// What stands in the next pair of these quotes, without the spaces that French puts there; takes it
// off.
std::string_view TakeQuoted(std::string_view& text, const Quotes& quotes) {
  const std::size_t open = text.find(quotes.open);
  if (open == std::string_view::npos) return {};
  const std::size_t begin = open + quotes.open.size();
  const std::size_t end = text.find(quotes.close, begin);
  if (end == std::string_view::npos) return {};
  std::string_view quoted = text.substr(begin, end - begin);
  text.remove_prefix(end + quotes.close.size());
  for (const std::string_view space : {" ", "\u00a0"}) {
    if (quoted.size() >= space.size() && quoted.substr(0, space.size()) == space) {
      quoted.remove_prefix(space.size());
    }
    if (quoted.size() >= space.size() && quoted.substr(quoted.size() - space.size()) == space) {
      quoted.remove_suffix(space.size());
    }
  }
  return quoted;
}

bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWord &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string LineFor(std::string_view error, const Quotes& quotes) {
  const std::string_view from = TakeQuoted(error, quotes);
  const std::string_view user = TakeQuoted(error, quotes);
  const std::string_view database = TakeQuoted(error, quotes);
  if (!IsWord(user) || !IsWord(database)) return "";
  if (from == "[local]") return fmt::format("local {} {} scram-sha-256", database, user);
  const std::optional<IpAddress> address = ParseIpAddress(from);
  if (!address) return "";
  return fmt::format("host {} {} {}/{} scram-sha-256", database, user, FormatIpAddress(*address),
                     address->family == IpFamily::kV4 ? 32 : 128);
}

}  // namespace

std::string MissingPgHbaLine(std::string_view error) {
  if (error.find("pg_hba.conf") == std::string_view::npos) return "";
  for (const Quotes& quotes : kQuotes) {
    std::string line = LineFor(error, quotes);
    if (!line.empty()) return line;
  }
  return "";
}

}  // namespace pg_status
