// The probe's query and its answer; see reply.hpp. The two stand together because the columns of
// one are the other's input.

#include "probe/reply.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/lsn.hpp"
#include "base/number.hpp"
#include "probe/opinions.hpp"
#include "probe/receiver_name.hpp"
#include "probe/server_facts.hpp"

namespace pg_status {
namespace {

// The columns of ProbeQuery, in order. The first block repeats in each row; a row's last block is
// one walsender.
enum Column : std::size_t {
  kInRecovery,
  kSystemIdentifier,
  kControlTimeline,
  kWalFile,
  kPostmasterStart,
  kClusterName,
  kClock,
  kWriteLsn,
  kReceiveLsn,
  kReplayLsn,
  kReplayCommit,
  kReplayPaused,
  kReceiverPid,
  kReceiverStatus,
  kReceiverHost,
  kReceiverPort,
  kReceiverTimeline,
  kReceiverLatestEnd,
  kReceiverSlot,
  kReceiverConninfo,
  kNodeState,
  kOpinions,
  kFacts,
  kSenderPid,
  kSenderUser,
  kSenderName,
  kSenderAddress,
  kSenderState,
  kSenderSyncState,
  kSenderSyncPriority,
  kSenderSlot,
  kSenderKind,
  kReplayTimeline,
  kAsker,
  kBackendPid,
  kMark,
  kColumnCount
};

// The rights that a part of the question takes.
using Takes = std::uint32_t;
constexpr Takes Of(Right right) { return Takes{1} << static_cast<unsigned>(right); }
constexpr Takes kNothing = 0;
constexpr Takes kOfControl = Of(Right::kControlCheckpoint) | Of(Right::kControlRecovery);
constexpr Takes kOfSetting = Of(Right::kSetting);
constexpr Takes kOfReceiver = Of(Right::kReceiver);
constexpr Takes kOfSenders = Of(Right::kSenders);
constexpr Takes kOfSlots = kOfSenders | Of(Right::kSlots);
constexpr Takes kOfSeconds = Of(Right::kSeconds);

struct Part {
  Column column;
  std::string_view text;
  Takes takes = kNothing;
};

// The columns in their order; of those of one column the first is taken that the role has a right
// to, else it is NULL.
//
// r is whether the server is in recovery: read once, in a subquery with OFFSET 0 (which the planner
// does not pull up), because a promotion may end in mid-query and the functions for a primary are
// errors in recovery. Once false it stays false.
//
// The timeline: a primary writes the one that its current WAL file's name begins with. A standby
// has no function for it; the control file's are the newest it has certainly reached, its WAL
// receiver knows better when the role may see it, and pg_status there knows it for certain. So does
// pg_stat_recovery of PostgreSQL 19, when the role may see that. (Of a primary the control file may
// have an old one for minutes after its promotion.)
//
// pg_status.node_state is the peer's own pg_status speaking; NULL when it is not loaded there.
//
// pg_status.opinions and pg_status.facts likewise; they may be long, so they come with the first
// row only.
//
// pg_backend_pid and the mark tell whether the session is ours, or a pooler's that many share;
// inet_client_addr as whom the host sees us.
//
// Short names and no blank too many: a server that logs statements writes the text of a prepared
// one with each execution. Everything is qualified all the same. Addresses of clients have no mask,
// so they are shown as addresses alone.
constexpr Part kColumns[] = {
    {kInRecovery, "r"},
    {kSystemIdentifier, "y.system_identifier", Of(Right::kControlSystem)},
    {kControlTimeline, "CASE WHEN r THEN GREATEST(c.timeline_id,v.min_recovery_end_timeline)END",
     kOfControl},
    {kControlTimeline, "CASE WHEN r THEN c.timeline_id END", Of(Right::kControlCheckpoint)},
    {kControlTimeline, "CASE WHEN r THEN v.min_recovery_end_timeline END",
     Of(Right::kControlRecovery)},
    {kWalFile,
     "CASE WHEN NOT r THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())END",
     Of(Right::kWalFile)},
    {kPostmasterStart, "pg_catalog.date_part('epoch',pg_catalog.pg_postmaster_start_time())",
     Of(Right::kStart) | kOfSeconds},
    {kClusterName, "pg_catalog.current_setting('cluster_name',true)", kOfSetting},
    {kClock, "pg_catalog.date_part('epoch',pg_catalog.clock_timestamp())",
     Of(Right::kClock) | kOfSeconds},
    {kWriteLsn, "CASE WHEN NOT r THEN pg_catalog.pg_current_wal_lsn()END"},
    {kReceiveLsn, "CASE WHEN r THEN pg_catalog.pg_last_wal_receive_lsn()END",
     Of(Right::kReceiveLsn)},
    {kReplayLsn, "CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn()END"},
    {kReplayCommit,
     "CASE WHEN r THEN"
     " pg_catalog.date_part('epoch',pg_catalog.pg_last_xact_replay_timestamp())END",
     Of(Right::kReplayTime) | kOfSeconds},
    {kReplayPaused, "CASE WHEN r THEN pg_catalog.pg_is_wal_replay_paused()END",
     Of(Right::kReplayPause)},
    {kReceiverPid, "w.pid", kOfReceiver},
    {kReceiverStatus, "w.status", kOfReceiver},
    {kReceiverHost, "w.sender_host", kOfReceiver},
    {kReceiverPort, "w.sender_port", kOfReceiver},
    {kReceiverTimeline, "w.received_tli", kOfReceiver},
    {kReceiverLatestEnd, "w.latest_end_lsn", kOfReceiver},
    {kReceiverSlot, "w.slot_name", kOfReceiver},
    {kReceiverConninfo, "w.conninfo", kOfReceiver},
    {kNodeState, "pg_catalog.current_setting('pg_status.node_state',true)", kOfSetting},
    {kOpinions,
     "CASE WHEN COALESCE(s.n,1)OPERATOR(pg_catalog.=)1 THEN"
     " pg_catalog.current_setting('pg_status.opinions',true)END",
     kOfSetting | kOfSenders},
    {kOpinions, "pg_catalog.current_setting('pg_status.opinions',true)", kOfSetting},
    {kFacts,
     "CASE WHEN COALESCE(s.n,1)OPERATOR(pg_catalog.=)1 THEN"
     " pg_catalog.current_setting('pg_status.facts',true)END",
     kOfSetting | kOfSenders},
    {kFacts, "pg_catalog.current_setting('pg_status.facts',true)", kOfSetting},
    {kSenderPid, "s.pid", kOfSenders},
    {kSenderUser, "s.usename", kOfSenders},
    {kSenderName, "s.application_name", kOfSenders},
    {kSenderAddress, "s.client_addr", kOfSenders},
    {kSenderState, "s.state", kOfSenders},
    {kSenderSyncState, "s.sync_state", kOfSenders},
    {kSenderSyncPriority, "s.sync_priority", kOfSenders},
    {kSenderSlot, "s.slot", kOfSlots},
    {kSenderKind, "s.kind", kOfSenders},
    {kReplayTimeline, "q.last_replayed_tli", Of(Right::kRecovery)},
    {kAsker, "pg_catalog.inet_client_addr()", Of(Right::kAsker)},
    {kBackendPid, "pg_catalog.pg_backend_pid()", Of(Right::kProcess)},
    {kMark, "pg_catalog.current_setting('pg_status_session.mark',true)", kOfSetting},
};

// A walsender's slot is "" when it has none. What it sends to: a base backup and a logical
// walsender (which alone has a database) are no standby's; who takes WAL without ever replaying
// any, most likely an archiver's. pg_stat_get_activity is what the view itself asks, and tells
// everybody the database. The LIMIT keeps the answer bounded.
constexpr std::string_view kSenderRows =
    " LEFT JOIN(SELECT r.*,pg_catalog.row_number()OVER()n,"
    "CASE WHEN a.datid IS NOT NULL OR r.state OPERATOR(pg_catalog.=)'backup' THEN 'other'"
    " WHEN r.write_lsn IS NOT NULL AND r.replay_lsn IS NULL THEN 'receiver' ELSE 'standby' END "
    "kind";

// Where the columns come from, in pieces one behind the other.
struct Piece {
  std::string_view text;
  Takes takes = kNothing;
};
constexpr Piece kSources[] = {
    {" FROM(SELECT pg_catalog.pg_is_in_recovery()r OFFSET 0)f"},
    {" CROSS JOIN pg_catalog.pg_control_system()y", Of(Right::kControlSystem)},
    {" CROSS JOIN pg_catalog.pg_control_checkpoint()c", Of(Right::kControlCheckpoint)},
    {" CROSS JOIN pg_catalog.pg_control_recovery()v", Of(Right::kControlRecovery)},
    {" LEFT JOIN pg_catalog.pg_stat_wal_receiver w ON true", kOfReceiver},
    {kSenderRows, kOfSenders},
    {",COALESCE(l.slot_name,'')slot", kOfSlots},
    {" FROM pg_catalog.pg_stat_replication r"
     " LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(r.pid)a ON true",
     kOfSenders},
    {" LEFT JOIN pg_catalog.pg_replication_slots l ON l.active_pid OPERATOR(pg_catalog.=)r.pid",
     kOfSlots},
    {" LIMIT 1000)s ON true", kOfSenders},
    {" LEFT JOIN pg_catalog.pg_stat_recovery q ON true", Of(Right::kRecovery)},
};

constexpr std::uint64_t kMaxProcess = std::numeric_limits<int>::max();

// A cell of a walsender or a setting: enough for any real one, and no more.
constexpr std::size_t kMaxText = 255;

// Reads the cells of one row; remembers the first one that makes no sense.
class RowReader {
 public:
  RowReader(const Rows& rows, std::size_t row) : rows_(rows), row_(row) {}

