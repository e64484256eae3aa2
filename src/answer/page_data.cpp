// The page's data; see page_data.hpp.
#include "answer/page_data.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

#include "answer/host_json.hpp"
#include "answer/json_writer.hpp"
#include "answer/standing.hpp"
#include "base/fixed_text.hpp"
#include "base/lsn.hpp"
#include "config/orders.hpp"
#include "judge/events.hpp"
#include "publish/lag_history.hpp"

namespace pg_status {
namespace {

constexpr int kMostEvents = 50;

std::uint64_t ToMs(std::int64_t us) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0) / kUsPerMs);
}

std::uint32_t Listed(const PgstSnapshot& snapshot) {
  return IsPublished(snapshot) ? HostCount(snapshot) : 0;
}

void TimeOrNull(std::string_view key, WallUs wall, JsonWriter& json) {
  json.NumberOrNull(key, wall != 0, ToMs(wall));
}

// ---- the node and the cluster -----------------------------------------------------------------

// In the order of NodeState.
constexpr std::string_view kNodeWords[] = {"starting", "primary", "standby", "stopping", "fenced"};
static_assert(std::size(kNodeWords) == static_cast<std::size_t>(NodeState::kFenced) + 1);

void WriteNode(const World& world, JsonWriter& json) {
  const PgstHost* const self = SelfHost(world);
  const PgstOrder* const order = OwnMaintenance(world);
  json.Begin("node");
  json.TextOrNull("name", self == nullptr ? std::string_view() : HostName(*self));
  json.Text("state", kNodeWords[static_cast<std::size_t>(world.node.state)]);
  json.Flag("maintenance", order != nullptr);
  json.TextOrNull("maintenance_reason",
                  order == nullptr ? std::string_view() : FixedText(order->reason));
  json.End();
}

void WriteQuorum(const World& world, JsonWriter& json) {
  const MajorityView view = MajorityOf(world);
  json.Begin("quorum");
  json.NumberOrNull("voters", view.known, view.voters);
  json.NumberOrNull("in_sight", view.known, view.voters_in_sight);
  json.NumberOrNull("majority", view.known, view.majority);
  if (view.known && view.possible) {
    json.Flag("seen", view.in_sight);
  } else {
    json.Null("seen");
  }
  json.End();
}

// What is believed of the cluster as a whole.
void WriteCluster(const World& world, bool fresh, JsonWriter& json) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const PgstHost* const primary = ChosenPrimary(world);
  json.Flag("ready", snapshot.ready != 0);
  json.TextOrNull("cluster", FixedText(world.node.cluster_name));
  WriteNode(world, json);
  json.TextOrNull("primary", primary == nullptr ? std::string_view() : HostName(*primary));
  json.TextOrNull("primary_reason", PrimaryReason(world));
  if (fresh) {
    json.Flag("split_brain", snapshot.split_brain != 0);
  } else {
    json.Null("split_brain");
  }
  WriteQuorum(world, json);
  json.Flag("fence", world.fence);
  json.TextOrNull("fence_cause", FenceCauseWord(OwnFenceCause(world)));
  json.Begin("limits");
  json.Number("lag_ms", snapshot.sync_max_lag_ms);
  json.Number("lag_bytes", snapshot.sync_max_lag_bytes);
  json.End();
}

// ---- hosts ------------------------------------------------------------------------------------

// From the settings and from operators: true whatever is known of the host itself.
void WriteEntry(const PgstHost& host, JsonWriter& json) {
  json.Text("host", HostName(host));
  json.Text("address", FixedText(host.hostname));
  json.Number("port", static_cast<std::uint64_t>(std::max(host.port, 0)));
  json.TextOrNull("dc", FixedText(host.dc));
  json.TextOrNull("geo", FixedText(host.geo));
  json.Fraction("weight", host.weight);
  json.Flag("self", host.self != 0);
  if (host.maintenance == PGST_IN_SERVICE) {
    json.Null("maintenance");
    return;
  }
  json.Begin("maintenance");
  json.Text("kind", MaintenanceWord(host.maintenance));
  json.TextOrNull("reason", FixedText(host.maintenance_reason));
  TimeOrNull("since_ms", host.maintenance_since_wall, json);
  json.Flag("forced", host.forced != 0);
  json.End();
}

