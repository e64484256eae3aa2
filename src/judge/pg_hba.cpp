// See pg_hba.hpp. The complaint, in any language that PostgreSQL speaks, names pg_hba.conf, and
// then in double quotes the client's address, the role and the database.
#include "judge/pg_hba.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/ip_address.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kMaxWord = 63;  // a role's or a database's name

// What stands between the next two double quotes; takes it off.
std::string_view TakeQuoted(std::string_view& text) {
  const std::size_t begin = text.find('"');
  const std::size_t end = begin == std::string_view::npos ? begin : text.find('"', begin + 1);
  if (end == std::string_view::npos) return {};
  const std::string_view quoted = text.substr(begin + 1, end - begin - 1);
  text.remove_prefix(end + 1);
  return quoted;
}

bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWord &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

}  // namespace

std::string MissingPgHbaLine(std::string_view error) {
  if (error.find("pg_hba.conf") == std::string_view::npos) return "";
  const std::string_view from = TakeQuoted(error);
  const std::string_view user = TakeQuoted(error);
  const std::string_view database = TakeQuoted(error);
  if (!IsWord(user) || !IsWord(database)) return "";
  if (from == "[local]") return fmt::format("local {} {} scram-sha-256", database, user);
  const std::optional<IpAddress> address = ParseIpAddress(from);
  if (!address) return "";
  return fmt::format("host {} {} {}/{} scram-sha-256", database, user, FormatIpAddress(*address),
                     address->family == IpFamily::kV4 ? 32 : 128);
}

}  // namespace pg_status
