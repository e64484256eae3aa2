// Time as the core sees it: a value that is handed in, never a clock that is read.
#pragma once

#include <cstdint>

#include "base/cpp_only.hpp"

namespace pg_status {

// Monotonic time in microseconds since an arbitrary start that all processes of this machine share.
// Only differences mean anything. 0 is "never".
using MonoUs = std::int64_t;

// Wall-clock time in microseconds since 1970-01-01 00:00 UTC. For display, and for comparing one
// server's own stamps with that same server's own clock; never for deadlines. 0 is "never".
using WallUs = std::int64_t;

inline constexpr std::int64_t kUsPerMs = 1000;
inline constexpr std::int64_t kUsPerSecond = 1000 * kUsPerMs;

}  // namespace pg_status
