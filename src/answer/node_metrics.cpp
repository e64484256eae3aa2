// The metrics of this server, of the cluster as a whole and of the clients: a family is a row in a
// table. Once the snapshot is too old, nothing is claimed of the cluster.
#include <cstdint>
#include <string>
#include <string_view>

#include "answer/metrics.hpp"
#include "answer/metrics_text.hpp"
#include "answer/standing.hpp"
#include "publish/snapshot.h"

namespace pg_status {
namespace {

struct NodeFamily {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  MetricValue (*value)(const World& world);
};

struct PortFamily {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::uint64_t Traffic::Connections::*value;
};

// ---- values -----------------------------------------------------------------------------------

bool IsReady(const World& world) { return IsFresh(world) && world.snapshot->ready != 0; }

MetricValue InRecovery(const World& world) {
  if (world.node.state == NodeState::kStarting) return MetricFlag(true);
  const PgstRole role = OwnRole(world.node);
  return role == PGST_ROLE_UNKNOWN ? MetricValue() : MetricFlag(role == PGST_ROLE_STANDBY);
}

MetricValue IsPrimary(const World& world) {
  const MetricValue in_recovery = InRecovery(world);
  return in_recovery.empty() ? MetricValue() : MetricFlag(in_recovery == "0");
}

MetricValue IfStandby(const World& world, bool value) {
  return OwnRole(world.node) == PGST_ROLE_STANDBY ? MetricFlag(value) : MetricValue();
}

// ---- families ---------------------------------------------------------------------------------

constexpr NodeFamily kNodeFamilies[] = {
    {"ready", kGauge, "Whether every host's first check has finished and the poller is at work.",
     [](const World& world) { return MetricFlag(IsReady(world)); }},
    {"primaries", kGauge, "How many live primaries of this cluster there are.",
     [](const World& world) {
       return MetricNumberIf(IsFresh(world), world.snapshot->live_primaries);
     }},
    {"split_brain", kGauge, "Whether there is more than one live primary.",
     [](const World& world) {
       return MetricNumberIf(IsFresh(world), world.snapshot->split_brain != 0 ? 1 : 0);
     }},
    {"quorum", kGauge, "Whether this node sees a majority of the voting nodes.",
     [](const World& world) {
       const MajorityView view = MajorityOf(world);
       return MetricNumberIf(view.possible, view.in_sight ? 1 : 0);
     }},
    {"voters", kGauge, "How many nodes have a vote, this one included.",
     [](const World& world) {
       const MajorityView view = MajorityOf(world);
       return MetricNumberIf(view.known, view.voters);
     }},
    {"voters_in_sight", kGauge, "How many of these this node sees, itself included.",
     [](const World& world) {
       const MajorityView view = MajorityOf(world);
       return MetricNumberIf(view.known, view.voters_in_sight);
     }},
    {"local_fenced", kGauge,
     "Whether this server is a primary that keeps away from load balancers.",
     [](const World& world) { return MetricFlag(world.node.state == NodeState::kFenced); }},
    {"local_maintenance", kGauge, "Whether an operator has taken this server out of service.",
     [](const World& world) { return MetricFlag(OwnMaintenance(world) != nullptr); }},
    {"local_primary", kGauge, "Whether this server is a primary.", IsPrimary},
    {"local_in_recovery", kGauge, "Whether this server is in recovery.", InRecovery},
    {"local_read_only", kGauge, "Whether new sessions on this server are read only by default.",
     [](const World& world) {
       const std::optional<bool> read_only = world.node.read_only;
       return MetricNumberIf(read_only.has_value(), read_only.value_or(false) ? 1 : 0);
     }},
    {"local_streaming", kGauge, "Whether the WAL receiver of this standby streams.",
     [](const World& world) { return IfStandby(world, world.node.streaming); }},
    {"local_replay_paused", kGauge, "Whether replay is paused on this standby.",
     [](const World& world) { return IfStandby(world, world.node.replay_paused); }},
    {"config_reloads_total", kCounter, "How often the poller was given settings anew.",
     [](const World& world) {
       return MetricNumberIf(IsPublished(*world.snapshot), world.snapshot->reloads);
     }},
    {"config_last_reload_success", kGauge, "Whether the settings given last are in force.",
     [](const World& world) {
       return MetricNumberIf(IsPublished(*world.snapshot),
                             world.snapshot->reload_refused != 0 ? 0 : 1);
     }},
};

constexpr PortFamily kPortFamilies[] = {
    {"connections", kGauge,
     "Clients that are connected and may ask; those of the raw port are answered at once.",
     &Traffic::Connections::open},
    {"connections_rejected_total", kCounter, "Clients turned away: not allowed, or too many.",
     &Traffic::Connections::rejected},
    {"write_failures_total", kCounter, "Clients that were gone before their answer was.",
     &Traffic::Connections::write_failures},
};

void AppendBuildInfo(const World& world, std::string_view version, std::string& out) {
  const int server = world.node.server_version;
  AppendMetricHead("build_info", kGauge, "The versions of pg_status and of the server it runs in.",
                   out);
  AppendMetricSample(
      "build_info",
      {{"version", version}, {"server_version", server > 0 ? std::to_string(server) : ""}}, "1",
      out);
}

void AppendNodeFamily(const World& world, const NodeFamily& family, std::string& out) {
  const MetricValue value = family.value(world);
  if (value.empty()) return;
  AppendMetricHead(family.name, family.type, family.help, out);
  AppendMetricSample(family.name, {}, value, out);
}

void AppendLateness(const PgstSnapshot& snapshot, std::string& out) {
  AppendMetricHead("poll_lateness_seconds", kHistogram,
                   "By how much checks of hosts began later than they should have.", out);
  AppendMetricDurations("poll_lateness_seconds", nullptr, snapshot.lateness, snapshot.lateness_us,
                        out);
  AppendMetricHead("poll_lateness_max_seconds", kGauge,
                   "The longest of these within the last one to two minutes.", out);
  AppendMetricSample("poll_lateness_max_seconds", {}, MetricSeconds(snapshot.lateness_max_us), out);
}

void AppendRequests(const Traffic& traffic, std::string& out) {
  if (traffic.requests().empty()) return;
  constexpr std::string_view kName = "requests_total";
  AppendMetricHead(kName, kCounter, "Answers, by what was asked and what was said.", out);
  for (const Traffic::Requests& requests : traffic.requests()) {
    AppendMetricSample(
        kName,
        {{"port", PortWord(requests.port)}, {"path", requests.path}, {"code", requests.code}},
        std::to_string(requests.count), out);
  }
}

void AppendPortFamily(const Traffic& traffic, const PortFamily& family, std::string& out) {
  AppendMetricHead(family.name, family.type, family.help, out);
  for (const Port port : {Port::kRaw, Port::kDiscovery, Port::kCheck}) {
    AppendMetricSample(family.name, {{"port", PortWord(port)}},
                       std::to_string(traffic.of(port).*family.value), out);
  }
}

}  // namespace

void AppendNodeMetrics(const World& world, std::string_view version, const Traffic& traffic,
                       std::string& out) {
  AppendBuildInfo(world, version, out);
  for (const NodeFamily& family : kNodeFamilies) AppendNodeFamily(world, family, out);
  if (IsPublished(*world.snapshot)) AppendLateness(*world.snapshot, out);
  AppendRequests(traffic, out);
  for (const PortFamily& family : kPortFamilies) AppendPortFamily(traffic, family, out);
}

}  // namespace pg_status
