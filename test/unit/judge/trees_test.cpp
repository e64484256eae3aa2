// Trees, and duels between them, where something is missing, lost or out of place: what the
// histories of election_test.cpp do not come to.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "judge/election.hpp"
#include "judge/judge.hpp"
#include "judge/story.hpp"

namespace pg_status {
namespace {

const TimelineHistory kOne = {1, {{1, 500}}};
const TimelineHistory kOther = {1, {{1, 400}}};

Tree Claimant(std::size_t place, std::uint32_t timeline, std::size_t size) {
  Tree tree;
  tree.claimant = tree.root = tree.place = place;
  tree.branch = {timeline, nullptr};
  tree.size = size;
  return tree;
}

Tree Headless(std::size_t place, std::uint32_t timeline, std::size_t size) {
  Tree tree = Claimant(place, timeline, size);
  tree.claimant.reset();
  return tree;
}

void Wins(const Tree& winner, const Tree& loser, Ground ground, const char* why) {
  const Duel duel = Decide(winner, loser), back = Decide(loser, winner);
  EXPECT_TRUE(duel.first_wins) << why;
  EXPECT_FALSE(back.first_wins) << why;
  EXPECT_EQ(duel.ground, ground) << why;
  EXPECT_EQ(back.ground, ground) << why;
}

// ---- duels --------------------------------------------------------------------------------------

TEST(Duels, APrimaryThatFailsAndWasNotHeardOfSinceThePromotionHasLostItsPlace) {
  Tree older = Claimant(0, 1, 3), newer = Claimant(1, 2, 1);
  older.incumbent = true;
  older.heard = Ms(1000);
  newer.since = Ms(2000);
  Wins(older, newer, Ground::kIncumbent, "it does not fail");
  older.failing = true;
  Wins(newer, older, Ground::kSucceeded, "it fails, and was last heard of before");
  older.heard = Ms(2000);
  Wins(older, newer, Ground::kIncumbent, "it was heard of since");
  older.heard = Ms(1000);
  newer.refused = true;
  Wins(older, newer, Ground::kSteady, "the other one was refused beside it");
}

TEST(Duels, TheSameDataThatWereStartedElsewhereTakeOver) {
  Tree gone = Headless(0, 1, 2), moved = Claimant(1, 1, 1);
  gone.incumbent = true;
  gone.position = moved.position = 700;
  Wins(gone, moved, Ground::kBigger, "it may come back");
  gone.gone = true;
  Wins(moved, gone, Ground::kSucceeded, "it is gone, and nothing of it is missing");
  moved.position = 699;
  Wins(gone, moved, Ground::kBigger, "its followers have more");
  moved.position = 700;
  moved.branch = {2, &kOne};
  gone.branch = {2, &kOther};
  Wins(gone, moved, Ground::kBigger, "it is another history");
  moved.branch = gone.branch;
  moved.refused = true;
  Wins(gone, moved, Ground::kSteady, "it was refused");
}

TEST(Duels, ReachGoesBeforeSteadiness) {
  Tree named = Claimant(0, 1, 1), refused = Claimant(1, 1, 1);
  named.incumbent = named.cut_off = true;
  refused.refused = true;
  Wins(refused, named, Ground::kReached, "a majority reaches the refused one only");
}

// ---- trees --------------------------------------------------------------------------------------

std::vector<Tree> TreesOf(const Story& story, std::int64_t now_ms) {
  return FindTrees(story.cluster, story.entries, story.limits, Ms(now_ms));
}

std::size_t SizeAt(const std::vector<Tree>& trees, std::size_t claimant) {
  for (const Tree& tree : trees) {
    if (tree.claimant == claimant) return tree.size;
  }
  return 0;
}

// ---- what a role may not read

Facts Hidden(Facts facts) {
  if (facts.in_recovery) facts.receiver = WalReceiver();
  facts.timeline = 0;
  facts.timeline_exact = false;
  return facts;
}

// A hidden receiver and a hidden timeline speak against nobody.
TEST(Trees, StandbysThatTellNothingAreWithTheOnlyPrimary) {
  for (const bool primary_tells : {true, false}) {
    Story story(3);
    for (const int ms : {1000, 2000, 3000}) {
      const Facts primary = Story::PrimaryOf(0, 1);
      story.Answers(0, primary_tells ? primary : Hidden(primary), ms);
      for (const std::size_t i : {1, 2})
        story.Answers(i, Hidden(Story::StandbyOf(i, 1, 0)), ms + 1);
    }
    EXPECT_EQ(story.Named(), 0u);
    EXPECT_EQ(SizeAt(TreesOf(story, 3010), 0), 3u);
    EXPECT_FALSE(story.cluster.split_brain);
    EXPECT_EQ(story.cluster.fence_cause, FenceCause::kNone);
  }
}

TEST(Trees, StandbysWithTheirTimelineAreWithAPrimaryThatDoesNotTellIt) {
  Story story(3);
  for (const int ms : {1000, 2000, 3000}) {
    story.Answers(0, Hidden(Story::PrimaryOf(0, 1)), ms);
    for (const std::size_t i : {1, 2}) {
      Facts standby = Story::StandbyOf(i, 1, 0);
      standby.receiver = WalReceiver();
      story.Answers(i, standby, ms + 1);
    }
  }
  EXPECT_EQ(story.Named(), 0u);
  EXPECT_EQ(SizeAt(TreesOf(story, 3010), 0), 3u);
}

// Whom they followed when they could tell it last may be long ago.
TEST(Trees, WhoHidesItsReceiverMayHaveMoved) {
  Story story = Three();
  story.Dies(0, 3000);
  Facts moved = Standby(1, 1000, Story::StartOf(2));
  moved.receiver = WalReceiver();
  moved.timeline_exact = false;
  story.Answers(2, Voting(moved), 4000);
  story.Answers(1, Story::PrimaryOf(1, 2), 4100);
  story.Answers(2, Voting(moved), 4200);
  EXPECT_EQ(story.Named(), 1u);
  EXPECT_EQ(story.cluster.hosts[2].followed, "");
  EXPECT_EQ(SizeAt(TreesOf(story, 4300), 1), 2u);
}

// ---- histories

TEST(Trees, WhoIsOnAnotherHistoryIsNotWithWhomItStreamsFrom) {
  const struct {
    const char* what;
    Facts standby;
    bool with;
  } kCases[] = {
      {"the same", WithHistory(Story::StandbyOf(1, 3, 0), {{1, 500}, {2, 700}}), true},
      {"a newer one", WithHistory(Story::StandbyOf(1, 4, 0), {{1, 500}, {2, 700}, {3, 800}}),
       false},
      {"a sibling", WithHistory(Story::StandbyOf(1, 3, 0), {{1, 500}, {2, 600}}), false},
      {"an older one, from before the fork", Streaming(Voting(Standby(2, 700, Story::StartOf(1)))),
       true},
      {"an older one, past the fork", Streaming(Voting(Standby(2, 701, Story::StartOf(1)))), false},
      {"an older one, as its control file says",
       WithoutExactTimeline(Streaming(Voting(Standby(2, 701, Story::StartOf(1))))), true},
  };
  for (const auto& c : kCases) {
    Story story(2);
    story.Answers(0, WithHistory(Story::PrimaryOf(0, 3), {{1, 500}, {2, 700}}), 1000);
    story.Answers(1, c.standby, 1000);
    EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), c.with ? 2U : 1U) << c.what;
  }
  // Where it has left the older one, or how far the standby is, may not be known.
  Story story(2);
  story.Answers(0, Story::PrimaryOf(0, 3), 1000);
  story.Answers(1, Story::StandbyOf(1, 2, 0), 1000);
  EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), 2U);
  story.Answers(0, WithHistory(Story::PrimaryOf(0, 3), {{1, 500}, {2, 700}}), 1100);
  Facts nowhere = Story::StandbyOf(1, 2, 0);
  nowhere.replay_lsn.reset();
  story.Answers(1, nowhere, 1100);
  EXPECT_EQ(SizeAt(TreesOf(story, 1100), 0), 2U);
}

