// What changed, in words. Each scene tells what happens and which lines that brings.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

using Lines = std::vector<std::string>;

// A scene that notes the lines each event brings.
struct ToldScene : Scene {
  using Scene::Scene;
  std::vector<LogLine> told;  // by the last event
  bool fence = false;

  Lines After(std::size_t host, const Observation& observation) {
    const ClusterVerdict before = cluster;
    See(host, observation);
    told = DescribeChanges(before, cluster, entries, fence);
    Lines messages;
    for (const LogLine& line : told) messages.push_back(line.message);
    return messages;
  }
  Lines After(std::size_t host, const Facts& facts, std::int64_t ms) {
    return After(host, Answer(facts, ms));
  }
  Lines AfterFailure(std::size_t host, std::int64_t ms, const char* error = "connection refused") {
    return After(host, Failure(Outcome::kRefused, ms, error));
  }
};

constexpr WallUs kStartB = kStart + 5;  // the start that Standby() tells

TEST(Changes, NothingChangedNothingSaid) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.After(0, Primary(1, 200), 2000), Lines());
  EXPECT_EQ(scene.After(1, Standby(1, 150), 2000), Lines());
}

TEST(Changes, FirstAnswers) {
  ToldScene scene(2);
  EXPECT_EQ(scene.After(1, Standby(1, 100), 1000), Lines({"host \"b:5432\" is up: standby"}));
  EXPECT_EQ(scene.After(0, Primary(1, 100), 1000),
            Lines({"host \"a:5432\" is up: primary, timeline 1", "primary is \"a:5432\""}));
}

TEST(Changes, TwoEntriesForOneServerAreToldOfOnce) {
  ToldScene scene(3);
  Facts first = Primary(1, 100);
  scene.After(0, first, 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.After(2, first, 1000),
            Lines({"host \"c:5432\" is up: primary, timeline 1",
                   "hosts \"a:5432\" and \"c:5432\" are the same server"}));
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kWarning);
  EXPECT_EQ(scene.told[1].hint, "Name each server once in pg_status.hosts.");
  EXPECT_EQ(scene.After(2, first, 2000), Lines());
  scene.AfterFailure(2, 3000);
  EXPECT_EQ(scene.After(2, first, 3100),
            Lines({"host \"c:5432\" is up again after 1 failure: primary, timeline 1"}))
      << "it was told";
  scene.AfterFailure(0, 4000);
  EXPECT_EQ(scene.After(2, first, 4100), Lines());
  EXPECT_EQ(scene.After(0, first, 4200),
            Lines({"host \"a:5432\" is up again after 1 failure: primary, timeline 1"}));
  // The address moves to the standby.
  const Lines moved = scene.After(2, Standby(1, 100), 5000);
  EXPECT_EQ(moved.back(), "hosts \"b:5432\" and \"c:5432\" are the same server");
}

TEST(Changes, OfManyEntriesForOneServerAFewAreTold) {
  ToldScene scene(20);
  const Facts server = Primary(1, 100);
  std::size_t told = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    for (const std::string& line : scene.After(i, server, 1000)) {
      told += line.find("are the same server") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_EQ(told, 3U);
}

TEST(Changes, UnknownTimelineIsNotCalledZero) {
  ToldScene scene(1);
  EXPECT_EQ(scene.After(0, Primary(0, 100), 1000),
            Lines({"host \"a:5432\" is up: primary", "primary is \"a:5432\""}));
}

TEST(Changes, FailuresAreToldOnceAndCountedWhenTheyEnd) {
  ToldScene scene(1);
  scene.After(0, Standby(1, 100), 1000);
  EXPECT_EQ(scene.AfterFailure(0, 1100), Lines({"host \"a:5432\" is suspect: connection refused"}));
  EXPECT_EQ(scene.AfterFailure(0, 1200), Lines());
  EXPECT_EQ(scene.AfterFailure(0, 1300, "no answer"),
            Lines({"host \"a:5432\" is down after 3 failures: no answer"}));
  for (int i = 0; i < 54; ++i) EXPECT_EQ(scene.AfterFailure(0, 1400 + i), Lines());
  EXPECT_EQ(scene.After(0, Standby(1, 100), 9000),
            Lines({"host \"a:5432\" is up again after 57 failures: standby"}));
}

TEST(Changes, OneFailureIsOneFailure) {
  ToldScene scene(1);
  scene.limits.max_fails = 1;
  scene.After(0, Standby(1, 100), 1000);
  EXPECT_EQ(scene.AfterFailure(0, 1100, ""), Lines({"host \"a:5432\" is down after 1 failure"}));
  EXPECT_EQ(scene.After(0, Standby(1, 100), 1200),
            Lines({"host \"a:5432\" is up again after 1 failure: standby"}));
}

TEST(Changes, HostThatNeverAnsweredIsToldWhenItIsGivenUp) {
  ToldScene scene(1);
  EXPECT_EQ(scene.AfterFailure(0, 1000), Lines());
  EXPECT_EQ(scene.AfterFailure(0, 1100), Lines());
  EXPECT_EQ(scene.AfterFailure(0, 1200),
            Lines({"host \"a:5432\" is down after 3 failures: connection refused"}));
}

TEST(Changes, Promotion) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.After(1, Primary(2, 100, kStartB), 2000),
            Lines({"host \"b:5432\" changed from standby to primary, timeline 2",
                   "primary changed from \"a:5432\" to \"b:5432\""}));
  EXPECT_EQ(
      scene.told[1].detail,
      "\"b:5432\" (timeline 2, 1 host) goes before \"a:5432\" (timeline 1, 1 host): its timeline "
      "is newer, and at least as many are with it.");
}

