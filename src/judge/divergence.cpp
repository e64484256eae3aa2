// Standbys of another history; see divergence.hpp.
#include "judge/divergence.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>

#include "judge/lineage.hpp"
#include "judge/topology.hpp"

namespace pg_status {
namespace {

// A position is the end of a record, or the beginning of the next page behind its header: so much
// may lie between two names of the same place.
constexpr Lsn kPageBytes = 8192;

std::string AsText(Lsn lsn) { return FormatLsn(lsn); }

// It was seen on its timeline before the primary was asked last. Without that, it may just have
// followed a promotion that this node has not heard of.
bool IsSettled(const HostVerdict& standby, const HostVerdict& primary) {
  return standby.timeline_since != 0 && primary.facts_asked >= standby.timeline_since;
}

std::string OnAnotherTimeline(const HostVerdict& standby, const HostVerdict& primary,
                              const std::string& primary_name) {
  const Descent descent = Compare(BranchOf(standby), BranchOf(primary));
  if (descent != Descent::kNewer && descent != Descent::kSiblings) return "";
  if (!IsSettled(standby, primary)) return "";
  return fmt::format("Its timeline {} is no part of the history of \"{}\" (timeline {}).",
                     standby.facts->timeline, primary_name, primary.facts->timeline);
}

std::string PastTheFork(const HostVerdict& standby, const HostVerdict& primary,
                        const std::string& primary_name) {
  // (its control file may still have the timeline of before the last restart point)
  if (!standby.facts->timeline_exact) return "";
  if (Compare(BranchOf(standby), BranchOf(primary)) != Descent::kOlder) return "";
  const std::optional<Lsn> left = LeftAt(BranchOf(primary), standby.facts->timeline);
  if (!left || !standby.facts->replay_lsn || *standby.facts->replay_lsn <= *left) return "";
  return fmt::format("It has replayed timeline {} up to {}, and \"{}\" has left that at {}.",
                     standby.facts->timeline, AsText(*standby.facts->replay_lsn), primary_name,
                     AsText(*left));
}

bool SameServer(const HostVerdict& a, const HostVerdict& b) {
  return &a == &b || (RunOf(*a.facts).known() && RunOf(*a.facts) == RunOf(*b.facts));
}

// The server that claims to be primary at the end of its upstreams, as they are now.
const HostVerdict* LeaderOf(const ClusterVerdict& cluster, const HostVerdict& standby) {
  const HostVerdict* at = &standby;
  for (std::size_t hops = 0; hops <= cluster.hosts.size() && hops < 32; ++hops) {
    if (!at->upstream_index || !at->facts->receiver || !at->facts->receiver->streaming) {
      return nullptr;
    }
    at = &cluster.hosts[*at->upstream_index];
    if (ClaimsPrimary(*at)) return at;
    if (at->role != Role::kStandby) return nullptr;
  }
  return nullptr;
}

std::string FollowsAnother(const ClusterVerdict& cluster, const HostVerdict& standby,
                           const HostVerdict& primary, const std::string& primary_name,
                           const std::vector<HostEntry>& entries) {
  if (Compare(BranchOf(standby), BranchOf(primary)) != Descent::kSame) return "";
  const HostVerdict* const leader = LeaderOf(cluster, standby);
  if (leader == nullptr || SameServer(*leader, primary)) return "";
  // (whoever is on a newer timeline has not been followed so far, only asked)
  if (leader->facts->timeline != standby.facts->timeline) return "";
  // (a server that moves to another address is two for a moment, but not at the same time)
  if (!ClaimedTogether(*leader, primary)) return "";
  return fmt::format("It follows \"{}\", which is a primary beside \"{}\" on timeline {}.",
                     entries[static_cast<std::size_t>(leader - cluster.hosts.data())].name,
                     primary_name, primary.facts->timeline);
}

std::string AheadOf(const HostVerdict& standby, const HostVerdict& primary,
                    const std::string& primary_name) {
  if (Compare(BranchOf(standby), BranchOf(primary)) != Descent::kSame) return "";
  const Facts& told = *primary.facts;
  if (!standby.facts->replay_lsn || !told.write_lsn) return "";
  if (primary.facts_asked <= standby.facts_finished) return "";
  const Lsn written = *told.write_lsn;
  const Lsn replayed = *standby.facts->replay_lsn;
  if (replayed <= written || replayed - written <= kPageBytes) return "";
  return fmt::format("It had replayed {} when \"{}\" had written no more than {}.",
                     AsText(replayed), primary_name, AsText(written));
}

std::string Proof(const ClusterVerdict& cluster, const HostVerdict& standby,
                  const HostVerdict& primary, const std::string& primary_name,
                  const std::vector<HostEntry>& entries) {
  std::string proof = OnAnotherTimeline(standby, primary, primary_name);
  if (proof.empty()) proof = PastTheFork(standby, primary, primary_name);
  if (proof.empty()) proof = FollowsAnother(cluster, standby, primary, primary_name, entries);
  if (proof.empty()) proof = AheadOf(standby, primary, primary_name);
  return proof;
}

// Whether an older proof still holds. That the timeline is another one now is news: it was proved
// of the old one. A restart alone mends nothing; a server that was rewound or rebuilt streams.
bool StillHolds(const ClusterVerdict& cluster, const HostVerdict& standby,
                const HostVerdict& primary, const std::string& primary_name) {
  const Divergence& old = standby.divergence;
  if (old.why.empty() || old.from != primary_name) return false;
  if (old.timeline != standby.facts->timeline) return false;
  if (old.run == RunOf(*standby.facts)) return true;
  const HostVerdict* const leader = LeaderOf(cluster, standby);
  if (leader != nullptr) return !SameServer(*leader, primary);
  // It streams from where nobody of the list is known to be. Had it more than the primary, that
  // would have been proved again.
  const bool streams =
      !standby.upstream_index && standby.facts->receiver && standby.facts->receiver->streaming;
  return !streams || primary.facts_asked <= standby.facts_finished;
}

}  // namespace

void JudgeDivergence(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  for (HostVerdict& host : cluster.hosts) {
    if (host.role == Role::kUnknown) continue;  // what was known of it is not gone
    if (host.role == Role::kPrimary || host.foreign) {
      host.divergence = {};
    } else if (cluster.primary) {
      const HostVerdict& primary = cluster.hosts[*cluster.primary];
      const std::string& name = entries[*cluster.primary].name;
      std::string proof = Proof(cluster, host, primary, name, entries);
      if (!proof.empty()) {
        host.divergence = {std::move(proof), name, RunOf(*host.facts), host.facts->timeline};
      } else if (!StillHolds(cluster, host, primary, name)) {
        host.divergence = {};
      }
    }
    host.diverged = !host.divergence.why.empty();
  }
}

}  // namespace pg_status
