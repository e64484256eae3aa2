// When a host is to be asked again. Knows verdicts and intervals, not timers or sockets.
#include <algorithm>

#include "judge/judge.hpp"

namespace pg_status {
namespace {

// Something is wrong that concerns everybody: the next primary may turn up at any host.
bool ClusterInDoubt(const ClusterVerdict& cluster) {
  if (!cluster.primary || cluster.live_primaries > 1) return true;
  const HostVerdict& primary = cluster.hosts[*cluster.primary];
  // One that is full has just said that it runs.
  return primary.liveness == Liveness::kSuspect && primary.last_outcome != Outcome::kFull;
}

// A healthy server has just ended our session, or cancelled our query: asking again at once clears
// it up. Only for the failure that made the host suspect, and not right after a success: a server
// that ends every session it gets must not be asked in an endless row without a pause.
bool FirstInterruption(const HostVerdict& host, const Limits& limits) {
  const bool interrupted =
      host.last_outcome == Outcome::kTerminated || host.last_outcome == Outcome::kCancelled;
  return interrupted && host.fails == 1 && host.last_change == host.last_check &&
         host.last_check - host.last_success >= limits.fast_poll_interval_us;
}

// A server that is starting up, or lets nobody in, writes a line into its log for each attempt, and
// a name server is asked for each lookup: once down, such a host is asked at the usual pace,
// however long that lasts. One that is full has enough to do at any time.
bool IsBetterSpared(const HostVerdict& host) {
  if (host.last_outcome == Outcome::kFull) return true;
  return host.liveness == Liveness::kDown &&
         (host.last_outcome == Outcome::kRejected || host.last_outcome == Outcome::kUnresolved ||
          host.last_outcome == Outcome::kGarbled);
}

}  // namespace

MonoUs NextProbe(const ClusterVerdict& cluster, std::size_t index, const Limits& limits,
                 MonoUs started, MonoUs ended) {
  const HostVerdict& host = cluster.hosts[index];
  if (started == 0 || FirstInterruption(host, limits)) return ended;
  const bool fast =
      (host.liveness == Liveness::kSuspect || ClusterInDoubt(cluster)) && !IsBetterSpared(host);
  const MonoUs interval = fast ? std::min(limits.fast_poll_interval_us, limits.poll_interval_us)
                               : limits.poll_interval_us;
  return std::max(started + interval, ended);
}

}  // namespace pg_status