  bool IsNull(Column column) const { return !rows_.Cell(row_, column).has_value(); }

  std::string Text(Column column) const {
    const auto cell = rows_.Cell(row_, column);
    return cell ? std::string(cell->substr(0, kMaxText)) : std::string();
  }

  // Not cut: of a text that ends early one must not draw conclusions.
  std::string_view LongText(Column column) const {
    return rows_.Cell(row_, column).value_or(std::string_view());
  }

  std::optional<bool> Bool(Column column, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    if (*cell == "t") return true;
    if (*cell == "f") return false;
    return Bad<bool>(what);
  }

  std::optional<std::uint64_t> Number(Column column, std::uint64_t max, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    const auto number = ParseUint64(*cell);
    if (!number || *number > max) return Bad<std::uint64_t>(what);
    return number;
  }

  // system_identifier is an unsigned number that SQL shows as a signed one.
  std::optional<std::uint64_t> Identifier(Column column, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    const bool negative = !cell->empty() && cell->front() == '-';
    const auto number = ParseUint64(negative ? cell->substr(1) : *cell);
    if (!number) return Bad<std::uint64_t>(what);
    return negative ? std::uint64_t{0} - *number : *number;
  }

  std::optional<Lsn> Position(Column column, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    const auto lsn = ParseLsn(*cell);
    if (!lsn) return Bad<Lsn>(what);
    return lsn;
  }

