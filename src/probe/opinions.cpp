// Writing and reading opinions; see opinions.hpp.
#include "probe/opinions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/number.hpp"
#include "probe/line_text.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kTitle = "opinions 1\n";

// Longer names than any entry may have are not ours.
constexpr std::size_t kMaxName = 263;

// An age beyond this is no age; a year has 3e13 microseconds.
constexpr std::uint64_t kMaxAgeMs = std::numeric_limits<std::int64_t>::max() / kUsPerMs / 2;

bool ReadAge(std::string_view text, std::optional<std::int64_t>& age_us) {
  if (text == "-") return true;
  const auto age_ms = ParseUint64(text);
  if (!age_ms || *age_ms > kMaxAgeMs) return false;
  age_us = static_cast<std::int64_t>(*age_ms) * kUsPerMs;
  return true;
}

// In the order of Rank. What a later version may add is as good as not told.
constexpr std::string_view kRankWords[] = {"", "-", "incumbent", "primary"};

Rank ReadRank(std::string_view word) {
  const auto* const found = std::find(std::begin(kRankWords), std::end(kRankWords), word);
  return found == std::end(kRankWords) ? Rank::kUnknown
                                       : static_cast<Rank>(found - std::begin(kRankWords));
}

std::optional<Opinion> ReadLine(std::string_view line) {
  Opinion opinion;
  const auto name = Unescaped(Take(line, ' '), kMaxName);
  const std::string_view state = Take(line, ' ');
  const bool age_is_right = ReadAge(Take(line, ' '), opinion.success_age_us);
  const auto system = ParseUint64(Take(line, ' '));
  const auto start = ParseUint64(Take(line, ' '));
  if (!name || (state != "up" && state != "down") || !age_is_right || !system || !start ||
      *start > static_cast<std::uint64_t>(std::numeric_limits<WallUs>::max())) {
    return std::nullopt;
  }
  opinion.host = *name;
  opinion.reachable = state == "up";
  opinion.system_identifier = *system;
  opinion.postmaster_start = static_cast<WallUs>(*start);
  opinion.rank = ReadRank(Take(line, ' '));
  return opinion;
}

}  // namespace

std::string WriteOpinions(const Opinions& opinions) {
  std::string text(kTitle);
  for (const Opinion& opinion : opinions) {
    const std::string age =
        opinion.success_age_us
            ? std::to_string((std::max<std::int64_t>(*opinion.success_age_us, 0) + kUsPerMs - 1) /
                             kUsPerMs)
            : "-";
    const std::string line = fmt::format(
        "{} {} {} {} {}{}{}\n", Escaped(opinion.host), opinion.reachable ? "up" : "down", age,
        opinion.system_identifier, std::max<WallUs>(opinion.postmaster_start, 0),
        opinion.rank == Rank::kUnknown ? "" : " ",
        kRankWords[static_cast<std::size_t>(opinion.rank)]);
    if (text.size() + line.size() > kMaxOpinionsBytes) break;
    text += line;
  }
  return text;
}

std::optional<Opinions> ReadOpinions(std::string_view text) {
  if (text.size() > kMaxOpinionsBytes || text.substr(0, kTitle.size()) != kTitle) {
    return std::nullopt;
  }
  text.remove_prefix(kTitle.size());
  Opinions opinions;
  while (!text.empty()) {
    auto opinion = ReadLine(Take(text, '\n'));
    if (!opinion) return std::nullopt;
    opinions.push_back(std::move(*opinion));
  }
  return opinions;
}

}  // namespace pg_status
