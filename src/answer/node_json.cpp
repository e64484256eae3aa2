// This node and the cluster as JSON. What is not known is left out, or null where readers count on
// the key. Knows nothing of HTTP, nor of what follows from these facts.
#include "answer/node_json.hpp"

#include <algorithm>
#include <boost/date_time/gregorian_calendar.hpp>
#include <boost/date_time/year_month_day.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "answer/host_json.hpp"
#include "answer/json_writer.hpp"
#include "answer/standing.hpp"
#include "base/fixed_text.hpp"
#include "publish/snapshot.h"

namespace pg_status {
namespace {

// In the order of NodeState.
constexpr std::string_view kStateWords[] = {"starting", "running", "running", "stopping",
                                            "running"};

std::string_view StateWord(NodeState state) {
  const auto index = static_cast<std::size_t>(state);
  return index < std::size(kStateWords) ? kStateWords[index] : kStateWords[0];
}

// "2026-07-24 09:05:00.123456+00:00", the form in which Patroni gives times; "" for never and for
// what is no time of our era.
std::string FormatTime(WallUs time) {
  using Day = boost::date_time::year_month_day_base<int, int, int>;
  using Calendar = boost::date_time::gregorian_calendar_base<Day, std::uint32_t>;
  constexpr std::int64_t kUsPerDay = 86400 * kUsPerSecond;
  constexpr WallUs kYear10000 = 2932897 * kUsPerDay;
  constexpr std::uint32_t kEpoch = 2440588;  // 1970-01-01 as the calendar counts days
  if (time <= 0 || time >= kYear10000) return {};

  const Day day = Calendar::from_day_number(kEpoch + static_cast<std::uint32_t>(time / kUsPerDay));
  const std::int64_t us = time % kUsPerDay;
  const std::int64_t seconds = us / kUsPerSecond;
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00:00", day.year, day.month,
                     day.day, seconds / 3600, seconds / 60 % 60, seconds % 60, us % kUsPerSecond);
}

// ---- this node --------------------------------------------------------------------------------

void WriteXlog(const NodeFacts& node, PgstRole role, JsonWriter& json) {
  if (role == PGST_ROLE_UNKNOWN) return;
  json.Begin("xlog");
  if (role == PGST_ROLE_PRIMARY) {
    json.NumberOrNull("location", node.written != kNoLsn, node.written);
  } else {
    json.NumberOrNull("received_location", node.received != kNoLsn, node.received);
    json.NumberOrNull("replayed_location", node.replayed != kNoLsn, node.replayed);
    json.TextOrNull("replayed_timestamp", FormatTime(node.replay_commit));
    json.Flag("paused", node.replay_paused);
  }
  json.End();
}

void WriteServer(const NodeFacts& node, PgstRole role, JsonWriter& json) {
  json.Text("state", StateWord(node.state));
  const std::string start = FormatTime(node.postmaster_start);
  if (!start.empty()) json.Text("postmaster_start_time", start);
  if (role == PGST_ROLE_PRIMARY) json.Text("role", "primary");
  if (role == PGST_ROLE_STANDBY) json.Text("role", "replica");
  if (node.server_version > 0) {
    json.Number("server_version", static_cast<std::uint64_t>(node.server_version));
  }
  WriteXlog(node, role, json);
  if (node.timeline != 0) json.Number("timeline", node.timeline);
}

void WriteReplication(const World& world, PgstRole role, JsonWriter& json) {
  if (role != PGST_ROLE_STANDBY) return;
  json.Text("replication_state", ReplicationState(world.node));
  const SyncState sync = OwnSyncState(world);
  if (sync == SyncState::kSync) json.Flag("sync_standby", true);
  if (sync == SyncState::kQuorum) json.Flag("quorum_standby", true);
}

// Who streams from this node; nothing when nobody does, or it is not known.
void WriteSenders(const World& world, JsonWriter& json) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const std::uint32_t count = std::min<std::uint32_t>(snapshot.sender_count, PGST_MAX_SENDERS);
  if (!IsFresh(world) || count == 0) return;
  json.BeginList("replication");
  for (const PgstSender* sender = snapshot.senders; sender != snapshot.senders + count; ++sender) {
    json.Begin();
    json.Text("usename", FixedText(sender->usename));
    json.Text("application_name", FixedText(sender->application_name));
    json.TextOrNull("client_addr", FixedText(sender->client_addr));
    json.Text("state", FixedText(sender->state));
    json.Text("sync_state", FixedText(sender->sync_state));
    json.Number("sync_priority", static_cast<std::uint64_t>(std::max(sender->sync_priority, 0)));
    json.End();
  }
  json.EndList();
}