void WriteReplication(const PgstHost& host, bool fresh, JsonWriter& json) {
  const bool standby = fresh && host.role == PGST_ROLE_STANDBY;
  const bool live = fresh && host.role != PGST_ROLE_UNKNOWN;
  json.TextOrNull("upstream", fresh ? FixedText(host.upstream) : std::string_view());
  json.TextOrNull("replication_state",
                  fresh ? FixedText(host.replication_state) : std::string_view());
  json.TextOrNull("sync_state", fresh ? FixedText(host.sync_state) : std::string_view());
  json.FlagOrNull("streaming", standby && host.has_streaming != 0, host.streaming != 0);
  json.FlagOrNull("replay_paused", standby && host.has_replay_paused != 0, host.replay_paused != 0);
  json.NumberOrNull("lag_ms", live && host.has_lag_ms != 0, host.lag_ms);
  json.NumberOrNull("lag_bytes", live && host.has_lag_bytes != 0, host.lag_bytes);
  json.FlagOrNull("in_sync", live, host.sync_by_time != 0 || host.sync_by_bytes != 0);
  json.TextOrNull("lsn", live && host.has_lsn != 0 ? FormatLsn(host.lsn) : std::string());
}

void WriteHost(const PgstHost& host, bool fresh, WallUs answer_wall, JsonWriter& json) {
  const std::optional<std::uint64_t> age_ms = AgeMs(host.last_success_wall, answer_wall);
  json.Begin();
  WriteEntry(host, json);
  json.Text("state", fresh ? LivenessWord(host.state) : LivenessWord(PGST_STATE_UNKNOWN));
  json.Text("role", RoleWord(fresh ? host.role : std::uint8_t{PGST_ROLE_UNKNOWN}));
  json.Flag("primary", fresh && host.primary != 0);
  json.Flag("foreign", host.foreign != 0);
  json.Flag("diverged", fresh && IsDiverged(host));
  json.Flag("superseded", fresh && host.superseded != 0);
  json.FlagOrNull("read_only", fresh && host.has_read_only != 0, host.read_only != 0);
  json.Flag("takes_no_sessions", fresh && host.has_takes_sessions != 0 && host.takes_sessions == 0);
  WriteReplication(host, fresh, json);
  json.NumberOrNull("timeline", host.timeline != 0, host.timeline);
  json.NumberOrNull("votes_up", fresh, host.votes_up);
  json.NumberOrNull("votes_down", fresh, host.votes_down);
  json.FlagOrNull("unreachable_here", fresh, host.unreachable_here != 0);
  json.NumberOrNull("last_ok_ms", age_ms.has_value(), age_ms.value_or(0));
  TimeOrNull("last_change_ms", host.last_change_wall, json);
  json.NumberOrNull("server_version", host.server_version != 0,
                    static_cast<std::uint64_t>(std::max(host.server_version, 0)));
  json.End();
}

// ---- the history of lag -----------------------------------------------------------------------

// A piece of time in columns, both ends included.
struct Columns {
  std::int64_t first = 0;
  std::int64_t newest = 0;
};

// A row that is another host's says nothing of this one.
template <typename At>
void WriteRows(std::string_view key, const PgstSnapshot& snapshot,
               const std::vector<PgstLagHistory>& rows, const Columns& columns, At at,
               JsonWriter& json) {
  const PgstHost* const hosts = snapshot.hosts;
  json.BeginList(key);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool own = FixedText(rows[i].host) == HostName(hosts[i]);
    json.BeginList();
    for (std::int64_t column = columns.first; column <= columns.newest; ++column) {
      const std::uint64_t lag = own ? at(rows[i], column, snapshot.stale_after) : PGST_LAG_UNKNOWN;
      json.ElementOrNull(lag != PGST_LAG_UNKNOWN, lag);
    }
    json.EndList();
  }
  json.EndList();
}

