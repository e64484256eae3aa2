// How the probes of one host went, counted for as long as the poller knows the host. Counts only
// rise; a host that is taken off the list and comes back begins anew.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"
#include "probe/observation.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Upper bounds, each included, of the classes that durations of probes are counted in; what is
// longer than the last one is in one class more. From a probe inside of a rack to the longest
// time-outs that anybody sets.
inline constexpr std::array<std::int64_t, 11> kDurationBoundsUs = {
    500,           1 * kUsPerMs,   2500,           5 * kUsPerMs,     10 * kUsPerMs,   25 * kUsPerMs,
    50 * kUsPerMs, 100 * kUsPerMs, 250 * kUsPerMs, 1 * kUsPerSecond, 5 * kUsPerSecond};
inline constexpr std::size_t kDurationClasses = kDurationBoundsUs.size() + 1;

struct Tally {
  std::uint64_t succeeded = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t failed = 0;                                 // in any other way
  std::uint64_t connections = 0;                            // new ones that answered
  std::uint64_t changes = 0;                                // of liveness
  std::uint64_t duration_us = 0;                            // of all probes together
  std::array<std::uint64_t, kDurationClasses> durations{};  // probes in each class
};

void CountProbe(const Observation& observation, Tally& tally);

}  // namespace pg_status