// When any host was last heard of, in seconds; 0 never.
std::uint64_t LastSeen(const PgstSnapshot& snapshot) {
  if (!IsPublished(snapshot)) return 0;
  WallUs last = 0;
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    last = std::max(last, hosts[i].last_success_wall);
  }
  return static_cast<std::uint64_t>(last / kUsPerSecond);
}

// No primary in sight counts as none, also when that is only because nothing is known.
void WriteCluster(const World& world, JsonWriter& json) {
  const bool locked = OwnRole(world.node) == PGST_ROLE_PRIMARY || ChosenPrimary(world) != nullptr;
  if (!locked) json.Flag("cluster_unlocked", true);
  const std::uint64_t last_seen = LastSeen(*world.snapshot);
  if (last_seen != 0) json.Number("dcs_last_seen", last_seen);
  // A text, because many readers of JSON take every number for a double.
  const std::uint64_t system = world.node.system_identifier;
  if (system != 0) json.Text("database_system_identifier", std::to_string(system));
}

void WriteMember(const World& world, std::string_view version, JsonWriter& json) {
  json.Begin("patroni");
  json.Text("version", version);
  json.Text("scope", FixedText(world.node.cluster_name));
  const PgstHost* const self = SelfHost(world);
  if (self != nullptr) json.Text("name", HostName(*self));
  json.End();
}

void WriteLag(const World& world, PgstRole role, JsonWriter& json) {
  std::optional<std::uint64_t> bytes;
  std::optional<std::uint64_t> ms;
  const PgstHost* const self = IsFresh(world) ? SelfHost(world) : nullptr;
  if (role == PGST_ROLE_PRIMARY) {
    bytes = ms = 0;
  } else if (role == PGST_ROLE_STANDBY) {
    bytes = LagBehindLeader(world, world.node.replayed);
    const bool known = self != nullptr && self->role == PGST_ROLE_STANDBY && self->has_lag_ms != 0;
    if (known) ms = self->lag_ms;
  }
  json.NumberOrNull("lag_bytes", bytes.has_value(), bytes.value_or(0));
  json.NumberOrNull("lag_ms", ms.has_value(), ms.value_or(0));
}

// The chosen primary, or this node when it has just become one and nobody has noticed yet.
std::string_view PrimaryName(const World& world) {
  const PgstHost* primary = ChosenPrimary(world);
  if (primary == nullptr && OwnRole(world.node) == PGST_ROLE_PRIMARY) primary = SelfHost(world);
  return primary == nullptr ? std::string_view() : HostName(*primary);
}

void WriteMajority(const World& world, JsonWriter& json) {
  const MajorityView view = MajorityOf(world);
  if (view.known && view.possible) {
    json.Flag("quorum", view.in_sight);
  } else {
    json.Null("quorum");
  }
  json.Flag("fenced", world.node.state == NodeState::kFenced);
  json.TextOrNull("fence_cause", FenceCauseWord(OwnFenceCause(world)));
}

