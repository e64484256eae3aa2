// The steps of JudgeCluster that say who is who: which cluster is ours, roles, split brain. Private
// to judge/; each step can be tested alone. They know nothing of lag or replication, nor of how the
// primary is chosen.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// The system identifier that counts as ours: this server's own if some host has it or no host has
// told one yet; else the most common one (a tie goes to the configured order), so that a node
// outside the cluster can watch it. 0 = unknown.
std::uint64_t ReferenceSystem(const std::vector<HostVerdict>& hosts,
                              std::uint64_t own_system_identifier);

// Sets cluster.system_identifier, and of every host role and foreign (and last_change when the role
// changes). A host that is not in sight has no role.
void JudgeRoles(ClusterVerdict& cluster, std::uint64_t own_system_identifier, const Limits& limits,
                MonoUs now);

// Sets cluster.live_primaries and split_brain, from the roles and the chosen primary. Split brain:
// two servers were primary at the same time, proved by overlapping looks at them; or one is, while
// another host in sight proves a newer timeline than its own.
void JudgeSplitBrain(ClusterVerdict& cluster);

// A host in sight that says that it is a primary, and is of our cluster.
bool ClaimsPrimary(const HostVerdict& host);

// Whether two claim to be primary at the same time, proved: each was seen to be one when the other
// was one already.
bool ClaimedTogether(const HostVerdict& a, const HostVerdict& b);

// Such a host that no operator has taken out.
bool IsClaimant(const HostVerdict& host);

}  // namespace pg_status
