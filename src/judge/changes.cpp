// Two verdicts -> what changed, in words for the server's log. Decides nothing and remembers
// nothing: that a thing is told once follows from comparing before and after.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "judge/judge.hpp"
#include "judge/pg_hba.hpp"
#include "judge/topology.hpp"
#include "judge/why.hpp"

namespace pg_status {
namespace {

using Level = LogLine::Level;

std::string DownText(const HostVerdict& host, const std::string& name) {
  return WithReason(
      fmt::format("host \"{}\" {} after {}", name, DownWords(host), Failures(host.fails)),
      host.last_error);
}

void DescribeLiveness(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                      std::vector<LogLine>& lines) {
  if (before.liveness == after.liveness) return;
  std::string text = fmt::format("host \"{}\" is ", name);
  std::string missing;  // what would let us in there
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
      missing = MissingPgHbaLine(after.last_error);
      break;
  }
  if (missing.empty()) {
    lines.push_back({Level::kInfo, std::move(text), "", ""});
  } else {
    lines.push_back({Level::kWarning, std::move(text), "",
                     "Add this line to pg_hba.conf there, and reload: " + missing});
  }
}

// What the other nodes say of a host that this node has down. That it is a fault of this node only
// may be known at the moment when it goes down; that it is down for all is then said with that.
void DescribeVotes(const HostVerdict& before, const HostVerdict& after, const Quorum& quorum,
                   const std::string& name, std::vector<LogLine>& lines) {
  if (after.unreachable_here && !before.unreachable_here) {
    lines.push_back({Level::kWarning, fmt::format("only this node cannot reach host \"{}\"", name),
                     WhyUnreachableHere(after, quorum),
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
       WhyForeign(after, system_identifier),
       "It is never chosen. Correct its entry in pg_status.hosts, or make it a standby of this "
       "cluster."});
}

void DescribeHidden(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                    std::vector<LogLine>& lines) {
  const bool was_hidden = before.facts && before.facts->details_hidden;
  if (was_hidden || !after.facts || !after.facts->details_hidden) return;
  if (!after.facts->missing_grants.empty()) return;  // DescribeDenied tells more
  lines.push_back(
      {Level::kInfo, fmt::format("host \"{}\" does not show all its details", name),
       "Replication state and the newest WAL position may be unknown; so may its upstream, where "
       "pg_status does not run there.",
       "Grant pg_monitor to the role that pg_status connects as."});
}

// Once for each connection, but for those that only take the place of one that we have let go.
void DescribeDenied(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                    std::vector<LogLine>& lines) {
  if (!after.facts) return;
  if (after.facts->missing_grants.empty()) {
    if (!before.facts || before.facts->missing_grants.empty()) return;
    lines.push_back(
        {Level::kInfo,
         fmt::format("host \"{}\" lets the role of the polls read all that it should", name), "",
         ""});
    return;
  }
  const bool known = before.facts && before.facts->missing_grants == after.facts->missing_grants &&
                     before.facts->connection == after.facts->connection;
  if (known) return;
  lines.push_back(
      {Level::kWarning,
       fmt::format("host \"{}\" does not let the role of the polls read all that it should", name),
       "What takes the missing rights is unknown. They are looked for again with the next "
       "connection.",
       fmt::format("On the primary, in the database that is polled: {}",
                   after.facts->missing_grants)});
}

// Once, though each new connection brings it again, with other numbers in its detail.
void DescribeWarnings(const HostVerdict& before, const HostVerdict& after, const std::string& name,
                      std::vector<LogLine>& lines) {
  if (!after.facts) return;
  for (const LoginWarning& warning : after.facts->warnings) {
    const auto is_same = [&](const LoginWarning& other) { return other.text == warning.text; };
    const bool known = before.facts && std::any_of(before.facts->warnings.begin(),
                                                   before.facts->warnings.end(), is_same);
    if (known) continue;
    lines.push_back({Level::kWarning,
                     fmt::format("host \"{}\" warns at the login: {}", name, warning.text),
                     warning.detail, ""});
  }
}

// Once, also when it comes and goes: until its row is found.
void DescribeRow(const HostVerdict& before, const HostVerdict& after, const HostEntry& entry,
                 std::vector<LogLine>& lines) {
  if (before.row_in_doubt.empty() == after.row_in_doubt.empty()) return;
  if (after.row_in_doubt.empty()) {
    lines.push_back(
        {Level::kInfo,
         fmt::format("the row of host \"{}\" in pg_stat_replication is found", entry.name), "",
         ""});
    return;
  }
  lines.push_back(
      {Level::kWarning,
       fmt::format("which row of pg_stat_replication is that of host \"{}\" cannot be told",
                   entry.name),
       after.row_in_doubt + " Whether it is synchronous is not known.", WhatTellsRowsApart(entry)});
}

// Those who claim to be the primary and are not named, while nobody is.
std::string Withheld(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  return cluster.primary || !cluster.ready ? "" : ClaimantNames(cluster, entries);
}

// Nobody is named although somebody claims to be the primary: why, and what ends that.
void DescribeWithheld(const ClusterVerdict& before, const ClusterVerdict& after,
                      const std::vector<HostEntry>& entries, std::vector<LogLine>& lines) {
  const std::string claimants = Withheld(after, entries);
  if (claimants.empty() || claimants == Withheld(before, entries)) return;
  std::string hint;
  if (after.incumbent) {
    hint = fmt::format(
        "If \"{0}\" is given up, say so: SELECT pg_status_detach_node('{0}', force => true);",
        after.incumbent->name);
  }
  lines.push_back({Level::kWarning,
                   fmt::format("nobody is named as the primary, although there is {}", claimants),
                   after.primary_reason, hint});
}

// Of one server. Who lists it a hundred times means it.
constexpr int kMaxAliases = 3;

LogLine DescribeAlias(const HostVerdict& host, const std::string& name) {
  return {Level::kWarning,
          fmt::format("hosts \"{}\" and \"{}\" are the same server", host.same_as, name),
          "It is given reads under both names, and is shown twice.",
          "Name each server once in pg_status.hosts."};
}

void DescribeDivergence(const HostVerdict& before, const HostVerdict& after,
                        const std::string& name, std::vector<LogLine>& lines) {
  if (before.diverged == after.diverged) return;
  if (!after.diverged) {
    lines.push_back(
        {Level::kInfo, fmt::format("host \"{}\" is not diverged any more", name), "", ""});
    return;
  }
  lines.push_back({Level::kWarning,
                   fmt::format("host \"{}\" has another history than the primary", name),
                   after.divergence.why,
                   "It is not chosen for reads. Rewind it with pg_rewind, or rebuild it."});
}

void DescribePrimary(const ClusterVerdict& before, const ClusterVerdict& after,
                     const std::vector<HostEntry>& entries, std::vector<LogLine>& lines) {
  if (before.primary == after.primary || !after.ready) return;
  if (!before.primary) {
    lines.push_back({Level::kInfo, fmt::format("primary is \"{}\"", entries[*after.primary].name),
                     after.live_primaries > 1 ? after.primary_reason : "", ""});
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

void DescribeSplitBrain(const ClusterVerdict& before, const ClusterVerdict& after,
                        const std::vector<HostEntry>& entries, std::vector<LogLine>& lines) {
  if (before.split_brain == after.split_brain) return;
  if (after.split_brain) {
    std::string what =
        after.live_primaries > 1
            ? fmt::format("split brain: {} servers are primary at the same time: {}",
                          after.live_primaries, ClaimantNames(after, entries))
            : fmt::format("split brain: {} goes on as a primary, although its timeline was left",
                          ClaimantNames(after, entries));
    lines.push_back({Level::kWarning, std::move(what), after.primary_reason,
                     "Stop all but one of them; the others have to be rewound or rebuilt."});
    return;
  }
  std::vector<bool> claimed;
  for (const HostVerdict& host : before.hosts) claimed.push_back(ClaimsPrimary(host));
  const std::string lost = WhatIsOutOfSight(claimed, after, entries);
  if (!lost.empty()) {
    lines.push_back({Level::kWarning,
                     "split brain is out of sight: not all of the primaries can be reached", lost,
                     "Make sure that they are stopped."});
    return;
  }
  lines.push_back({Level::kInfo, "split brain is over", WhoIsPrimary(after, entries), ""});
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
  const std::string seen = VotersInSight(after.quorum);
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
  std::unordered_map<std::string_view, int> aliases;  // of each server: those that are known
  for (const HostVerdict& was : before.hosts) {
    if (!was.same_as.empty()) ++aliases[was.same_as];
  }
  for (std::size_t i = 0; i < after.hosts.size(); ++i) {
    const HostVerdict& was = before.hosts[i];
    const HostVerdict& is = after.hosts[i];
    DescribeLiveness(was, is, entries[i].name, lines);
    DescribeVotes(was, is, after.quorum, entries[i].name, lines);
    DescribeRole(was, is, entries[i].name, lines);
    DescribeForeign(was, is, entries[i].name, after.system_identifier, lines);
    DescribeHidden(was, is, entries[i].name, lines);
    DescribeDenied(was, is, entries[i].name, lines);
    DescribeWarnings(was, is, entries[i].name, lines);
    DescribeDivergence(was, is, entries[i].name, lines);
    const bool new_alias = was.same_as != is.same_as && !is.same_as.empty();
    if (new_alias && aliases[is.same_as]++ < kMaxAliases) {
      lines.push_back(DescribeAlias(is, entries[i].name));
    }
    DescribeRow(was, is, entries[i], lines);
  }
  DescribePrimary(before, after, entries, lines);
  DescribeWithheld(before, after, entries, lines);
  DescribeSplitBrain(before, after, entries, lines);
  DescribeQuorum(before, after, fence, lines);
  return lines;
}

}  // namespace pg_status
