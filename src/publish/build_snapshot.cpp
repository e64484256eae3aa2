// Verdicts -> Snapshot: what each column says for a host in each state. Knows nothing of how the
// verdicts came about, nor of the shared memory and the lock that the snapshot is copied under.
//
// The rule behind the columns: a host that answers now, or did so a moment ago (up, suspect), is
// described in full; of one that does not (down, or unknown so far) only what stays true is kept,
// which is who it is and what was last known of its identity. Old lag is worse than none. A server
// that is full, and says so, runs: it keeps its role, but what it told of itself grows old.
#include "publish/build_snapshot.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>

#include "base/fixed_text.hpp"
#include "probe/server_facts.hpp"

namespace pg_status {
namespace {

// Shared memory holds plain data only, and it is copied and compared byte by byte: a hole between
// two members would be bytes that nobody wrote. So every offset is the sum of the sizes before it.
static_assert(std::is_trivially_copyable_v<PgstHost> && std::is_standard_layout_v<PgstHost>);
static_assert(std::is_trivially_copyable_v<PgstSnapshot> &&
              std::is_standard_layout_v<PgstSnapshot>);

// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result): small constants
constexpr std::size_t kHostTextsBefore = PGST_NAME_SIZE + PGST_HOSTNAME_SIZE + 3 * PGST_LABEL_SIZE;
constexpr std::size_t kHostTextsAfter =
    2 * PGST_LABEL_SIZE + PGST_NAME_SIZE + PGST_ERROR_SIZE + PGST_REASON_SIZE + 7;
static_assert(offsetof(PgstHost, weight) == kHostTextsBefore);
static_assert(offsetof(PgstHost, role) == kHostTextsBefore + 8 + 4);
static_assert(offsetof(PgstHost, sync_priority) == offsetof(PgstHost, role) + 28);
static_assert(offsetof(PgstHost, lag_ms) == offsetof(PgstHost, sync_priority) + 6 * 4);
static_assert(offsetof(PgstHost, tally) == offsetof(PgstHost, lag_ms) + 10 * 8);
static_assert(sizeof(PgstTally) == (11 + PGST_DURATION_CLASSES) * 8);
static_assert(offsetof(PgstHost, replication_state) ==
              offsetof(PgstHost, tally) + sizeof(PgstTally));
static_assert(sizeof(PgstHost) == offsetof(PgstHost, replication_state) + kHostTextsAfter);

static_assert(offsetof(PgstSnapshot, generation) == 4 * 4);
static_assert(offsetof(PgstSnapshot, ready) == offsetof(PgstSnapshot, generation) + 4 * 8);
static_assert(offsetof(PgstSnapshot, live_primaries) == offsetof(PgstSnapshot, ready) + 8);
static_assert(offsetof(PgstSnapshot, orders) == offsetof(PgstSnapshot, live_primaries) + 8 * 4);
static_assert(offsetof(PgstSnapshot, system_identifier) == offsetof(PgstSnapshot, orders) + 8);
static_assert(offsetof(PgstSnapshot, dc) == offsetof(PgstSnapshot, system_identifier) + 4 * 8 + 8 +
                                                3 * 8 + (2 + PGST_DURATION_CLASSES) * 8);
static_assert(sizeof(PgstSender) == 4 * PGST_LABEL_SIZE + PGST_ADDRESS_SIZE + 8);
static_assert(sizeof(PgstFork) == 2 * 8);
static_assert(offsetof(PgstSnapshot, forks) == offsetof(PgstSnapshot, dc) + 2 * PGST_LABEL_SIZE +
                                                   PGST_ERROR_SIZE + PGST_ADDRESS_SIZE);
static_assert(offsetof(PgstSnapshot, senders) ==
              offsetof(PgstSnapshot, forks) + PGST_MAX_FORKS * sizeof(PgstFork));
static_assert(offsetof(PgstSnapshot, hosts) ==
              offsetof(PgstSnapshot, senders) + PGST_MAX_SENDERS * sizeof(PgstSender));
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
static_assert(kDurationClasses == PGST_DURATION_CLASSES);
static_assert(sizeof(PgstSnapshot) == offsetof(PgstSnapshot, hosts) + sizeof(PgstHost));

// One moment on both clocks, to turn the times of the core into times for people.
struct Moment {
  MonoUs mono = 0;
  WallUs wall = 0;

