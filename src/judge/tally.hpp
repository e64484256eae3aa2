// How the probes of one host went, counted for as long as the poller knows the host, or since
// somebody has reset its counts. A host that is taken off the list and comes back begins anew. And
// how punctual the poller itself is, counted for all hosts together for as long as it runs.
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
  std::uint64_t shortest_us = 0;                            // of all probes; 0 before the first
  std::uint64_t longest_us = 0;
  std::uint64_t retries = 0;         // probes made because the one before had failed
  std::uint64_t retries_in_row = 0;  // just now
  std::uint64_t most_retries = 0;    // in one row
  MonoUs last_failure = 0;           // 0 never
};

// retry: the probe was made because the one before had failed, and the host was not given up.
void CountProbe(const Observation& observation, bool retry, Tally& tally);

// Begins anew. Connections that there are stay the first ones.
void ResetTally(Tally& tally);

// By how much probes began later than they should have. The longest is that of the last one to two
// minutes: a maximum that never falls again tells nothing of today.
struct Lateness {
  std::uint64_t total_us = 0;
  std::array<std::uint64_t, kDurationClasses> probes{};  // in each class
  std::int64_t longest_us = 0;                           // in the minute that runs
  std::int64_t longest_before_us = 0;                    // in the minute before
  MonoUs minute_began = 0;
};

// A probe began `late_us` after its time (negative counts as 0). `now` never goes back.
void CountLateness(std::int64_t late_us, MonoUs now, Lateness& lateness);

// Microseconds; 0 while nothing was counted for two minutes.
std::int64_t LongestLateness(const Lateness& lateness, MonoUs now);

}  // namespace pg_status
