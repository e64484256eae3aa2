// Reasons in words; see why.hpp.
#include "judge/why.hpp"

#include <fmt/format.h>

#include <utility>

#include "judge/topology.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kMaxNamedServers = 8;  // in one line

}  // namespace

std::string Failures(int count) {
  return fmt::format("{} {}", count, count == 1 ? "failure" : "failures");
}

std::string RoleText(const HostVerdict& host) {
  if (host.role == Role::kUnknown) return "role unknown";
  if (host.role == Role::kStandby) return "standby";
  if (host.facts->timeline == 0) return "primary";
  return fmt::format("primary, timeline {}", host.facts->timeline);
}

std::string_view RoleWord(Role role) {
  if (role == Role::kUnknown) return "unknown";
  return role == Role::kPrimary ? "primary" : "standby";
}

std::string WithReason(std::string text, const std::string& reason) {
  if (!reason.empty()) text += ": " + reason;
  return text;
}

std::string WhyUnreachableHere(const HostVerdict& host, const Quorum& quorum) {
  return fmt::format("{} of {} voting nodes reach it. Here: {}.", host.votes_up, quorum.voters,
                     host.last_error);
}

std::string WhyForeign(const HostVerdict& host, std::uint64_t system_identifier) {
  return fmt::format("Its system identifier is {}, that of this cluster is {}.",
                     host.facts->system_identifier, system_identifier);
}

std::string WhatTellsRowsApart(const HostEntry& entry) {
  return fmt::format(
      "Give the WAL receiver of each standby a name of its own, in primary_conninfo; there: "
      "application_name={}.",
      entry.application_name.empty() ? entry.name : entry.application_name);
}

std::string_view DownWords(const HostVerdict& host) {
  return host.down_for_all ? "is down" : "cannot be reached from here";
}

std::string WhyNotPrimary(const ClusterVerdict& after, std::size_t was,
                          const std::vector<HostEntry>& entries) {
  const HostVerdict& old = after.hosts[was];
  const std::string& name = entries[was].name;
  if (old.liveness == Liveness::kDown) {
    return WithReason(fmt::format("\"{}\" {}", name, DownWords(old)), old.last_error) + '.';
  }
  if (old.role == Role::kStandby) return fmt::format("\"{}\" is a standby now.", name);
  if (old.foreign) return fmt::format("\"{}\" belongs to another cluster.", name);
  if (old.liveness != Liveness::kDown && old.role == Role::kUnknown) {
    return fmt::format("\"{}\" has not been heard of for too long.", name);
  }
  return ClaimsPrimary(old) ? after.primary_reason : "";
}

std::string ClaimantNames(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  std::string names;
  std::size_t count = 0;
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    if (!ClaimsPrimary(cluster.hosts[i]) || ++count > kMaxNamedServers) continue;
    names += fmt::format("{}\"{}\" (timeline {})", count == 1 ? "" : ", ", entries[i].name,
                         cluster.hosts[i].facts->timeline);
  }
  if (count > kMaxNamedServers) names += fmt::format(" and {} more", count - kMaxNamedServers);
  return names;
}

std::string WhatIsOutOfSight(const std::vector<bool>& claimed, const ClusterVerdict& after,
                             const std::vector<HostEntry>& entries) {
  std::string names;
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const HostVerdict& host = after.hosts[i];
    if (!claimed[i] || IsLive(host)) continue;
    if (host.last_outcome == Outcome::kRefused) continue;
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", entries[i].name);
  }
  return names.empty() ? names : fmt::format("May still take writes: {}.", names);
}

std::string WhoIsPrimary(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  if (!cluster.primary) return "There is no primary now. " + cluster.primary_reason;
  return fmt::format("The primary is \"{}\".", entries[*cluster.primary].name);
}

bool MissesMajority(const ClusterVerdict& cluster) {
  const Quorum& quorum = cluster.quorum;
  return cluster.ready && quorum.possible() &&
         quorum.in_sight + quorum.undecided < quorum.majority();
}

std::string VotersInSight(const Quorum& quorum) {
  return fmt::format("{} of {} voting nodes", quorum.in_sight, quorum.voters);
}

}  // namespace pg_status
