// When is a host asked again? Default intervals: 1000 ms, fast 100 ms. Of two hosts, the turns of
// the first are at whole intervals, those of the second half an interval later.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

struct Probe {
  std::size_t host;
  char outcome;  // p primary, P primary on timeline 2, s standby, x refused, r rejected, k
                 // terminated, c cancelled, f full
  std::int64_t finished_ms;
};

struct CadenceCase {
  const char* situation;
  std::vector<Probe> probes;
  std::size_t host;
  std::int64_t started_ms;
  std::int64_t ended_ms;
  std::int64_t next_ms;
};

class Cadence : public testing::TestWithParam<CadenceCase> {};

TEST_P(Cadence, Is) {
  const CadenceCase& row = GetParam();
  Scene scene(2);
  for (const Probe& probe : row.probes) {
    switch (probe.outcome) {
      case 'p':
        scene.Answers(probe.host, Primary(1, 100), probe.finished_ms);
        break;
      case 'P':
        scene.Answers(probe.host, Primary(2, 100, kStart + 77), probe.finished_ms);
        break;
      case 's':
        scene.Answers(probe.host, Standby(1, 100), probe.finished_ms);
        break;
      case 'k':
        scene.Fails(probe.host, probe.finished_ms, Outcome::kTerminated);
        break;
      case 'c':
        scene.Fails(probe.host, probe.finished_ms, Outcome::kCancelled);
        break;
      case 'f':
        scene.Fails(probe.host, probe.finished_ms, Outcome::kFull);
        break;
      case 'r':
        scene.Fails(probe.host, probe.finished_ms, Outcome::kRejected);
        break;
      default:
        scene.Fails(probe.host, probe.finished_ms);
    }
  }
  EXPECT_EQ(NextProbe(scene.cluster, row.host, scene.limits, Ms(row.started_ms), Ms(row.ended_ms),
                      LastNews(scene.cluster)),
            Ms(row.next_ms))
      << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Cadence,
    testing::Values(
        CadenceCase{"never probed: now", {}, 0, 0, 0, 0},
        CadenceCase{
            "all is well: at its next turn", {{0, 'p', 1000}, {1, 's', 1000}}, 1, 998, 1000, 1500},
        CadenceCase{"from turn to turn: start to start",
                    {{0, 'p', 1000}, {1, 's', 1502}},
                    1,
                    1500,
                    1502,
                    2500},
        CadenceCase{
            "a late start does not shift the rhythm", {{0, 'p', 1000}}, 1, 1540, 1545, 2500},
        CadenceCase{"a timer that fires early is not followed by another one",
                    {{0, 'p', 1000}},
                    1,
                    1499,
                    1501,
                    2500},
        CadenceCase{"each host has its own turn", {{0, 'p', 1000}}, 0, 1540, 1545, 2000},
        CadenceCase{"a slow probe that outlasts its turn: in what is left of the interval",
                    {{0, 'p', 1000}, {1, 's', 1800}},
                    1,
                    900,
                    1800,
                    1850},
        CadenceCase{"an overlong probe is followed at once, without catching up",
                    {{0, 'p', 1000}, {1, 's', 3500}},
                    1,
                    900,
                    3500,
                    3500},
        CadenceCase{
            "suspect: fast", {{0, 'p', 1000}, {1, 's', 1000}, {1, 'x', 2000}}, 1, 1998, 2000, 2098},
        CadenceCase{"another standby is suspect: nobody else is hurried",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'x', 2000}},
                    0,
                    1998,
                    2000,
                    3000},
        CadenceCase{
            "a standby that is down: as usual",
            {{0, 'p', 1000}, {1, 's', 1000}, {1, 'x', 2000}, {1, 'x', 2100}, {1, 'x', 2200}},
            1,
            2198,
            2200,
            2500},
        CadenceCase{
            "a standby that is down while no primary is known: fast",
            {{0, 's', 1000}, {1, 's', 1000}, {1, 'x', 2000}, {1, 'x', 2100}, {1, 'x', 2200}},
            1,
            2198,
            2200,
            2250},
        CadenceCase{"the primary is suspect: everybody fast",
                    {{0, 'p', 1000}, {1, 's', 1000}, {0, 'x', 2000}},
                    1,
                    1998,
                    2000,
                    2050},
        CadenceCase{
            "the primary is down: everybody fast",
            {{0, 'p', 1000}, {1, 's', 1000}, {0, 'x', 2000}, {0, 'x', 2100}, {0, 'x', 2200}},
            1,
            2198,
            2200,
            2250},
        CadenceCase{"a query was cancelled: at once",
                    {{0, 'p', 1000}, {0, 'c', 2000}},
                    0,
                    1998,
                    2000,
                    2000},
        CadenceCase{"cancelled again: fast",
                    {{0, 'p', 1000}, {0, 'c', 2000}, {0, 'c', 2010}},
                    0,
                    2005,
                    2010,
                    2105},
        CadenceCase{"full: as usual, it has enough to do",
                    {{0, 'p', 1000}, {0, 'f', 2000}},
                    0,
                    1998,
                    2000,
                    3000},
        CadenceCase{"the primary is full: nobody else is hurried",
                    {{0, 'p', 1000}, {1, 's', 1000}, {0, 'f', 2000}},
                    1,
                    1998,
                    2000,
                    2500},
        CadenceCase{"it is starting up: suspect, so fast",
                    {{0, 'p', 1000}, {0, 'r', 2000}, {0, 'r', 2100}},
                    0,
                    2098,
                    2100,
                    2198},
        CadenceCase{"it has just begun to let nobody in: as usual, to spare its log",
                    {{0, 'p', 1000}, {0, 'r', 2000}, {0, 'r', 2100}, {0, 'r', 2200}},
                    0,
                    2198,
                    2200,
                    3000},
        CadenceCase{"no primary: fast", {{0, 's', 1000}, {1, 's', 1000}}, 0, 998, 1000, 1100},
        CadenceCase{"two primaries: fast", {{0, 'p', 1000}, {1, 'P', 1000}}, 0, 998, 1000, 1100},
        CadenceCase{"one server reached twice is no reason to hurry",
                    {{0, 'p', 1000}, {1, 'p', 1000}},
                    0,
                    998,
                    1000,
                    2000},
        CadenceCase{"terminated: at once",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'k', 1500}},
                    1,
                    1500,
                    1500,
                    1500},
        CadenceCase{"terminated again: fast, not in a tight row",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'k', 1500}, {1, 'k', 1502}},
                    1,
                    1500,
                    1502,
                    1600},
        CadenceCase{"terminated right after each success: fast, not in a tight row",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'k', 1001}},
                    1,
                    998,
                    1001,
                    1098},
        CadenceCase{"terminated after another failure: fast",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'x', 1500}, {1, 'k', 1700}},
                    1,
                    1690,
                    1700,
                    1790},
        CadenceCase{"terminated in its very first probe: as usual",
                    {{0, 'p', 1000}, {1, 'k', 1500}},
                    1,
                    1498,
                    1500,
                    2500},
        CadenceCase{"back after a termination: as usual",
                    {{0, 'p', 1000}, {1, 's', 1000}, {1, 'k', 1500}, {1, 's', 1502}},
                    1,
                    1500,
                    1502,
                    2500}));

