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

}  // namespace

void CountProbe(const Observation& observation, Tally& tally) {
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
  tally.duration_us += static_cast<std::uint64_t>(duration_us);
  ++tally.durations[ClassOf(duration_us)];
}

}  // namespace pg_status