TEST(Trees, AChainEndsWhereNobodyOfTheListIsAndWhereNobodyIsKnown) {
  // c streams from b, b from a server that is not in the list.
  Story story(3);
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  story.Answers(1, Streaming(Voting(Standby(1, 900, Story::StartOf(1))), "elsewhere"), 1000);
  story.Answers(2, Story::StandbyOf(2, 1, 1), 1000);
  EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), 3U) << "its timeline fits the only claimant";
  // b followed a host that was taken off the list since.
  story[1].upstream_index.reset();
  story[1].followed = "gone:5432";
  EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), 3U);
  // b is not in sight any more, and what it followed is not known: c is with what was there.
  story[1].followed.clear();
  story[1].role = Role::kUnknown;
  bool found = false;
  for (const Tree& tree : TreesOf(story, 1000))
    found = found || (!tree.claimant && tree.root == 1U);
  EXPECT_TRUE(found) << "a tree of its own, at whose end is b";
  // in a circle
  story[1].role = Role::kStandby;
  story[1].upstream_index = 2;
  EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), 3U);
}

TEST(Trees, OfHeadlessOnesAreNotMoreThanAnybodyHas) {
  Story story(80);
  story.Answers(0, WithHistory(Story::PrimaryOf(0, 2), {{1, 1}}), 1000);
  for (std::size_t i = 1; i < 80; ++i) {
    const Lsn fork = 1000 + static_cast<Lsn>(i);
    story.Answers(i, WithHistory(Story::Unconnected(i, 2), {{1, fork}}), 1000);
  }
  EXPECT_EQ(TreesOf(story, 1000).size(), 65U);
  EXPECT_EQ(SizeAt(TreesOf(story, 1000), 0), 1U);
}