  // Seconds since 1970 as a float8 prints them, to microseconds.
  std::optional<WallUs> Seconds(Column column, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    const std::size_t point = cell->find('.');
    const auto whole = ParseUint64(cell->substr(0, point));
    // year 9999; what is beyond overflows nothing, but is no clock either
    if (!whole || *whole > 253402300799ULL) return Bad<WallUs>(what);
    if (point == std::string_view::npos) return static_cast<WallUs>(*whole * kUsPerSecond);
    const std::string_view fraction = cell->substr(point + 1);
    if (!IsAll("0123456789", fraction)) return Bad<WallUs>(what);
    std::string digits(fraction.substr(0, 6));
    digits.resize(6, '0');
    return static_cast<WallUs>(*whole * kUsPerSecond + ParseUint64(digits).value_or(0));
  }

  std::optional<std::uint32_t> TimelineOfWalFile(Column column, const char* what) {
    const auto cell = rows_.Cell(row_, column);
    if (!cell) return std::nullopt;
    const auto lsn = ParseLsn(std::string("0/") + std::string(cell->substr(0, 8)));
    if (cell->size() != 24 || !IsAll("0123456789ABCDEFabcdef", *cell) || !lsn || *lsn == 0) {
      return Bad<std::uint32_t>(what);
    }
    return static_cast<std::uint32_t>(*lsn);
  }

