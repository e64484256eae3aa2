// Prometheus' text format. A family is a row in a table: what it is called, what it means, and the
// value, if there is one. A missing value is a missing sample, never 0 or -1: "0" is a claim. Once
// the snapshot is too old, nothing is claimed of hosts but their names and places.
//
// Values are written as texts: whole numbers as they are, seconds with a fixed number of decimals.
#include "answer/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "answer/host_json.hpp"
#include "answer/standing.hpp"
#include "publish/snapshot.h"

namespace pg_status {
namespace {

// "" no sample.
using Value = std::string;

struct NodeFamily {
  std::string_view name;
  std::string_view help;
  Value (*value)(const World& world);
};

struct HostFamily {
  std::string_view name;
  std::string_view help;
  Value (*value)(const PgstHost& host);
};

// ---- values -----------------------------------------------------------------------------------

Value Flag(bool value) { return value ? "1" : "0"; }
Value NumberIf(bool known, std::uint64_t value) { return known ? std::to_string(value) : Value(); }

Value Seconds(WallUs time) {
  if (time <= 0) return {};
  return fmt::format("{}.{:06}", time / kUsPerSecond, time % kUsPerSecond);
}

Value SecondsOfMs(const PgstHost& host) {
  if (host.has_lag_ms == 0) return {};
  return fmt::format("{}.{:03}", host.lag_ms / 1000, host.lag_ms % 1000);
}

template <std::size_t N>
std::string_view TextOf(const char (&text)[N]) {
  return std::string_view(text, strnlen(text, N));
}

Value SyncStandby(const PgstHost& host) {
  const std::string_view state = TextOf(host.sync_state);
  return state.empty() ? Value() : Flag(state == "sync");
}

bool IsReady(const World& world) { return IsFresh(world) && world.snapshot->ready != 0; }

Value InRecovery(const World& world) {
  if (world.node.state == NodeState::kStarting) return Flag(true);
  const PgstRole role = OwnRole(world.node);
  return role == PGST_ROLE_UNKNOWN ? Value() : Flag(role == PGST_ROLE_STANDBY);
}

Value IsPrimary(const World& world) {
  const Value in_recovery = InRecovery(world);
  return in_recovery.empty() ? Value() : Flag(in_recovery == "0");
}

Value IfStandby(const World& world, bool value) {
  return OwnRole(world.node) == PGST_ROLE_STANDBY ? Flag(value) : Value();
}

// ---- families ---------------------------------------------------------------------------------

// Names lack the prefix that all have.
constexpr NodeFamily kNodeFamilies[] = {
    {"ready", "Whether every host's first check has finished and the poller is at work.",
     [](const World& world) { return Flag(IsReady(world)); }},
    {"primaries", "How many live primaries of this cluster there are.",
     [](const World& world) { return NumberIf(IsFresh(world), world.snapshot->live_primaries); }},
    {"split_brain", "Whether there is more than one live primary.",
     [](const World& world) {
       return NumberIf(IsFresh(world), world.snapshot->split_brain != 0 ? 1 : 0);
     }},
    {"local_primary", "Whether this server is a primary.", IsPrimary},
    {"local_in_recovery", "Whether this server is in recovery.", InRecovery},
    {"local_streaming", "Whether the WAL receiver of this standby streams.",
     [](const World& world) { return IfStandby(world, world.node.streaming); }},
    {"local_replay_paused", "Whether replay is paused on this standby.",
     [](const World& world) { return IfStandby(world, world.node.replay_paused); }},
};

constexpr HostFamily kHostFamilies[] = {
    {"host_up", "Whether the host answers, or did so a moment ago.",
     [](const PgstHost& host) {
       return Flag(host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT);
     }},
    {"host_possibly_down", "Whether the last check of the host failed.",
     [](const PgstHost& host) { return Flag(host.state != PGST_STATE_UP); }},
    {"host_primary", "Whether the host is the primary of the cluster.",
     [](const PgstHost& host) { return Flag(host.primary != 0); }},
    {"host_sync_standby", "Whether the primary lists the host as a synchronous standby.",
     SyncStandby},
    {"host_lag_bytes", "How much WAL the host has yet to replay.",
     [](const PgstHost& host) { return NumberIf(host.has_lag_bytes != 0, host.lag_bytes); }},
    {"host_lag_seconds", "How old the data on the host are at most.", SecondsOfMs},
    {"host_wal_position_bytes", "WAL position: written by a primary, replayed by a standby.",
     [](const PgstHost& host) { return NumberIf(host.has_lsn != 0, host.lsn); }},
    {"host_timeline", "Timeline last seen on the host.",
     [](const PgstHost& host) { return NumberIf(host.timeline != 0, host.timeline); }},
    {"host_last_success_timestamp_seconds", "When the host was last checked with success.",
     [](const PgstHost& host) { return Seconds(host.last_success_wall); }},
    {"host_last_change_timestamp_seconds", "When the state of the host last changed.",
     [](const PgstHost& host) { return Seconds(host.last_change_wall); }},
};

// In the order of PgstRole.
constexpr std::string_view kRoleWords[] = {"unknown", "primary", "standby"};

std::string_view RoleWord(std::uint8_t role) {
  return role < std::size(kRoleWords) ? kRoleWords[role] : kRoleWords[0];
}

// ---- text -------------------------------------------------------------------------------------

constexpr std::string_view kPrefix = "pg_status_";

void AppendAll(std::string& out, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) out.append(part);
}

void AppendHead(std::string_view name, std::string_view help, std::string& out) {
  AppendAll(out, {"# HELP ", kPrefix, name, " ", help, "\n"});
  AppendAll(out, {"# TYPE ", kPrefix, name, " gauge\n"});
}

// Appends name="value" with the three escapes that the format has.
void AppendLabel(std::string_view name, std::string_view value, std::string& out) {
  AppendAll(out, {name, "=\""});
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    out.append(c == '\n' ? std::string_view("\\n") : std::string_view(&c, 1));
  }
  out.push_back('"');
}

