// Fuzzes what a peer says in the rows of its answer (src/probe/reply.cpp), and all that becomes of
// it: whatever the cells hold, the facts keep the promises of the headers, and what is shown of
// them in SQL, JSON, metrics and the log is bounded and cannot break a line, a string or an
// encoding.
//
// The input: a byte that chooses the answer to begin with (bits 0 and 1: none, a good primary's, a
// good standby's; bit 2: with a walsender); then cells, each a byte that chooses the column and the
// text up to the next US (0x1F). The text NAK (0x15) is NULL. RS (0x1E) begins another row. The
// whole input is tried as the text of an error, too.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probe/opinions.hpp"
#include "probe/reply.hpp"
#include "probe/reply_rows.hpp"
#include "publish/snapshot.h"
#include "shown.hpp"

namespace pg_status {
namespace {

constexpr char kUnit = '\x1F', kRow = '\x1E', kNull = '\x15';
constexpr std::size_t kMaxCell = 255;

Cells FirstCells(std::uint8_t choice) {
  Cells cells;
  if ((choice & 3) == 0) cells.resize(kReplyColumns);
  if ((choice & 3) == 1) cells = PrimaryCells();
  if ((choice & 3) == 2) cells = StandbyCells();
  const bool with_sender = (choice & 4) != 0 && !cells.empty();
  return with_sender ? WithSender(std::move(cells), "app2") : cells;
}

std::vector<Cells> TableOf(std::uint8_t choice, std::string_view text) {
  std::vector<Cells> table{FirstCells(choice)};
  while (!text.empty()) {
    if (text.front() == kRow) {
      text.remove_prefix(1);
      table.push_back(FirstCells(choice));
      continue;
    }
    const std::size_t column = static_cast<std::uint8_t>(text.front()) % (kReplyColumns + 1);
    text.remove_prefix(1);
    const std::size_t end = text.find(kUnit);
    const std::string_view cell = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    Cells& cells = table.back();
    if (column >= cells.size()) cells.resize(column + 1);  // one column too many, now and then
    cells[column] =
        cell == std::string_view(&kNull, 1) ? std::nullopt : std::optional(std::string(cell));
  }
  return table;
}

void CheckFacts(const Facts& facts, std::size_t rows) {
  Require(facts.in_recovery || facts.write_lsn, "a primary tells where it writes");
  Require(facts.clock >= 0 && facts.clock <= 253402300800 * kUsPerSecond, "a clock is one");
  Require(facts.postmaster_start >= 0, "a start is a time");
  Require(!facts.replay_commit || *facts.replay_commit >= 0, "a commit has a time");
  Require(facts.cluster_name.size() <= kMaxCell, "cluster_name is bounded");
  Require(!facts.inside || facts.inside->timeline == 0 || facts.timeline == facts.inside->timeline,
          "the inside knows the timeline");
  Require(!facts.receive_lsn || !facts.replay_lsn || *facts.receive_lsn >= *facts.replay_lsn,
          "what was replayed has been received");
  Require(facts.senders.size() <= kMaxSenders && facts.senders.size() <= rows,
          "walsenders are bounded");
  for (const Sender& sender : facts.senders) {
    for (const std::string* text : {&sender.usename, &sender.application_name, &sender.client_addr,
                                    &sender.state, &sender.sync_state}) {
      Require(text->size() <= kMaxCell, "a text of a walsender is bounded");
    }
    Require(sender.sync_priority >= 0 && sender.sync_priority <= 1000000, "a priority is bounded");
  }
  if (!facts.receiver) return;
  Require(facts.receiver->sender_host.size() <= kMaxCell, "sender_host is bounded");
  Require(facts.receiver->sender_port >= 0 && facts.receiver->sender_port <= 65535,
          "a port is one");
}

Observation Failure(Outcome outcome, std::string_view error) {
  Observation observation;
  observation.outcome = outcome;
  observation.error = error;
  observation.started = 1;
  observation.finished = 2;
  return observation;
}

// The opinions of a peer, alone: what is read keeps its promises, and is read again as it was
// written.
void FuzzOpinions(std::string_view text) {
  const std::optional<Opinions> opinions = ReadOpinions(text);
  if (!opinions) return;
  Require(text.size() <= kMaxOpinionsBytes, "opinions are bounded");
  for (const Opinion& opinion : *opinions) {
    Require(!opinion.host.empty() && opinion.host.size() < PGST_NAME_SIZE, "a name is bounded");
    Require(opinion.success_age_us.value_or(0) >= 0, "an age is one");
    Require(opinion.postmaster_start >= 0, "a start is a time");
  }
  const std::optional<Opinions> again = ReadOpinions(WriteOpinions(*opinions));
  Require(again && again->size() <= opinions->size(), "what is written can be read");
  for (std::size_t i = 0; i < again->size(); ++i) {
    Require((*again)[i].host == (*opinions)[i].host &&
                (*again)[i].reachable == (*opinions)[i].reachable &&
                (*again)[i].success_age_us == (*opinions)[i].success_age_us &&
                (*again)[i].system_identifier == (*opinions)[i].system_identifier &&
                (*again)[i].postmaster_start == (*opinions)[i].postmaster_start,
            "and says the same");
  }
}

void FuzzReply(std::uint8_t choice, std::string_view text) {
  const std::vector<Cells> table = TableOf(choice, text);
  const FakeRows rows(table);
  const Result<Facts> reply = ParseReply(rows, choice << 8 | 20);
  if (reply) {
    CheckFacts(*reply, table.size());
  } else {
    Require(!reply.error().empty() && reply.error().size() < 200,
            "an error is a short sentence of our own");
  }
  FuzzedCluster cluster;
  cluster.Hears(reply);
  cluster.CheckAnswers();
  cluster.Hears(Failure(Outcome::kRejected, text));  // suspect
  cluster.Hears(Failure(Outcome::kClosed, text));    // down
  cluster.CheckAnswers();
  cluster.Hears(reply);
}

}  // namespace
}  // namespace pg_status

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of exactly that size, so that reading past the end is seen.
  const std::vector<char> bytes(data + 1, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  // Every parser of what a peer says has its entry here, and gets the same bytes.
  pg_status::FuzzReply(data[0], text);
  pg_status::FuzzOpinions(text);
  pg_status::FuzzOpinions("opinions 1\n" + std::string(text));
  return 0;
}