  const std::string& complaint() const { return complaint_; }

 private:
  static bool IsAll(const char* allowed, std::string_view text) {
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
  }

  template <typename T>
  std::optional<T> Bad(const char* what) {
    if (complaint_.empty()) complaint_ = std::string("the answer has no usable ") + what;
    return std::nullopt;
  }

  const Rows& rows_;
  std::size_t row_;
  std::string complaint_;
};

constexpr std::uint64_t kMaxTimeline = std::numeric_limits<std::uint32_t>::max();

// As in PostgreSQL's walreceiver.c; "" when the role may not read cluster_name.
std::string FallbackName(const RowReader& row) {
  if (row.IsNull(kClusterName)) return "";
  const std::string cluster_name = row.Text(kClusterName);
  return cluster_name.empty() ? "walreceiver" : cluster_name;
}

std::optional<WalReceiver> ReadReceiver(RowReader& row) {
  if (row.IsNull(kReceiverPid)) return std::nullopt;
  WalReceiver receiver;
  receiver.pid =
      static_cast<int>(row.Number(kReceiverPid, kMaxProcess, "WAL receiver").value_or(0));
  // Without pg_monitor the view shows that there is a WAL receiver and nothing else of it.
  if (row.IsNull(kReceiverStatus)) return receiver;
  receiver.details_known = true;
  receiver.streaming = row.Text(kReceiverStatus) == "streaming";
  receiver.sender_host = row.Text(kReceiverHost);
  receiver.sender_port =
      static_cast<int>(row.Number(kReceiverPort, 65535, "WAL receiver port").value_or(0));
  receiver.timeline = static_cast<std::uint32_t>(
      row.Number(kReceiverTimeline, kMaxTimeline, "WAL receiver timeline").value_or(0));
  receiver.latest_end_lsn = row.Position(kReceiverLatestEnd, "WAL receiver position");
  receiver.slot = row.Text(kReceiverSlot);
  receiver.name = ReceiverName(row.LongText(kReceiverConninfo), FallbackName(row)).value_or("");
  return receiver;
}

// Whatever a peer says here, it only informs: what makes no sense is as good as silence.
void ReadOpinionsOf(const Rows& rows, Facts& facts) {
  for (std::size_t i = 0; i < rows.rows() && !facts.gives_opinions; ++i) {
    const auto cell = rows.Cell(i, kOpinions);
    if (!cell) continue;
    facts.gives_opinions = true;
    std::optional<Opinions> opinions = ReadOpinions(*cell);
    if (opinions) facts.opinions = std::make_shared<const Opinions>(std::move(*opinions));
  }
}

void ReadInside(const Rows& rows, Facts& facts) {
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const auto cell = rows.Cell(i, kFacts);
    if (!cell) continue;
    std::optional<ServerFacts> inside = ReadServerFacts(*cell);
    if (inside) facts.inside = std::make_shared<const ServerFacts>(std::move(*inside));
    return;
  }
}

// Which server it is, where the role may not ask SQL.
void IdentifyByInside(const ServerFacts& inside, Facts& facts) {
  if (facts.system_identifier == 0) facts.system_identifier = inside.system_identifier;
  if (facts.postmaster_start == 0) facts.postmaster_start = inside.postmaster_start;
}

// What the standby's own pg_status tells of its receiver goes above the view: there a receiver
// streams before it is connected, is not there until it is, and may not be seen by everybody.
void ApplyInside(const ServerFacts& inside, std::optional<WalReceiver>& receiver) {
  if (!inside.receiver) return;
  if (*inside.receiver == ReceiverState::kNone) {
    receiver.reset();
    return;
  }
  if (!receiver) receiver.emplace();
  receiver->details_known = true;
  receiver->streaming = *inside.receiver == ReceiverState::kStreaming;
  if (inside.upstream_host.empty()) return;
  receiver->sender_host = inside.upstream_host;
  receiver->sender_port = inside.upstream_port;
  receiver->slot = inside.receiver_slot;
  if (!inside.receiver_name.empty()) receiver->name = inside.receiver_name;
}

// How far a standby has come, and by whom it is fed.
void ReadStandby(RowReader& row, const Rights& rights, Facts& facts) {
  facts.receiver = ReadReceiver(row);
  // There may be one, and nothing is known of it.
  if (rights.Lacks(Right::kReceiver)) facts.receiver.emplace();
  facts.timeline = static_cast<std::uint32_t>(
      row.Number(kControlTimeline, kMaxTimeline, "timeline").value_or(0));
  if (facts.receiver && facts.receiver->timeline > facts.timeline) {
    facts.timeline = facts.receiver->timeline;
  }
  // Not the receiver's: what that has received may not be replayed yet.
  const auto replayed = row.Number(kReplayTimeline, kMaxTimeline, "timeline");
  facts.timeline_exact = replayed.value_or(0) != 0;
  if (facts.timeline_exact) facts.timeline = static_cast<std::uint32_t>(*replayed);
  if (facts.inside) ApplyInside(*facts.inside, facts.receiver);
  facts.details_hidden = facts.receiver && !facts.receiver->details_known;
  // A receiver begins anew at the beginning of a segment, which was replayed long ago.
  if (facts.receive_lsn && facts.replay_lsn) {
    facts.receive_lsn = std::max(*facts.receive_lsn, *facts.replay_lsn);
  }
}

SenderKind ReadKind(const RowReader& row) {
  const std::string kind = row.Text(kSenderKind);
  if (kind == "other") return SenderKind::kOther;
  return kind == "receiver" ? SenderKind::kReceiver : SenderKind::kStandby;
}

// What is wrong with them, "" when nothing is.
std::string ReadSenders(const Rows& rows, Facts& facts) {
  facts.senders_missing = rows.rows() >= kMaxSenders;
  for (std::size_t i = 0; i < rows.rows() && facts.senders.size() < kMaxSenders; ++i) {
    RowReader row(rows, i);
    if (row.IsNull(kSenderPid)) continue;
    // Likewise: a role without pg_monitor sees that somebody streams, not who.
    if (row.IsNull(kSenderState)) {
      facts.details_hidden = true;
      facts.senders_missing = true;
      continue;
    }
    Sender sender;
    sender.usename = row.Text(kSenderUser);
    sender.application_name = row.Text(kSenderName);
    sender.client_addr = row.Text(kSenderAddress);
    sender.state = row.Text(kSenderState);
    sender.sync_state = row.Text(kSenderSyncState);
    sender.sync_priority =
        static_cast<int>(row.Number(kSenderSyncPriority, 1000000, "priority").value_or(0));
    if (!row.IsNull(kSenderSlot)) sender.slot = row.Text(kSenderSlot);
    sender.kind = ReadKind(row);
    if (!row.complaint().empty()) return row.complaint();
    facts.senders.push_back(std::move(sender));
  }
  return "";
}

}  // namespace