TEST(CadenceOfIntervals, FastIsNeverSlowerThanUsual) {
  Scene scene(1);
  scene.limits.poll_interval_us = Ms(200);
  scene.limits.fast_poll_interval_us = Ms(5000);
  scene.Answers(0, Standby(1, 100), 1000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(998), Ms(1000), 0), Ms(1200));
}

TEST(CadenceOfIntervals, TerminatedWithMaxFailsOneIsStillAskedAtOnce) {
  Scene scene(1);
  scene.limits.max_fails = 1;
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Fails(0, 1500, Outcome::kTerminated);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(1500), Ms(1500), 0), Ms(1500));
}

// ---- silence

// How long it is until a host that is down is asked again while there is no primary, having been
// asked at a whole multiple of that.
std::int64_t WaitMs(std::int64_t silence_ms) {
  Scene scene(1);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 1000 + i);
  const MonoUs started = Ms(960000);
  return (NextProbe(scene.cluster, 0, scene.limits, started, started, started - Ms(silence_ms)) -
          started) /
         kUsPerMs;
}

TEST(CadenceOfSilence, FastIntervalsGrowUpToTheUsualOne) {
  struct Row {
    std::int64_t silence_ms;
    std::int64_t wait_ms;
  };
  for (const Row& row : {Row{0, 100}, Row{60000, 100}, Row{119999, 100}, Row{120000, 200},
                         Row{239999, 200}, Row{240000, 400}, Row{480000, 800}, Row{959999, 800}}) {
    EXPECT_EQ(WaitMs(row.silence_ms), row.wait_ms) << row.silence_ms;
  }
  EXPECT_EQ(WaitMs(960000), 1000);
  EXPECT_EQ(WaitMs(36000000), 1000) << "never longer than the usual one";
}

TEST(CadenceOfSilence, NewsEndIt) {
  Scene scene(2);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 1000 + i);
  scene.Answers(1, Standby(1, 100), 1000);
  const MonoUs started = Ms(36000000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, started, started, LastNews(scene.cluster)),
            started + Ms(1000));
  scene.Fails(1, 36000000 - 5);
  EXPECT_EQ(LastNews(scene.cluster), Ms(36000000 - 5));
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, started, started, LastNews(scene.cluster)),
            started + Ms(100));
}

