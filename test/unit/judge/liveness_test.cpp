// Liveness of one host: rows of probe outcomes and the states they lead to, and what is remembered.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

// One letter a probe: o good, x refused, t timeout, k terminated, c cancelled, f full.
Observation ByLetter(char letter, std::int64_t finished_ms) {
  switch (letter) {
    case 'o':
      return Answer(Primary(1, 100), finished_ms);
    case 't':
      return Failure(Outcome::kTimeout, finished_ms, "no answer");
    case 'k':
      return Failure(Outcome::kTerminated, finished_ms, "terminated");
    case 'c':
      return Failure(Outcome::kCancelled, finished_ms, "cancelled");
    case 'f':
      return Failure(Outcome::kFull, finished_ms, "too many clients");
    default:
      return Failure(Outcome::kRefused, finished_ms);
  }
}

struct RowCase {
  const char* situation;
  int max_fails;
  std::string probes;
  std::string states;  // after each probe: ? unknown, u up, s suspect, d down
  int fails;           // at the end
};

class LivenessRow : public testing::TestWithParam<RowCase> {};

TEST_P(LivenessRow, LeadsTo) {
  const RowCase& row = GetParam();
  Limits limits;
  limits.max_fails = row.max_fails;
  HostVerdict host;
  std::string states;
  for (std::size_t i = 0; i < row.probes.size(); ++i) {
    RecordObservation(host, ByLetter(row.probes[i], 1000 + 10 * static_cast<int>(i)), limits);
    states += "?usd"[static_cast<int>(host.liveness)];
  }
  EXPECT_EQ(states, row.states) << row.situation;
  EXPECT_EQ(host.fails, row.fails) << row.situation;
  EXPECT_TRUE(host.checked);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, LivenessRow,
    testing::Values(RowCase{"first answer", 3, "o", "u", 0},
                    RowCase{"never answered: unknown until given up", 3, "xxxx", "??dd", 4},
                    RowCase{"answered late", 3, "xxo", "??u", 0},
                    RowCase{"suspect and back", 3, "oxo", "usu", 0},
                    RowCase{"two failures, then back", 3, "oxto", "ussu", 0},
                    RowCase{"failures of any kind add up", 3, "oxtx", "ussd", 3},
                    RowCase{"flapping never gets down", 3, "oxxoxxoxx", "ussussuss", 2},
                    RowCase{"down and back", 3, "oxxxxo", "ussddu", 0},
                    RowCase{"max_fails 1: first failure is down", 1, "oxo", "udu", 0},
                    RowCase{"max_fails 1: never answered", 1, "x", "d", 1},
                    RowCase{"terminated: one failure, however often", 3, "okkkkk", "usssss", 1},
                    RowCase{"terminated and back", 3, "oko", "usu", 0},
                    RowCase{"terminated, then gone", 3, "okxx", "ussd", 3},
                    RowCase{"terminated does not add to others", 3, "oxxk", "usss", 2},
                    RowCase{"max_fails 1: terminated is not evidence", 1, "okk", "uss", 1},
                    RowCase{"max_fails 1: terminated, then refused", 1, "okx", "usd", 2},
                    RowCase{"terminated in the first probe", 1, "kk", "??", 1},
                    RowCase{"cancelled: one failure, however often", 3, "occcco", "ussssu", 0},
                    RowCase{"full: one failure, for however long", 3, "ofkfcff", "ussssss", 1},
                    RowCase{"full in the first probes", 1, "fff", "???", 1},
                    RowCase{"full, then gone", 3, "offxx", "usssd", 3},
                    RowCase{"full does not add to others", 3, "oxtf", "usss", 2},
                    RowCase{"terminated while down stays down", 3, "oxxxk", "ussdd", 3}));

// A peer that once told nonsense is believed again when it tells better.
TEST(Timeline, AsTheInsideTellsItNeedsNoMemory) {
  Scene scene(1);
  scene.Answers(0, WithHistory(Standby(4000000000, 100), {}), 1000);
  EXPECT_EQ(scene[0].facts->timeline, 4000000000U);
  scene.Answers(0, WithHistory(Standby(2, 100), {{1, 50}}), 2000);
  EXPECT_EQ(scene[0].facts->timeline, 2U);
  EXPECT_NE(HistoryOf(scene[0]), nullptr);
}

