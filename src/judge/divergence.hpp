// The step of JudgeCluster that says which standbys have another history than the primary: what
// they have replayed is not what it has written, so their lag means nothing, and nobody is to read
// there. Private to judge/.
#pragma once

#include <vector>

#include "config/hosts.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets diverged and divergence of every host. Proofs, against the chosen primary:
//
//   its timeline does not belong to the primary's history, and the primary was asked since
//   it has replayed more of an older timeline than the primary's history has of that
//   it follows, on the same timeline, another server that claims to be the primary at the same time
//   it had replayed more than the primary had written at a later moment
//
// What was proved stays so until the standby is restarted and streams from the primary's tree, or
// another one is the primary. `entries` and cluster.hosts have the same size and order.
void JudgeDivergence(ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

}  // namespace pg_status
