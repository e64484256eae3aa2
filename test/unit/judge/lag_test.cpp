// How far a standby is behind: the LSN clock, the replay time, and what must stay unknown.
// Times are in milliseconds; a probe that ends at t was sent at t - 2.
#include "judge/lag.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <ostream>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

using Known = std::optional<std::uint64_t>;
const Known kUnknown = std::nullopt;

// The primary's wall clock runs along with ours, from kStart on.
Facts WithClock(Facts facts, std::int64_t at_ms) {
  facts.clock = kStart + Ms(at_ms);
  return facts;
}

Facts WithCommit(Facts facts, std::int64_t committed_ms) {
  facts.replay_commit = kStart + Ms(committed_ms);
  return facts;
}

// --- whole situations: host 0 is the primary at first, host 1 the standby that is looked at ---

struct Probe {
  std::size_t host;
  std::optional<Facts> facts;  // nullopt: refused
  std::int64_t finished_ms;
};

struct LagCase {
  const char* situation;
  std::vector<Probe> probes;
  std::int64_t now_ms;
  Known ms;
  Known bytes;
};

std::ostream& operator<<(std::ostream& out, const LagCase& row) { return out << row.situation; }

class LagRow : public testing::TestWithParam<LagCase> {};

TEST_P(LagRow, Is) {
  const LagCase& row = GetParam();
  Scene scene(3);
  for (const Probe& probe : row.probes) {
    if (probe.facts) {
      scene.Answers(probe.host, *probe.facts, probe.finished_ms);
    } else {
      scene.Fails(probe.host, probe.finished_ms);
    }
  }
  scene.Judge(row.now_ms);
  EXPECT_EQ(scene[1].lag.ms, row.ms) << row.situation;
  EXPECT_EQ(scene[1].lag.bytes, row.bytes) << row.situation;
}

Facts Received(Facts facts, Lsn receive_lsn) {
  facts.receive_lsn = receive_lsn;
  return facts;
}

Facts Told(Facts facts, Lsn latest_end_lsn) {
  facts = Streaming(facts);
  facts.receiver->latest_end_lsn = latest_end_lsn;
  return facts;
}

Facts NoPosition(Facts facts) {
  facts.write_lsn.reset();
  facts.receive_lsn.reset();
  facts.replay_lsn.reset();
  return facts;
}

Facts HiddenReceiver(Facts facts) {
  facts = Streaming(facts);
  facts.receiver->details_known = false;
  return facts;
}

Facts OfSystem(Facts facts, std::uint64_t system) {
  facts.system_identifier = system;
  return facts;
}

constexpr WallUs kStartB = kStart + 5;  // the start that Standby() tells: the same run, promoted

INSTANTIATE_TEST_SUITE_P(
    Lsn, LagRow,
    testing::Values(
        LagCase{"has all that the primary reported",
                {{0, Primary(1, 100), 1000}, {1, Standby(1, 100), 1500}},
                1500,
                0,
                0},
        LagCase{"is ahead of the last report",
                {{0, Primary(1, 100), 1000}, {1, Standby(1, 180), 1500}},
                1500,
                0,
                0},
        LagCase{"idle primary: nothing behind, though the last commit is an hour old",
                {{0, WithClock(Primary(1, 100), 3600999), 3601000},
                 {1, WithCommit(Standby(1, 100), 1000), 3601500},
                 {0, WithClock(Primary(1, 100), 3601999), 3602000}},
                3602000,
                0,
                0},
        LagCase{"cut link: behind since the last report it has",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {0, Primary(1, 200), 2000},
                 {1, Standby(1, 100), 2500}},
                2500,
                1502,
                100},
        LagCase{"cut link: grows while the primary writes",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 200), 2000},
                 {0, Primary(1, 300), 3000},
                 {1, Standby(1, 100), 3500}},
                3500,
                2502,
                200},
        LagCase{"cut link after idling: behind since the idling ended, not since it began",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 100), 2000},
                 {0, Primary(1, 100), 3000},
                 {0, Primary(1, 100), 4000},
                 {0, Primary(1, 200), 5000},
                 {1, Standby(1, 100), 5500}},
                5500,
                1502,
                100},
        LagCase{"cut link, then an idle primary: still behind, whoever is asked last",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 200), 2000},
                 {0, Primary(1, 200), 3000},
                 {1, Standby(1, 100), 3500},
                 {0, Primary(1, 200), 4000}},
                4000,
                2502,
                100},
        LagCase{"paused replay: received, but not replayed",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 300), 2000},
                 {1, Received(Standby(1, 100), 350), 2500}},
                2500,
                1502,
                250},
        LagCase{"cascaded standby: its sender knows of newer WAL",
                {{0, Primary(1, 100), 1000}, {1, Told(Standby(1, 100), 170), 1500}},
                1500,
                0,
                70},
        LagCase{"between two reports: behind since the one it has",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 200), 2000},
                 {0, Primary(1, 300), 3000},
                 {1, Standby(1, 250), 3500}},
                3500,
                1502,
                50},
        LagCase{"older than all history: unknown time, known bytes",
                {{0, Primary(1, 500), 1000}, {1, Standby(1, 100), 1500}},
                1500,
                kUnknown,
                400},
        LagCase{"asked before the first report came: in step with it",
                {{1, Standby(1, 100), 900}, {0, Primary(1, 100), 1000}},
                1000,
                0,
                0},
        LagCase{"asked before the first report came: cannot be told",
                {{1, Standby(1, 90), 900}, {0, Primary(1, 100), 1000}},
                1000,
                kUnknown,
                10},
        LagCase{
            "as of its own last probe, not as of now",
            {{0, Primary(1, 100), 1000}, {1, Standby(1, 100), 1500}, {0, Primary(1, 900), 2000}},
            2400,
            0,
            0},
        LagCase{"primary lost its last WAL in a crash: later positions count for nothing",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 300), 2000},
                 {0, Primary(1, 150, kStart + 9), 3000},
                 {1, Standby(1, 150), 3500}},
                3500,
                0,
                0}));

