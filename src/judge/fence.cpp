// Whether this server is to keep away; see fence.hpp.
#include "judge/fence.hpp"

#include <algorithm>

#include "judge/age.hpp"
#include "judge/quorum.hpp"

namespace pg_status {
namespace {

bool IsSelf(const ClusterVerdict& cluster, std::size_t index) {
  if (!cluster.self) return false;
  if (index == *cluster.self) return true;
  const HostVerdict& host = cluster.hosts[index];
  const HostVerdict& self = cluster.hosts[*cluster.self];
  return host.facts && RunOf(*host.facts).known() && RunOf(*host.facts) == RunOf(*self.facts);
}

// How many name another one of this list. (A name that is not in it may be this server's own, as
// others call it.)
int NamingAnother(const ClusterVerdict& cluster) {
  return static_cast<int>(
      std::count_if(cluster.voices.begin(), cluster.voices.end(), [&](const Voice& voice) {
        return voice.named && !voice.self && voice.host && !IsSelf(cluster, *voice.host);
      }));
}

// Whether one that is named lives where this node cannot ask it, by fresh proof of who names it: it
// then names itself, too. Without that each of two primaries on the ends of a cut link would see a
// majority through the one node between them, and none would be outvoted.
bool NamesItselfOutOfReach(const ClusterVerdict& cluster, const Limits& limits, MonoUs now) {
  return std::any_of(cluster.voices.begin(), cluster.voices.end(), [&](const Voice& voice) {
    if (!voice.named || voice.self || !voice.host || IsSelf(cluster, *voice.host)) return false;
    const HostVerdict& host = cluster.hosts[*voice.host];
    const bool votes = !host.facts || host.facts->gives_opinions;
    return votes && host.unreachable_here && voice.reached > host.failing_since &&
           !IsTooOld(voice.reached, limits, now);
  });
}

FenceCause Cause(const ClusterVerdict& cluster, const Limits& limits, MonoUs now) {
  const Quorum& quorum = cluster.quorum;
  if (quorum.possible() && !quorum.in_majority()) return FenceCause::kNoMajority;
  const bool cut_off = cluster.self && IsCutOff(cluster.hosts[*cluster.self], limits, now);
  if (cut_off) return FenceCause::kUnreachable;
  const bool superseded = cluster.self && cluster.hosts[*cluster.self].superseded;
  if (superseded) return FenceCause::kSuccessor;
  const int against =
      NamingAnother(cluster) + (NamesItselfOutOfReach(cluster, limits, now) ? 1 : 0);
  if (quorum.possible() && against >= quorum.majority()) return FenceCause::kOutvoted;
  return FenceCause::kNone;
}

// Whether the poller before this one held this very server to be the primary.
bool RemembersSelf(const ClusterVerdict& cluster) {
  if (!cluster.incumbent || !cluster.self) return false;
  const HostVerdict& self = cluster.hosts[*cluster.self];
  return self.facts && RunOf(*self.facts) == cluster.incumbent->run;
}

}  // namespace

void JudgeFence(ClusterVerdict& cluster, const Limits& limits, MonoUs now) {
  if (cluster.ready) {
    cluster.fence_cause = Cause(cluster, limits, now);
    return;
  }
  // A server that has just started may be one that others have left: the one who knows may be the
  // one that has not answered yet. A poller that begins anew beside a running server fences nobody
  // for its own sake, unless the one before it named another.
  cluster.fence_cause = RemembersSelf(cluster) ? FenceCause::kNone : FenceCause::kNoMajority;
}

}  // namespace pg_status