TEST(Changes, PrimaryLostAndFoundElsewhere) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  scene.AfterFailure(0, 1100);
  scene.AfterFailure(0, 1200);
  EXPECT_EQ(scene.AfterFailure(0, 1300),
            Lines({"host \"a:5432\" is down after 3 failures: connection refused",
                   "no primary is in sight any more (was \"a:5432\")"}));
  EXPECT_EQ(scene.told[1].detail, "\"a:5432\" is down: connection refused.");
  EXPECT_EQ(scene.After(1, Primary(2, 100, kStartB), 1400),
            Lines({"host \"b:5432\" changed from standby to primary, timeline 2",
                   "primary is \"b:5432\""}));
}

TEST(Changes, Demotion) {
  ToldScene scene(1);
  scene.After(0, Primary(1, 100), 1000);
  EXPECT_EQ(scene.After(0, Standby(1, 100), 2000),
            Lines({"host \"a:5432\" changed from primary to standby",
                   "no primary is in sight any more (was \"a:5432\")"}));
  EXPECT_EQ(scene.told[1].detail, "\"a:5432\" is a standby now.");
}

TEST(Changes, RestartAsStandbyBetweenTwoLooksTellsBothTheReturnAndTheRole) {
  ToldScene scene(1);
  scene.After(0, Primary(1, 100), 1000);
  scene.AfterFailure(0, 1100);
  EXPECT_EQ(scene.After(0, Standby(1, 100), 1200),
            Lines({"host \"a:5432\" is up again after 1 failure: standby",
                   "host \"a:5432\" changed from primary to standby",
                   "no primary is in sight any more (was \"a:5432\")"}));
}

TEST(Changes, SplitBrainBeginsAndEnds) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Primary(2, 100, kStartB), 1500);
  EXPECT_EQ(scene.After(0, Primary(1, 100), 2000),
            Lines({"split brain: 2 servers are primary at the same time: \"a:5432\" (timeline 1), "
                   "\"b:5432\" (timeline 2)"}));
  EXPECT_EQ(scene.told[0].level, LogLine::Level::kWarning);
  EXPECT_EQ(
      scene.told[0].detail,
      "\"b:5432\" (timeline 2, 1 host) goes before \"a:5432\" (timeline 1, 1 host): its timeline "
      "is newer, and at least as many are with it.");
  EXPECT_NE(scene.told[0].hint, "");
  EXPECT_EQ(scene.After(1, Primary(2, 100, kStartB), 2500), Lines());
  EXPECT_EQ(scene.After(1, Primary(2, 200, kStartB), 3500), Lines());

  EXPECT_EQ(scene.After(0, Standby(2, 100, kStart + 9), 4000),
            Lines({"host \"a:5432\" changed from primary to standby", "split brain is over"}));
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kInfo);
  EXPECT_EQ(scene.told[1].detail, "The primary is \"b:5432\".");
}

TEST(Changes, SplitBrainOnOneTimelineSaysWhyTheFirstIsChosen) {
  ToldScene scene(2);
  for (int ms : {1000, 2000}) {
    scene.After(0, Primary(1, 100), ms);
    scene.After(1, Primary(1, 100, kStartB), ms);
  }
  ASSERT_EQ(scene.told.size(), 1U);
  EXPECT_EQ(
      scene.told[0].detail,
      "\"a:5432\" (timeline 1, 1 host) goes before \"b:5432\" (timeline 1, 1 host): it was the "
      "primary before.");
}

