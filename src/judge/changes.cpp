// Two verdicts -> what changed, in words for the server's log. Decides nothing and remembers
// nothing: that a thing is told once follows from comparing before and after.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "judge/judge.hpp"
#include "judge/topology.hpp"

namespace pg_status {
namespace {

using Level = LogLine::Level;

constexpr std::size_t kMaxNamedServers = 8;  // in one line

std::string Failures(int count) {
  return fmt::format("{} {}", count, count == 1 ? "failure" : "failures");
}

// "primary, timeline 2" or "standby".
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

// "is down" is more than this node's word.
std::string_view DownWords(const HostVerdict& host) {
  return host.down_for_all ? "is down" : "cannot be reached from here";
}

std::string DownText(const HostVerdict& host, const std::string& name) {
  return WithReason(
      fmt::format("host \"{}\" {} after {}", name, DownWords(host), Failures(host.fails)),
      host.last_error);
}

void DescribeLiveness(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                      std::vector<LogLine>& lines) {
  if (before.liveness == after.liveness) return;
  std::string text = fmt::format("host \"{}\" is ", name);
  switch (after.liveness) {
    case Liveness::kUnknown:
      return;
    case Liveness::kUp:
      text +=
          before.liveness == Liveness::kUnknown ? "up" : "up again after " + Failures(before.fails);
      text += ": " + RoleText(after);
      break;
    case Liveness::kSuspect:
      text = WithReason(text + "suspect", after.last_error);
      break;
    case Liveness::kDown:
      text = DownText(after, name);
      break;
  }
  lines.push_back({Level::kInfo, std::move(text), "", ""});
}

// What the other nodes say of a host that this node has down. That it is a fault of this node only
// may be known at the moment when it goes down; that it is down for all is then said with that.
void DescribeVotes(const HostVerdict& before, const HostVerdict& after, const Quorum& quorum,
                   const std::string& name, std::vector<LogLine>& lines) {
  if (after.unreachable_here && !before.unreachable_here) {
    lines.push_back({Level::kWarning, fmt::format("only this node cannot reach host \"{}\"", name),
                     fmt::format("{} of {} voting nodes reach it. Here: {}.", after.votes_up,
                                 quorum.voters, after.last_error),
                     after.last_outcome == Outcome::kRejected
                         ? "The host answers: look at the role that pg_status connects as, its "
                           "password, and pg_hba.conf there."
                         : "Look at the network between this node and that host."});
  }
  if (before.liveness != Liveness::kDown || after.liveness != Liveness::kDown) return;
  const bool said = quorum.possible() && after.votes_down >= quorum.majority();
  if (said && after.down_for_all && !before.down_for_all) {
    lines.push_back({Level::kInfo,
                     fmt::format("host \"{}\" is down: {} of {} voting nodes cannot reach it", name,
                                 after.votes_down, quorum.voters),
                     "", ""});
  }
}

// A role that appears or is lost together with the host is told with its liveness.
void DescribeRole(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                  std::vector<LogLine>& lines) {
  if (before.role == after.role) return;
  if (before.role == Role::kUnknown || after.role == Role::kUnknown) return;
  lines.push_back({Level::kInfo,
                   fmt::format("host \"{}\" changed from {} to {}", name, RoleWord(before.role),
                               RoleText(after)),
                   "", ""});
}

void DescribeForeign(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                     std::uint64_t system_identifier, std::vector<LogLine>& lines) {
  if (before.foreign == after.foreign) return;
  if (!after.foreign) {
    lines.push_back(
        {Level::kInfo, fmt::format("host \"{}\" belongs to this cluster now", name), "", ""});
    return;
  }
  lines.push_back(
      {Level::kWarning, fmt::format("host \"{}\" belongs to another cluster", name),
       fmt::format("Its system identifier is {}, that of this cluster is {}.",
                   after.facts->system_identifier, system_identifier),
       "It is never chosen. Correct its entry in pg_status.hosts, or make it a standby of this "
       "cluster."});
}

void DescribeHidden(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                    std::vector<LogLine>& lines) {
  const bool was_hidden = before.facts && before.facts->details_hidden;
  if (was_hidden || !after.facts || !after.facts->details_hidden) return;
  lines.push_back({Level::kInfo, fmt::format("host \"{}\" does not show all its details", name),
                   "Replication state, upstream and the newest WAL position may be unknown.",
                   "Grant pg_monitor to the role that pg_status connects as."});
}

// Why the primary that was is none any more, or comes after the one that is now; a full sentence.
std::string WhyNotPrimary(const ClusterVerdict& after, std::size_t was,
                          const std::vector<HostEntry>& entries) {
  const HostVerdict& old = after.hosts[was];
  const std::string& name = entries[was].name;
  if (old.liveness == Liveness::kDown) {
    return WithReason(fmt::format("\"{}\" {}", name, DownWords(old)), old.last_error) + '.';
  }
  if (old.role == Role::kStandby) return fmt::format("\"{}\" is a standby now.", name);
  if (old.foreign) return fmt::format("\"{}\" belongs to another cluster.", name);
  if (!after.primary || !ClaimsPrimary(old)) return "";
  const HostVerdict& chosen = after.hosts[*after.primary];
  if (old.facts->timeline < chosen.facts->timeline) {
    return fmt::format("\"{}\" is on timeline {}, \"{}\" on the newer timeline {}.", name,
                       old.facts->timeline, entries[*after.primary].name, chosen.facts->timeline);
  }
  if (old.liveness == Liveness::kSuspect && chosen.liveness == Liveness::kUp) {
    return WithReason(fmt::format("\"{}\" is suspect", name), old.last_error) + '.';
  }
  return fmt::format("\"{}\" comes first in pg_status.hosts.", entries[*after.primary].name);
}

void DescribePrimary(const ClusterVerdict& before, const ClusterVerdict& after,
                     const std::vector<HostEntry>& entries, std::vector<LogLine>& lines) {
  if (before.primary == after.primary) return;
  if (!before.primary) {
    lines.push_back(
        {Level::kInfo, fmt::format("primary is \"{}\"", entries[*after.primary].name), "", ""});
    return;
  }
  const std::string& old_name = entries[*before.primary].name;
  std::string message = after.primary
                            ? fmt::format("primary changed from \"{}\" to \"{}\"", old_name,
                                          entries[*after.primary].name)
                            : fmt::format("no primary is in sight any more (was \"{}\")", old_name);
  lines.push_back(
      {Level::kInfo, std::move(message), WhyNotPrimary(after, *before.primary, entries), ""});
}

// `"a:5432" (timeline 1), "b:5432" (timeline 2)`
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

// Why the chosen one of several primaries is the chosen one; a full sentence.
std::string WhyChosen(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  const HostVerdict& chosen = cluster.hosts[*cluster.primary];
  std::size_t older = 0;  // claimants on an older timeline
  std::size_t level = 0;  // other claimants on the same timeline
  for (const HostVerdict& host : cluster.hosts) {
    if (!ClaimsPrimary(host) || host.chosen_primary) continue;
    ++(host.facts->timeline < chosen.facts->timeline ? older : level);
  }
  const std::string_view why = level == 0  ? "its timeline is the highest"
                               : older > 0 ? "of those on the highest timeline it comes first"
                                           : "it comes first among servers on the same timeline";
  return fmt::format("\"{}\" is chosen: {}.", entries[*cluster.primary].name, why);
}

// Those of the primaries that were that have not become standbys, nor refuse connections as a
// machine without the server does.
std::string LostClaimants(const ClusterVerdict& before, const ClusterVerdict& after,
                          const std::vector<HostEntry>& entries) {
  std::string names;
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const HostVerdict& host = after.hosts[i];
    if (!ClaimsPrimary(before.hosts[i]) || IsLive(host)) continue;
    if (host.last_outcome == Outcome::kRefused) continue;
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", entries[i].name);
  }
  return names;
}

void DescribeSplitBrain(const ClusterVerdict& before, const ClusterVerdict& after,
                        const std::vector<HostEntry>& entries, std::vector<LogLine>& lines) {
  if (before.split_brain == after.split_brain) return;
  if (after.split_brain) {
    lines.push_back({Level::kWarning,
                     fmt::format("split brain: {} servers are primary at the same time: {}",
                                 after.live_primaries, ClaimantNames(after, entries)),
                     WhyChosen(after, entries),
                     "Stop all but one of them; the others have to be rewound or rebuilt."});
    return;
  }
  const std::string lost = LostClaimants(before, after, entries);
  if (!lost.empty()) {
    lines.push_back(
        {Level::kWarning, "split brain is out of sight: not all of the primaries can be reached",
         fmt::format("May still take writes: {}.", lost), "Make sure that they are stopped."});
    return;
  }
  lines.push_back({Level::kInfo, "split brain is over",
                   after.primary
                       ? fmt::format("The primary is \"{}\".", entries[*after.primary].name)
                       : "There is no primary now.",
                   ""});
}

// With the others still starting, or just added, there is nothing to miss yet.
bool MissesMajority(const ClusterVerdict& cluster) {
  const Quorum& quorum = cluster.quorum;
  return cluster.ready && quorum.possible() &&
         quorum.in_sight + quorum.undecided < quorum.majority();
}

bool IsOwnPrimary(const ClusterVerdict& cluster) {
  return cluster.self && !cluster.hosts[*cluster.self].facts->in_recovery;
}

void DescribeQuorum(const ClusterVerdict& before, const ClusterVerdict& after, bool fence,
                    std::vector<LogLine>& lines) {
  const bool missed = MissesMajority(before);
  const bool misses = MissesMajority(after);
  // (as it last told of itself: its own polls may be shut out, too)
  const bool primary = IsOwnPrimary(after);
  const bool promoted = misses && primary && !IsOwnPrimary(before);
  if (missed == misses && !promoted) return;
  const std::string seen =
      fmt::format("{} of {} voting nodes", after.quorum.in_sight, after.quorum.voters);
  if (!misses) {
    // (not when the list has become too short for a majority)
    if (after.quorum.possible()) {
      lines.push_back({Level::kInfo, "a majority is in sight again: " + seen, "", ""});
    }
    return;
  }
  if (!primary) {
    lines.push_back({Level::kInfo, "no majority is in sight: only " + seen, "", ""});
    return;
  }
  lines.push_back({Level::kWarning, "this primary sees no majority: only " + seen,
                   fence ? "It says FENCED until it sees one again, as pg_status.fence is on."
                         : "It goes on saying MASTER, as pg_status.fence is off.",
                   "The others may have a primary of their own, or get one."});
}

}  // namespace

std::vector<LogLine> DescribeChanges(const ClusterVerdict& before, const ClusterVerdict& after,
                                     const std::vector<HostEntry>& entries, bool fence) {
  std::vector<LogLine> lines;
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const HostVerdict& was = before.hosts[i];
    const HostVerdict& is = after.hosts[i];
    DescribeLiveness(was, is, entries[i].name, lines);
    DescribeVotes(was, is, after.quorum, entries[i].name, lines);
    DescribeRole(was, is, entries[i].name, lines);
    DescribeForeign(was, is, entries[i].name, after.system_identifier, lines);
    DescribeHidden(was, is, entries[i].name, lines);
  }
  DescribePrimary(before, after, entries, lines);
  DescribeSplitBrain(before, after, entries, lines);
  DescribeQuorum(before, after, fence, lines);
  return lines;
}

}  // namespace pg_status