INSTANTIATE_TEST_SUITE_P(
    SilentPrimary, LagRow,
    testing::Values(
        LagCase{"suspect, the standby streams: the trouble is ours",
                {{0, Primary(1, 100), 1000},
                 {0, std::nullopt, 2000},
                 {1, Streaming(Standby(1, 100)), 2500}},
                2500,
                0,
                0},
        LagCase{"suspect, the standby does not stream: grows",
                {{0, Primary(1, 100), 1000}, {0, std::nullopt, 2000}, {1, Standby(1, 100), 2500}},
                2600,
                1602,
                0},
        LagCase{"suspect, whether the standby streams is hidden: grows",
                {{0, Primary(1, 100), 1000},
                 {0, std::nullopt, 2000},
                 {1, HiddenReceiver(Standby(1, 100)), 2500}},
                2600,
                1602,
                0},
        LagCase{"down: grows even while the standby says that it streams",
                {{0, Primary(1, 100), 1000},
                 {0, std::nullopt, 2000},
                 {0, std::nullopt, 2100},
                 {0, std::nullopt, 2200},
                 {1, Streaming(Standby(1, 100)), 2500}},
                8000,
                7002,
                0},
        LagCase{"what the standby told is too old itself",
                {{0, Primary(1, 100), 1000},
                 {0, std::nullopt, 2000},
                 {0, std::nullopt, 2100},
                 {0, std::nullopt, 2200},
                 {1, Streaming(Standby(1, 100)), 2500}},
                9000,
                kUnknown,
                kUnknown},
        LagCase{"down after idling for long: counts from the last word, not from the first",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 100), 50000},
                 {0, Primary(1, 100), 90000},
                 {1, Standby(1, 100), 89999},
                 {0, std::nullopt, 90100},
                 {0, std::nullopt, 90200},
                 {0, std::nullopt, 90300}},
                91000,
                1002,
                0},
        LagCase{"down, the standby is behind: since the report it has",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 200), 2000},
                 {0, std::nullopt, 2100},
                 {0, std::nullopt, 2200},
                 {0, std::nullopt, 2300},
                 {1, Standby(1, 150), 2500}},
                2500,
                1502,
                50},
        LagCase{"down: the replay time grows as well",
                {{0, WithClock(Primary(1, 100), 999), 1000},
                 {1, WithCommit(Standby(1, 90), 900), 1500},
                 {0, std::nullopt, 2100},
                 {0, std::nullopt, 2200},
                 {0, std::nullopt, 2300}},
                5900,
                5001,
                10},
        LagCase{
            "no primary was ever known", {{1, Standby(1, 100), 1500}}, 1500, kUnknown, kUnknown}));