TEST(CadenceOfSilence, AHostThatLivesMayBePromotedAnyMoment) {
  Scene scene(2);
  scene.Answers(0, Standby(1, 100), 1000);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(1, 1000 + i);
  const MonoUs started = Ms(36000000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, started, started, Ms(1000)),
            started + Ms(100));
}

TEST(CadenceOfSilence, EndsWithEvidence) {
  Scene scene(1);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Fails(0, 1500, Outcome::kFull);
  scene.Fails(0, 3600000, Outcome::kRefused);
  EXPECT_EQ(scene[0].liveness, Liveness::kSuspect);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(3600000), Ms(3600000), 0), Ms(3600100));
}

TEST(CadenceOfSilence, AServerThatEndsEverySessionIsAskedLessAndLess) {
  Scene scene(1);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Fails(0, 1500, Outcome::kTerminated);
  scene.Fails(0, 31502, Outcome::kTerminated);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(31500), Ms(31502), Ms(31502)), Ms(31600));
  scene.Fails(0, 121502, Outcome::kTerminated);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(121500), Ms(121502), Ms(121502)),
            Ms(121700));
}

// ---- hosts that let nobody in

// How long it is until a host is asked again that has been down for that for so long. It is asked
// at a whole multiple of the usual interval.
std::int64_t PauseMs(Outcome outcome, std::int64_t silence_ms) {
  Scene scene(2);
  scene.Answers(1, Primary(1, 100), 1000);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 1000 + i, outcome);
  const MonoUs started = Ms(10000000);
  return (NextProbe(scene.cluster, 0, scene.limits, started, started, started - Ms(silence_ms)) -
          started) /
         kUsPerMs;
}

TEST(CadenceOfRefusal, IsAskedEverMoreRarelyUpToAMinute) {
  for (const Outcome outcome : {Outcome::kRejected, Outcome::kGarbled}) {
    EXPECT_EQ(PauseMs(outcome, 0), 1000);
    EXPECT_EQ(PauseMs(outcome, 2000), 1000);
    EXPECT_EQ(PauseMs(outcome, 20000), 10000);
    EXPECT_EQ(PauseMs(outcome, 120000), 60000);
    EXPECT_EQ(PauseMs(outcome, 9000000), 60000);
  }
  for (const Outcome outcome : {Outcome::kStarting, Outcome::kUnresolved}) {
    EXPECT_EQ(PauseMs(outcome, 8000), 1000) << "it may be there any moment";
    EXPECT_EQ(PauseMs(outcome, 80000), 10000);
    EXPECT_EQ(PauseMs(outcome, 480000), 60000);
    EXPECT_EQ(PauseMs(outcome, 9000000), 60000);
  }
  for (const Outcome outcome : {Outcome::kRefused, Outcome::kTimeout, Outcome::kClosed}) {
    EXPECT_EQ(PauseMs(outcome, 9000000), 1000) << "it costs nobody anything";
  }
}

TEST(CadenceOfRefusal, TenMinutesLeaveFewLines) {
  for (const auto& [outcome, most] :
       {std::pair<Outcome, int>{Outcome::kStarting, 50}, {Outcome::kRejected, 25}}) {
    Scene scene(2);
    scene.Answers(1, Primary(1, 100), 1000);
    int lines = 0;
    MonoUs at = Ms(2000);
    for (; at < Ms(602000); ++lines) {
      scene.Fails(0, at / kUsPerMs, outcome);
      at = NextProbe(scene.cluster, 0, scene.limits, at, at, LastNews(scene.cluster));
    }
    EXPECT_LE(lines, most);
  }
}

TEST(CadenceOfRefusal, RareChecksStayAsRareAsTheyAre) {
  Scene scene(1);
  scene.limits.poll_interval_us = Ms(600000);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 1000 + i, Outcome::kRejected);
  EXPECT_EQ(LongestPause(scene.limits), Ms(600000));
  const MonoUs started = Ms(6000000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, started, started, 0), started + Ms(600000));
}

// What each of these points to may be there to be seen at once.
class CadenceOfRefusalEnds : public testing::Test {
 protected:
  CadenceOfRefusalEnds() {
    scene.Answers(1, Voting(Primary(1, 100)), 1000);
    scene.Answers(2, Voting(Streaming(Standby(1, 100))), 1000);
    for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 1000 + i, Outcome::kStarting);
    EXPECT_EQ(Wait(), Ms(60000));
  }
  std::int64_t Wait() {
    return NextProbe(scene.cluster, 0, scene.limits, kNow, kNow, LastNews(scene.cluster)) - kNow;
  }
  static constexpr std::int64_t kNowMs = 900000;
  static constexpr MonoUs kNow = kNowMs * kUsPerMs;
  Scene scene{3};
};

TEST_F(CadenceOfRefusalEnds, WithAnotherAnswer) {
  scene.See(0, Failure(Outcome::kStarting, kNowMs, "not yet accepting connections"));
  EXPECT_EQ(Wait(), Ms(1000));
}

