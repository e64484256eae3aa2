// When is a host asked again? Default intervals: 1000 ms, fast 100 ms.
#include <gtest/gtest.h>

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
  EXPECT_EQ(NextProbe(scene.cluster, row.host, scene.limits, Ms(row.started_ms), Ms(row.ended_ms)),
            Ms(row.next_ms))
      << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Cadence,
    testing::Values(
        CadenceCase{"never probed: now", {}, 0, 0, 0, 0},
        CadenceCase{
            "all is well: start to start", {{0, 'p', 1000}, {1, 's', 1000}}, 1, 998, 1000, 1998},
        CadenceCase{"a slow probe does not shift the rhythm",
                    {{0, 'p', 1000}, {1, 's', 1800}},
                    1,
                    900,
                    1800,
                    1900},
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
                    2998},
        CadenceCase{
            "a standby that is down: as usual",
            {{0, 'p', 1000}, {1, 's', 1000}, {1, 'x', 2000}, {1, 'x', 2100}, {1, 'x', 2200}},
            1,
            2198,
            2200,
            3198},
        CadenceCase{
            "a standby that is down while no primary is known: fast",
            {{0, 's', 1000}, {1, 's', 1000}, {1, 'x', 2000}, {1, 'x', 2100}, {1, 'x', 2200}},
            1,
            2198,
            2200,
            2298},
        CadenceCase{"the primary is suspect: everybody fast",
                    {{0, 'p', 1000}, {1, 's', 1000}, {0, 'x', 2000}},
                    1,
                    1998,
                    2000,
                    2098},
        CadenceCase{
            "the primary is down: everybody fast",
            {{0, 'p', 1000}, {1, 's', 1000}, {0, 'x', 2000}, {0, 'x', 2100}, {0, 'x', 2200}},
            1,
            2198,
            2200,
            2298},
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
                    2998},
        CadenceCase{"the primary is full: nobody else is hurried",
                    {{0, 'p', 1000}, {1, 's', 1000}, {0, 'f', 2000}},
                    1,
                    1998,
                    2000,
                    2998},
        CadenceCase{"it is starting up: suspect, so fast",
                    {{0, 'p', 1000}, {0, 'r', 2000}, {0, 'r', 2100}},
                    0,
                    2098,
                    2100,
                    2198},
        CadenceCase{"it has been starting up for long: as usual, to spare its log",
                    {{0, 'p', 1000}, {0, 'r', 2000}, {0, 'r', 2100}, {0, 'r', 2200}},
                    0,
                    2198,
                    2200,
                    3198},
        CadenceCase{"no primary: fast", {{0, 's', 1000}, {1, 's', 1000}}, 0, 998, 1000, 1098},
        CadenceCase{"two primaries: fast", {{0, 'p', 1000}, {1, 'P', 1000}}, 0, 998, 1000, 1098},
        CadenceCase{"one server reached twice is no reason to hurry",
                    {{0, 'p', 1000}, {1, 'p', 1000}},
                    0,
                    998,
                    1000,
                    1998},
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
                    2498},
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
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(998), Ms(1000)), Ms(1198));
}

TEST(CadenceOfIntervals, TerminatedWithMaxFailsOneIsStillAskedAtOnce) {
  Scene scene(1);
  scene.limits.max_fails = 1;
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Fails(0, 1500, Outcome::kTerminated);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(1500), Ms(1500)), Ms(1500));
}

}  // namespace
}  // namespace pg_status
