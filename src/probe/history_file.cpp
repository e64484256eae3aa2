// Reading a timeline history file; see history_file.hpp.
#include "probe/history_file.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "base/lsn.hpp"
#include "base/number.hpp"
#include "probe/line_text.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kBlanks = " \t\r\f\v";

// Cuts the first word off the front of `rest`; "" when there is none.
std::string_view TakeWord(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(kBlanks));
  rest.remove_prefix(word.size());
  return word;
}

std::optional<Fork> ReadFork(std::string_view timeline_text, std::string_view end_text) {
  const auto timeline = ParseUint64(timeline_text);
  const auto end = ParseLsn(end_text);
  if (!timeline || !end || *timeline > std::numeric_limits<std::uint32_t>::max()) {
    return std::nullopt;
  }
  return Fork{static_cast<std::uint32_t>(*timeline), *end};
}

}  // namespace

std::optional<TimelineHistory> ReadHistoryFile(std::string_view text, std::uint32_t timeline) {
  TimelineHistory history;
  // PostgreSQL ends each line: without that, a part of it is missing
  if (!text.empty() && text.back() != '\n') return std::nullopt;
  while (!text.empty()) {
    std::string_view line = Take(text, '\n');
    const std::string_view first = TakeWord(line);
    if (first.empty() || first.front() == '#') continue;
    const auto fork = ReadFork(first, TakeWord(line));
    if (!fork) return std::nullopt;
    history.forks.push_back(*fork);
  }
  // every timeline but the first has left one, so a file without any is not whole
  const bool is_whole = timeline == 1 || !history.forks.empty();
  if (!is_whole || !IsHistoryOf(history, timeline)) return std::nullopt;
  KeepNewestForks(history);
  return history;
}

}  // namespace pg_status
