// Events -> plain data, and a snapshot -> what is believed by whoever made it. Pure.
#pragma once

#include <optional>

#include "base/clock.hpp"
#include "judge/events.hpp"
#include "judge/verdict.hpp"
#include "publish/event.h"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// Without a number, which it gets in shared memory.
PgstEvent BuildEvent(const Event& event, WallUs at);

// What the snapshot says, for the events that come after it. A number that no enumerator has counts
// as unknown.
Belief BeliefIn(const PgstSnapshot& snapshot);

// Whom it held to be the primary; nullopt: nobody.
std::optional<Incumbent> IncumbentIn(const PgstSnapshot& snapshot);

}  // namespace pg_status