INSTANTIATE_TEST_SUITE_P(
    Unknown, LagRow,
    testing::Values(
        LagCase{"promotion: a standby still on the old timeline is not compared",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {0, std::nullopt, 1600},
                 {0, std::nullopt, 1700},
                 {0, std::nullopt, 1800},
                 {2, Primary(2, 90), 2000}},
                2000,
                kUnknown,
                kUnknown},
        LagCase{"promotion: followed to the new timeline",
                {{0, Primary(1, 1000), 1000},
                 {1, Standby(1, 100), 1500},
                 {0, std::nullopt, 1600},
                 {0, std::nullopt, 1700},
                 {0, std::nullopt, 1800},
                 {2, Primary(2, 110), 2000},
                 {1, Standby(2, 110), 2500}},
                2500,
                0,
                0},
        LagCase{"promotion while suspect: the kept lag was of the old timeline",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {1, std::nullopt, 1600},
                 {0, std::nullopt, 1600},
                 {0, std::nullopt, 1700},
                 {0, std::nullopt, 1800},
                 {2, Primary(2, 90), 2000}},
                2000,
                kUnknown,
                kUnknown},
        LagCase{"suspect: as it was",
                {{0, Primary(1, 100), 1000},
                 {0, Primary(1, 200), 2000},
                 {1, Standby(1, 100), 2500},
                 {1, std::nullopt, 2600},
                 {0, Primary(1, 900), 3000}},
                3000,
                1502,
                100},
        LagCase{"suspect: as it was, though the primary is silent by now",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {1, std::nullopt, 1600},
                 {0, std::nullopt, 1700},
                 {0, std::nullopt, 1800},
                 {0, std::nullopt, 1900}},
                5000,
                0,
                0},
        LagCase{"down",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {1, std::nullopt, 1600},
                 {1, std::nullopt, 1700},
                 {1, std::nullopt, 1800}},
                1800,
                kUnknown,
                kUnknown},
        LagCase{"never answered",
                {{0, Primary(1, 100), 1000}, {1, std::nullopt, 1500}},
                1500,
                kUnknown,
                kUnknown},
        LagCase{"does not tell its position",
                {{0, Primary(1, 100), 1000}, {1, NoPosition(Standby(1, 100)), 1500}},
                1500,
                kUnknown,
                kUnknown},
        LagCase{"the primary does not tell its position",
                {{0, NoPosition(Primary(1, 100)), 1000}, {1, Standby(1, 100), 1500}},
                1500,
                kUnknown,
                kUnknown},
        LagCase{"the new primary does not tell its position: the old one's do not count",
                {{0, Primary(1, 100), 1000},
                 {1, Standby(1, 100), 1500},
                 {0, std::nullopt, 1600},
                 {0, std::nullopt, 1700},
                 {0, std::nullopt, 1800},
                 {2, NoPosition(Primary(2, 100)), 2000}},
                2000,
                kUnknown,
                kUnknown},
        LagCase{"timelines unknown on both sides are not equal",
                {{0, Primary(0, 100), 1000}, {1, Standby(0, 100), 1500}},
                1500,
                kUnknown,
                kUnknown},
        LagCase{"of another cluster",
                {{0, Primary(1, 100), 1000}, {1, OfSystem(Standby(1, 100), kOtherSystem), 1500}},
                1500,
                kUnknown,
                kUnknown},
        LagCase{"another primary that was not chosen",
                {{0, Primary(2, 100), 1000}, {1, Primary(1, 100, kStartB), 1500}},
                1500,
                kUnknown,
                kUnknown}));

