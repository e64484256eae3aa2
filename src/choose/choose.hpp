// Snapshot + Wish -> Choice. The one place that picks a host: SQL, HTTP and line commands all ask
// here, so that the same wish gets the same answer everywhere. Pure: the round-robin cursor and the
// time are arguments.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "base/lsn.hpp"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Route : std::uint8_t {
  kMaster,
  kReplica,
  kSyncByTime,
  kSyncByBytes,
  kSyncByTimeOrBytes,
  kSyncByTimeAndBytes,
  kMostSyncByBytes,
};

struct Wish {
  Route route = Route::kMaster;
  std::optional<std::uint64_t>
      lag_ms;  // nullopt: the route's default (none on kReplica, sync_max_lag_ms on the others)
  std::optional<std::uint64_t> lag_bytes;         // likewise
  Lsn min_lsn = kNoLsn;                           // kNoLsn: no condition
  std::optional<std::uint32_t> min_lsn_timeline;  // that min_lsn is a position of, 1 or more;
                                                  // nullopt: taken for the primary's
};

enum class Reason : std::uint8_t {
  kFound,     // host fulfils the wish
  kFallback,  // no standby does; host is the primary
  kNone,      // nobody does and there is no primary; with min_lsn_timeline: what is known of the
              // primary's history is not enough to tell who does
  kLost,      // nobody does: min_lsn is of a history that is not the primary's
  kNotReady,  // first probes are not finished, or nothing was published
  kStale,     // the poller has been silent for too long
};

// The shared cursor: where the round robin stands. All routes share one. Opaque to callers; starts
// as 0.
using Cursor = std::uint64_t;

struct Choice {
  Reason reason = Reason::kNone;
  std::optional<std::uint32_t> host;  // index into snapshot.hosts; set when kFound or kFallback
  Cursor next_cursor = 0;             // equals the given cursor when the answer takes no turn
};

// Whether what the snapshot says of hosts still holds: something was published, and neither is that
// longer ago nor has the poller been silent for longer than it takes to notice a host going down.
// Arguments as for Choose.
bool IsFresh(const PgstSnapshot& snapshot, MonoUs poller_alive, MonoUs now);

// The primary that answers may name, whatever the age of the snapshot: index into snapshot.hosts;
// nullopt: nobody, or the one that an operator has taken out by force.
std::optional<std::uint32_t> NamedPrimary(const PgstSnapshot& snapshot);

// poller_alive: the poller's last sign of life (monotonic microseconds, 0 = none).
// The caller stores next_cursor with compare-and-swap and asks again when another request was
// faster, so that n requests over n eligible hosts hit each of them once.
Choice Choose(const PgstSnapshot& snapshot, const Wish& wish, Cursor cursor, MonoUs poller_alive,
              MonoUs now);

}  // namespace pg_status
