// Fuzzes what a server's pg_status tells of its inside (src/probe/server_facts.cpp), and the texts
// of its own server that it makes that of: timeline history files (history_file.cpp) and the
// receiver's connection string (receiver_name.cpp). What is read keeps the promises of the headers,
// and what was read can be written and read again to the same value.
//
// The input: a byte that chooses the timeline of the history file; then the text. Each parser gets
// all of it, that of facts also with its title before it.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probe/history_file.hpp"
#include "probe/receiver_name.hpp"
#include "probe/server_facts.hpp"

namespace pg_status {
namespace {

void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

void CheckHistory(const TimelineHistory& history, std::uint32_t timeline) {
  Require(IsHistoryOf(history, timeline), "a history is one");
  Require(history.from >= 1 && history.from <= timeline, "it begins somewhere");
  Require(history.forks.size() <= kMaxForks, "forks are bounded");
  Fork last{history.from - 1, 0};
  for (const Fork& fork : history.forks) {
    Require(fork.timeline > last.timeline && fork.end >= last.end, "forks rise");
    Require(fork.timeline < timeline && fork.end != kNoLsn, "a fork is older, and somewhere");
    last = fork;
  }
}

void CheckRoundTrip(const ServerFacts& facts) {
  const std::string text = WriteServerFacts(facts);
  Require(text.size() <= kMaxFactsBytes, "facts are bounded");
  const auto again = ReadServerFacts(text);
  Require(again && *again == facts, "what was read can be written and read again");
  Require(WriteServerFacts(*again) == text, "and there is one way to write it");
}

void FuzzFacts(std::string_view text) {
  const auto facts = ReadServerFacts(text);
  if (!facts) return;
  Require(text.size() <= kMaxFactsBytes, "facts are bounded");
  if (facts->history) CheckHistory(*facts->history, facts->timeline);
  for (const std::string* name :
       {&facts->upstream_host, &facts->receiver_name, &facts->receiver_slot, &facts->address}) {
    Require(name->size() <= kMaxFactText, "a text is bounded");
  }
  Require(facts->upstream_port >= 0 && facts->upstream_port <= 65535, "a port is one");
  Require(facts->upstream_port == 0 || !facts->upstream_host.empty(), "a port is a host's");
  Require(facts->promoting_since.value_or(1) > 0, "a time is one");
  Require(facts->oldest_wal.value_or(1) != kNoLsn, "a position is one");
  CheckRoundTrip(*facts);
}

void FuzzHistoryFile(std::string_view text, std::uint32_t timeline) {
  const auto history = ReadHistoryFile(text, timeline);
  if (!history) return;
  CheckHistory(*history, timeline);
  ServerFacts facts;
  facts.timeline = timeline;
  facts.history = *history;
  CheckRoundTrip(facts);
}

void FuzzReceiverName(std::string_view conninfo) {
  const auto name = ReceiverName(conninfo, "walreceiver");
  Require(!name || name->size() <= kMaxApplicationName, "a name is bounded");
}

}  // namespace
}  // namespace pg_status

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of exactly that size, so that reading past the end is seen.
  const std::vector<char> bytes(data + 1, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  pg_status::FuzzFacts(text);
  pg_status::FuzzFacts("facts 1\n" + std::string(text));
  pg_status::FuzzHistoryFile(text, data[0]);
  pg_status::FuzzReceiverName(text);
  return 0;
}
