// The probe's query and its answer; see reply.hpp. The two stand together because the columns of
// one are the other's input.

#include "probe/reply.hpp"

#include <algorithm>
#include <cstdint>
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

// in_recovery is read once, in a subquery with OFFSET 0 (which the planner does not pull up),
// because a promotion may end in mid-query and the functions for a primary are errors in recovery.
// Once false it stays false.
//
// The timeline: a primary writes the one that its current WAL file's name begins with. A standby
// has no function for it; the control file's are the newest it has certainly reached, its WAL
// receiver knows better when the role may see it, and pg_status there knows it for certain. So does
// pg_stat_recovery of PostgreSQL 19, when the role may see that.
//
// pg_status.node_state is the peer's own pg_status speaking; NULL when it is not loaded there.
//
// pg_status.opinions and pg_status.facts likewise; they may be long, so they come with the first
// row only.
//
// pg_backend_pid and the mark tell whether the session is ours, or a pooler's that many share;
// inet_client_addr as whom the host sees us.
//
// A walsender's slot is "" when it has none. What it sends to: a base backup and a logical
// walsender (which alone has a database) are no standby's; who takes WAL without ever replaying
// any, most likely an archiver's. pg_stat_get_activity is what the view itself asks, and tells
// everybody the database. The walsenders' query has a LIMIT so that the answer stays bounded.
constexpr std::string_view kColumns =
    "SELECT f.in_recovery,"
    " cs.system_identifier,"
    " CASE WHEN f.in_recovery"
    "      THEN GREATEST(cc.timeline_id, cr.min_recovery_end_timeline) END,"
    " CASE WHEN f.in_recovery THEN NULL"
    "      ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,"
    " pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()),"
    " pg_catalog.current_setting('cluster_name'),"
    " pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()),"
    " CASE WHEN f.in_recovery THEN NULL ELSE pg_catalog.pg_current_wal_lsn() END,"
    " CASE WHEN f.in_recovery THEN pg_catalog.pg_last_wal_receive_lsn() END,"
    " CASE WHEN f.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn() END,"
    " CASE WHEN f.in_recovery"
    "      THEN pg_catalog.date_part('epoch', pg_catalog.pg_last_xact_replay_timestamp()) END,"
    " CASE WHEN f.in_recovery THEN pg_catalog.pg_is_wal_replay_paused() END,"
    " w.pid, w.status, w.sender_host, w.sender_port, w.received_tli, w.latest_end_lsn,"
    " w.slot_name, w.conninfo,"
    " pg_catalog.current_setting('pg_status.node_state', true),"
    " CASE WHEN COALESCE(s.ordinal, 1) OPERATOR(pg_catalog.=) 1"
    "      THEN pg_catalog.current_setting('pg_status.opinions', true) END,"
    " CASE WHEN COALESCE(s.ordinal, 1) OPERATOR(pg_catalog.=) 1"
    "      THEN pg_catalog.current_setting('pg_status.facts', true) END,"
    " s.pid, s.usename, s.application_name, pg_catalog.host(s.client_addr), s.state, s.sync_state,"
    " s.sync_priority, s.slot, s.kind, ";
constexpr std::string_view kOfRecovery = "v.last_replayed_tli";
constexpr std::string_view kNotOfRecovery = "NULL";
constexpr std::string_view kSources =
    ", pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.pg_backend_pid(),"
    " pg_catalog.current_setting('pg_status_session.mark', true)"
    " FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery OFFSET 0) f"
    " CROSS JOIN pg_catalog.pg_control_system() cs"
    " CROSS JOIN pg_catalog.pg_control_checkpoint() cc"
    " CROSS JOIN pg_catalog.pg_control_recovery() cr"
    " LEFT JOIN pg_catalog.pg_stat_wal_receiver w ON true"
    " LEFT JOIN (SELECT r.*, pg_catalog.row_number() OVER () AS ordinal,"
    "                   COALESCE(CAST(l.slot_name AS pg_catalog.text), '') AS slot,"
    "                   CASE WHEN a.datid IS NOT NULL OR r.state OPERATOR(pg_catalog.=) 'backup'"
    "                        THEN 'other'"
    "                        WHEN r.write_lsn IS NOT NULL AND r.replay_lsn IS NULL"
    "                        THEN 'receiver' ELSE 'standby' END AS kind"
    "            FROM pg_catalog.pg_stat_replication r"
    "            LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(r.pid) a ON true"
    "            LEFT JOIN pg_catalog.pg_replication_slots l"
    "                   ON l.active_pid OPERATOR(pg_catalog.=) r.pid LIMIT 1000) s ON true";
constexpr std::string_view kSourceOfRecovery = " LEFT JOIN pg_catalog.pg_stat_recovery v ON true";

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

// As in PostgreSQL's walreceiver.c.
std::string FallbackName(const std::string& cluster_name) {
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
  receiver.name =
      ReceiverName(row.LongText(kReceiverConninfo), FallbackName(row.Text(kClusterName)))
          .value_or("");
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
void ReadStandby(RowReader& row, Facts& facts) {
  facts.receiver = ReadReceiver(row);
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

std::string ProbeQuery(bool asks_recovery) {
  std::string query(kColumns);
  query.append(asks_recovery ? kOfRecovery : kNotOfRecovery).append(kSources);
  if (asks_recovery) query.append(kSourceOfRecovery);
  return query;
}

std::string AnsweringSession(const Rows& rows) {
  const auto process = rows.Cell(0, kBackendPid);
  const auto mark = rows.Cell(0, kMark);
  if (!process || !mark || mark->empty()) return "";
  return std::string(process->substr(0, kMaxText)) + ' ' + std::string(mark->substr(0, kMaxText));
}

Result<Facts> ParseReply(const Rows& rows, int server_version) {
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
  if (!in_recovery || !identifier || !clock || !start) {
    return Error{row.complaint().empty() ? "the answer lacks a needed fact" : row.complaint()};
  }
  facts.in_recovery = *in_recovery;
  facts.system_identifier = *identifier;
  facts.clock = *clock;
  facts.postmaster_start = *start;
  facts.cluster_name = row.Text(kClusterName);
  facts.write_lsn = row.Position(kWriteLsn, "write position");
  facts.receive_lsn = row.Position(kReceiveLsn, "receive position");
  facts.replay_lsn = row.Position(kReplayLsn, "replay position");
  facts.replay_commit = row.Seconds(kReplayCommit, "time of the last replayed commit");
  facts.replay_paused = row.Bool(kReplayPaused, "replay state").value_or(false);
  facts.stopping = row.Text(kNodeState) == "stopping";
  facts.asker = row.Text(kAsker);
  ReadOpinionsOf(rows, facts);
  ReadInside(rows, facts);

  if (facts.in_recovery) {
    ReadStandby(row, facts);
  } else {
    facts.timeline = row.TimelineOfWalFile(kWalFile, "WAL file name").value_or(0);
    if (!facts.write_lsn) return Error{"the answer has no usable write position"};
  }
  facts.timeline_exact = facts.timeline_exact || !facts.in_recovery ||
                         (facts.inside && facts.inside->timeline != 0) ||
                         (facts.receiver && facts.receiver->timeline != 0);
  if (facts.inside && facts.inside->timeline != 0) facts.timeline = facts.inside->timeline;
  if (!row.complaint().empty()) return Error{row.complaint()};
  const std::string complaint = ReadSenders(rows, facts);
  if (!complaint.empty()) return Error{complaint};
  return facts;
}

}  // namespace pg_status
