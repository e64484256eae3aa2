// The step of JudgeCluster that puts the opinions of several nodes together: who may vote, how many
// of them this node sees, what each host gets. Private to judge/. It changes nothing of what this
// node found out by itself.
//
// The voting nodes are the distinct servers of this cluster that run pg_status: this one, and the
// hosts that were seen to. A host that has not answered since the poller started may run it, so it
// counts, too: a primary that starts on the wrong side of a cut must not take itself for the whole
// cluster. A host that a reload adds counts from its first probe on, so that a longer list takes
// nobody's majority away; until then it may only make one possible.
//
// A vote: up (the node reaches the host) or down. Each voting node has one for each host of its
// list, also for itself: whoever is reached by another one is surely up in its own eyes, though we
// may not be able to ask it.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets cluster.quorum, cluster.self and cluster.voices, and of every host votes_up, votes_down,
// unreachable_here and down_for_all. `own`: this server. Opinions are matched with hosts by the run
// of the server that was seen, else by name. `entries` and cluster.hosts have the same size and
// order.
void JudgeQuorum(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                 const Limits& limits, const ServerRun& own, MonoUs now);

// Whether a majority has said for long enough that it cannot reach a host which we see running: for
// as long as it takes to call a host down, and one round of asking more. What others say may be of
// before the host was started.
bool IsCutOff(const HostVerdict& host, const Limits& limits, MonoUs now);

}  // namespace pg_status