TEST_F(CadenceOfRefusalEnds, WithARestartInBetween) {
  scene.Fails(0, kNowMs - 100, Outcome::kRefused);
  scene.Fails(0, kNowMs, Outcome::kStarting);
  EXPECT_EQ(Wait(), Ms(1000));
}

TEST_F(CadenceOfRefusalEnds, WithNewsOfAnyHost) {
  scene.Fails(1, kNowMs, Outcome::kRefused);
  EXPECT_EQ(Wait(), Ms(1000));
}

TEST_F(CadenceOfRefusalEnds, WhenAnotherNodeReachesIt) {
  Facts told = Voting(Streaming(Standby(1, 100)), "a:5432", 0, Rank::kNone);
  scene.Answers(2, told, kNowMs);
  EXPECT_NE(scene[0].vouched_since, 0);
  EXPECT_EQ(Wait(), Ms(1000));
  // (that it goes on saying so does not keep us at the door)
  const MonoUs later = kNow + Ms(600000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, later, later, LastNews(scene.cluster)),
            later + Ms(60000));
}

// ---- many hosts

// `hosts` standbys, each of which was asked at `finished_ms`.
Scene Standbys(std::size_t hosts, std::int64_t finished_ms) {
  Scene scene(hosts);
  for (HostVerdict& host : scene.cluster.hosts) {
    RecordObservation(host, Answer(Standby(1, 100), finished_ms), scene.limits);
  }
  scene.Judge(finished_ms);
  return scene;
}

TEST(CadenceOfMany, TheyAreSpreadOverTheIntervalAndStaySo) {
  constexpr std::size_t kHosts = 1000;
  Scene scene = Standbys(kHosts, 5300);
  scene.Answers(0, Primary(1, 100), 5300);
  std::vector<MonoUs> turns;
  for (std::size_t i = 0; i < kHosts; ++i) {
    const MonoUs turn = NextProbe(scene.cluster, i, scene.limits, Ms(5290), Ms(5290), 0);
    EXPECT_EQ(NextProbe(scene.cluster, i, scene.limits, turn, turn + 500, 0), turn + Ms(1000));
    turns.push_back(turn);
  }
  std::sort(turns.begin(), turns.end());
  EXPECT_GE(turns.front(), Ms(5290));
  EXPECT_LE(turns.back(), Ms(6290 + 2));
  for (std::size_t i = 10; i < kHosts; ++i) EXPECT_EQ(turns[i] - turns[i - 10], Ms(10)) << i;
}

TEST(CadenceOfMany, ProbesThatTookLongAreSpreadOverWhatIsLeft) {
  Scene scene = Standbys(100, 5900);
  scene.Answers(0, Primary(1, 100), 5900);
  std::vector<std::size_t> starts(10);  // in each tenth of a second after the probes
  for (std::size_t i = 0; i < 100; ++i) {
    const MonoUs next = NextProbe(scene.cluster, i, scene.limits, Ms(5000), Ms(5500), 0);
    ASSERT_GE(next, Ms(5500));
    ASSERT_LE(next, Ms(6002));
    ++starts[static_cast<std::size_t>((next - Ms(5500)) / Ms(100))];
  }
  EXPECT_LE(*std::max_element(starts.begin(), starts.end()), 30u);
}

TEST(CadenceOfMany, AllOfThemAreAskedEagerlyOnlyAsFarAsThatIsBearable) {
  for (const auto& [hosts, wait_ms] :
       {std::pair<std::size_t, std::int64_t>{200, 100}, {400, 200}, {1000, 500}, {4096, 1000}}) {
    Scene scene = Standbys(hosts, 5000);
    EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(6000), Ms(6000), Ms(5000)),
              Ms(6000 + wait_ms))
        << hosts;
    scene.Fails(0, 7000);
    EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(6999), Ms(7000), Ms(7000)), Ms(7099))
        << "a suspect is asked fast, however many there are";
  }
}

TEST(CadenceOfMany, ConnectionsAreNotRenewedAtOnce) {
  Limits limits;
  limits.conn_max_age_us = 300 * kUsPerSecond;
  EXPECT_EQ(ConnectionAge(0, 1, limits), limits.conn_max_age_us);
  for (std::size_t i = 1; i < 1000; ++i) {
    const std::int64_t apart = ConnectionAge(i, 1000, limits) - ConnectionAge(i - 1, 1000, limits);
    EXPECT_LE(std::abs(apart - 150 * kUsPerMs), 1);
  }
  EXPECT_GE(ConnectionAge(0, 1000, limits), 150 * kUsPerSecond);
  EXPECT_EQ(ConnectionAge(999, 1000, limits), limits.conn_max_age_us);
}

}  // namespace
}  // namespace pg_status
