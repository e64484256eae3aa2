// The numeric settings that judging and probing go by, in the core's units.
#pragma once

#include <cstdint>

#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

struct Limits {
  std::int64_t poll_interval_us = 1 * kUsPerSecond;     // start of a probe to the start of the next
  std::int64_t fast_poll_interval_us = 100 * kUsPerMs;  // the same, while something is wrong
  std::int64_t poll_timeout_us =
      1 * kUsPerSecond;  // a whole probe, resolving and connecting included
  std::int64_t conn_max_age_us = 300 * kUsPerSecond;  // a kept connection is renewed after this
  int max_fails = 3;                           // consecutive failures until a host is down, >= 1
  std::uint64_t sync_max_lag_ms = 1000;        // "in sync by time" up to and including this
  std::uint64_t sync_max_lag_bytes = 1000000;  // "in sync by bytes" up to and including this
};

}  // namespace pg_status
