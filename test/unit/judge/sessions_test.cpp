// What becomes of a host that answers in the session we have, and lets no other in.
#include <gtest/gtest.h>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

SessionTry Try(Outcome outcome, std::int64_t ms) {
  return {outcome, outcome == Outcome::kOk ? "" : "no login", Ms(ms)};
}

class Sessions : public testing::Test {
 protected:
  Sessions() {
    Observation first = Answer(Primary(1, 100), 1000);
    first.new_connection = true;
    scene.See(0, first);
  }
  HostVerdict& host() { return scene[0]; }
  bool Tries(Outcome outcome, std::int64_t ms) {
    return RecordTrial(host(), Try(outcome, ms), scene.limits);
  }
  Scene scene{1};
};

TEST_F(Sessions, NewConnectionHasJustBeenLetIn) { EXPECT_EQ(host().takes_sessions, true); }

TEST_F(Sessions, SilenceMakesSuspectHoweverWellTheOldOneAnswers) {
  EXPECT_FALSE(Tries(Outcome::kTimeout, 2000));
  EXPECT_EQ(host().liveness, Liveness::kSuspect);
  EXPECT_EQ(host().takes_sessions, false);
  EXPECT_EQ(host().last_error, "takes no new sessions: no login");
  for (int i = 3; i < 100; ++i) {
    scene.Answers(0, Primary(1, 100), 1000 * i);
    EXPECT_EQ(host().liveness, Liveness::kSuspect);
    EXPECT_EQ(host().fails, 0) << "its checks succeed";
    EXPECT_EQ(scene.cluster.primary, 0u) << "and it is the primary all the same";
  }
  Tries(Outcome::kOk, 100000);
  EXPECT_EQ(host().liveness, Liveness::kUp);
  EXPECT_EQ(host().takes_sessions, true);
  EXPECT_EQ(host().last_error, "");
}

TEST_F(Sessions, IsAskedAsUsualAndEverybodyElseIsHurriedForAMinuteOnly) {
  Tries(Outcome::kTimeout, 2000);
  scene.Answers(0, Primary(1, 100), 3000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(3000), Ms(3002), Ms(2000)), Ms(3100));
  scene.Answers(0, Primary(1, 100), 70000);
  EXPECT_EQ(NextProbe(scene.cluster, 0, scene.limits, Ms(70000), Ms(70002), Ms(2000)), Ms(71000));
}

TEST_F(Sessions, HangingUpCountsWhenItHappensOftenEnough) {
  for (int i = 1; i <= scene.limits.max_fails; ++i) {
    EXPECT_EQ(host().liveness, Liveness::kUp) << i;
    EXPECT_FALSE(Tries(Outcome::kClosed, 2000 + i));
  }
  EXPECT_EQ(host().liveness, Liveness::kSuspect);
  EXPECT_EQ(host().takes_sessions, false);
}

TEST_F(Sessions, WhoIsFullOrEndsThemRuns) {
  for (const Outcome outcome : {Outcome::kFull, Outcome::kTerminated}) {
    EXPECT_FALSE(Tries(outcome, 2000));
    EXPECT_EQ(host().liveness, Liveness::kUp);
    EXPECT_EQ(host().takes_sessions, true);
  }
}

TEST_F(Sessions, RefusalEndsTheSessionThatHidesItAndTheUsualRulesDecide) {
  for (const Outcome outcome : {Outcome::kRejected, Outcome::kRefused, Outcome::kStarting}) {
    EXPECT_TRUE(Tries(outcome, 2000));
    EXPECT_EQ(host().liveness, Liveness::kUp);
  }
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 2100 + i, Outcome::kRejected);
  EXPECT_EQ(host().liveness, Liveness::kDown);
  EXPECT_EQ(host().takes_sessions, false);
}

TEST_F(Sessions, OfAHostThatIsDownForAnotherReasonNothingIsKnown) {
  Tries(Outcome::kTimeout, 2000);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.Fails(0, 2100 + i, Outcome::kRefused);
  EXPECT_EQ(host().liveness, Liveness::kDown);
  EXPECT_EQ(host().takes_sessions, std::nullopt);
  EXPECT_FALSE(Tries(Outcome::kTimeout, 3000)) << "too late to tell anything";
  EXPECT_EQ(host().liveness, Liveness::kDown);
}

TEST_F(Sessions, WhoRejectsAQueryHasLetUsIn) {
  Observation failure = Failure(Outcome::kRejected, 2000);
  failure.asked = Ms(1999);
  for (int i = 0; i < scene.limits.max_fails; ++i) scene.See(0, failure);
  EXPECT_EQ(host().takes_sessions, true);
}

// A primary and a standby that follows it. What is suspect for its new sessions alone goes on
// telling how far it is.
class LagOfSessions : public testing::Test {
 protected:
  LagOfSessions() {
    scene.Answers(0, Primary(1, 1000), 1000);
    scene.Answers(1, Standby(1, 1000), 1010);
  }
  void TakesNoSessions(std::size_t host) {
    RecordTrial(scene[host], Try(Outcome::kTimeout, 1500), scene.limits);
    scene.Judge(1500);
    ASSERT_EQ(scene[host].liveness, Liveness::kSuspect);
  }
  Scene scene{2};
};

TEST_F(LagOfSessions, OfAStandbyThatTakesNoneGrowsAndShrinks) {
  ASSERT_EQ(scene[1].lag.bytes, 0u);
  TakesNoSessions(1);
  for (int i = 2; i <= 60; ++i) {
    scene.Answers(0, Primary(1, Lsn{1000000} * i), 1000 * i);
    scene.Answers(1, Standby(1, 1000), 1000 * i + 500);
  }
  EXPECT_EQ(scene[1].lag.bytes, Lsn{1000000} * 60 - 1000);
  EXPECT_GE(scene[1].lag.ms, 58000u);
  EXPECT_FALSE(scene[1].sync_by_time);
  EXPECT_FALSE(scene[1].sync_by_bytes);
  scene.Answers(1, Standby(1, Lsn{1000000} * 60), 60700);
  EXPECT_EQ(scene[1].lag.bytes, 0u);
  EXPECT_EQ(scene[1].lag.ms, 0u);
}

TEST_F(LagOfSessions, OfAStandbyWhoseProbesFailIsKept) {
  TakesNoSessions(1);
  scene.Fails(1, 2000, Outcome::kTimeout);
  scene.Answers(0, Primary(1, 9000000), 2100);
  EXPECT_EQ(scene[1].lag.bytes, 0u);
}

TEST_F(LagOfSessions, BehindAPrimaryThatTakesNoneIsWhatItTells) {
  TakesNoSessions(0);
  for (int i = 2; i <= 60; ++i) {
    scene.Answers(0, Primary(1, 1000), 1000 * i);
    scene.Answers(1, Standby(1, 1000), 1000 * i + 900);
    ASSERT_EQ(scene[1].lag.ms, 0u) << i;
  }
}

TEST(SessionTurns, AreWithinTenSecondsSpreadAndBounded) {
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(SessionTurn(i, 3, Ms(100000)), Ms(91000) - 1);
    EXPECT_LE(SessionTurn(i, 3, Ms(100000)), Ms(100000));
  }
  EXPECT_NE(SessionTurn(0, 3, Ms(100000)), SessionTurn(1, 3, Ms(100000)));
  EXPECT_EQ(SessionTurn(7, 1000, Ms(500000)), SessionTurn(7, 1000, Ms(400000)) + Ms(100000))
      << "ten a second";
}

}  // namespace
}  // namespace pg_status
