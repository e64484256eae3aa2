// Which standbys have another history than the primary. Host 0 is the primary at first, host 1 the
// standby that is looked at.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

constexpr WallUs kStartC = kStart + 50;

TEST(Divergence, NobodyInAnOrdinaryCluster) {
  Scene scene(2);
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Streaming(Standby(1, 150)), ms);
    EXPECT_FALSE(scene[1].diverged);
  }
}

TEST(Divergence, PastTheFork) {
  for (const Lsn replayed : {Lsn{500}, Lsn{501}}) {
    Scene scene(2);
    scene.Answers(0, WithHistory(Primary(2, 900), {{1, 500}}), 1000);
    scene.Answers(1, Standby(1, replayed), 1100);
    EXPECT_EQ(scene[1].diverged, replayed > 500) << replayed;
    EXPECT_FALSE(scene[1].lag.ms);
    EXPECT_FALSE(scene[1].lag.bytes);
    EXPECT_FALSE(scene[1].sync_by_time);
  }
}

TEST(Divergence, PastTheForkIsNotKnownWithoutTheHistory) {
  Scene scene(2);
  scene.Answers(0, Primary(2, 900), 1000);
  scene.Answers(1, Standby(1, 800), 1100);
  EXPECT_FALSE(scene[1].diverged);
  EXPECT_FALSE(scene[1].lag.ms) << "an older timeline is not compared all the same";
}

// Its control file has the timeline of the last restart point: it may have gone on to the new one.
TEST(Divergence, PastTheForkIsNotKnownWhereTheTimelineMayBeAnOldOne) {
  Scene scene(2);
  scene.Answers(0, WithHistory(Primary(2, 5000), {{1, 1000}}), 1000);
  scene.Answers(1, WithoutExactTimeline(Standby(1, 4000)), 1100);
  EXPECT_FALSE(scene[1].diverged);
  scene.Answers(1, Standby(1, 4000), 1200);
  EXPECT_TRUE(scene[1].diverged);
}

TEST(Divergence, OnATimelineOfItsOwn) {
  Scene scene(3);
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, WithHistory(Primary(3, 900), {{1, 500}, {2, 700}}), ms);
    scene.Answers(2, Streaming(Standby(3, 900, kStartC)), ms);
    scene.Answers(1, WithHistory(Standby(2, 600), {{1, 400}}), ms);
  }
  EXPECT_TRUE(scene[1].diverged);
  EXPECT_EQ(scene[1].divergence.why,
            "Its timeline 2 is no part of the history of \"a:5432\" (timeline 3).");
}

// A promotion that this node has not heard of yet is no divergence of who has followed it.
TEST(Divergence, ANewerTimelineCountsOnlyOnceThePrimaryWasAskedSince) {
  Scene scene(3);
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Streaming(Standby(1, 100)), ms);
    scene.Answers(2, Streaming(Standby(1, 100, kStartC)), ms);
  }
  scene.Answers(1, Standby(2, 110), 2500);
  EXPECT_FALSE(scene[1].diverged);
  scene.Answers(0, Primary(1, 100), 3000);
  EXPECT_TRUE(scene[1].diverged);
}

// Two were promoted to one timeline number, from the same place; the standby follows the other one.
struct Siblings : Scene {
  Siblings() : Scene(4) {
    for (const int ms : {1000, 2000}) {
      Answers(0, Primary(2, 900), ms);
      Answers(3, Streaming(Standby(2, 900, kStart + 9), "a"), ms);
      Answers(2, Primary(2, 700, kStartC), ms);
      Answers(1, Streaming(Standby(2, 950), "c"), ms);
    }
  }
};

TEST(Divergence, FollowsAnotherPrimaryOfTheSameTimeline) {
  Siblings scene;
  EXPECT_EQ(scene.cluster.primary, std::optional<std::size_t>(0));
  EXPECT_TRUE(scene[1].diverged);
  EXPECT_FALSE(scene[3].diverged);
  EXPECT_EQ(scene[1].divergence.why,
            "It follows \"c:5432\", which is a primary beside \"a:5432\" on timeline 2.");
  EXPECT_FALSE(scene[1].lag.bytes);
}