  WallUs ToWall(MonoUs then) const { return then == 0 ? 0 : wall - (mono - then); }
};

std::uint8_t Flag(bool value) { return value ? 1 : 0; }

std::uint8_t StateOf(Liveness liveness) {
  switch (liveness) {
    case Liveness::kUp:
      return PGST_STATE_UP;
    case Liveness::kSuspect:
      return PGST_STATE_SUSPECT;
    case Liveness::kDown:
      return PGST_STATE_DOWN;
    case Liveness::kUnknown:
      break;
  }
  return PGST_STATE_UNKNOWN;
}

std::uint8_t RoleOf(Role role) {
  switch (role) {
    case Role::kPrimary:
      return PGST_ROLE_PRIMARY;
    case Role::kStandby:
      return PGST_ROLE_STANDBY;
    case Role::kUnknown:
      break;
  }
  return PGST_ROLE_UNKNOWN;
}

// From the settings: known of every host, asked or not.
void FillIdentity(const HostEntry& entry, PgstHost& host) {
  CopyFixedText(host.name, entry.name);
  CopyFixedText(host.hostname, entry.hostname);
  CopyFixedText(host.dc, entry.dc);
  CopyFixedText(host.geo, entry.geo);
  CopyFixedText(host.application_name, entry.application_name);
  host.weight = entry.weight;
  host.port = entry.port;
}

// What an operator ordered holds whatever the host's state is.
void FillOrder(const PgstOrder& order, PgstHost& host) {
  if (order.has_weight != 0) host.weight = order.weight;
  host.last_change_wall = std::max(host.last_change_wall, order.since_wall);
  if (order.maintenance == PGST_IN_SERVICE) return;
  host.maintenance = order.maintenance;
  host.forced = order.forced;
  host.maintenance_since_wall = order.since_wall;
  CopyFixedText(host.maintenance_reason, FixedText(order.reason));
}

// How the probes of it went.
void FillHistory(const HostVerdict& verdict, const Moment& moment, PgstHost& host) {
  host.checked = 1;
  host.state = StateOf(verdict.liveness);
  host.fails = verdict.fails;
  host.last_begun_mono = verdict.last_begun;
  host.last_check_wall = moment.ToWall(verdict.last_check);
  host.last_success_wall = moment.ToWall(verdict.last_success);
  host.last_change_wall = moment.ToWall(verdict.last_change);
  CopyFixedText(host.last_error, verdict.last_error);
  host.has_takes_sessions = Flag(verdict.takes_sessions.has_value());
  host.takes_sessions = Flag(verdict.takes_sessions.value_or(false));
}

// What the other nodes say of it, with our own vote among theirs.
void FillVotes(const HostVerdict& verdict, PgstHost& host) {
  host.votes_up = static_cast<std::uint32_t>(verdict.votes_up);
  host.votes_down = static_cast<std::uint32_t>(verdict.votes_down);
  host.unreachable_here = Flag(verdict.unreachable_here);
}

void FillStanding(const HostVerdict& verdict, PgstHost& host) {
  host.diverged = Flag(verdict.diverged);
  host.superseded = Flag(verdict.superseded);
}

void FillTally(const Tally& tally, const Moment& moment, PgstTally& to) {
  to.succeeded = tally.succeeded;
  to.timed_out = tally.timed_out;
  to.failed = tally.failed;
  to.reconnects = tally.connections > 0 ? tally.connections - 1 : 0;
  to.state_changes = tally.changes;
  to.duration_us = tally.duration_us;
  std::copy(tally.durations.begin(), tally.durations.end(), to.durations);
  to.shortest_us = tally.shortest_us;
  to.longest_us = tally.longest_us;
  to.retries = tally.retries;
  to.most_retries = tally.most_retries;
  to.last_failure_wall = moment.ToWall(tally.last_failure);
}

// What was last seen of the server behind the name; a server that is down is still that server.
void FillLastSeen(const HostVerdict& verdict, const Facts& facts, const LocalNode& local,
                  PgstHost& host) {
  host.foreign = Flag(verdict.foreign);
  host.self = Flag(local.own.known() && RunOf(facts) == local.own);
  host.timeline = facts.timeline;
  host.system_identifier = facts.system_identifier;
  host.server_version = facts.server_version;
  host.postmaster_start_wall = facts.postmaster_start;
}

void FillPosition(const HostVerdict& verdict, const Facts& facts, PgstHost& host) {
  const std::optional<Lsn> lsn = verdict.role == Role::kPrimary   ? facts.write_lsn
                                 : verdict.role == Role::kStandby ? facts.replay_lsn
                                                                  : std::nullopt;
  host.lsn = lsn.value_or(kNoLsn);
  host.has_lsn = Flag(host.lsn != kNoLsn);
}

// The chosen primary is what the others are measured against, so it is never behind, and nobody
// above it sends to it.
void FillChosenPrimary(PgstHost& host) {
  host.primary = 1;
  host.has_lag_ms = 1;
  host.has_lag_bytes = 1;
  host.sync_by_time = 1;
  host.sync_by_bytes = 1;
}

void FillReplication(const HostVerdict& verdict, PgstHost& host) {
  host.has_lag_ms = Flag(verdict.lag.ms.has_value());
  host.lag_ms = verdict.lag.ms.value_or(0);
  host.has_lag_bytes = Flag(verdict.lag.bytes.has_value());
  host.lag_bytes = verdict.lag.bytes.value_or(0);
  host.sync_by_time = Flag(verdict.sync_by_time && verdict.lag.ms);
  host.sync_by_bytes = Flag(verdict.sync_by_bytes && verdict.lag.bytes);
  CopyFixedText(host.replication_state, verdict.replication_state);
  CopyFixedText(host.sync_state, verdict.sync_state);
  CopyFixedText(host.upstream, verdict.upstream);
  host.has_sync_priority = Flag(verdict.sync_priority.has_value());
  host.sync_priority = verdict.sync_priority.value_or(0);
}

// What the host itself says of its sessions, its WAL receiver and its replay.
void FillInside(const HostVerdict& verdict, const Facts& facts, PgstHost& host) {
  if (facts.inside && facts.inside->read_only) {
    host.has_read_only = 1;
    host.read_only = Flag(*facts.inside->read_only);
  }
  if (verdict.role == Role::kStandby && facts.replay_paused) {
    host.has_replay_paused = 1;
    host.replay_paused = Flag(*facts.replay_paused);
  }
  // Any role can see that there is no receiver; what a receiver does takes pg_monitor to see.
  if (!facts.receiver) {
    host.has_streaming = 1;
  } else if (facts.receiver->details_known) {
    host.has_streaming = 1;
    host.streaming = Flag(facts.receiver->streaming);
  }
}

PgstHost MakeHost(const HostEntry& entry, const HostVerdict& verdict, bool chosen_primary,
                  const Limits& limits, const LocalNode& local, const Moment& moment) {
  PgstHost host{};
  FillIdentity(entry, host);
  FillVotes(verdict, host);
  if (!verdict.checked) return host;
  FillHistory(verdict, moment, host);
  FillTally(verdict.tally, moment, host.tally);
  if (!verdict.facts) return host;
  FillLastSeen(verdict, *verdict.facts, local, host);
  if (!IsLive(verdict)) return host;
  host.role = RoleOf(verdict.role);
  if (!IsOutOfDate(verdict, limits, moment.mono)) {
    FillPosition(verdict, *verdict.facts, host);
    FillInside(verdict, *verdict.facts, host);
  }
  FillStanding(verdict, host);
  if (chosen_primary) {
    FillChosenPrimary(host);
  } else {
    FillReplication(verdict, host);
  }
  return host;
}

// All but hosts[], senders[], what counts them, and primary.
void FillCluster(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                 const Limits& limits, const LocalNode& local, const Moment& moment,
                 PgstSnapshot& out) {
  out.layout = PGST_SNAPSHOT_LAYOUT;
  out.generation += 1;
  out.made_mono = moment.mono;
  out.made_wall = moment.wall;
  out.stale_after = StaleAfter(limits);
  out.ready = Flag(cluster.ready);
  out.split_brain = Flag(cluster.split_brain);
  out.dc_counts = Flag(DcLocality(local.dc, entries).counts);
  out.geo_counts = Flag(GeoLocality(local.geo, entries).counts);
  out.live_primaries = static_cast<std::uint32_t>(cluster.live_primaries);
  out.voters = static_cast<std::uint32_t>(cluster.quorum.voters);
  CopyFixedText(out.address, cluster.address);
  out.undecided = Flag(cluster.quorum.undecided > 0);
  out.fence_cause = static_cast<std::uint8_t>(cluster.fence_cause);
  std::fill(std::begin(out.reserved_flags), std::end(out.reserved_flags), std::uint8_t{0});
  out.voters_unasked = static_cast<std::uint32_t>(cluster.quorum.unasked);
  out.voters_in_sight = static_cast<std::uint32_t>(cluster.quorum.in_sight);
  out.orders = local.orders_number;
  out.system_identifier = cluster.system_identifier;
  out.sync_max_lag_ms = limits.sync_max_lag_ms;
  out.sync_max_lag_bytes = limits.sync_max_lag_bytes;
  const bool reported = !cluster.clock.reports.empty();
  out.newest_lsn = reported ? cluster.clock.reports.back().lsn : kNoLsn;
  out.newest_timeline = reported ? cluster.clock.timeline : 0;
  out.reloads = local.reloads;
  out.resets = local.resets;
  out.reload_refused = Flag(local.reload_refused);
  out.lateness_us = local.lateness.total_us;
  out.lateness_max_us = static_cast<std::uint64_t>(LongestLateness(local.lateness, moment.mono));
  std::copy(local.lateness.probes.begin(), local.lateness.probes.end(), std::begin(out.lateness));
  CopyFixedText(out.dc, local.dc);
  CopyFixedText(out.geo, local.geo);
  CopyFixedText(out.primary_reason, cluster.primary_reason);
}

// What min_lsn is held against.
void FillHistory(const ClusterVerdict& cluster, PgstSnapshot& out) {
  out.has_history = 0;
  out.history_from = 0;
  out.fork_count = 0;
  std::fill(std::begin(out.forks), std::end(out.forks), PgstFork{});
  const bool named = cluster.ready && cluster.primary && *cluster.primary < cluster.hosts.size();
  const TimelineHistory* const history =
      named ? HistoryOf(cluster.hosts[*cluster.primary]) : nullptr;
  if (history == nullptr) return;
  out.has_history = 1;
  out.history_from = history->from;
  for (const Fork& fork : history->forks) {
    if (out.fork_count == PGST_MAX_FORKS) break;
    out.forks[out.fork_count++] = {fork.end, fork.timeline, 0};
  }
}

// Who streams from this very server. Of a server that does not answer itself nothing is claimed.
void FillSenders(const ClusterVerdict& cluster, const Limits& limits, MonoUs now,
                 PgstSnapshot& out) {
  out.sender_count = 0;
  std::fill(std::begin(out.senders), std::end(out.senders), PgstSender{});
  for (std::size_t i = 0; i < out.host_count; ++i) {
    const HostVerdict& verdict = cluster.hosts[i];
    if (out.hosts[i].self == 0 || !IsLive(verdict) || IsOutOfDate(verdict, limits, now)) continue;
    for (const Sender& sender : verdict.facts->senders) {
      if (out.sender_count == PGST_MAX_SENDERS) return;
      PgstSender& to = out.senders[out.sender_count++];
      CopyFixedText(to.usename, sender.usename);
      CopyFixedText(to.application_name, sender.application_name);
      CopyFixedText(to.client_addr, sender.client_addr);
      CopyFixedText(to.state, sender.state);
      CopyFixedText(to.sync_state, sender.sync_state);
      to.sync_priority = sender.sync_priority;
    }
    return;  // the same server under two names has the same ones
  }
}

Locality LocalityOf(const std::string& local, const std::vector<HostEntry>& entries,
                    std::string HostEntry::*label) {
  const auto has_label = [label](const HostEntry& entry) { return !(entry.*label).empty(); };
  Locality locality;
  locality.counts = !local.empty() && std::all_of(entries.begin(), entries.end(), has_label);
  locality.partial = !locality.counts &&
                     (!local.empty() || std::any_of(entries.begin(), entries.end(), has_label));
  return locality;
}

}  // namespace

void BuildSnapshot(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                   const Limits& limits, const LocalNode& local, MonoUs now, WallUs wall_now,
                   PgstSnapshot& out) {
  const Moment moment{now, wall_now};
  FillCluster(cluster, entries, limits, local, moment, out);

  const std::size_t count =
      std::min<std::size_t>({entries.size(), cluster.hosts.size(), out.max_hosts});
  out.host_count = static_cast<std::uint32_t>(count);
  out.primary = -1;
  out.incumbent = -1;
  out.incumbent_timeline = cluster.incumbent ? cluster.incumbent->timeline : 0;
  PgstHost* const hosts = out.hosts;
  for (std::size_t i = 0; i < count; ++i) {
    hosts[i] = MakeHost(entries[i], cluster.hosts[i], cluster.ready && cluster.primary == i, limits,
                        local, moment);
    if (i < local.orders.size()) FillOrder(local.orders[i], hosts[i]);
    if (hosts[i].primary != 0) out.primary = static_cast<std::int32_t>(i);
    if (cluster.incumbent && cluster.incumbent->name == entries[i].name) {
      out.incumbent = static_cast<std::int32_t>(i);
    }
  }
  FillHistory(cluster, out);
  FillSenders(cluster, limits, now, out);
}

Locality DcLocality(const std::string& local_dc, const std::vector<HostEntry>& entries) {
  return LocalityOf(local_dc, entries, &HostEntry::dc);
}

Locality GeoLocality(const std::string& local_geo, const std::vector<HostEntry>& entries) {
  return LocalityOf(local_geo, entries, &HostEntry::geo);
}

}  // namespace pg_status
