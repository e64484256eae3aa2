// The steps of JudgeCluster that say how far the standbys are behind. Private to judge/; each step
// can be tested alone. They go by the chosen primary and know nothing of how it was chosen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// The history of one primary is bounded: at one report a second, the reports of some minutes are
// kept one by one, and older ones ever more thinly, for hours and days.
inline constexpr std::size_t kMaxReports = 256;

// Takes in what the chosen primary said last; `name` is its entry's. Another timeline, another
// system or another server starts the clock anew: positions of one history mean nothing in another,
// and two servers may have the same timeline number. (The same server is known by its run, and
// after a restart by its name.)
void UpdateClock(PrimaryClock& clock, const HostVerdict& primary, const std::string& name);

// Whether the primary's newest report still stands, from the point of view of one standby.
enum class PrimaryVoice : std::uint8_t {
  kHeard,   // its last probe was a good one; or not, while the standby streams from somewhere
  kSilent,  // there may be newer WAL that nobody has told us of
};

// How far a standby is behind. Unknown in both parts when it cannot be compared with the clock
// (foreign, another timeline, no position known, no report); as it was while its probes fail.
Lag StandbyLag(const HostVerdict& host, const PrimaryClock& clock, PrimaryVoice voice, MonoUs now);

// Sets lag, sync_by_time and sync_by_bytes of every host.
void JudgeLag(ClusterVerdict& cluster, const Limits& limits, MonoUs now);

}  // namespace pg_status
