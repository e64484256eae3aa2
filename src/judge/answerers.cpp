// One server or several; see answerers.hpp.
#include "judge/answerers.hpp"

#include <algorithm>
#include <cstdlib>

namespace pg_status {
namespace {

constexpr std::int64_t kLeastMemoryUs = 60 * kUsPerSecond;
constexpr std::int64_t kPollsRemembered = 10;

// A session that prints fewer digits tells a start that is off by some microseconds.
constexpr std::int64_t kDigitsUs = kUsPerMs;

// (the system identifier is not told to each role)
bool IsSame(const ServerRun& a, const ServerRun& b) {
  const bool another = a.system_identifier != b.system_identifier && a.system_identifier != 0 &&
                       b.system_identifier != 0;
  return !another && std::abs(a.postmaster_start - b.postmaster_start) <= kDigitsUs;
}

}  // namespace

bool NoteAnswerer(Answerers& answerers, const ServerRun& run, MonoUs at,
                  std::int64_t poll_interval_us) {
  const std::int64_t memory = std::max(kLeastMemoryUs, kPollsRemembered * poll_interval_us);
  if (run.postmaster_start != 0) {
    auto& seen = answerers.seen;
    const auto place = std::find_if(seen.begin(), seen.end(), [&](const Answerers::Seen& other) {
      return other.last != 0 && IsSame(other.run, run);
    });
    const bool changes = place != seen.begin() && seen.front().last != 0;
    const bool returns = changes && place != seen.end() && at - place->last < memory;
    if (returns || (changes && answerers.mixed_at != 0)) answerers.mixed_at = at;
    const auto last = place == seen.end() ? seen.end() - 1 : place;
    std::rotate(seen.begin(), last, last + 1);
    seen.front() = {run, at};
  }
  if (answerers.mixed_at != 0 && at - answerers.mixed_at >= memory) answerers.mixed_at = 0;
  return answerers.mixed_at != 0;
}

}  // namespace pg_status