std::string ProbeQuery(bool asks_recovery, const Rights& rights) {
  auto missing = static_cast<Takes>(rights.missing.to_ulong());
  if (!asks_recovery) missing |= Of(Right::kRecovery);
  std::string query = "SELECT ";
  query.reserve(3072);
  for (std::size_t column = 0; column < kColumnCount; ++column) {
    const auto* const part =
        std::find_if(std::begin(kColumns), std::end(kColumns), [&](const Part& candidate) {
          return candidate.column == column && (candidate.takes & missing) == 0;
        });
    query.append(column == 0 ? "" : ",").append(part == std::end(kColumns) ? "NULL" : part->text);
  }
  for (const Piece& piece : kSources) {
    if ((piece.takes & missing) == 0) query.append(piece.text);
  }
  return query;
}

std::string AnsweringSession(const Rows& rows) {
  const auto process = rows.Cell(0, kBackendPid);
  const auto mark = rows.Cell(0, kMark);
  if (!process || !mark || mark->empty()) return "";
  return std::string(process->substr(0, kMaxText)) + ' ' + std::string(mark->substr(0, kMaxText));
}

Result<Facts> ParseReply(const Rows& rows, int server_version, const Rights& rights) {
  // The last columns are for AnsweringSession(), and tell nothing of the host.
  const bool is_whole = rows.columns() == kColumnCount || rows.columns() == kBackendPid;
  if (rows.rows() == 0 || !is_whole) {
    return Error{"the answer has another shape than a PostgreSQL server's"};
  }
  RowReader row(rows, 0);
  Facts facts;
  facts.server_version = server_version;

  const auto in_recovery = row.Bool(kInRecovery, "recovery state");
  const auto identifier = row.Identifier(kSystemIdentifier, "system identifier");
  const auto clock = row.Seconds(kClock, "clock");
  const auto start = row.Seconds(kPostmasterStart, "start time");
  if (!in_recovery || !row.complaint().empty()) {
    return Error{row.complaint().empty() ? "the answer lacks a needed fact" : row.complaint()};
  }
  facts.in_recovery = *in_recovery;
  facts.system_identifier = identifier.value_or(0);
  facts.clock = clock.value_or(0);
  facts.postmaster_start = start.value_or(0);
  facts.cluster_name = row.Text(kClusterName);
  facts.write_lsn = row.Position(kWriteLsn, "write position");
  facts.receive_lsn = row.Position(kReceiveLsn, "receive position");
  facts.replay_lsn = row.Position(kReplayLsn, "replay position");
  facts.replay_commit = row.Seconds(kReplayCommit, "time of the last replayed commit");
  facts.replay_paused = row.Bool(kReplayPaused, "replay state");
  facts.stopping = row.Text(kNodeState) == "stopping";
  if (!rights.Lacks(Right::kAsker)) facts.asker = row.Text(kAsker);
  ReadOpinionsOf(rows, facts);
  ReadInside(rows, facts);
  if (facts.inside) IdentifyByInside(*facts.inside, facts);

  if (facts.in_recovery) {
    ReadStandby(row, rights, facts);
  } else {
    facts.timeline = row.TimelineOfWalFile(kWalFile, "WAL file name").value_or(0);
    if (!facts.write_lsn) return Error{"the answer has no usable write position"};
  }
  facts.timeline_exact = facts.timeline_exact || (!facts.in_recovery && facts.timeline != 0) ||
                         (facts.inside && facts.inside->timeline != 0) ||
                         (facts.receiver && facts.receiver->timeline != 0);
  if (facts.inside && facts.inside->timeline != 0) facts.timeline = facts.inside->timeline;
  if (!row.complaint().empty()) return Error{row.complaint()};
  const std::string complaint = ReadSenders(rows, facts);
  if (rights.Lacks(Right::kSenders)) facts.senders_missing = facts.details_hidden = true;
  facts.missing_grants = rights.grants;
  if (!complaint.empty()) return Error{complaint};
  return facts;
}

}  // namespace pg_status
