// Whether this server is to keep away; see fence.hpp.
#include "judge/fence.hpp"

#include <algorithm>

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

FenceCause Cause(const ClusterVerdict& cluster, bool cut_off) {
  const Quorum& quorum = cluster.quorum;
  if (quorum.possible() && !quorum.in_majority()) return FenceCause::kNoMajority;
  if (cut_off) return FenceCause::kUnreachable;
  const bool superseded = cluster.self && cluster.hosts[*cluster.self].superseded;
  if (superseded) return FenceCause::kSuccessor;
  if (quorum.possible() && NamingAnother(cluster) >= quorum.majority()) {
    return FenceCause::kOutvoted;
  }
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
    const bool cut_off = cluster.self && IsCutOff(cluster.hosts[*cluster.self], limits, now);
    cluster.fence_cause = Cause(cluster, cut_off);
    return;
  }
  // A server that has just started may be one that others have left: the one who knows may be the
  // one that has not answered yet. A poller that begins anew beside a running server fences nobody
  // for its own sake, unless the one before it named another.
  cluster.fence_cause = RemembersSelf(cluster) ? FenceCause::kNone : FenceCause::kNoMajority;
}

}  // namespace pg_status