INSTANTIATE_TEST_SUITE_P(
    ReplayTime, LagRow,
    testing::Values(
        LagCase{"behind by position, but the last commit is young",
                {{0, WithClock(Primary(1, 100), 999), 1000},
                 {0, WithClock(Primary(1, 200), 1999), 2000},
                 {1, WithCommit(Standby(1, 190), 2449), 2500}},
                2500,
                52,
                10},
        LagCase{"behind by position; the LSN clock knows better than an old commit",
                {{0, WithClock(Primary(1, 100), 999), 1000},
                 {0, WithClock(Primary(1, 200), 1999), 2000},
                 {1, WithCommit(Standby(1, 190), 10), 2500}},
                2500,
                1502,
                10},
        LagCase{"older than all history: the commit alone",
                {{0, WithClock(Primary(1, 500), 999), 1000},
                 {1, WithCommit(Standby(1, 100), 999), 1500}},
                1500,
                502,
                400},
        LagCase{"a commit from the near future is an error of measuring: nothing behind",
                {{0, WithClock(Primary(1, 500), 999), 1000},
                 {1, WithCommit(Standby(1, 100), 1515), 1500}},
                1500,
                0,
                400},
        LagCase{"a commit from further ahead was stamped by another clock: says nothing",
                {{0, WithClock(Primary(1, 500), 999), 1000},
                 {1, WithCommit(Standby(1, 100), 2400), 1500}},
                1500,
                kUnknown,
                400},
        LagCase{"a commit from the far future was stamped by another clock: says nothing",
                {{0, WithClock(Primary(1, 500), 999), 1000},
                 {1, WithCommit(Standby(1, 100), 86400000), 1500}},
                1500,
                kUnknown,
                400},
        LagCase{"the primary's clock is unknown",
                {{0, Primary(1, 500), 1000}, {1, WithCommit(Standby(1, 100), 999), 1500}},
                1500,
                kUnknown,
                400},
        LagCase{"the offset of the old primary's clock does not count for the new one",
                {{0, WithClock(Primary(1, 500), 999), 1000},
                 {0, std::nullopt, 1100},
                 {0, std::nullopt, 1110},
                 {0, std::nullopt, 1120},
                 {2, Primary(2, 500), 1200},
                 {1, WithCommit(Standby(2, 100), 999), 1500}},
                1500,
                kUnknown,
                400}));

// --- clocks ---

TEST(Lag, ClockOfTheStandbyPlaysNoPart) {
  for (const std::int64_t skew_s : {-86400, -1, 0, 1, 86400}) {
    Scene scene(2);
    scene.Answers(0, WithClock(Primary(1, 500), 999), 1000);
    Facts standby = WithCommit(Standby(1, 100), 1399);
    standby.clock = kStart + Ms(1499) + skew_s * kUsPerSecond;
    scene.Answers(1, standby, 1500);
    EXPECT_EQ(scene[1].lag.ms, Known(102)) << skew_s;
  }
}

TEST(Lag, ClockOfThePrimaryMayBeWrongToo) {
  for (const std::int64_t skew_s : {-86400, 86400}) {
    Scene scene(2);
    Facts primary = Primary(1, 500);
    primary.clock = kStart + Ms(999) + skew_s * kUsPerSecond;
    scene.Answers(0, primary, 1000);
    Facts standby = Standby(1, 100);
    standby.replay_commit = kStart + Ms(1399) + skew_s * kUsPerSecond;
    scene.Answers(1, standby, 1500);
    EXPECT_EQ(scene[1].lag.ms, Known(102)) << skew_s;
  }
}

TEST(Lag, AbsurdClocksAreUnknownNotUndefined) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t clock : {kMin, kMin + 1, std::int64_t{-1}, std::int64_t{0}, kMax}) {
    for (const std::int64_t commit : {kMin, kMin + 1, std::int64_t{0}, kMax}) {
      Scene scene(2);
      Facts primary = Primary(1, 100);
      primary.clock = clock;
      scene.Answers(0, primary, 1000);
      Facts standby = Standby(1, 100);
      standby.replay_commit = commit;
      scene.Answers(1, standby, 1500);
      EXPECT_EQ(scene[1].lag.ms, Known(0)) << clock << " " << commit;
    }
  }
}

TEST(Lag, AbsurdPositionsStayTheirOwnersTrouble) {
  constexpr Lsn kMaxLsn = std::numeric_limits<Lsn>::max();
  Scene scene(3);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Told(Standby(1, 0), kMaxLsn), 1500);
  scene.Answers(2, Standby(1, 100), 1500);
  EXPECT_EQ(scene[1].lag.bytes, Known(kMaxLsn));
  EXPECT_FALSE(scene[1].sync_by_bytes);
  EXPECT_EQ(scene[2].lag.bytes, Known(0));
  EXPECT_TRUE(scene[2].sync_by_bytes);
}

TEST(Lag, PartOfAMillisecondCountsAsOne) {
  for (const auto& [us, ms] : std::vector<std::pair<std::int64_t, std::uint64_t>>{
           {0, 2}, {1, 3}, {999, 3}, {1000, 3}, {1001, 4}}) {
    Scene scene(2);
    scene.Answers(0, WithClock(Primary(1, 500), 999), 1000);
    Facts standby = Standby(1, 100);
    standby.replay_commit = kStart + Ms(1499) - us;
    scene.Answers(1, standby, 1500);
    EXPECT_EQ(scene[1].lag.ms, Known(ms)) << us;
  }
}

