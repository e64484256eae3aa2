// How old a thing may be that is still believed. One rule for all of judge/: what is older than the
// time in which a host's death would have been noticed says nothing of now. It holds also when it
// was our own poller that stood still: when it goes on, nothing it knows is fresher for that.
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// After this long without a sign of life from the poller, what it last knew counts as unknown: by
// then it would have noticed any host going down. Microseconds.
std::int64_t StaleAfter(const Limits& limits);

// `when`: 0 is never, and too old.
bool IsTooOld(MonoUs when, const Limits& limits, MonoUs now);

// Whether the host runs, as far as is known now: not down, and a sign that it runs is young enough.
// (A server that is full for hours gives such signs; what it told of itself was before that.)
bool IsInSight(const HostVerdict& host, const Limits& limits, MonoUs now);

// Whether what it told last (its position, who streams from it, what it thinks of others) is too
// old.
bool IsOutOfDate(const HostVerdict& host, const Limits& limits, MonoUs now);

}  // namespace pg_status