void AppendBuildInfo(const World& world, std::string_view version, std::string& out) {
  const int server = world.node.server_version;
  AppendHead("build_info", "The versions of pg_status and of the server it runs in.", out);
  AppendAll(out, {kPrefix, "build_info{"});
  AppendLabel("version", version, out);
  out.push_back(',');
  AppendLabel("server_version", server > 0 ? std::to_string(server) : std::string(), out);
  out.append("} 1\n");
}

void AppendNodeFamily(const World& world, const NodeFamily& family, std::string& out) {
  const Value value = family.value(world);
  if (value.empty()) return;
  AppendHead(family.name, family.help, out);
  AppendAll(out, {kPrefix, family.name, " ", value, "\n"});
}

void AppendHostInfo(const PgstSnapshot& snapshot, bool fresh, std::string& out) {
  if (HostCount(snapshot) == 0) return;
  AppendHead("host_info", "Where the host is and which role it has.", out);
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    AppendAll(out, {kPrefix, "host_info{"});
    AppendLabel("host", HostName(hosts[i]), out);
    out.push_back(',');
    AppendLabel("dc", TextOf(hosts[i].dc), out);
    out.push_back(',');
    AppendLabel("geo", TextOf(hosts[i].geo), out);
    out.push_back(',');
    AppendLabel("role", RoleWord(fresh ? hosts[i].role : 0), out);
    out.append("} 1\n");
  }
}

// The head comes with the first sample: a family without one is not mentioned.
void AppendHostFamily(const PgstSnapshot& snapshot, const HostFamily& family, std::string& out) {
  bool has_head = false;
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    const Value value = hosts[i].checked != 0 ? family.value(hosts[i]) : Value();
    if (value.empty()) continue;
    if (!has_head) AppendHead(family.name, family.help, out);
    has_head = true;
    AppendAll(out, {kPrefix, family.name, "{"});
    AppendLabel("host", HostName(hosts[i]), out);
    AppendAll(out, {"} ", value, "\n"});
  }
}

}  // namespace

std::string RenderMetrics(const World& world, std::string_view version) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const bool fresh = IsFresh(world);
  std::string out;
  AppendBuildInfo(world, version, out);
  for (const NodeFamily& family : kNodeFamilies) AppendNodeFamily(world, family, out);
  if (snapshot.layout != PGST_SNAPSHOT_LAYOUT) return out;
  AppendHostInfo(snapshot, fresh, out);
  if (!fresh) return out;
  for (const HostFamily& family : kHostFamilies) AppendHostFamily(snapshot, family, out);
  return out;
}

}  // namespace pg_status
