// The metrics of each host: a family is a row in a table. What is not known of a host is a missing
// sample. Once the snapshot is too old, nothing is claimed of hosts but their names and places, and
// what was counted.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "answer/host_json.hpp"
#include "answer/metrics.hpp"
#include "answer/metrics_text.hpp"
#include "answer/standing.hpp"
#include "base/fixed_text.hpp"
#include "config/orders.hpp"
#include "publish/snapshot.h"

namespace pg_status {
namespace {

struct HostFamily {
  std::string_view name;
  std::string_view help;
  MetricValue (*value)(const PgstHost& host);
};

// One counter of each host, or one result of its checks.
struct TallyFamily {
  std::string_view name;
  std::string_view help;
  std::uint64_t PgstTally::*count;
};

struct CheckResult {
  std::string_view word;
  std::uint64_t PgstTally::*count;
};

// ---- values -----------------------------------------------------------------------------------

MetricValue SecondsOf(WallUs time) {
  return time > 0 ? MetricSeconds(static_cast<std::uint64_t>(time)) : MetricValue();
}

MetricValue LagSeconds(const PgstHost& host) {
  if (host.has_lag_ms == 0) return {};
  return fmt::format("{}.{:03}", host.lag_ms / 1000, host.lag_ms % 1000);
}

MetricValue SyncStandby(const PgstHost& host) {
  const std::string_view state = FixedText(host.sync_state);
  return state.empty() ? MetricValue() : MetricFlag(state == "sync");
}

// ---- families ---------------------------------------------------------------------------------

// Gauges.
constexpr HostFamily kHostFamilies[] = {
    {"host_up", "Whether the host answers, or did so a moment ago.",
     [](const PgstHost& host) {
       return MetricFlag(host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT);
     }},
    {"host_possibly_down", "Whether the last check of the host failed.",
     [](const PgstHost& host) { return MetricFlag(host.state != PGST_STATE_UP); }},
    {"host_unreachable_here", "Whether only this node cannot reach the host.",
     [](const PgstHost& host) { return MetricFlag(host.unreachable_here != 0); }},
    {"host_votes_up", "How many voting nodes reach the host.",
     [](const PgstHost& host) { return MetricNumberIf(true, host.votes_up); }},
    {"host_votes_down", "How many voting nodes do not reach the host.",
     [](const PgstHost& host) { return MetricNumberIf(true, host.votes_down); }},
    {"host_primary", "Whether the host is the primary of the cluster.",
     [](const PgstHost& host) { return MetricFlag(host.primary != 0); }},
    {"host_superseded", "Whether the host says that it is a primary, and another history has won.",
     [](const PgstHost& host) { return MetricFlag(host.superseded != 0); }},
    {"host_takes_sessions", "Whether the host let a new session in when that was tried last.",
     [](const PgstHost& host) {
       return MetricNumberIf(host.has_takes_sessions != 0, host.takes_sessions);
     }},
    {"host_diverged", "Whether the host is a standby whose history is not the primary's.",
     [](const PgstHost& host) { return MetricFlag(host.diverged != 0); }},
    {"host_read_only", "Whether new sessions on the host are read only by default.",
     [](const PgstHost& host) { return MetricNumberIf(host.has_read_only != 0, host.read_only); }},
    {"host_sync_standby", "Whether the primary lists the host as a synchronous standby.",
     SyncStandby},
    {"host_lag_bytes", "How much WAL the host has yet to replay.",
     [](const PgstHost& host) { return MetricNumberIf(host.has_lag_bytes != 0, host.lag_bytes); }},
    {"host_lag_seconds", "How old the data on the host are at most.", LagSeconds},
    {"host_wal_position_bytes", "WAL position: written by a primary, replayed by a standby.",
     [](const PgstHost& host) { return MetricNumberIf(host.has_lsn != 0, host.lsn); }},
    {"host_timeline", "Timeline last seen on the host.",
     [](const PgstHost& host) { return MetricNumberIf(host.timeline != 0, host.timeline); }},
    {"host_last_success_timestamp_seconds", "When the host was last checked with success.",
     [](const PgstHost& host) { return SecondsOf(host.last_success_wall); }},
    {"host_last_change_timestamp_seconds", "When the state of the host last changed.",
     [](const PgstHost& host) { return SecondsOf(host.last_change_wall); }},
};

// Gauges of what is ordered, not found out: known at all times.
constexpr HostFamily kOrderFamilies[] = {
    {"host_maintenance", "Whether an operator has taken the host out of service on this node.",
     [](const PgstHost& host) { return MetricFlag(host.maintenance != PGST_IN_SERVICE); }},
    {"host_weight", "The share of reads that the host gets, set against that of the others.",
     [](const PgstHost& host) { return MetricValue(fmt::format("{}", host.weight)); }},
};

constexpr TallyFamily kTallyFamilies[] = {
    {"reconnects_total", "How many connections to the host were made after the first one.",
     &PgstTally::reconnects},
    {"state_changes_total", "How often the host came up, became suspect or went down.",
     &PgstTally::state_changes},
};

constexpr CheckResult kCheckResults[] = {
    {"ok", &PgstTally::succeeded},
    {"error", &PgstTally::failed},
    {"timeout", &PgstTally::timed_out},
};

// ---- text -------------------------------------------------------------------------------------

// The hosts that there are, for loops.
struct Hosts {
  explicit Hosts(const PgstSnapshot& snapshot)
      : first(snapshot.hosts), last(first + HostCount(snapshot)) {}
  const PgstHost* begin() const { return first; }
  const PgstHost* end() const { return last; }
  const PgstHost* first;
  const PgstHost* last;
};

void AppendHostInfo(const Hosts& hosts, bool fresh, std::string& out) {
  AppendMetricHead("host_info", kGauge, "Where the host is and which role it has.", out);
  for (const PgstHost& host : hosts) {
    AppendMetricSample("host_info",
                       {{"host", HostName(host)},
                        {"dc", FixedText(host.dc)},
                        {"geo", FixedText(host.geo)},
                        {"role", RoleWord(fresh ? host.role : 0)},
                        {"application_name", FixedText(host.application_name)}},
                       "1", out);
  }
}

// Why hosts are in maintenance, as far as any is.
void AppendMaintenanceInfo(const Hosts& hosts, std::string& out) {
  bool has_head = false;
  for (const PgstHost& host : hosts) {
    if (host.maintenance == PGST_IN_SERVICE) continue;
    if (!has_head) {
      AppendMetricHead("host_maintenance_info", kGauge, "How and why the host was taken out.", out);
    }
    has_head = true;
    AppendMetricSample("host_maintenance_info",
                       {{"host", HostName(host)},
                        {"mode", MaintenanceWord(host.maintenance)},
                        {"reason", FixedText(host.maintenance_reason)}},
                       "1", out);
  }
}

// The head comes with the first sample: a family without one is not mentioned. unchecked: hosts
// that were not checked yet have a sample, too.
void AppendHostFamily(const Hosts& hosts, const HostFamily& family, bool unchecked,
                      std::string& out) {
  bool has_head = false;
  for (const PgstHost& host : hosts) {
    if (host.checked == 0 && !unchecked) continue;
    const MetricValue value = family.value(host);
    if (value.empty()) continue;
    if (!has_head) AppendMetricHead(family.name, kGauge, family.help, out);
    has_head = true;
    AppendMetricSample(family.name, {{"host", HostName(host)}}, value, out);
  }
}

void AppendTallyFamily(const Hosts& hosts, const TallyFamily& family, std::string& out) {
  AppendMetricHead(family.name, kCounter, family.help, out);
  for (const PgstHost& host : hosts) {
    AppendMetricSample(family.name, {{"host", HostName(host)}},
                       std::to_string(host.tally.*family.count), out);
  }
}

void AppendChecks(const Hosts& hosts, std::string& out) {
  AppendMetricHead("polls_total", kCounter, "How many checks of the host have ended, and how.",
                   out);
  for (const PgstHost& host : hosts) {
    for (const CheckResult& result : kCheckResults) {
      AppendMetricSample("polls_total", {{"host", HostName(host)}, {"result", result.word}},
                         std::to_string(host.tally.*result.count), out);
    }
  }
}

void AppendDurations(const Hosts& hosts, std::string& out) {
  AppendMetricHead("poll_duration_seconds", kHistogram, "How long checks of the host took.", out);
  for (const PgstHost& host : hosts) {
    const MetricLabel label{"host", HostName(host)};
    AppendMetricDurations("poll_duration_seconds", &label, host.tally.durations,
                          host.tally.duration_us, out);
  }
}

}  // namespace

void AppendHostMetrics(const World& world, std::string& out) {
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsPublished(snapshot) || HostCount(snapshot) == 0) return;
  const bool fresh = IsFresh(world);
  const Hosts hosts(snapshot);
  AppendHostInfo(hosts, fresh, out);
  AppendChecks(hosts, out);
  AppendDurations(hosts, out);
  for (const TallyFamily& family : kTallyFamilies) AppendTallyFamily(hosts, family, out);
  for (const HostFamily& family : kOrderFamilies) AppendHostFamily(hosts, family, true, out);
  AppendMaintenanceInfo(hosts, out);
  if (!fresh) return;
  for (const HostFamily& family : kHostFamilies) AppendHostFamily(hosts, family, false, out);
}

}  // namespace pg_status
