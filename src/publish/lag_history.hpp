// Snapshots -> the history of each standby's lag. Pure; allocates nothing, so it may run where a
// lock is held.
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "publish/lag_history.h"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// The column that this moment falls into.
constexpr std::int64_t LagColumnOf(MonoUs moment) { return moment / PGST_LAG_COLUMN_US; }

// Brings `rows`, of which there are snapshot.max_hosts, up to date with a new snapshot: row i is
// that of hosts[i], and begins anew when it was another host's. Between two snapshots the older one
// holds, for as long as it may be believed (snapshot.stale_after).
void NoteLags(PgstLagHistory* rows, const PgstSnapshot& snapshot);

// What is known of this column; PGST_LAG_UNKNOWN: nothing, or it is not kept. Of columns that have
// begun since the newest snapshot that is what this one says, for as long as it may be believed.
std::uint64_t LagMsAt(const PgstLagHistory& row, std::int64_t column, std::int64_t stale_after);
std::uint64_t LagBytesAt(const PgstLagHistory& row, std::int64_t column, std::int64_t stale_after);

}  // namespace pg_status
