// The step of JudgeCluster that says who streams from whom. Private to judge/.
#pragma once

#include <vector>

#include "config/hosts.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets replication_state, sync_state, sync_priority (from the chosen primary's pg_stat_replication)
// and upstream (from the standby's own WAL receiver) of every host. `entries` and cluster.hosts
// have the same size and order.
void JudgeReplication(ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

}  // namespace pg_status
