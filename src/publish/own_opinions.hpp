// Snapshot -> what this node tells the others of the hosts. Pure.
#pragma once

#include "base/clock.hpp"
#include "probe/opinions.hpp"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// As of `now`, in configured order. Of a host that is unknown so far, or belongs to another
// cluster, there is no opinion.
Opinions OpinionsOf(const PgstSnapshot& snapshot, MonoUs now);

}  // namespace pg_status