TEST(Changes, SplitBrainOfManyNamesOnlySome) {
  ToldScene scene(12);
  const ClusterVerdict before = scene.cluster;
  for (int ms : {1000, 2000}) {
    for (std::size_t i = 0; i < 12; ++i) {
      scene.Answers(i, Primary(1, 100, kStart + static_cast<WallUs>(i) + 1), ms);
    }
  }
  const std::vector<LogLine> told = DescribeChanges(before, scene.cluster, scene.entries, false);
  const std::string& message = told.back().message;
  EXPECT_NE(message.find("12 servers are primary"), std::string::npos) << message;
  EXPECT_NE(message.find("\"h:5432\" (timeline 1) and 4 more"), std::string::npos) << message;
  EXPECT_EQ(message.find("\"i:5432\""), std::string::npos) << message;
}

TEST(Changes, HostOfAnotherClusterIsAWarningOnce) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  Facts foreign = Standby(1, 100);
  foreign.system_identifier = kOtherSystem;
  EXPECT_EQ(scene.After(1, foreign, 1000), Lines({"host \"b:5432\" is up: standby",
                                                  "host \"b:5432\" belongs to another cluster"}));
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kWarning);
  EXPECT_EQ(scene.told[1].detail,
            "Its system identifier is 7000000000000000002, that of this cluster is "
            "7000000000000000001.");
  EXPECT_EQ(scene.After(1, foreign, 2000), Lines());
  for (int ms : {2100, 2200, 2300}) scene.AfterFailure(1, ms);
  EXPECT_EQ(scene.After(1, foreign, 3000),
            Lines({"host \"b:5432\" is up again after 3 failures: standby"}));
  EXPECT_EQ(scene.After(1, Standby(1, 100), 4000),
            Lines({"host \"b:5432\" belongs to this cluster now"}));
}

TEST(Changes, HiddenDetailsAreToldOnceWithTheCure) {
  ToldScene scene(1);
  Facts facts = Primary(1, 100);
  facts.details_hidden = true;
  EXPECT_EQ(scene.After(0, facts, 1000).size(), 3U);
  EXPECT_EQ(scene.told[1].message, "host \"a:5432\" does not show all its details");
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kInfo);
  EXPECT_NE(scene.told[1].hint.find("pg_monitor"), std::string::npos);
  EXPECT_EQ(scene.After(0, facts, 2000), Lines());
  for (int ms : {2100, 2200, 2300}) scene.AfterFailure(0, ms);
  for (const std::string& line : scene.After(0, facts, 3000)) {
    EXPECT_EQ(line.find("details"), std::string::npos) << line;
  }
}

TEST(Changes, MissingRightsAreToldOnceForEachConnection) {
  ToldScene scene(1);
  Facts facts = Primary(1, 100);
  facts.details_hidden = true;
  facts.missing_grants = "GRANT it;";
  facts.connection = 1;
  EXPECT_EQ(scene.After(0, facts, 1000).size(), 3U);
  EXPECT_EQ(scene.told[1].message,
            "host \"a:5432\" does not let the role of the polls read all that it should");
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kWarning);
  EXPECT_NE(scene.told[1].hint.find("GRANT it;"), std::string::npos);
  EXPECT_EQ(scene.After(0, facts, 2000), Lines());
  facts.connection = 2;
  EXPECT_EQ(scene.After(0, facts, 3000).size(), 1U);
  facts.missing_grants = "GRANT it; GRANT that;";
  EXPECT_EQ(scene.After(0, facts, 4000).size(), 1U);
  facts.missing_grants.clear();
  facts.details_hidden = false;
  EXPECT_EQ(scene.After(0, facts, 5000),
            Lines({"host \"a:5432\" lets the role of the polls read all that it should"}));
}

