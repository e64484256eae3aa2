// How far standbys are behind the chosen primary, as of each standby's own last good probe: a busy
// primary that is asked a moment later must not make a healthy standby look behind. Reads no clock
// and chooses nobody.
//
// Time behind is the smaller of two upper bounds, each honest by itself:
//   LSN clock     nothing while the standby has the primary's newest report, however idle the
//                 primary is; otherwise the time since the newest report that it has
//   replay time   age of the last replayed commit, by the primary's own clock, so that the clock of
//                 the standby plays no part; where that clock was set back, or another server's
//                 was ahead of it, by the clock that makes the commit older
// Both grow with `now` instead of the time of the probe while the primary is silent.
#include "judge/lag.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "judge/age.hpp"
#include "judge/judge.hpp"

namespace pg_status {
namespace {

using Reports = std::deque<PrimaryReport>;

// A replayed commit cannot be newer than the primary's present. Within this, it is the error of
// comparing two clocks that are adjusted all the time; beyond it, the stamp is of another clock and
// says nothing.
constexpr std::int64_t kClockToleranceUs = 20 * kUsPerMs;

// A clock that has fallen by more than this, and than the probe took, was set back.
constexpr std::int64_t kClockStepUs = 50 * kUsPerMs;

// A standby's answer is as old as the question at the most. Of one that took no longer than this,
// the question's time is good enough: a busy primary has always written a little since. One that
// took longer, because the standby stood still, is held against what the primary had so much before
// the answer came.
constexpr std::int64_t kPromptUs = 250 * kUsPerMs;

// Peers' clocks are their own affair, and may be set to anything.
std::optional<std::int64_t> CheckedSum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

std::optional<std::int64_t> CheckedDifference(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a, b, &difference)) return std::nullopt;
  return difference;
}

// When the standby has to have what the primary had, to be called not behind.
MonoUs MomentOf(const HostVerdict& host) {
  return std::max(host.facts_asked, host.facts_finished - kPromptUs);
}

// Part of a millisecond counts as one: an upper bound is never rounded down.
std::uint64_t WholeMs(std::int64_t us) {
  if (us <= 0) return 0;
  return static_cast<std::uint64_t>(us / kUsPerMs + (us % kUsPerMs != 0 ? 1 : 0));
}

// Drops the report that is missed least: the one whose neighbours are close together for their age.
// So the error of "behind since" stays in proportion to how far somebody is behind. The oldest
// stays as the end of the history, the newest two because the next report may belong with them.
void ThinOut(Reports& reports) {
  const MonoUs newest = reports.back().at;
  std::size_t least = 1;
  double least_share = 0;
  for (std::size_t i = 1; i + 2 < reports.size(); ++i) {
    const auto gap = static_cast<double>(reports[i + 1].at - reports[i - 1].at);
    const double share = gap / static_cast<double>(newest - reports[i].at);
    if (i == 1 || share < least_share) {
      least = i;
      least_share = share;
    }
  }
  reports.erase(reports.begin() + static_cast<std::ptrdiff_t>(least));
}

void AddReport(Reports& reports, PrimaryReport report) {
  if (!reports.empty() && report.at <= reports.back().at) return;
  // A server that crashed before its WAL reached the disk goes on from an earlier position.
  while (!reports.empty() && reports.back().lsn > report.lsn) reports.pop_back();
  if (!reports.empty()) report.known = std::max(report.known, reports.back().known);
  const std::size_t size = reports.size();
  if (size >= 2 && reports[size - 1].lsn == report.lsn && reports[size - 2].lsn == report.lsn) {
    reports.back() = report;
    return;
  }
  if (size >= kMaxReports) ThinOut(reports);
  reports.push_back(report);
}

// The newest position of the primary that was known to be written when the standby was asked. If
// there is none, the oldest report has to do. Reports must not be empty.
Lsn NewestBefore(const Reports& reports, MonoUs asked) {
  const auto after = std::upper_bound(
      reports.begin(), reports.end(), asked,
      [](MonoUs time, const PrimaryReport& report) { return time < report.known; });
  return after == reports.begin() ? reports.front().lsn : std::prev(after)->lsn;
}