// The primary's clock is set back by half a minute. What was committed before that carries stamps
// of a clock that was ahead, and is older than it looks.
TEST(Lag, AClockThatIsSetBackMakesNoOldCommitYoung) {
  Scene scene(2);
  const auto at = [](Facts facts, std::int64_t wall_ms) {
    facts.clock = kStart + Ms(wall_ms);
    return facts;
  };
  scene.Answers(0, at(Primary(1, 100), 31000), 1000);
  scene.Answers(1, WithCommit(Standby(1, 100), 30900), 1100);
  for (std::int64_t ms = 2000; ms <= 31000; ms += 1000) {
    scene.Answers(0, at(Primary(1, 100 + static_cast<Lsn>(ms)), ms), ms);
    scene.Answers(1, WithCommit(Standby(1, 100), 30900), ms + 100);
    ASSERT_TRUE(scene[1].lag.ms) << ms;
    EXPECT_GE(*scene[1].lag.ms, static_cast<std::uint64_t>(ms - 1000)) << ms;
  }
  EXPECT_FALSE(scene[1].sync_by_time);
  // what is committed from now on is measured as before, once the clock has passed the old stamps
  scene.Answers(0, at(Primary(1, 90000), 40000), 40000);
  scene.Answers(1, WithCommit(Standby(1, 80000), 39950), 40010);
  EXPECT_LE(*scene[1].lag.ms, 70U);
}

// Commits of the primary before this one, whose clock was an hour ahead.
TEST(Lag, AFastClockOfTheOldPrimaryMakesNoCommitYoung) {
  Scene scene(3);
  Facts old_one = Primary(1, 500);
  old_one.clock = kStart + Ms(1000) + 3600 * kUsPerSecond;
  scene.Answers(0, old_one, 1000);
  for (int ms : {1100, 1200, 1300}) scene.Fails(0, ms);
  scene.Answers(2, WithClock(Primary(2, 600), 1400), 1400);
  Facts standby = Standby(2, 400);
  standby.replay_commit = kStart + Ms(400) + 3600 * kUsPerSecond;  // 600 ms before that report
  scene.Answers(1, standby, 1500);
  ASSERT_TRUE(scene[1].lag.ms);
  EXPECT_GE(*scene[1].lag.ms, 1100U);
}

// Its answer is to a question of half a minute ago. It has all that there was then, and lacks what
// came since.
TEST(Lag, AStandbyThatStoodStillIsBehindForAsLong) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1100);
  for (std::int64_t ms = 2000; ms <= 31000; ms += 1000) {
    scene.Answers(0, Primary(1, 100 * static_cast<Lsn>(ms)), ms);
  }
  Observation late = Answer(Standby(1, 100), 31500);
  late.asked = Ms(1200);
  scene.See(1, late);
  EXPECT_EQ(scene[1].lag.ms, Known(31500 - 998));
  EXPECT_EQ(scene[1].lag.bytes, Known(100 * 31000 - 100));
  EXPECT_FALSE(scene[1].sync_by_time);
}

TEST(Lag, AStandbyThatStoodStillBesideAnIdlePrimaryLacksNothing) {
  Scene scene(2);
  for (std::int64_t ms = 1000; ms <= 31000; ms += 1000) scene.Answers(0, Primary(1, 100), ms);
  Observation late = Answer(Standby(1, 100), 31500);
  late.asked = Ms(1200);
  scene.See(1, late);
  EXPECT_EQ(scene[1].lag.ms, Known(0));
  EXPECT_EQ(scene[1].lag.bytes, Known(0));
}

// --- a busy primary ---

// The primary writes 1000 bytes each ms; the standby is 5 ms behind. Nobody commits.
Facts BusyPrimary(std::int64_t at_ms) { return Primary(1, static_cast<Lsn>(at_ms) * 1000); }
Facts HealthyStandby(std::int64_t at_ms) { return Standby(1, static_cast<Lsn>(at_ms - 5) * 1000); }

