// Entries that lead to the same server; see aliases.hpp. One start of a server is told from all
// others by its identifier and the moment of the start.
#include "judge/aliases.hpp"

#include <cstddef>
#include <string>
#include <unordered_map>

namespace pg_status {
namespace {

bool IsUp(const HostVerdict& host) {
  return host.liveness == Liveness::kUp && host.facts && RunOf(*host.facts).known();
}

// Whether what was found before may still hold, as its other entry cannot be asked just now.
bool MayHold(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
             const std::string& same_as) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == same_as) return !IsUp(cluster.hosts[i]);
  }
  return false;
}

}  // namespace

void FindAliases(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  std::unordered_map<ServerRun, std::size_t, RunHash> first;
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    HostVerdict& host = cluster.hosts[i];
    if (!IsUp(host)) continue;
    const std::size_t found = first.emplace(RunOf(*host.facts), i).first->second;
    if (found != i) {
      host.same_as = entries[found].name;
    } else if (!MayHold(cluster, entries, host.same_as)) {
      host.same_as.clear();
    }
  }
}

}  // namespace pg_status