// When the primary was last seen to have written no more than this standby has replayed.
std::optional<MonoUs> LastReached(const Reports& reports, Lsn replayed) {
  const auto after =
      std::upper_bound(reports.begin(), reports.end(), replayed,
                       [](Lsn lsn, const PrimaryReport& report) { return lsn < report.lsn; });
  if (after == reports.begin()) return std::nullopt;
  return std::prev(after)->at;
}

std::optional<std::int64_t> BehindByLsnUs(const HostVerdict& host, const PrimaryClock& clock,
                                          PrimaryVoice voice, MonoUs now) {
  const Lsn replayed = *host.facts->replay_lsn;
  if (voice == PrimaryVoice::kHeard && replayed >= NewestBefore(clock.reports, MomentOf(host))) {
    return 0;
  }
  const std::optional<MonoUs> reached = LastReached(clock.reports, replayed);
  if (!reached) return std::nullopt;
  const MonoUs as_of = voice == PrimaryVoice::kHeard ? host.facts_finished : now;
  return std::max<std::int64_t>(as_of - *reached, 0);
}

std::optional<std::int64_t> BehindByCommitUs(const HostVerdict& host, const PrimaryClock& clock,
                                             PrimaryVoice voice, MonoUs now) {
  if (!clock.offset || !host.facts->replay_commit) return std::nullopt;
  const MonoUs as_of = voice == PrimaryVoice::kHeard ? host.facts_finished : now;
  const bool other_clock = *host.facts->replay_commit <= clock.other_clock_until;
  const std::int64_t offset =
      other_clock ? std::max(*clock.offset, clock.other_offset) : *clock.offset;
  const std::optional<WallUs> primary_time = CheckedSum(as_of, offset);
  if (!primary_time) return std::nullopt;
  const std::optional<std::int64_t> behind =
      CheckedDifference(*primary_time, *host.facts->replay_commit);
  if (!behind || *behind < -kClockToleranceUs) return std::nullopt;
  return std::max<std::int64_t>(*behind, 0);
}

std::optional<std::uint64_t> LagMs(const HostVerdict& host, const PrimaryClock& clock,
                                   PrimaryVoice voice, MonoUs now) {
  const std::optional<std::int64_t> by_lsn = BehindByLsnUs(host, clock, voice, now);
  const std::optional<std::int64_t> by_commit = BehindByCommitUs(host, clock, voice, now);
  if (by_lsn && by_commit) return WholeMs(std::min(*by_lsn, *by_commit));
  if (by_lsn) return WholeMs(*by_lsn);
  if (by_commit) return WholeMs(*by_commit);
  return std::nullopt;
}

// The standby itself may know of newer WAL than the primary's last report: what it has received,
// and what its sender says there is.
std::uint64_t LagBytes(const HostVerdict& host, const PrimaryClock& clock) {
  const Facts& facts = *host.facts;
  Lsn newest = NewestBefore(clock.reports, MomentOf(host));
  newest = std::max(newest, facts.receive_lsn.value_or(kNoLsn));
  if (facts.receiver) newest = std::max(newest, facts.receiver->latest_end_lsn.value_or(kNoLsn));
  return newest > *facts.replay_lsn ? newest - *facts.replay_lsn : 0;
}

// Who reads the primary's clock a moment after having asked makes it out to be ahead by that moment
// at the most, never behind.
// `former`: the offset of the primary that reported last, this one or another.
void SetOffset(PrimaryClock& clock, const HostVerdict& primary,
               std::optional<std::int64_t> former) {
  if (primary.facts->clock == 0) return;
  clock.offset = CheckedDifference(primary.facts->clock, primary.facts_asked);
  if (!former || !clock.offset) return;
  const std::optional<std::int64_t> fell = CheckedDifference(*former, *clock.offset);
  const std::int64_t noise = kClockStepUs + (primary.facts_finished - primary.facts_asked);
  if (!fell || *fell <= noise) return;
  const std::optional<WallUs> until = CheckedSum(primary.facts_finished, *former);
  if (!until) return;
  clock.other_offset =
      std::max(clock.other_clock_until > 0 ? clock.other_offset : *former, *former);
  clock.other_clock_until = std::max(clock.other_clock_until, *until);
}