TEST(Changes, WarningsOfTheLoginAreToldOnce) {
  ToldScene scene(1);
  Facts facts = Primary(1, 100);
  facts.warnings = {{"role password will expire soon", "In 2 days."}};
  EXPECT_EQ(scene.After(0, facts, 1000).size(), 3U);
  EXPECT_EQ(scene.told[1].message,
            "host \"a:5432\" warns at the login: role password will expire soon");
  EXPECT_EQ(scene.told[1].detail, "In 2 days.");
  EXPECT_EQ(scene.told[1].level, LogLine::Level::kWarning);
  facts.warnings[0].detail = "In 1 day.";
  EXPECT_EQ(scene.After(0, facts, 2000), Lines()) << "a new connection, which brings it again";
  for (int ms : {2100, 2200, 2300}) scene.AfterFailure(0, ms);
  for (const std::string& line : scene.After(0, facts, 3000)) {
    EXPECT_EQ(line.find("warns"), std::string::npos) << line;
  }
  facts.warnings.push_back({"database has a collation version mismatch", ""});
  EXPECT_EQ(
      scene.After(0, facts, 4000),
      Lines({"host \"a:5432\" warns at the login: database has a collation version mismatch"}));
  facts.warnings.clear();
  EXPECT_EQ(scene.After(0, facts, 5000), Lines());
  facts.warnings = {{"role password will expire soon", "In 6 days."}};
  EXPECT_EQ(scene.After(0, facts, 6000).size(), 1U) << "it was over, and is there again";
}

TEST(Changes, OnlySplitBrainAndForeignHostsAreWarnings) {
  ToldScene scene(2);
  std::vector<LogLine> all;
  const auto note = [&] { all.insert(all.end(), scene.told.begin(), scene.told.end()); };
  scene.After(0, Primary(1, 100), 1000), note();
  scene.After(1, Standby(1, 100), 1000), note();
  for (int ms : {1100, 1200, 1300}) scene.AfterFailure(0, ms), note();
  scene.After(1, Primary(2, 100, kStartB), 1400), note();
  scene.After(0, Standby(2, 100, kStart + 9), 2000), note();
  EXPECT_EQ(all.size(), 8U);
  for (const LogLine& line : all) EXPECT_EQ(line.level, LogLine::Level::kInfo) << line.message;
}

TEST(Changes, EmptyListHasNothingToSay) {
  ToldScene scene(0);
  const ClusterVerdict before = scene.cluster;
  scene.Judge(1000);
  EXPECT_TRUE(DescribeChanges(before, scene.cluster, scene.entries, false).empty());
}

// ---- with the word of others ------------------------------------------------------------------

// Three nodes with a vote: this one is "a:5432", the primary.
struct VotingScene : ToldScene {
  VotingScene() : ToldScene(3) {
    own_start = kStart;
    Says(0, true, 1000);
    Says(1, true, 1000);
    Says(2, true, 1000);
  }

  // This host answers, and this is what it says of "b:5432".
  Lines Says(std::size_t host, bool reaches_b, std::int64_t ms) {
    const WallUs start = kStart + static_cast<WallUs>(host);
    Facts facts = host == 0 ? Primary(1, 100, start) : Standby(1, 100, start);
    facts.gives_opinions = true;
    facts.opinions = std::make_shared<const Opinions>(
        Opinions{{"b:5432", reaches_b, 10 * kUsPerMs, kSystem, kStart + 1}});
    return After(host, facts, ms);
  }
};

TEST(Changes, WhatOthersHaveNotNoticedIsNotCalledDown) {
  VotingScene scene;
  scene.AfterFailure(1, 2000);
  scene.AfterFailure(1, 2100);
  EXPECT_EQ(
      scene.AfterFailure(1, 2200),
      Lines({"host \"b:5432\" cannot be reached from here after 3 failures: connection refused"}));
  EXPECT_EQ(scene.Says(2, false, 3000),
            Lines({"host \"b:5432\" is down: 2 of 3 voting nodes cannot reach it"}));
  EXPECT_EQ(scene.Says(2, false, 4000), Lines());
  scene.Says(0, false, 4000);
  scene.limits.max_fails = 1;
  scene.AfterFailure(2, 5000);
  EXPECT_EQ(scene.Says(2, false, 6000).size(), 2U)
      << "that the other one is back and says the same is no news";
}

TEST(Changes, WhatOthersHaveDownAlreadyIsDownAtOnce) {
  VotingScene scene;
  scene.Says(2, false, 2000);
  scene.AfterFailure(1, 2000);
  scene.AfterFailure(1, 2100);
  EXPECT_EQ(scene.AfterFailure(1, 2200),
            Lines({"host \"b:5432\" is down after 3 failures: connection refused"}));
  EXPECT_EQ(scene.Says(2, false, 3000), Lines());
}

