// The step of JudgeCluster that says who streams from whom. Private to judge/.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets upstream and upstream_index of every host, from the standby's own WAL receiver, and notes in
// `followed` whom it streams from. `entries` and cluster.hosts have the same size and order.
void JudgeUpstreams(ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

// Sets replication_state, sync_state and sync_priority of every host, from the chosen primary's
// pg_stat_replication, unless that is too old; and row_in_doubt, when for a while it could not be
// told which row is a host's own.
void JudgeReplication(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                      const Limits& limits, MonoUs now);

}  // namespace pg_status