bool Comparable(const HostVerdict& host, const PrimaryClock& clock) {
  return host.role == Role::kStandby && !host.foreign && !host.diverged && host.facts &&
         host.facts->replay_lsn && !clock.reports.empty() && clock.timeline != 0 &&
         host.facts->timeline == clock.timeline;
}

// Whether its last probe was a good one. (A host that answers us and lets no new session in is
// suspect for that, and what it tells is of now.)
bool Answers(const HostVerdict& host) { return IsLive(host) && host.last_outcome == Outcome::kOk; }

PrimaryVoice VoiceFor(const HostVerdict& standby, const ClusterVerdict& cluster,
                      const Limits& limits, MonoUs now) {
  if (!cluster.primary) return PrimaryVoice::kSilent;
  const HostVerdict& primary = cluster.hosts[*cluster.primary];
  if (IsOutOfDate(primary, limits, now)) return PrimaryVoice::kSilent;
  if (Answers(primary)) return PrimaryVoice::kHeard;
  // We cannot reach it, but the WAL still flows: the trouble is between us and the primary.
  const bool streams = standby.facts && standby.facts->receiver &&
                       standby.facts->receiver->details_known && standby.facts->receiver->streaming;
  return streams ? PrimaryVoice::kHeard : PrimaryVoice::kSilent;
}

}  // namespace

void UpdateClock(PrimaryClock& clock, const HostVerdict& primary, const std::string& name) {
  if (!primary.facts) return;
  const Facts& facts = *primary.facts;
  const std::optional<std::int64_t> former =
      facts.system_identifier == clock.system_identifier ? clock.offset : std::nullopt;
  const bool same_server = clock.run == RunOf(facts) || clock.name == name;
  if (facts.system_identifier != clock.system_identifier || facts.timeline != clock.timeline ||
      !same_server) {
    // (what is known of a clock that was ahead outlives the primary whose clock it was)
    PrimaryClock anew;
    anew.system_identifier = facts.system_identifier;
    anew.timeline = facts.timeline;
    if (facts.system_identifier == clock.system_identifier) {
      anew.other_clock_until = clock.other_clock_until;
      anew.other_offset = clock.other_offset;
    }
    clock = std::move(anew);
  }
  clock.run = RunOf(facts);
  clock.name = name;
  if (facts.write_lsn) {
    AddReport(clock.reports, {*facts.write_lsn, primary.facts_asked, primary.facts_finished});
  }
  SetOffset(clock, primary, former);
}

Lag StandbyLag(const HostVerdict& host, const PrimaryClock& clock, PrimaryVoice voice, MonoUs now) {
  if (!Comparable(host, clock)) return {};
  if (!Answers(host)) return host.lag;
  return {LagMs(host, clock, voice, now), LagBytes(host, clock)};
}

void JudgeLag(ClusterVerdict& cluster, const Limits& limits, MonoUs now) {
  for (HostVerdict& host : cluster.hosts) {
    if (host.chosen_primary) {
      host.lag = Lag{0, 0};
    } else if (IsOutOfDate(host, limits, now)) {
      host.lag = Lag{};
    } else {
      host.lag = StandbyLag(host, cluster.clock, VoiceFor(host, cluster, limits, now), now);
    }
    host.sync_by_time = host.lag.ms && *host.lag.ms <= limits.sync_max_lag_ms;
    host.sync_by_bytes = host.lag.bytes && *host.lag.bytes <= limits.sync_max_lag_bytes;
  }
}

}  // namespace pg_status