TEST(Changes, AFaultOfThisNodesOwnIsToldAsSuch) {
  VotingScene scene;
  scene.AfterFailure(1, 2000);
  scene.AfterFailure(1, 2100);
  scene.AfterFailure(1, 2200);
  EXPECT_EQ(scene.Says(2, true, 3000), Lines()) << "it may have come back for all";
  EXPECT_EQ(scene.AfterFailure(1, 3100), Lines({"only this node cannot reach host \"b:5432\""}));
  EXPECT_EQ(scene.told[0].level, LogLine::Level::kWarning);
  EXPECT_EQ(scene.told[0].detail, "2 of 3 voting nodes reach it. Here: connection refused.");
  EXPECT_EQ(scene.Says(2, true, 3500), Lines()) << "newer than our last failure, and no news";
  EXPECT_EQ(scene.AfterFailure(1, 3600), Lines());
  EXPECT_EQ(scene.Says(2, true, 4000), Lines());
}

// As when packets are lost without a word: the others have asked the host anew by the time that
// this node has failed often enough.
TEST(Changes, AFaultOfThisNodesOwnThatIsKnownAtOnceIsToldAtOnce) {
  VotingScene scene;
  scene.AfterFailure(1, 2000);
  EXPECT_EQ(scene.Says(2, true, 3000), Lines());
  scene.AfterFailure(1, 3100);
  EXPECT_EQ(
      scene.AfterFailure(1, 4200),
      Lines({"host \"b:5432\" cannot be reached from here after 3 failures: connection refused",
             "only this node cannot reach host \"b:5432\""}));
  EXPECT_EQ(scene.Says(2, true, 5000), Lines());
}

TEST(Changes, APrimaryWithoutAMajorityWarns) {
  for (const bool fence : {false, true}) {
    VotingScene scene;
    scene.fence = fence;
    scene.limits.max_fails = 1;
    scene.AfterFailure(1, 2000);
    EXPECT_EQ(scene.AfterFailure(2, 2000),
              Lines({"host \"c:5432\" cannot be reached from here after 1 failure: connection "
                     "refused",
                     "this primary sees no majority: only 1 of 3 voting nodes"}));
    EXPECT_EQ(scene.told[1].level, LogLine::Level::kWarning);
    EXPECT_EQ(scene.told[1].detail,
              fence ? "It says FENCED until it sees one again, as pg_status.fence is on."
                    : "It goes on saying MASTER, as pg_status.fence is off.");
    EXPECT_EQ(scene.Says(2, false, 3000),
              Lines({"host \"b:5432\" is down: 2 of 3 voting nodes cannot reach it",
                     "host \"c:5432\" is up again after 1 failure: standby",
                     "a majority is in sight again: 2 of 3 voting nodes"}));
  }
}

TEST(Changes, NoMajorityIsMissedWhileTheOthersStart) {
  ToldScene scene(3);
  scene.own_start = kStart;
  scene.After(0, Primary(1, 100, kStart), 1000);
  scene.AfterFailure(1, 1000);
  EXPECT_EQ(scene.AfterFailure(2, 1000), Lines());
  scene.AfterFailure(1, 1100);
  scene.AfterFailure(2, 1100);
  scene.AfterFailure(1, 1200);
  EXPECT_EQ(scene.AfterFailure(2, 1200).back(),
            "this primary sees no majority: only 1 of 3 voting nodes");
}

TEST(Changes, AFaultOfThisNodesOwnThatIsARefusalIsNoFaultOfTheNetwork) {
  VotingScene scene;
  scene.AfterFailure(1, 2000);
  scene.AfterFailure(1, 2100);
  scene.AfterFailure(1, 2200);
  scene.Says(2, true, 3000);
  scene.After(1, Failure(Outcome::kRejected, 3100, "no pg_hba.conf entry"));
  ASSERT_EQ(scene.told.size(), 1U);
  EXPECT_EQ(scene.told[0].hint.find("The host answers"), 0U);
}

TEST(Changes, APrimaryThatCannotPollItselfWarnsAllTheSame) {
  VotingScene scene;
  scene.limits.max_fails = 1;
  scene.AfterFailure(0, 2000);
  scene.AfterFailure(1, 2000);
  EXPECT_EQ(scene.AfterFailure(2, 2000).back(),
            "this primary sees no majority: only 1 of 3 voting nodes");
}

