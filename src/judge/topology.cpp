// Who is who: roles and split brain; and the order of the steps. Decides from what is recorded of
// each host; does not know how the facts were got, nor anything of lag or replication.
#include "judge/topology.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "judge/age.hpp"
#include "judge/aliases.hpp"
#include "judge/divergence.hpp"
#include "judge/election.hpp"
#include "judge/fence.hpp"
#include "judge/judge.hpp"
#include "judge/lag.hpp"
#include "judge/lineage.hpp"
#include "judge/quorum.hpp"
#include "judge/replication.hpp"

namespace pg_status {
namespace {

Role ObservedRole(const HostVerdict& host, const Limits& limits, MonoUs now) {
  if (!IsInSight(host, limits, now) || !host.facts) return Role::kUnknown;
  return host.facts->in_recovery ? Role::kStandby : Role::kPrimary;
}

std::uint64_t MostCommonSystem(const std::vector<HostVerdict>& hosts) {
  std::unordered_map<std::uint64_t, std::size_t> counts;
  for (const HostVerdict& host : hosts) {
    if (host.facts && host.facts->system_identifier != 0) ++counts[host.facts->system_identifier];
  }
  // Walk the hosts, not the map: that settles a tie by the configured order.
  std::uint64_t best = 0;
  std::size_t best_count = 0;
  for (const HostVerdict& host : hosts) {
    if (!host.facts || host.facts->system_identifier == 0) continue;
    const std::size_t count = counts[host.facts->system_identifier];
    if (count > best_count) {
      best = host.facts->system_identifier;
      best_count = count;
    }
  }
  return best;
}

// One server that claims to be the primary, and the span of time in which it is proved to have been
// one. The span is empty (since > until) while there was a single look at it.
struct Claimant {
  std::uint64_t system_identifier = 0;
  WallUs postmaster_start = 0;
  std::size_t entry = 0;  // tells servers apart that did not say when they started; else 0
  MonoUs since = 0;
  MonoUs until = 0;

  auto Identity() const { return std::tie(system_identifier, postmaster_start, entry); }
};

// The distinct servers among the claimants. Two entries may reach the same server; what both saw of
// one run of a server is one span, because a primary stays one until it stops.
std::vector<Claimant> DistinctClaimants(const std::vector<HostVerdict>& hosts) {
  std::vector<Claimant> claimants;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const HostVerdict& host = hosts[i];
    if (!ClaimsPrimary(host)) continue;
    const Facts& facts = *host.facts;
    claimants.push_back({facts.system_identifier, facts.postmaster_start,
                         facts.postmaster_start == 0 ? i + 1 : 0, host.primary_since,
                         host.facts_asked});
  }
  std::sort(claimants.begin(), claimants.end(),
            [](const Claimant& a, const Claimant& b) { return a.Identity() < b.Identity(); });
  std::vector<Claimant> servers;
  for (const Claimant& claimant : claimants) {
    if (servers.empty() || servers.back().Identity() != claimant.Identity()) {
      servers.push_back(claimant);
      continue;
    }
    servers.back().since = std::min(servers.back().since, claimant.since);
    servers.back().until = std::max(servers.back().until, claimant.until);
  }
  return servers;
}

// Whether two of the spans have a moment in common. Two claims alone prove nothing: after a planned
// failover the old primary still looks like one until it is asked again.
bool SpansOverlap(std::vector<Claimant> servers) {
  std::sort(servers.begin(), servers.end(),
            [](const Claimant& a, const Claimant& b) { return a.since < b.since; });
  std::optional<MonoUs> latest_until;
  for (const Claimant& server : servers) {
    if (server.since > server.until) continue;
    if (latest_until && server.since <= *latest_until) return true;
    latest_until = std::max(latest_until.value_or(server.until), server.until);
  }
  return false;
}

// Whether a primary goes on although its timeline was left: it was still asked, and still a
// primary, after a host in sight had been seen on one that descends from it.
bool IsLeftBehind(const ClusterVerdict& cluster) {
  for (const HostVerdict& primary : cluster.hosts) {
    if (!ClaimsPrimary(primary)) continue;
    for (const HostVerdict& host : cluster.hosts) {
      if (host.role == Role::kUnknown || host.foreign || host.timeline_since == 0) continue;
      if (primary.facts_asked < host.timeline_since) continue;
      if (Compare(BranchOf(host), BranchOf(primary)) == Descent::kNewer) return true;
    }
  }
  return false;
}

}  // namespace

bool ClaimsPrimary(const HostVerdict& host) { return host.role == Role::kPrimary && !host.foreign; }

bool ClaimedTogether(const HostVerdict& a, const HostVerdict& b) {
  return a.primary_since != 0 && b.primary_since != 0 && a.facts_asked >= b.primary_since &&
         b.facts_asked >= a.primary_since;
}

bool IsClaimant(const HostVerdict& host) { return ClaimsPrimary(host) && !host.forced_out; }

std::uint64_t ReferenceSystem(const std::vector<HostVerdict>& hosts,
                              std::uint64_t own_system_identifier) {
  if (own_system_identifier != 0) {
    bool any_told = false;
    for (const HostVerdict& host : hosts) {
      if (!host.facts || host.facts->system_identifier == 0) continue;
      if (host.facts->system_identifier == own_system_identifier) return own_system_identifier;
      any_told = true;
    }
    if (!any_told) return own_system_identifier;
  }
  return MostCommonSystem(hosts);
}

void JudgeRoles(ClusterVerdict& cluster, std::uint64_t own_system_identifier, const Limits& limits,
                MonoUs now) {
  cluster.system_identifier = ReferenceSystem(cluster.hosts, own_system_identifier);
  for (HostVerdict& host : cluster.hosts) {
    const Role role = ObservedRole(host, limits, now);
    if (role != host.role) {
      host.role = role;
      host.last_change = host.last_check;
    }
    host.foreign = host.facts && host.facts->system_identifier != 0 &&
                   cluster.system_identifier != 0 &&
                   host.facts->system_identifier != cluster.system_identifier;
  }
}

void JudgeSplitBrain(ClusterVerdict& cluster) {
  std::vector<Claimant> servers = DistinctClaimants(cluster.hosts);
  cluster.live_primaries = servers.size();
  cluster.split_brain =
      !servers.empty() && (SpansOverlap(std::move(servers)) || IsLeftBehind(cluster));
}

void JudgeCluster(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                  const Limits& limits, const ServerRun& own, MonoUs now) {
  cluster.ready =
      cluster.ready || std::all_of(cluster.hosts.begin(), cluster.hosts.end(),
                                   [](const HostVerdict& host) { return host.checked; });
  JudgeRoles(cluster, own.system_identifier, limits, now);
  JudgeUpstreams(cluster, entries);
  JudgeQuorum(cluster, entries, limits, own, now);
  JudgePrimary(cluster, entries, limits, now);
  JudgeDivergence(cluster, entries);
  FindAliases(cluster, entries);
  if (cluster.primary) {
    UpdateClock(cluster.clock, cluster.hosts[*cluster.primary], entries[*cluster.primary].name);
  }
  JudgeLag(cluster, limits, now);
  JudgeReplication(cluster, entries, limits, now);
  JudgeFence(cluster, limits, now);
}

}  // namespace pg_status
