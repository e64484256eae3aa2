// Counting probes. Knows nothing of what they found.
#include "judge/tally.hpp"

#include <algorithm>
#include <iterator>

namespace pg_status {
namespace {

std::size_t ClassOf(std::int64_t duration_us) {
  const auto bound =
      std::lower_bound(kDurationBoundsUs.begin(), kDurationBoundsUs.end(), duration_us);
  return static_cast<std::size_t>(std::distance(kDurationBoundsUs.begin(), bound));
}

constexpr std::int64_t kMinuteUs = 60 * kUsPerSecond;

}  // namespace

void CountProbe(const Observation& observation, bool retry, Tally& tally) {
  const bool first = tally.succeeded + tally.timed_out + tally.failed == 0;
  switch (observation.outcome) {
    case Outcome::kOk:
      ++tally.succeeded;
      if (observation.new_connection) ++tally.connections;
      break;
    case Outcome::kTimeout:
      ++tally.timed_out;
      break;
    default:
      ++tally.failed;
      break;
  }
  const std::int64_t duration_us =
      std::max<std::int64_t>(observation.finished - observation.started, 0);
  const auto duration = static_cast<std::uint64_t>(duration_us);
  tally.duration_us += duration;
  ++tally.durations[ClassOf(duration_us)];
  tally.shortest_us = first ? duration : std::min(tally.shortest_us, duration);
  tally.longest_us = std::max(tally.longest_us, duration);
  tally.retries_in_row = retry ? tally.retries_in_row + 1 : 0;
  tally.retries += retry ? 1 : 0;
  tally.most_retries = std::max(tally.most_retries, tally.retries_in_row);
  if (observation.outcome != Outcome::kOk) tally.last_failure = observation.finished;
}

void ResetTally(Tally& tally) {
  const bool connected = tally.connections > 0;
  tally = Tally{};
  tally.connections = connected ? 1 : 0;
}

void CountLateness(std::int64_t late_us, MonoUs now, Lateness& lateness) {
  late_us = std::max<std::int64_t>(late_us, 0);
  if (now - lateness.minute_began >= kMinuteUs) {
    const bool just_before = now - lateness.minute_began < 2 * kMinuteUs;
    lateness.longest_before_us = just_before ? lateness.longest_us : 0;
    lateness.longest_us = 0;
    lateness.minute_began = now;
  }
  lateness.longest_us = std::max(lateness.longest_us, late_us);
  lateness.total_us += static_cast<std::uint64_t>(late_us);
  ++lateness.probes[ClassOf(late_us)];
}

std::int64_t LongestLateness(const Lateness& lateness, MonoUs now) {
  const std::int64_t age = now - lateness.minute_began;
  if (age >= 2 * kMinuteUs) return 0;
  if (age >= kMinuteUs) return lateness.longest_us;
  return std::max(lateness.longest_us, lateness.longest_before_us);
}

}  // namespace pg_status
