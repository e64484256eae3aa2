// Writing and reading what only the inside of a server knows; see server_facts.hpp.
#include "probe/server_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <tuple>

#include "base/number.hpp"
#include "probe/line_text.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kTitle = "facts 1\n";

// In the order of ReceiverState.
constexpr std::string_view kReceiverStates[] = {"none", "connecting", "streaming"};

constexpr std::uint64_t kMaxTimeline = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxPort = 65535;

std::optional<std::uint64_t> ReadNumber(std::string_view text, std::uint64_t max) {
  const auto number = ParseUint64(text);
  if (!number || *number == 0 || *number > max) return std::nullopt;
  return number;
}

// A position that is one: 0/0 stands for none.
std::optional<Lsn> ReadPosition(std::string_view text) {
  const auto lsn = ParseLsn(text);
  return lsn && *lsn != kNoLsn ? lsn : std::nullopt;
}

// Each takes what follows its word, and returns whether that makes sense. A word that comes twice
// does not.

bool ReadTimeline(std::string_view rest, ServerFacts& facts) {
  const auto timeline = ReadNumber(Take(rest, ' '), kMaxTimeline);
  if (!timeline || facts.timeline != 0) return false;
  facts.timeline = static_cast<std::uint32_t>(*timeline);
  return true;
}

bool ReadHistory(std::string_view rest, ServerFacts& facts) {
  const auto from = ReadNumber(Take(rest, ' '), kMaxTimeline);
  if (!from || facts.history) return false;
  facts.history = TimelineHistory{static_cast<std::uint32_t>(*from), {}};
  return true;
}

bool ReadFork(std::string_view rest, ServerFacts& facts) {
  const auto timeline = ReadNumber(Take(rest, ' '), kMaxTimeline);
  const auto end = ReadPosition(Take(rest, ' '));
  if (!timeline || !end || !facts.history || facts.history->forks.size() >= kMaxForks) return false;
  facts.history->forks.push_back({static_cast<std::uint32_t>(*timeline), *end});
  return true;
}

bool ReadReceiver(std::string_view rest, ServerFacts& facts) {
  const std::string_view state = Take(rest, ' ');
  const auto* const found =
      std::find(std::begin(kReceiverStates), std::end(kReceiverStates), state);
  if (found == std::end(kReceiverStates) || facts.receiver) return false;
  facts.receiver = static_cast<ReceiverState>(found - std::begin(kReceiverStates));
  return true;
}

bool ReadText(std::string_view rest, std::string& text) {
  auto read = Unescaped(Take(rest, ' '), kMaxFactText);
  if (!read || !text.empty()) return false;
  text = std::move(*read);
  return true;
}

bool ReadUpstream(std::string_view rest, ServerFacts& facts) {
  if (!ReadText(Take(rest, ' '), facts.upstream_host)) return false;
  const std::string_view port_text = Take(rest, ' ');
  if (port_text == "-") return true;
  const auto port = ReadNumber(port_text, kMaxPort);
  facts.upstream_port = static_cast<int>(port.value_or(0));
  return port.has_value();
}

bool ReadName(std::string_view rest, ServerFacts& facts) {
  return ReadText(rest, facts.receiver_name);
}

bool ReadSlot(std::string_view rest, ServerFacts& facts) {
  return ReadText(rest, facts.receiver_slot);
}

bool ReadAddress(std::string_view rest, ServerFacts& facts) {
  return ReadText(rest, facts.address);
}

bool ReadPromoting(std::string_view rest, ServerFacts& facts) {
  const auto since = ReadNumber(Take(rest, ' '), std::numeric_limits<WallUs>::max());
  if (!since || facts.promoting_since) return false;
  facts.promoting_since = static_cast<WallUs>(*since);
  return true;
}

bool ReadOldestWal(std::string_view rest, ServerFacts& facts) {
  const auto oldest = ReadPosition(Take(rest, ' '));
  if (!oldest || facts.oldest_wal) return false;
  facts.oldest_wal = oldest;
  return true;
}

bool ReadReadOnly(std::string_view rest, ServerFacts& facts) {
  const std::string_view word = Take(rest, ' ');
  if ((word != "on" && word != "off") || facts.read_only) return false;
  facts.read_only = word == "on";
  return true;
}

bool ReadSystem(std::string_view rest, ServerFacts& facts) {
  const auto system = ReadNumber(Take(rest, ' '), std::numeric_limits<std::uint64_t>::max());
  if (!system || facts.system_identifier != 0) return false;
  facts.system_identifier = *system;
  return true;
}

bool ReadStarted(std::string_view rest, ServerFacts& facts) {
  const auto started = ReadNumber(Take(rest, ' '), std::numeric_limits<WallUs>::max());
  if (!started || facts.postmaster_start != 0) return false;
  facts.postmaster_start = static_cast<WallUs>(*started);
  return true;
}