void WriteOwn(const World& world, std::string_view version, PgstRole role, JsonWriter& json) {
  json.Begin("pg_status");
  json.Text("version", version);
  WriteLag(world, role, json);
  json.TextOrNull("primary", PrimaryName(world));
  json.TextOrNull("primary_reason", PrimaryReason(world));
  if (IsFresh(world)) {
    json.Flag("split_brain", world.snapshot->split_brain != 0);
    json.Flag("diverged", HasDiverged(world));
  } else {
    json.Null("split_brain");
    json.Null("diverged");
  }
  WriteMajority(world, json);
  json.FlagOrNull("read_only", world.node.read_only.has_value(),
                  world.node.read_only.value_or(false));
  const PgstOrder* const order = OwnMaintenance(world);
  json.Flag("maintenance", order != nullptr);
  json.TextOrNull("maintenance_reason",
                  order == nullptr ? std::string_view() : FixedText(order->reason));
  const MonoUs age = std::max<MonoUs>(world.now - world.poller_alive, 0);
  json.NumberOrNull("polled_ms", world.poller_alive > 0,
                    static_cast<std::uint64_t>(age / kUsPerMs));
  json.End();
}

// ---- the cluster ------------------------------------------------------------------------------

constexpr std::string_view kLeader = "leader";
constexpr std::string_view kSuperseded = "superseded";

// A host of another cluster has no role in this one. There is one leader, as readers expect; of a
// cluster without one nobody says who is synchronous.
std::string_view MemberRole(const PgstHost& host, bool fresh) {
  if (!fresh || host.foreign != 0) return "unknown";
  if (host.role == PGST_ROLE_PRIMARY) return host.primary != 0 ? kLeader : kSuperseded;
  if (host.role != PGST_ROLE_STANDBY) return "unknown";
  const std::string_view sync = FixedText(host.sync_state);
  if (sync == "sync") return "sync_standby";
  if (sync == "quorum") return "quorum_standby";
  // A replica is asynchronous, to readers: what is not known is none.
  return sync.empty() ? "unknown" : "replica";
}

std::string_view MemberState(const PgstHost& host, bool fresh) {
  if (fresh && host.state == PGST_STATE_DOWN) return "down";
  const bool live = host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT;
  if (!fresh || !live) return "unknown";
  if (IsDiverged(host)) return "diverged";
  if (host.role != PGST_ROLE_STANDBY || host.has_streaming == 0) return "running";
  return host.streaming != 0 ? "streaming" : "in archive recovery";
}

void WriteMember(const PgstHost& host, bool fresh, JsonWriter& json) {
  const std::string_view role = MemberRole(host, fresh);
  json.Begin();
  json.Text("name", HostName(host));
  json.Text("role", role);
  json.Text("state", MemberState(host, fresh));
  json.Text("host", FixedText(host.hostname));
  json.Number("port", static_cast<std::uint64_t>(std::max(host.port, 0)));
  if (host.timeline != 0) json.Number("timeline", host.timeline);
  if (role != kLeader) {
    if (fresh && host.has_lag_bytes != 0 && role != kSuperseded) {
      json.Number("lag", host.lag_bytes);
    } else {
      json.Text("lag", "unknown");
    }
  }
  if (fresh && host.role == PGST_ROLE_PRIMARY && host.has_read_only != 0 && host.read_only != 0) {
    json.Flag("read_only", true);
  }
  if (host.maintenance != PGST_IN_SERVICE) {
    json.Begin("tags");
    json.Flag("noloadbalance", true);
    json.End();
  }
  json.End();
}

}  // namespace

void AppendNode(const World& world, std::string_view version, std::string& out) {
  const PgstRole role = OwnRole(world.node);
  JsonWriter json(out);
  json.Begin();
  WriteServer(world.node, role, json);
  WriteReplication(world, role, json);
  WriteSenders(world, json);
  WriteCluster(world, json);
  WriteMember(world, version, json);
  WriteOwn(world, version, role, json);
  json.End();
}

void AppendCluster(const World& world, std::string& out) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const bool fresh = IsFresh(world);
  const bool published = IsPublished(snapshot);
  const PgstHost* const hosts = snapshot.hosts;
  JsonWriter json(out);
  json.Begin();
  json.BeginList("members");
  for (std::uint32_t i = 0; published && i < HostCount(snapshot); ++i) {
    WriteMember(hosts[i], fresh, json);
  }
  json.EndList();
  json.TextOrNull("primary_reason", PrimaryReason(world));
  json.Text("scope", FixedText(world.node.cluster_name));
  json.End();
}

}  // namespace pg_status
