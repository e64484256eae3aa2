// Counts of probes: by result, by duration, and what is recorded of a host with them.
#include "judge/tally.hpp"

#include <gtest/gtest.h>

#include <cstddef>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

Observation Lasting(std::int64_t duration_us, Outcome outcome = Outcome::kOk) {
  Observation observation;
  observation.outcome = outcome;
  observation.started = 7 * kUsPerSecond;
  observation.finished = observation.started + duration_us;
  return observation;
}

TEST(Tally, EachProbeHasOneResult) {
  Tally tally;
  for (const Outcome outcome :
       {Outcome::kOk, Outcome::kOk, Outcome::kTimeout, Outcome::kRefused, Outcome::kUnresolved,
        Outcome::kClosed, Outcome::kTerminated, Outcome::kCancelled, Outcome::kFull,
        Outcome::kRejected, Outcome::kGarbled}) {
    CountProbe(Lasting(1, outcome), false, tally);
  }
  EXPECT_EQ(tally.succeeded, 2u);
  EXPECT_EQ(tally.timed_out, 1u);
  EXPECT_EQ(tally.failed, 8u);
  EXPECT_EQ(tally.durations[0], 11u);
  EXPECT_EQ(tally.duration_us, 11u);
}

TEST(Tally, ABoundBelongsToItsClass) {
  struct Row {
    std::int64_t duration_us;
    std::size_t duration_class;
  };
  const Row rows[] = {{-5, 0},       {0, 0},        {500, 0},
                      {501, 1},      {1000, 1},     {1001, 2},
                      {5000000, 10}, {5000001, 11}, {86400 * kUsPerSecond, 11}};
  for (const Row& row : rows) {
    Tally tally;
    CountProbe(Lasting(row.duration_us), false, tally);
    EXPECT_EQ(tally.durations[row.duration_class], 1u) << row.duration_us;
  }
}

TEST(Tally, ExtremesAndTheLastFailureAreKept) {
  Tally tally;
  EXPECT_EQ(tally.shortest_us, 0u);
  for (const std::int64_t duration_us : {300, 200, 900}) {
    CountProbe(Lasting(duration_us), false, tally);
  }
  EXPECT_EQ(tally.shortest_us, 200u);
  EXPECT_EQ(tally.longest_us, 900u);
  EXPECT_EQ(tally.last_failure, 0);
  const Observation failure = Lasting(5, Outcome::kTimeout);
  CountProbe(failure, false, tally);
  CountProbe(Lasting(1), false, tally);
  EXPECT_EQ(tally.last_failure, failure.finished);
  EXPECT_EQ(tally.shortest_us, 1u);
}

// A host that is down is not retried: it is simply asked.
TEST(Tally, RetriesAreProbesOfAHostThatIsInDoubt) {
  HostVerdict host;
  Limits limits;
  limits.max_fails = 3;
  std::int64_t at_ms = 1000;
  for (const bool good : {true, false, true, false, false, false, false, false, true, true}) {
    at_ms += 10;
    RecordObservation(
        host, good ? Answer(Primary(1, 100), at_ms) : Failure(Outcome::kRefused, at_ms), limits);
  }
  EXPECT_EQ(host.tally.retries, 3u);  // after the second probe, the fourth and the fifth
  EXPECT_EQ(host.tally.most_retries, 2u);
}

TEST(Tally, ResetItBeginsAnewButTheConnectionIsStillTheFirst) {
  Tally tally;
  Observation observation = Lasting(300);
  observation.new_connection = true;
  CountProbe(observation, true, tally);
  ResetTally(tally);
  EXPECT_EQ(tally.succeeded + tally.retries + tally.most_retries + tally.duration_us, 0u);
  EXPECT_EQ(tally.longest_us, 0u);
  CountProbe(observation, false, tally);
  EXPECT_EQ(tally.connections, 2u);
  Tally untouched;
  ResetTally(untouched);
  EXPECT_EQ(untouched.connections, 0u);
}

TEST(Tally, OnlyConnectionsThatAnsweredCount) {
  Tally tally;
  for (const Outcome outcome : {Outcome::kOk, Outcome::kRefused}) {
    Observation observation = Lasting(1, outcome);
    observation.new_connection = true;
    CountProbe(observation, false, tally);
  }
  EXPECT_EQ(tally.connections, 1u);
}

TEST(Tally, ChangesOfLivenessAreCountedWithTheProbesOfAHost) {
  HostVerdict host;
  Limits limits;
  limits.max_fails = 2;
  std::int64_t at_ms = 1000;
  for (const bool good : {true, true, false, false, false, true}) {
    at_ms += 10;
    RecordObservation(
        host, good ? Answer(Primary(1, 100), at_ms) : Failure(Outcome::kRefused, at_ms), limits);
  }
  EXPECT_EQ(host.tally.changes, 4u);  // up, suspect, down, up
  EXPECT_EQ(host.tally.succeeded, 3u);
  EXPECT_EQ(host.tally.failed, 3u);
}

// ---- how late probes began

TEST(LatenessOfProbes, IsCountedInClassesWithTheirSum) {
  Lateness lateness;
  for (const std::int64_t late_us : {-3, 0, 500, 501, 99999, 100001}) {
    CountLateness(late_us, 1000, lateness);
  }
  EXPECT_EQ(lateness.probes[0], 3u);
  EXPECT_EQ(lateness.probes[1], 1u);
  EXPECT_EQ(lateness.probes[7], 1u);
  EXPECT_EQ(lateness.probes[8], 1u);
  EXPECT_EQ(lateness.total_us, 0u + 500 + 501 + 99999 + 100001);
}

TEST(LatenessOfProbes, TheLongestIsForgottenAfterOneToTwoMinutes) {
  const auto at = [](std::int64_t seconds) { return seconds * kUsPerSecond; };
  Lateness lateness;
  EXPECT_EQ(LongestLateness(lateness, at(1000)), 0);
  CountLateness(700, at(1000), lateness);
  CountLateness(9, at(1059), lateness);
  EXPECT_EQ(LongestLateness(lateness, at(1059)), 700);
  CountLateness(8, at(1061), lateness);
  EXPECT_EQ(LongestLateness(lateness, at(1061)), 700) << "of the minute before";
  CountLateness(7, at(1121), lateness);
  EXPECT_EQ(LongestLateness(lateness, at(1121)), 8);
  EXPECT_EQ(LongestLateness(lateness, at(1185)), 7) << "also when nothing was counted since";
  EXPECT_EQ(LongestLateness(lateness, at(1300)), 0);
  CountLateness(5, at(1300), lateness);
  EXPECT_EQ(LongestLateness(lateness, at(1300)), 5);
}

}  // namespace
}  // namespace pg_status