// The memory for the copy is given back each time: hardly anybody looks at the page most of the
// time.
void WriteLags(const World& world, const PageSources& sources, std::uint32_t count,
               std::optional<std::uint64_t> since, JsonWriter& json) {
  std::vector<PgstLagHistory> rows(count);
  if (count == 0 || !sources.lags(rows.data(), count)) return json.Null("lag");
  Columns columns;
  columns.newest = LagColumnOf(world.now);
  // (a moment may have passed since `now` was read)
  for (const PgstLagHistory& row : rows) columns.newest = std::max(columns.newest, row.newest);
  const std::int64_t oldest = std::max<std::int64_t>(columns.newest - PGST_LAG_COLUMNS + 1, 0);
  columns.first = oldest;
  if (since && *since <= static_cast<std::uint64_t>(columns.newest)) {
    columns.first = std::max(oldest, static_cast<std::int64_t>(*since));
  }
  const WallUs began = world.wall_now - (world.now - columns.newest * PGST_LAG_COLUMN_US);
  json.Begin("lag");
  json.Number("column_ms", ToMs(PGST_LAG_COLUMN_US));
  json.Number("newest", static_cast<std::uint64_t>(columns.newest));
  json.Number("newest_at_ms", ToMs(began));
  json.Number("first", static_cast<std::uint64_t>(columns.first));
  WriteRows("ms", *world.snapshot, rows, columns, LagMsAt, json);
  WriteRows("bytes", *world.snapshot, rows, columns, LagBytesAt, json);
  json.End();
}

// ---- events -----------------------------------------------------------------------------------

// Kinds of events whose detail tells nothing that is not told by another path as well. Others may
// quote what a peer's error says, name hosts that are in the list no more, or other clusters.
constexpr EventKind kTold[] = {EventKind::kRole, EventKind::kMaintenance, EventKind::kSplitBrain,
                               EventKind::kQuorum};

bool IsTold(std::string_view kind) {
  return std::any_of(std::begin(kTold), std::end(kTold),
                     [kind](EventKind told) { return KindWord(told) == kind; });
}

void WriteEvent(const PgstEvent& event, JsonWriter& json) {
  const std::string_view kind = FixedText(event.kind);
  json.Begin();
  json.Number("seq", event.seq);
  json.Number("at_ms", ToMs(event.at_wall));
  json.TextOrNull("host", FixedText(event.host));
  json.Text("kind", kind);
  json.TextOrNull("old", FixedText(event.old_value));
  json.TextOrNull("new", FixedText(event.new_value));
  json.TextOrNull("detail", IsTold(kind) ? FixedText(event.detail) : std::string_view());
  json.End();
}

void WriteEvents(const std::vector<PgstEvent>& events, JsonWriter& json) {
  json.BeginList("events");
  for (auto event = events.rbegin(); event != events.rend(); ++event) WriteEvent(*event, json);
  json.EndList();
}

}  // namespace

void AppendPageHosts(const World& world, std::string& out) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const bool fresh = IsFresh(world);
  const std::uint32_t count = Listed(snapshot);
  const PgstHost* const hosts = snapshot.hosts;
  JsonWriter json(out);
  json.BeginList();
  for (std::uint32_t i = 0; i < count; ++i) WriteHost(hosts[i], fresh, AnswerWall(world), json);
  json.EndList();
}

void AppendPageData(const World& world, const PageSources& sources, const PageReader& reader,
                    std::string_view version, std::string_view hosts, std::string& out) {
  const bool has_events = reader.generation == world.generation;
  std::vector<PgstEvent> events(has_events ? 0 : kMostEvents);
  const int got = has_events ? 0 : sources.events(events.data(), kMostEvents);

  JsonWriter json(out);
  json.Begin();
  json.Text("version", version);
  // Without the events the reader must not believe that it has them.
  json.Number("generation", got < 0 ? 0 : world.generation);
  json.Number("now_ms", ToMs(world.wall_now));
  json.NumberOrNull("made_ms", IsPublished(*world.snapshot), ToMs(MadeWall(world)));
  json.Flag("known", IsFresh(world));
  WriteCluster(world, IsFresh(world), json);
  json.Ready("hosts", hosts);
  WriteLags(world, sources, Listed(*world.snapshot), reader.since, json);
  if (has_events || got < 0) {
    json.Null("events");
  } else {
    events.resize(static_cast<std::size_t>(std::min(got, kMostEvents)));
    WriteEvents(events, json);
  }
  json.End();
}

}  // namespace pg_status