TEST(Lag, BusyPrimaryAskedAtAboutTheSameTimeDoesNotMakeAHealthyStandbyLookBehind) {
  for (int shift = -3; shift <= 1; ++shift) {  // the standby's probe against the primary's
    Scene scene(2);
    for (std::int64_t ms = 1000; ms <= 9000; ms += 1000) {
      scene.Answers(0, BusyPrimary(ms - 1), ms);
      scene.Answers(1, HealthyStandby(ms + shift - 1), ms + shift);
      if (ms > 1000) {
        EXPECT_EQ(scene[1].lag.ms, Known(0)) << shift << " at " << ms;
      }
    }
  }
}

TEST(Lag, BusyPrimaryAskedInTheMiddleOfTheIntervalDoesNot) {
  Scene scene(2);
  for (std::int64_t ms = 1000; ms <= 9000; ms += 1000) {
    scene.Answers(0, BusyPrimary(ms - 1), ms);
    scene.Answers(1, HealthyStandby(ms + 499), ms + 500);
    EXPECT_EQ(scene[1].lag.ms, Known(0)) << ms;
    scene.Answers(0, BusyPrimary(ms + 599), ms + 600);
    EXPECT_EQ(scene[1].lag.ms, Known(0)) << ms;
  }
}

TEST(Lag, StandbyThatIsReallyBehindLooksItHoweverTheProbesFall) {
  for (int shift = -400; shift <= 500; shift += 100) {
    Scene scene(2);
    for (std::int64_t ms = 1000; ms <= 9000; ms += 1000) {
      scene.Answers(0, BusyPrimary(ms - 1), ms);
      // replays what was written five seconds ago
      const std::int64_t at = ms + shift;
      if (ms >= 7000) {
        scene.Answers(1, Standby(1, static_cast<Lsn>(at - 5000) * 1000), at);
        ASSERT_TRUE(scene[1].lag.ms) << shift << " at " << ms;
        EXPECT_GE(*scene[1].lag.ms, 5000U) << shift << " at " << ms;
        EXPECT_LE(*scene[1].lag.ms, 6010U) << shift << " at " << ms;
      }
    }
  }
}

// --- in sync ---

struct SyncCase {
  const char* situation;
  std::uint64_t max_ms;
  std::uint64_t max_bytes;
  bool by_time;
  bool by_bytes;
};

class Sync : public testing::TestWithParam<SyncCase> {};

TEST_P(Sync, Is) {  // of a standby that is 1502 ms and 100 bytes behind
  const SyncCase& row = GetParam();
  Scene scene(2);
  scene.limits.sync_max_lag_ms = row.max_ms;
  scene.limits.sync_max_lag_bytes = row.max_bytes;
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(0, Primary(1, 200), 2000);
  scene.Answers(1, Standby(1, 100), 2500);
  EXPECT_EQ(scene[1].sync_by_time, row.by_time) << row.situation;
  EXPECT_EQ(scene[1].sync_by_bytes, row.by_bytes) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(Rows, Sync,
                         testing::Values(SyncCase{"exactly at both limits", 1502, 100, true, true},
                                         SyncCase{"just over both", 1501, 99, false, false},
                                         SyncCase{"by time only", 2000, 0, true, false},
                                         SyncCase{"by bytes only", 0, 2000, false, true}));

TEST(Lag, UnknownIsNeverInSync) {
  Scene scene(2);
  scene.limits.sync_max_lag_ms = std::numeric_limits<std::uint64_t>::max();
  scene.limits.sync_max_lag_bytes = std::numeric_limits<std::uint64_t>::max();
  scene.Answers(0, Primary(2, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1500);
  EXPECT_EQ(scene[1].lag.ms, kUnknown);
  EXPECT_FALSE(scene[1].sync_by_time);
  EXPECT_FALSE(scene[1].sync_by_bytes);
}

TEST(Lag, HostThatIsDownIsNotInSync) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1500);
  EXPECT_TRUE(scene[1].sync_by_time);
  for (int ms : {1600, 1700}) scene.Fails(1, ms);
  EXPECT_TRUE(scene[1].sync_by_time);  // suspect
  scene.Fails(1, 1800);
  EXPECT_FALSE(scene[1].sync_by_time);
  EXPECT_FALSE(scene[1].sync_by_bytes);
}

TEST(Lag, PrimaryIsInSyncWithItselfWhateverTheLimits) {
  Scene scene(1);
  scene.limits.sync_max_lag_ms = 0;
  scene.limits.sync_max_lag_bytes = 0;
  scene.Answers(0, NoPosition(Primary(1, 100)), 1000);
  EXPECT_EQ(scene[0].lag.ms, Known(0));
  EXPECT_EQ(scene[0].lag.bytes, Known(0));
  EXPECT_TRUE(scene[0].sync_by_time);
  EXPECT_TRUE(scene[0].sync_by_bytes);
}