TEST(Liveness, CountOfFailuresDoesNotOverflow) {
  HostVerdict host;
  host.liveness = Liveness::kDown;
  host.fails = std::numeric_limits<int>::max();
  RecordObservation(host, Failure(Outcome::kRefused, 10), Limits());
  EXPECT_EQ(host.fails, std::numeric_limits<int>::max());
  EXPECT_EQ(host.liveness, Liveness::kDown);
}

TEST(Liveness, RaisedMaxFailsDoesNotReviveAHostThatIsDown) {
  Limits limits;
  limits.max_fails = 1;
  HostVerdict host;
  RecordObservation(host, Failure(Outcome::kRefused, 10), limits);
  limits.max_fails = 10;
  RecordObservation(host, Failure(Outcome::kRefused, 20), limits);
  EXPECT_EQ(host.liveness, Liveness::kDown);
}

TEST(Liveness, SuccessStoresWhatWasSaidAndWhen) {
  HostVerdict host;
  RecordObservation(host, Failure(Outcome::kRefused, 500), Limits());
  EXPECT_EQ(host.last_error, "connection refused");
  EXPECT_EQ(host.last_success, 0);
  Observation answer = Answer(Primary(3, 4711), 1000);
  answer.peer_address = "192.0.2.7";
  RecordObservation(host, answer, Limits());
  EXPECT_EQ(host.last_error, "");
  EXPECT_EQ(host.last_outcome, Outcome::kOk);
  EXPECT_EQ(host.peer_address, "192.0.2.7");
  EXPECT_EQ(host.facts_asked, Ms(998));
  EXPECT_EQ(host.facts_finished, Ms(1000));
  EXPECT_EQ(host.last_success, Ms(1000));
  EXPECT_EQ(host.last_check, Ms(1000));
  ASSERT_TRUE(host.facts);
  EXPECT_EQ(host.facts->write_lsn, Lsn{4711});
}

TEST(Liveness, FactsAreKeptThroughFailures) {
  HostVerdict host;
  RecordObservation(host, Answer(Primary(3, 4711), 1000), Limits());
  for (int ms : {2000, 3000, 4000}) {
    RecordObservation(host, Failure(Outcome::kTimeout, ms, "no answer"), Limits());
  }
  EXPECT_EQ(host.liveness, Liveness::kDown);
  ASSERT_TRUE(host.facts);
  EXPECT_EQ(host.facts->timeline, 3U);
  EXPECT_EQ(host.facts_finished, Ms(1000));
  EXPECT_EQ(host.last_success, Ms(1000));
  EXPECT_EQ(host.last_check, Ms(4000));
  EXPECT_EQ(host.last_outcome, Outcome::kTimeout);
  EXPECT_EQ(host.last_error, "no answer");
}

TEST(Liveness, LastChangeIsWhenTheStateChangedNotWhenItWasConfirmed) {
  HostVerdict host;
  const std::vector<std::pair<char, MonoUs>> probes = {
      {'o', Ms(1000)}, {'o', Ms(1000)}, {'x', Ms(1020)}, {'x', Ms(1020)},
      {'x', Ms(1040)}, {'x', Ms(1040)}, {'o', Ms(1060)}};
  std::int64_t ms = 1000;
  for (const auto& [letter, expected] : probes) {
    RecordObservation(host, ByLetter(letter, ms), Limits());
    EXPECT_EQ(host.last_change, expected) << "at " << ms;
    ms += 10;
  }
}

struct SinceCase {
  const char* situation;
  Facts first;
  int failures;
  Facts second;
  std::int64_t since_ms;  // after both; 0 none
};

class PrimarySinceRow : public testing::TestWithParam<SinceCase> {};

TEST_P(PrimarySinceRow, LeadsTo) {
  const SinceCase& row = GetParam();
  HostVerdict host;
  RecordObservation(host, Answer(row.first, 1000), Limits());
  for (int i = 0; i < row.failures; ++i) {
    RecordObservation(host, Failure(Outcome::kRefused, 1100 + i), Limits());
  }
  RecordObservation(host, Answer(row.second, 2000), Limits());
  EXPECT_EQ(host.primary_since, Ms(row.since_ms)) << row.situation;
}

