// When a primary is to keep away from load balancers. This server is host 0.
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "judge/age.hpp"
#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

struct FenceScene : Scene {
  explicit FenceScene(std::size_t hosts) : Scene(hosts) { own_start = StartOf(0); }

  static WallUs StartOf(std::size_t host) { return kStart + static_cast<WallUs>(host); }

  // Host `host` answers, reaches host 0 or does not, and holds `named` to be the primary.
  void Says(std::size_t host, bool reaches_us, std::size_t named, std::int64_t ms) {
    Facts facts =
        host == 0 ? Primary(1, 1000, StartOf(0)) : Streaming(Standby(1, 1000, StartOf(host)));
    Opinions opinions = Naming(named);
    opinions[0].reachable = reaches_us;
    Speaks(host, std::move(facts), std::move(opinions), ms);
  }
  // Of one that reaches all.
  Opinions Naming(std::size_t named) const {
    Opinions opinions;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Opinion opinion;
      opinion.host = entries[i].name;
      opinion.reachable = true;
      opinion.system_identifier = kSystem;
      opinion.postmaster_start = StartOf(i);
      opinion.rank = i == named ? Rank::kPrimary : Rank::kNone;
      opinions.push_back(opinion);
    }
    return opinions;
  }
  void Speaks(std::size_t host, Facts facts, Opinions opinions, std::int64_t ms) {
    facts.gives_opinions = true;
    facts.opinions = std::make_shared<Opinions>(std::move(opinions));
    Answers(host, std::move(facts), ms);
  }
  void AllWell(std::int64_t ms) {
    for (std::size_t i = 0; i < entries.size(); ++i) Says(i, true, 0, ms);
  }
  void Dies(std::size_t host, std::int64_t ms) {
    for (int i = 0; i < limits.max_fails; ++i) Fails(host, ms + i, Outcome::kTimeout);
  }
  FenceCause Cause() const { return cluster.fence_cause; }
};