struct Keyword {
  std::string_view word;
  bool (*read)(std::string_view rest, ServerFacts& facts);
};

constexpr Keyword kKeywords[] = {
    {"timeline", ReadTimeline},  {"history", ReadHistory},     {"fork", ReadFork},
    {"receiver", ReadReceiver},  {"upstream", ReadUpstream},   {"name", ReadName},
    {"slot", ReadSlot},          {"promoting", ReadPromoting}, {"oldest_wal", ReadOldestWal},
    {"read_only", ReadReadOnly}, {"address", ReadAddress},     {"system", ReadSystem},
    {"started", ReadStarted},
};

bool ReadLine(std::string_view line, ServerFacts& facts) {
  const std::string_view word = Take(line, ' ');
  for (const Keyword& keyword : kKeywords) {
    if (keyword.word == word) return keyword.read(line, facts);
  }
  return !word.empty();
}

// The lines of what there is; one text for all of them.
class Writer {
 public:
  explicit Writer(std::string& text) : text_(text) {}

  template <typename... Fields>
  void Line(std::string_view word, const Fields&... fields) {
    text_ += word;
    ((text_ += ' ', fmt::format_to(std::back_inserter(text_), "{}", fields)), ...);
    text_ += '\n';
  }

  template <typename... Fields>
  void Text(std::string_view word, std::string_view value, const Fields&... fields) {
    if (!value.empty() && value.size() <= kMaxFactText) Line(word, Escaped(value), fields...);
  }

 private:
  std::string& text_;
};

void WriteHistory(TimelineHistory history, Writer& writer) {
  KeepNewestForks(history);
  writer.Line("history", history.from);
  for (const Fork& fork : history.forks) writer.Line("fork", fork.timeline, FormatLsn(fork.end));
}

}  // namespace

bool ServerFacts::operator==(const ServerFacts& other) const {
  const auto all = [](const ServerFacts& facts) {
    return std::tie(facts.timeline, facts.history, facts.receiver, facts.upstream_host,
                    facts.upstream_port, facts.receiver_name, facts.receiver_slot,
                    facts.promoting_since, facts.oldest_wal, facts.read_only, facts.address,
                    facts.system_identifier, facts.postmaster_start);
  };
  return all(*this) == all(other);
}

bool IsHistoryOf(const TimelineHistory& history, std::uint32_t timeline) {
  if (history.from == 0 || history.from > timeline) return false;
  Fork last{history.from - 1, kNoLsn + 1};
  for (const Fork& fork : history.forks) {
    if (fork.timeline <= last.timeline || fork.end < last.end) return false;
    last = fork;
  }
  return last.timeline < timeline;
}

void KeepNewestForks(TimelineHistory& history) {
  auto& forks = history.forks;
  if (forks.size() <= kMaxForks) return;
  forks.erase(forks.begin(), forks.end() - static_cast<std::ptrdiff_t>(kMaxForks));
  history.from = forks.front().timeline;
}

std::string WriteServerFacts(const ServerFacts& facts) {
  std::string text(kTitle);
  Writer writer(text);
  if (facts.timeline != 0) writer.Line("timeline", facts.timeline);
  if (facts.history && IsHistoryOf(*facts.history, facts.timeline)) {
    WriteHistory(*facts.history, writer);
  }
  if (facts.receiver) {
    writer.Line("receiver", kReceiverStates[static_cast<std::size_t>(*facts.receiver)]);
  }
  const bool has_port =
      facts.upstream_port > 0 && facts.upstream_port <= static_cast<int>(kMaxPort);
  writer.Text("upstream", facts.upstream_host,
              has_port ? std::to_string(facts.upstream_port) : "-");
  writer.Text("name", facts.receiver_name);
  writer.Text("slot", facts.receiver_slot);
  if (facts.promoting_since.value_or(0) > 0) writer.Line("promoting", *facts.promoting_since);
  if (facts.oldest_wal.value_or(kNoLsn) != kNoLsn) {
    writer.Line("oldest_wal", FormatLsn(*facts.oldest_wal));
  }
  if (facts.read_only) writer.Line("read_only", *facts.read_only ? "on" : "off");
  writer.Text("address", facts.address);
  if (facts.system_identifier != 0) writer.Line("system", facts.system_identifier);
  if (facts.postmaster_start > 0) writer.Line("started", facts.postmaster_start);
  return text;
}

std::optional<ServerFacts> ReadServerFacts(std::string_view text) {
  if (text.size() > kMaxFactsBytes || text.substr(0, kTitle.size()) != kTitle) return std::nullopt;
  text.remove_prefix(kTitle.size());
  ServerFacts facts;
  while (!text.empty()) {
    if (!ReadLine(Take(text, '\n'), facts)) return std::nullopt;
  }
  if (facts.history && !IsHistoryOf(*facts.history, facts.timeline)) return std::nullopt;
  return facts;
}

}  // namespace pg_status