TEST(Trees, AHeadlessOneIsAsNewAsItsNewestFollower) {
  Story story(4);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, WithHistory(Story::PrimaryOf(0, 2), {{1, 500}}), ms);
    for (const std::size_t i : {1, 2, 3}) {
      story.Answers(i, WithHistory(Story::StandbyOf(i, 2, 0), {{1, 500}}), ms);
    }
  }
  story.Dies(0, 3000);
  story.Answers(2, WithHistory(Story::StandbyOf(2, 3, 0), {{1, 500}, {2, 900}}), 3100);
  const std::vector<Tree> trees = TreesOf(story, 3100);
  ASSERT_EQ(trees.size(), 1U);
  EXPECT_EQ(trees[0].size, 3U);
  EXPECT_EQ(trees[0].branch.timeline, 3U);
  EXPECT_TRUE(trees[0].incumbent);
}

TEST(Trees, WhoFollowsOneThatWasTakenOutByForceIsWithNobody) {
  Story story = Three();
  story[0].forced_out = true;
  for (const Tree& tree : TreesOf(story, 2000)) {
    EXPECT_FALSE(tree.claimant);
    EXPECT_EQ(tree.size, 0U);
  }
}

TEST(Trees, ARefusedClaimKeepsNobodyWhoMayBelongToTheIncumbent) {
  // c was started without standby.signal beside a; then a is away for a moment.
  Story same(3);
  for (const int ms : {1000, 2000}) {
    same.Answers(0, Story::PrimaryOf(0, 1), ms);
    same.Answers(1, Story::StandbyOf(1, 1, 0), ms);
    same.Answers(2, Story::StandbyOf(2, 1, 0), ms);
  }
  for (const int ms : {3000, 4000}) {
    same.Answers(2, Story::PrimaryOf(2, 1, 1), ms);
    same.Answers(0, Story::PrimaryOf(0, 1), ms);
    same.Answers(1, Story::StandbyOf(1, 1, 0), ms);
  }
  same.Dies(0, 5000);
  same.Answers(1, Story::Unconnected(1, 1, 1), 5100);
  EXPECT_EQ(SizeAt(TreesOf(same, 5100), 2), 1U) << "it may be the incumbent's";
}

// ---- outcome ------------------------------------------------------------------------------------

TEST(Outcome, AnUnknownTimelineIsSaidToBeUnknown) {
  Story story(2);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 0), ms);
    story.Answers(1, Story::PrimaryOf(1, 0), ms);
  }
  EXPECT_NE(story.cluster.primary_reason.find("timeline unknown"), std::string::npos)
      << story.cluster.primary_reason;
}

TEST(Outcome, OneThatIsTakenOutIsKeptForTheLagWhoeverElseIsNoPrimary) {
  Story story = Three();
  story[0].forced_out = true;
  story.Answers(1, Story::StandbyOf(1, 1, 0), 3000);
  EXPECT_EQ(story.Named(), Index(0));
  EXPECT_NE(story.cluster.primary_reason.find("an operator has taken it out"), std::string::npos)
      << story.cluster.primary_reason;
}

TEST(Outcome, WhoHasGoneBackToTheTimelineOfThePrimaryIsRefusedNoMore) {
  Story story = WrongOnePromoted();
  ASSERT_NE(story[2].refused_timeline, 0U);
  story.Answers(2, Story::StandbyOf(2, 2, 0, 1), 5000);
  EXPECT_NE(story[2].refused_timeline, 0U) << "a standby with what was refused";
  story.Answers(2, Story::StandbyOf(2, 1, 0, 2), 6000);
  EXPECT_EQ(story[2].refused_timeline, 0U) << "it was rebuilt";
}

// Nobody has to stand back for an incumbent that does not come back.
TEST(Trees, ARefusedClaimIsAnOrdinaryOneWhenTheIncumbentIsGone) {
  Story story = WrongOnePromoted();
  story.Dies(0, 5000);
  story.Answers(1, Story::Unconnected(1, 2, 1), 5100);
  for (int ms = 6000; ms <= 20000; ms += 1000) {
    story.Fails(0, ms);
    story.Answers(2, Story::PrimaryOf(2, 2), ms);
    story.Answers(1, Story::Unconnected(1, 2, 1), ms);
  }
  const std::vector<Tree> trees = TreesOf(story, 20000);
  ASSERT_FALSE(trees.empty());
  EXPECT_FALSE(trees[0].refused);
  EXPECT_EQ(story.Named(), Index(2));
}

// Servers that were refused and came back as standbys are a tree that stands back, as long as
// nobody else is in it.
TEST(Trees, OfRefusedServersOnlyIsRefused) {
  Story story = WrongOnePromoted();
  ASSERT_NE(story[2].refused_timeline, 0U);
  story.Answers(2, Story::Unconnected(2, 2, 1), 5000);
  bool found = false;
  for (const Tree& tree : TreesOf(story, 5000)) {
    found =
        found || (!tree.claimant && tree.refused && tree.followers == std::vector<std::size_t>{2});
  }
  EXPECT_TRUE(found);
  story.Answers(1, Story::Unconnected(1, 2, 1), 5100);
  for (const Tree& tree : TreesOf(story, 5100)) {
    if (!tree.claimant && tree.branch.timeline == 2) {
      EXPECT_FALSE(tree.refused && tree.followers.size() == 2) << "b was never refused";
    }
  }
}

}  // namespace
}  // namespace pg_status
