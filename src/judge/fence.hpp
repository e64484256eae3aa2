// The step of JudgeCluster that says whether this server, if it is a primary, is to keep away from
// load balancers. Private to judge/. Whether that is obeyed is a setting's business.
#pragma once

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets cluster.fence_cause, of several the first in their order. Needs all that the steps before it
// set.
//
//   no majority   it does not see a majority of the voting nodes
//   unreachable   a majority of them says that it cannot reach this server (IsCutOff of quorum.hpp)
//   successor     another tree has won the election
//   outvoted      a majority of them names another primary, which itself is one of them also where
//                 this node cannot reach it, if one that names it has reached it lately
//
// Before every host was asked once, there is no cause: then nothing is known, which is a reason of
// its own.
void JudgeFence(ClusterVerdict& cluster, const Limits& limits, MonoUs now);

}  // namespace pg_status