TEST(Lag, PrimaryThatWasNotChosenIsNotInSync) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  EXPECT_TRUE(scene[0].sync_by_time);
  scene.Answers(1, Primary(2, 100, kStartB), 1500);
  EXPECT_EQ(scene[0].lag.ms, kUnknown);
  EXPECT_EQ(scene[0].lag.bytes, kUnknown);
  EXPECT_FALSE(scene[0].sync_by_time);
  EXPECT_FALSE(scene[0].sync_by_bytes);
}

// --- the history ---

HostVerdict Reporting(const Facts& facts, MonoUs asked) {
  HostVerdict host;
  host.facts = facts;
  host.facts_asked = asked;
  host.facts_finished = asked + Ms(1);
  return host;
}

void ExpectInOrder(const PrimaryClock& clock) {
  for (std::size_t i = 1; i < clock.reports.size(); ++i) {
    EXPECT_LT(clock.reports[i - 1].at, clock.reports[i].at) << i;
    EXPECT_LE(clock.reports[i - 1].lsn, clock.reports[i].lsn) << i;
    EXPECT_LE(clock.reports[i - 1].known, clock.reports[i].known) << i;
  }
}

TEST(PrimaryClockTest, IdlePrimaryNeedsTwoReportsHoweverLongItIdles) {
  PrimaryClock clock;
  for (int s = 1; s <= 1000; ++s)
    UpdateClock(clock, Reporting(Primary(1, 100), s * kUsPerSecond), "a:5432");
  ASSERT_EQ(clock.reports.size(), 2U);
  EXPECT_EQ(clock.reports[0].at, 1 * kUsPerSecond);
  EXPECT_EQ(clock.reports[1].at, 1000 * kUsPerSecond);
}

TEST(PrimaryClockTest, SameReportTwiceIsOne) {
  PrimaryClock clock;
  for (int i = 0; i < 3; ++i)
    UpdateClock(clock, Reporting(Primary(1, 100), kUsPerSecond), "a:5432");
  EXPECT_EQ(clock.reports.size(), 1U);
}

TEST(PrimaryClockTest, OlderReportIsIgnored) {
  PrimaryClock clock;
  UpdateClock(clock, Reporting(Primary(1, 200), 2 * kUsPerSecond), "a:5432");
  UpdateClock(clock, Reporting(Primary(1, 100), 1 * kUsPerSecond), "a:5432");
  ASSERT_EQ(clock.reports.size(), 1U);
  EXPECT_EQ(clock.reports[0].lsn, Lsn{200});
}

TEST(PrimaryClockTest, AnotherTimelineOrSystemStartsAnew) {
  PrimaryClock clock;
  UpdateClock(clock, Reporting(WithClock(Primary(1, 900), 1), 1 * kUsPerSecond), "a:5432");
  EXPECT_TRUE(clock.offset);
  UpdateClock(clock, Reporting(Primary(2, 100), 2 * kUsPerSecond), "a:5432");
  ASSERT_EQ(clock.reports.size(), 1U);
  EXPECT_EQ(clock.reports[0].lsn, Lsn{100});
  EXPECT_EQ(clock.timeline, 2U);
  EXPECT_FALSE(clock.offset);
  UpdateClock(clock, Reporting(OfSystem(Primary(2, 50), kOtherSystem), 3 * kUsPerSecond), "a:5432");
  ASSERT_EQ(clock.reports.size(), 1U);
  EXPECT_EQ(clock.system_identifier, kOtherSystem);
}

TEST(PrimaryClockTest, KeptWhileNoPrimaryIsKnown) {
  Scene scene(2);
  scene.Answers(0, WithClock(Primary(1, 100), 999), 1000);
  for (int ms : {1100, 1200, 1300}) scene.Fails(0, ms);
  EXPECT_FALSE(scene.cluster.primary);
  EXPECT_EQ(scene.cluster.clock.reports.size(), 1U);
  EXPECT_EQ(scene.cluster.clock.timeline, 1U);
  EXPECT_TRUE(scene.cluster.clock.offset);
}

