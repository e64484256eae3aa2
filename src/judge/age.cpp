// How old a thing may be; see age.hpp.
#include "judge/age.hpp"

#include <algorithm>
#include <limits>

namespace pg_status {

// With P = the larger of poll_interval and poll_timeout: a host that dies right after a good probe
// fails its next max_fails probes, each P after the other at the latest, and the last of them takes
// up to P to fail. By then its death would have been published. The two seconds are for a busy
// machine: a poller that was merely late must not make every node say that it knows nothing.
std::int64_t StaleAfter(const Limits& limits) {
  constexpr std::int64_t kGrace = 2 * kUsPerSecond;
  constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
  const std::int64_t round =
      std::max<std::int64_t>({limits.poll_interval_us, limits.poll_timeout_us, 0});
  const std::int64_t rounds = std::max<std::int64_t>(limits.max_fails, 1) + 1;
  if (round > (kForever - kGrace) / rounds) return kForever;
  return rounds * round + kGrace;
}

bool IsTooOld(MonoUs when, const Limits& limits, MonoUs now) {
  return when == 0 || now - when > StaleAfter(limits);
}

bool IsInSight(const HostVerdict& host, const Limits& limits, MonoUs now) {
  return IsLive(host) && !IsTooOld(host.last_sign, limits, now);
}

bool IsOutOfDate(const HostVerdict& host, const Limits& limits, MonoUs now) {
  return IsTooOld(host.last_success, limits, now);
}

}  // namespace pg_status
