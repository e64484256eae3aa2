// Verdicts -> Snapshot. Copies, bounds and escapes; decides nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "config/order.h"
#include "judge/age.hpp"
#include "judge/verdict.hpp"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// Where this node is, which server it is, how it came by its settings, and what operators ordered.
struct LocalNode {
  std::string dc;                 // "" not given
  std::string geo;                // "" not given
  ServerRun own;                  // this server
  std::uint64_t reloads = 0;      // since the poller started
  bool reload_refused = false;    // the last one did not fit together
  std::uint64_t resets = 0;       // of tallies, since the poller started
  Lateness lateness;              // of its poller's probes
  std::vector<PgstOrder> orders;  // one for each entry, most of them empty; or none at all
  std::uint64_t orders_number = 0;
};

// Fills `out`. Nobody is the primary there before every host was asked once. It has room for
// out.max_hosts hosts (set by the caller, as many as `entries` at least; more entries are left
// out). The generation is out.generation + 1. `now` and `wall_now` are the same moment on both
// clocks. The bytes of hosts beyond host_count are not touched.
void BuildSnapshot(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                   const Limits& limits, const LocalNode& local, MonoUs now, WallUs wall_now,
                   PgstSnapshot& out);

// Locality counts in a dimension only if this node and every host have a value there. False and a
// wish for one (this node has a value, or some host has) is worth a warning: `partial`.
struct Locality {
  bool counts = false;
  bool partial = false;
};
Locality DcLocality(const std::string& local_dc, const std::vector<HostEntry>& entries);
Locality GeoLocality(const std::string& local_geo, const std::vector<HostEntry>& entries);

}  // namespace pg_status
