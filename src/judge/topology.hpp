// The steps of JudgeCluster that say who is who: which cluster is ours, roles, the primary, split
// brain. Private to judge/; each step can be tested alone. They know nothing of lag or replication.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// The system identifier that counts as ours: this server's own if some host has it or no host has
// told one yet; else the most common one (a tie goes to the configured order), so that a node
// outside the cluster can watch it. 0 = unknown.
std::uint64_t ReferenceSystem(const std::vector<HostVerdict>& hosts,
                              std::uint64_t own_system_identifier);

// Sets cluster.system_identifier, and of every host role and foreign (and last_change when the role
// changes).
void JudgeRoles(ClusterVerdict& cluster, std::uint64_t own_system_identifier);

// Sets cluster.primary, live_primaries and split_brain, and chosen_primary of every host, from the
// roles.
void JudgePrimary(ClusterVerdict& cluster);

// A host that is up or suspect, says that it is a primary, and is of our cluster.
bool ClaimsPrimary(const HostVerdict& host);

}  // namespace pg_status