TEST(PrimaryClockTest, OffsetIsNeverTooSmall) {
  PrimaryClock clock;
  HostVerdict primary = Reporting(Primary(1, 100), Ms(1000));
  primary.facts_finished = Ms(1040);
  primary.facts->clock = kStart;
  UpdateClock(clock, primary, "a:5432");
  EXPECT_EQ(clock.offset, std::optional<std::int64_t>(kStart - Ms(1000)));
}

// A day of one report a second: the memory stays small, and a standby that is behind by anything
// from seconds to hours still gets a bound that is true and near the truth.
TEST(PrimaryClockTest, HistoryIsBoundedAndThinsOutWithAge) {
  PrimaryClock clock;
  constexpr int kDay = 86400;
  for (int s = 1; s <= kDay; ++s) {
    UpdateClock(clock, Reporting(Primary(1, static_cast<Lsn>(s) * 1000), s * kUsPerSecond),
                "a:5432");
    ASSERT_LE(clock.reports.size(), kMaxReports);
  }
  ExpectInOrder(clock);
  EXPECT_EQ(clock.reports.front().at, 1 * kUsPerSecond);
  EXPECT_EQ(clock.reports.back().at, kDay * kUsPerSecond);

  for (const int behind_s : {2, 10, 60, 600, 3600, 6 * 3600, 20 * 3600}) {
    HostVerdict standby =
        Reporting(Standby(1, static_cast<Lsn>(kDay - behind_s) * 1000), kDay * kUsPerSecond);
    standby.liveness = Liveness::kUp;
    standby.role = Role::kStandby;
    standby.facts_asked += Ms(2);
    const Lag lag = StandbyLag(standby, clock, PrimaryVoice::kHeard, kDay * kUsPerSecond + Ms(5));
    ASSERT_TRUE(lag.ms) << behind_s;
    const double truth_ms = behind_s * 1000.0;
    EXPECT_GE(static_cast<double>(*lag.ms), truth_ms) << behind_s;
    EXPECT_LE(static_cast<double>(*lag.ms), truth_ms * 1.15 + 1000) << behind_s;
  }
}

TEST(PrimaryClockTest, HistoryOfBurstsAndIdlingStaysInOrder) {
  PrimaryClock clock;
  Lsn lsn = 1;
  MonoUs at = 0;
  std::uint32_t random = 12345;
  for (int i = 0; i < 20000; ++i) {
    random = random * 1664525U + 1013904223U;
    at += 1 + (random >> 16) % 2000000;
    const std::uint32_t kind = (random >> 8) % 16;
    if (kind == 0) lsn = lsn > 5000 ? lsn - 5000 : lsn;  // lost its last WAL
    if (kind > 8) lsn += kind * 1000;
    UpdateClock(clock, Reporting(Primary(1, lsn), at), "a:5432");
    ASSERT_LE(clock.reports.size(), kMaxReports);
    ASSERT_EQ(clock.reports.back().lsn, lsn);
    ASSERT_EQ(clock.reports.back().at, at);
  }
  ExpectInOrder(clock);
}

// ---- suspect for long -------------------------------------------------------------------------

// A primary that is full runs, and stays suspect; what it told last grows old all the same.
TEST(LagOfTheFull, PrimaryIsNotHeardForEver) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Streaming(Standby(1, 100)), 1000);
  scene.Fails(0, 1500, Outcome::kFull);
  scene.Answers(1, Streaming(Standby(1, 100)), 2000);
  EXPECT_EQ(scene[1].lag.ms, 0U) << "for a moment its last word is as good as new";
  scene.Fails(0, 9000, Outcome::kFull);
  scene.Answers(1, Streaming(Standby(1, 100)), 9000);
  EXPECT_EQ(scene[0].liveness, Liveness::kSuspect);
  EXPECT_GE(scene[1].lag.ms, 8000U);
  EXPECT_FALSE(scene[1].sync_by_time);
}

TEST(LagOfTheFull, StandbyDoesNotKeepItsLagForEver) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1000);
  scene.Fails(1, 1500, Outcome::kFull);
  EXPECT_EQ(scene[1].lag.ms, 0U);
  scene.Answers(0, Primary(1, 200), 9000);
  scene.Fails(1, 9000, Outcome::kFull);
  EXPECT_EQ(scene[1].liveness, Liveness::kSuspect);
  EXPECT_EQ(scene[1].lag.ms, std::nullopt);
  EXPECT_EQ(scene[1].lag.bytes, std::nullopt);
  EXPECT_FALSE(scene[1].sync_by_bytes);
}

}  // namespace
}  // namespace pg_status
