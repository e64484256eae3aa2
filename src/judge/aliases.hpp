// Two entries for one server: a name and its address, or an address that moves from one server to
// another (a service's) beside theirs.
#pragma once

#include <vector>

#include "config/hosts.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Sets same_as of each host. What was found stays while one of the two does not answer.
void FindAliases(ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

}  // namespace pg_status
