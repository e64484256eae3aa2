// Events -> plain data, and a snapshot -> what is believed by whoever made it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// The timeline of the host of this name, where it claimed to be the primary and was not named; 0:
// it did not.
std::uint32_t RefusedIn(const PgstSnapshot& snapshot, const std::string& name);

}  // namespace pg_status