// It may be cut off, and still take writes.
TEST(Changes, ASplitBrainOutOfSightIsNotOver) {
  for (const Outcome outcome : {Outcome::kTimeout, Outcome::kRejected, Outcome::kRefused}) {
    ToldScene scene(2);
    scene.limits.max_fails = 1;
    scene.After(0, Primary(1, 100), 1000);
    scene.After(1, Primary(2, 100, kStartB), 1000);
    scene.After(0, Primary(1, 100), 2000);
    scene.After(1, Primary(2, 100, kStartB), 2000);
    ASSERT_TRUE(scene.cluster.split_brain);
    const Lines lines = scene.After(0, Failure(outcome, 3000, "gone"));
    if (outcome == Outcome::kRefused) {
      EXPECT_EQ(lines.back(), "split brain is over");
    } else {
      EXPECT_EQ(lines.back(),
                "split brain is out of sight: not all of the primaries can be reached");
      EXPECT_EQ(scene.told.back().detail, "May still take writes: \"a:5432\".");
    }
  }
}

TEST(Changes, ASplitBrainWithAnOlderTimelineSaysWhyTheFirstIsChosen) {
  ToldScene scene(3);
  const ClusterVerdict before = scene.cluster;
  for (int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Primary(2, 100, kStartB), ms);
    scene.Answers(2, Primary(2, 100, kStart + 6), ms);
  }
  const std::vector<LogLine> told = DescribeChanges(before, scene.cluster, scene.entries, false);
  EXPECT_EQ(
      told.back().detail,
      "\"b:5432\" (timeline 2, 1 host) goes before \"c:5432\" (timeline 2, 1 host): it was the "
      "primary before.");
}

TEST(Changes, ASplitBrainMayEndWithoutAnyPrimary) {
  ToldScene scene(2);
  for (int ms : {1000, 2000}) {
    scene.After(0, Primary(1, 100), ms);
    scene.After(1, Primary(2, 100, kStartB), ms);
  }
  const ClusterVerdict before = scene.cluster;
  ASSERT_TRUE(before.split_brain);
  scene.See(0, Answer(Standby(2, 100, kStart + 8), 3000));
  scene.See(1, Answer(Standby(2, 100, kStart + 9), 3000));
  const std::vector<LogLine> told = DescribeChanges(before, scene.cluster, scene.entries, false);
  EXPECT_EQ(told.back().message, "split brain is over");
  EXPECT_EQ(told.back().detail, "There is no primary now. No host in sight is a primary.");
}

TEST(Changes, BothPrimariesOfASplitBrainMayGetOutOfSight) {
  ToldScene scene(2);
  scene.limits.max_fails = 1;
  for (int ms : {1000, 2000}) {
    scene.After(0, Primary(1, 100), ms);
    scene.After(1, Primary(2, 100, kStartB), ms);
  }
  const ClusterVerdict before = scene.cluster;
  scene.See(0, Failure(Outcome::kTimeout, 3000, "gone"));
  scene.See(1, Failure(Outcome::kTimeout, 3000, "gone"));
  const std::vector<LogLine> told = DescribeChanges(before, scene.cluster, scene.entries, false);
  EXPECT_EQ(told.back().detail, "May still take writes: \"a:5432\", \"b:5432\".");
}

TEST(Changes, AStandbyWithoutAMajoritySaysSoAndWarnsOnceItIsPromoted) {
  ToldScene scene(3);
  scene.own_start = kStart;
  scene.limits.max_fails = 1;
  scene.After(0, Standby(1, 100, kStart), 1000);
  scene.AfterFailure(1, 1000);
  EXPECT_EQ(scene.AfterFailure(2, 1000).back(),
            "no majority is in sight: only 1 of 3 voting nodes");
  EXPECT_EQ(scene.told.back().level, LogLine::Level::kInfo);
  EXPECT_EQ(scene.After(0, Primary(2, 100, kStart), 2000).back(),
            "this primary sees no majority: only 1 of 3 voting nodes");
  EXPECT_EQ(scene.told.back().level, LogLine::Level::kWarning);
  EXPECT_EQ(scene.After(0, Primary(2, 200, kStart), 3000), Lines());
}

TEST(Changes, APrimaryThatTurnsOutToBeOfAnotherClusterIsNone) {
  ToldScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  Facts foreign = Primary(1, 100, kStart + 7);
  foreign.system_identifier = kOtherSystem;
  const Lines lines = scene.After(0, foreign, 2000);
  EXPECT_EQ(lines.back(), "no primary is in sight any more (was \"a:5432\")");
  EXPECT_EQ(scene.told.back().detail, "\"a:5432\" belongs to another cluster.");
}

}  // namespace
}  // namespace pg_status