Facts OfSystem(Facts facts, std::uint64_t system) {
  facts.system_identifier = system;
  return facts;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, PrimarySinceRow,
    testing::Values(SinceCase{"seen twice", Primary(1, 10), 0, Primary(1, 20), 1000},
                    SinceCase{"suspect between", Primary(1, 10), 2, Primary(1, 20), 1000},
                    SinceCase{"down between", Primary(1, 10), 3, Primary(1, 20), 2000},
                    SinceCase{"restarted between", Primary(1, 10), 0, Primary(1, 20, kStart + 9),
                              2000},
                    SinceCase{"another timeline", Primary(1, 10), 0, Primary(2, 20), 2000},
                    SinceCase{"another system at the same address", Primary(1, 10), 0,
                              OfSystem(Primary(1, 20), kOtherSystem), 2000},
                    SinceCase{"promoted", Standby(1, 10), 0, Primary(2, 20, kStart + 5), 2000},
                    SinceCase{"demoted", Primary(1, 10), 0, Standby(2, 20), 0},
                    SinceCase{"a standby throughout", Standby(1, 10), 0, Standby(1, 20), 0}));

TEST(Liveness, PrimarySinceIsForgottenWhenTheHostGoesDown) {
  HostVerdict host;
  RecordObservation(host, Answer(Primary(1, 10), 1000), Limits());
  EXPECT_EQ(host.primary_since, Ms(1000));
  for (int ms : {1100, 1200}) RecordObservation(host, Failure(Outcome::kRefused, ms), Limits());
  EXPECT_EQ(host.primary_since, Ms(1000));
  RecordObservation(host, Failure(Outcome::kRefused, 1300), Limits());
  EXPECT_EQ(host.primary_since, 0);
}

struct TimelineCase {
  const char* situation;
  Facts first;
  Facts second;
  std::uint32_t timeline;  // believed after both
};

class RememberedTimelineRow : public testing::TestWithParam<TimelineCase> {};

TEST_P(RememberedTimelineRow, LeadsTo) {
  const TimelineCase& row = GetParam();
  HostVerdict host;
  RecordObservation(host, Answer(row.first, 1000), Limits());
  RecordObservation(host, Answer(row.second, 2000), Limits());
  EXPECT_EQ(host.facts->timeline, row.timeline) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RememberedTimelineRow,
    testing::Values(
        TimelineCase{"control file is behind the receiver", Standby(2, 10), Standby(1, 20), 2},
        TimelineCase{"follows a promotion", Standby(1, 10), Standby(2, 20), 2},
        TimelineCase{"restarted (rewound) standby tells anew", Standby(2, 10),
                     Standby(1, 20, kStart + 9), 1},
        TimelineCase{"another system", Standby(9, 10), OfSystem(Standby(1, 20), kOtherSystem), 1},
        TimelineCase{"a primary's word is exact", Standby(3, 10), Primary(2, 20, kStart + 5), 2}));

// ---- what may not be read any more

TEST(Remembered, IdentifierOfTheServerThatBeganAtThatMoment) {
  HostVerdict host;
  RecordObservation(host, Answer(Standby(1, 100), 1000), {});
  Facts hidden = Standby(1, 100);
  hidden.system_identifier = 0;
  RecordObservation(host, Answer(hidden, 2000), {});
  EXPECT_EQ(host.facts->system_identifier, kSystem);
  hidden.postmaster_start += 1;
  RecordObservation(host, Answer(hidden, 3000), {});
  EXPECT_EQ(host.facts->system_identifier, 0u) << "it may be another one";
  hidden.postmaster_start = 0;
  RecordObservation(host, Answer(hidden, 4000), {});
  RecordObservation(host, Answer(hidden, 5000), {});
  EXPECT_EQ(host.facts->system_identifier, 0u) << "no start is no evidence";
}

TEST(Remembered, TimelineOfAPrimaryIsThatOfItsRun) {
  HostVerdict host;
  RecordObservation(host, Answer(Primary(3, 100), 1000), {});
  Facts hidden = Primary(0, 200);
  RecordObservation(host, Answer(hidden, 2000), {});
  EXPECT_EQ(host.facts->timeline, 3u);
  EXPECT_EQ(host.primary_since, Ms(1000)) << "it has been one all the time";
  hidden.postmaster_start += 1;
  RecordObservation(host, Answer(hidden, 3000), {});
  EXPECT_EQ(host.facts->timeline, 0u);
}

}  // namespace
}  // namespace pg_status