TEST(Fence, NothingSpeaksAgainstAPrimaryThatAllSee) {
  FenceScene scene(3);
  scene.AllWell(1000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
}

TEST(Fence, NoMajority) {
  FenceScene scene(3);
  scene.AllWell(1000);
  scene.Dies(1, 1100);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
  scene.Dies(2, 1200);
  EXPECT_EQ(scene.Cause(), FenceCause::kNoMajority);
}

TEST(Fence, AMajorityThatDoesNotReachUsForSomeTime) {
  FenceScene scene(3);
  scene.AllWell(1000);
  scene.Says(1, false, 0, 2000);
  scene.Says(0, true, 0, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "one alone may be at fault itself";
  scene.Says(2, false, 0, 3000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "that may be of before this server was started";
  scene.Says(0, true, 0, 4000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
  scene.Says(0, true, 0, 4300);
  EXPECT_EQ(scene.Cause(), FenceCause::kUnreachable);
  scene.Says(1, true, 0, 4400);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
}

TEST(Fence, ASuccessor) {
  FenceScene scene(4);
  scene.AllWell(1000);
  for (const int ms : {2000, 3000}) {
    Facts successor = Primary(2, 1000, FenceScene::StartOf(1));
    successor.gives_opinions = true;
    scene.Answers(1, successor, ms);
    scene.Says(0, true, 0, ms);
    EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "nobody follows it";
  }
  for (const std::size_t host : {2, 3}) {
    Facts follower = Streaming(Standby(2, 1000, FenceScene::StartOf(host)), "b");
    follower.gives_opinions = true;
    scene.Answers(host, follower, 3500);
  }
  EXPECT_EQ(scene.Cause(), FenceCause::kSuccessor);
}

TEST(Fence, ANewerTimelineWithoutItsPrimary) {
  FenceScene scene(2);
  scene.Says(0, true, 0, 1000);
  scene.Answers(1, Standby(2, 1000, FenceScene::StartOf(1)), 1100);
  EXPECT_EQ(scene.Cause(), FenceCause::kSuccessor) << "it takes no majority to see that";
}

TEST(Fence, AMajorityThatNamesAnother) {
  FenceScene scene(3);
  scene.AllWell(1000);
  scene.Says(1, true, 1, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
  scene.Says(2, true, 1, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kOutvoted);
}

// The others may know this server by another entry of the list.
TEST(Fence, AMajorityThatNamesThisServerByAnotherEntry) {
  FenceScene scene(4);
  const auto names = [&](std::size_t host, std::size_t entry, WallUs start, std::int64_t ms) {
    Facts facts = Streaming(Standby(1, 1000, FenceScene::StartOf(host)));
    facts.gives_opinions = true;
    Opinion opinion;
    opinion.host = scene.entries[entry].name;
    opinion.reachable = true;
    opinion.system_identifier = start == 0 ? 0 : kSystem;
    opinion.postmaster_start = start;
    opinion.rank = Rank::kPrimary;
    facts.opinions = std::make_shared<Opinions>(Opinions{opinion});
    scene.Answers(host, facts, ms);
  };
  scene.Says(0, true, 0, 1000);
  scene.Says(2, true, 0, 1000);
  scene.Says(3, true, 0, 1000);
  Facts alias = Primary(1, 1000, FenceScene::StartOf(0));
  alias.gives_opinions = true;
  scene.Answers(1, alias, 1000);
  for (const std::size_t host : {2, 3}) names(host, 1, 0, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "entry 1 is this server as well";
  // Of whom nobody has heard it is not known who that is: it is another.
  FenceScene other(4);
  other.Says(0, true, 0, 1000);
  other.Says(2, true, 0, 1000);
  other.Says(3, true, 0, 1000);
  for (int i = 0; i < 3; ++i) other.Fails(1, 1000 + i, Outcome::kTimeout);
  EXPECT_EQ(other.Cause(), FenceCause::kNone);
  for (const std::size_t host : {2, 3}) other.Says(host, true, 1, 2000);
  EXPECT_EQ(other.Cause(), FenceCause::kNone) << "two of four are no majority";
}

// ---- a cut between two primaries, with nodes that reach both
// --------------------------------------

// Host 0 was promoted while it could not reach host 1, the primary that `followers` name.
struct BridgeScene : FenceScene {
  explicit BridgeScene(std::size_t hosts) : FenceScene(hosts) {
    for (std::size_t i = 0; i < hosts; ++i) Names(i, 1, 0, 1000);
    Dies(1, 1100);
    promoted = true;
  }

  // Host `host` names `named`, and last reached host 1 `age_ms` before it says so.
  void Names(std::size_t host, std::size_t named, std::int64_t age_ms, std::int64_t ms) {
    Facts facts = host == 0 && promoted ? Primary(2, 2000, StartOf(0))
                  : host == 1           ? Primary(1, 1000, StartOf(1))
                                        : Streaming(Standby(1, 1000, StartOf(host)), "b");
    Opinions opinions = Naming(named);
    for (Opinion& opinion : opinions) opinion.success_age_us = 0;
    opinions[1].success_age_us = age_ms * kUsPerMs;
    Speaks(host, std::move(facts), std::move(opinions), ms);
  }
  bool promoted = false;

  // Another round: the followers speak, then host 1 fails once more.
  void Round(std::size_t named, std::int64_t age_ms, std::int64_t ms) {
    for (std::size_t i = 2; i < entries.size(); ++i) Names(i, named, age_ms, ms);
    Fails(1, ms + 50, Outcome::kTimeout);
    Names(0, 0, 5000, ms + 60);
  }
};

TEST(Fence, AnotherPrimaryOutOfReachThatTheNodeBetweenNames) {
  BridgeScene scene(3);
  scene.Round(1, 10, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kOutvoted);
  scene.Names(2, 1, 10, 2900);
  EXPECT_EQ(scene.Cause(), FenceCause::kOutvoted) << "and stays so between two failures";
  scene.Round(0, 10, 3000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "the node between names this one";
}

TEST(Fence, TheOneThatTheNodeBetweenNamesIsNotFenced) {
  BridgeScene scene(3);
  for (const int ms : {2000, 3000, 4000}) {
    scene.Round(0, 10, ms);
    EXPECT_EQ(scene.Cause(), FenceCause::kNone);
  }
}

TEST(Fence, APrimaryThatDiedIsNoRivalForThoseWhoHaveNotNoticed) {
  BridgeScene scene(3);
  scene.Round(1, 950, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "nobody has reached it since it failed here";
}

TEST(Fence, WhoReachedARivalLongAgoProvesNothing) {
  BridgeScene scene(3);
  scene.Round(1, 10, 2000);
  EXPECT_EQ(scene.Cause(), FenceCause::kOutvoted);
  for (int ms = 3000; ms <= 9000; ms += 1000) scene.Round(1, ms - 1990, ms);
  EXPECT_NE(scene.Cause(), FenceCause::kOutvoted) << "its own poller stands still";
}

TEST(Fence, OfTwoNodesNoneIsOutvoted) {
  BridgeScene two(2);
  two.Round(1, 10, 2000);
  EXPECT_NE(two.Cause(), FenceCause::kOutvoted);
}

TEST(Fence, OneVoterHasOneVoiceWhateverItSays) {
  FenceScene scene(3);
  scene.AllWell(1000);
  Facts liar = Streaming(Standby(1, 1000, FenceScene::StartOf(2)));
  liar.gives_opinions = true;
  Opinion opinion;
  opinion.host = "b:5432";
  opinion.reachable = true;
  opinion.system_identifier = kSystem;
  opinion.postmaster_start = FenceScene::StartOf(1);
  opinion.rank = Rank::kPrimary;
  liar.opinions = std::make_shared<Opinions>(Opinions{opinion, opinion, opinion});
  scene.Answers(2, liar, 2000);
  EXPECT_EQ(scene.cluster.voices.size(), 2U);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
}

// The one that has not answered yet may be the one who knows of a successor.
TEST(Fence, AServerThatJustStartsWaitsUntilEverybodyWasAsked) {
  FenceScene scene(3);
  scene.Says(0, true, 0, 1000);
  scene.Says(1, true, 0, 1000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNoMajority) << "two of three are in sight";
  scene.Fails(2, 1100, Outcome::kTimeout);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone) << "asked in vain is asked";
}

TEST(Fence, APollerThatBeginsAnewFencesNobodyForThat) {
  for (const std::size_t named : {0, 1}) {
    FenceScene scene(3);
    Incumbent before;
    before.name = scene.entries[named].name;
    before.run = {kSystem, FenceScene::StartOf(named)};
    scene.cluster.incumbent = before;
    scene.Says(0, true, 0, 1000);
    scene.Says(2, true, 0, 1000);
    EXPECT_EQ(scene.Cause(), named == 0 ? FenceCause::kNone : FenceCause::kNoMajority)
        << "the one before it named host " << named;
  }
}

TEST(Fence, AListThatGrowsFencesNobody) {
  FenceScene scene(3);
  scene.AllWell(1000);
  for (int i = 0; i < 4; ++i) {
    scene.cluster.hosts.emplace_back();
    HostEntry entry;
    entry.name = entry.hostname = "new" + std::to_string(i);
    scene.entries.push_back(entry);
  }
  scene.Judge(1100);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
}

// Our own poller stood still; when it goes on, what it knows of the others is no younger for that.
TEST(Fence, WhatIsTooOldIsNoMajority) {
  FenceScene scene(3);
  scene.AllWell(1000);
  scene.Says(0, true, 0, 8000);
  EXPECT_EQ(scene.Cause(), FenceCause::kNoMajority);
  EXPECT_EQ(scene[1].role, Role::kUnknown);
  EXPECT_EQ(scene[1].votes_up, 0);
  EXPECT_FALSE(scene[1].lag.ms);
  scene.Says(1, true, 0, 8100);
  EXPECT_EQ(scene.Cause(), FenceCause::kNone);
}

// ---- age ----------------------------------------------------------------------------------------

TEST(Age, IsCountedToTheMicrosecond) {
  const Limits limits;
  const MonoUs now = 100 * kUsPerSecond;
  EXPECT_FALSE(IsTooOld(now - StaleAfter(limits), limits, now));
  EXPECT_TRUE(IsTooOld(now - StaleAfter(limits) - 1, limits, now));
  EXPECT_TRUE(IsTooOld(0, limits, 1)) << "never";
}

TEST(Age, AFullServerIsInSightAndWhatItToldIsOld) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1000);
  for (int s = 2; s <= 20; ++s) {
    scene.Fails(0, s * 1000, Outcome::kFull);
    scene.Answers(1, Standby(1, 100), s * 1000);
  }
  EXPECT_TRUE(scene[0].chosen_primary);
  EXPECT_TRUE(IsInSight(scene[0], scene.limits, Ms(20000)));
  EXPECT_TRUE(IsOutOfDate(scene[0], scene.limits, Ms(20000)));
}

TEST(Age, ThePrimaryThatNobodyHasHeardOfIsNone) {
  Scene scene(1);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Judge(7000);
  EXPECT_TRUE(scene.cluster.primary);
  scene.Judge(7001);
  EXPECT_FALSE(scene.cluster.primary);
  EXPECT_EQ(scene[0].role, Role::kUnknown);
}

}  // namespace
}  // namespace pg_status