// It was pointed at one that was promoted from a place that it is past: it connects, is told that
// there is nothing for it, and stays what it was. Found by test/histories, seed 1002.
TEST(Divergence, AskingAnotherPrimaryInVainIsNone) {
  Scene scene(3);
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, WithHistory(Primary(1, 900), {}), ms);
    scene.Answers(2, WithHistory(Primary(2, 700, kStartC), {{1, 500}}), ms);
    scene.Answers(1, WithHistory(Streaming(Standby(1, 600), "c"), {}), ms);
  }
  EXPECT_EQ(scene.cluster.primary, std::optional<std::size_t>(0)) << "b is with it";
  EXPECT_FALSE(scene[1].diverged);
}

TEST(Divergence, LastsWhenTheOtherPrimaryIsGone) {
  Siblings scene;
  for (int ms : {2100, 2200, 2300}) scene.Fails(2, ms);
  scene.Answers(0, Primary(2, 9000), 3000);
  scene.Answers(1, Standby(2, 950), 3000);
  EXPECT_TRUE(scene[1].diverged);
  for (int ms : {3100, 3200, 3300}) scene.Fails(1, ms);
  scene.Answers(1, Standby(2, 950, kStart + 6), 4000);
  EXPECT_TRUE(scene[1].diverged) << "a restart mends nothing";
  scene.Answers(1, Streaming(Standby(2, 9000, kStart + 7), "a"), 5000);
  EXPECT_FALSE(scene[1].diverged) << "rebuilt";
}

TEST(Divergence, AheadOfWhatThePrimaryHadLater) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 900000), 1000);
  scene.Answers(1, Standby(1, 900000), 1500);
  EXPECT_FALSE(scene[1].diverged);
  // The primary comes back in an earlier state, of a snapshot of its disk.
  scene.Answers(0, Primary(1, 600000, kStart + 3), 2000);
  EXPECT_TRUE(scene[1].diverged);
  EXPECT_EQ(scene[1].divergence.why,
            "It had replayed 0/DBBA0 when \"a:5432\" had written no more than 0/927C0.");
  scene.Answers(0, Primary(1, 950000, kStart + 3), 3000);
  scene.Answers(1, Standby(1, 900000), 3100);
  EXPECT_TRUE(scene[1].diverged) << "that the primary has passed it proves nothing";
}

TEST(Divergence, WhatWasReplayedSinceThePrimaryWasAskedIsNotAhead) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100000), 1000);
  scene.Answers(1, Standby(1, 900000), 1500);
  EXPECT_FALSE(scene[1].diverged);
}

// Two names of one place: the end of a record, and the beginning of the page behind it.
TEST(Divergence, LessThanAPageAheadIsNoProof) {
  Scene scene(2);
  scene.Answers(1, Standby(1, 8192 + 24), 1000);
  scene.Answers(0, Primary(1, 8192), 1500);
  EXPECT_FALSE(scene[1].diverged);
}

TEST(Divergence, EndsWithAPromotionAndWithAnotherPrimary) {
  Siblings scene;
  scene.Answers(1, WithHistory(Primary(3, 1000), {{1, 1}, {2, 960}}), 3000);
  EXPECT_FALSE(scene[1].diverged);
  Siblings other;
  for (int ms : {2100, 2200, 2300}) other.Fails(0, ms);
  for (int ms : {2100, 2200, 2300}) other.Fails(3, ms);
  for (int s = 3; s <= 14; ++s) {
    other.Answers(2, Primary(2, 700, kStartC), s * 1000);
    other.Answers(1, Streaming(Standby(2, 700), "c"), s * 1000);
  }
  EXPECT_EQ(other.cluster.primary, std::optional<std::size_t>(2));
  EXPECT_FALSE(other[1].diverged);
}

TEST(Divergence, IsToldOnceAndWhenItIsOver) {
  Siblings scene;
  ClusterVerdict before = scene.cluster;
  before.hosts[1].diverged = false;
  const std::vector<LogLine> told = DescribeChanges(before, scene.cluster, scene.entries, false);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].level, LogLine::Level::kWarning);
  EXPECT_EQ(told[0].message, "host \"b:5432\" has another history than the primary");
  EXPECT_EQ(told[0].detail, scene[1].divergence.why);
  ClusterVerdict after = scene.cluster;
  after.hosts[1].diverged = false;
  const std::vector<LogLine> over = DescribeChanges(scene.cluster, after, scene.entries, false);
  ASSERT_EQ(over.size(), 1U);
  EXPECT_EQ(over[0].message, "host \"b:5432\" is not diverged any more");
}

}  // namespace
}  // namespace pg_status
