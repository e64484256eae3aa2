// Who is the primary: each rule, and for each the histories that need it. Hosts are "a:5432",
// "b:5432" ...; who streams from "a" streams from the first of them.
#include "judge/election.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "judge/judge.hpp"
#include "judge/story.hpp"

namespace pg_status {
namespace {

// ---- rules --------------------------------------------------------------------------------------

const TimelineHistory kFirst = {1, {}};
const TimelineHistory kSecond = {1, {{1, 500}}};
const TimelineHistory kOtherSecond = {1, {{1, 400}}};

enum Mark : unsigned {
  kClaims = 0,
  kHeadless = 1,
  kWasNamed = 2,
  kRefused = 4,
  kCutOff = 8,
  kElsewhere = 16,
  kFollowed = 32
};

Tree MakeTree(std::uint32_t timeline, std::size_t size, unsigned marks, std::size_t place = 0,
              const TimelineHistory* history = nullptr) {
  Tree tree;
  if ((marks & kHeadless) == 0) tree.claimant = place;
  tree.root = place;
  tree.branch = {timeline, history};
  tree.size = size;
  if ((marks & kFollowed) != 0) tree.followers.push_back(place + 10);
  tree.place = place;
  tree.incumbent = (marks & kWasNamed) != 0;
  tree.refused = (marks & kRefused) != 0;
  tree.cut_off = (marks & kCutOff) != 0;
  tree.elsewhere = (marks & kElsewhere) != 0;
  return tree;
}

struct DuelCase {
  const char* situation;
  Tree winner;
  Tree loser;
  Ground ground;
};

std::ostream& operator<<(std::ostream& out, const DuelCase& row) { return out << row.situation; }

class DuelRow : public testing::TestWithParam<DuelCase> {};

TEST_P(DuelRow, EndsTheSameWhicheverComesFirst) {
  const DuelCase& row = GetParam();
  const Duel duel = Decide(row.winner, row.loser);
  EXPECT_TRUE(duel.first_wins);
  EXPECT_EQ(duel.ground, row.ground);
  const Duel back = Decide(row.loser, row.winner);
  EXPECT_FALSE(back.first_wins);
  EXPECT_EQ(back.ground, row.ground);
}

INSTANTIATE_TEST_SUITE_P(
    Reach, DuelRow,
    testing::Values(DuelCase{"a majority reaches the smaller, older one only",
                             MakeTree(1, 1, kClaims), MakeTree(2, 3, kCutOff | kFollowed, 1),
                             Ground::kReached},
                    DuelCase{"neither is reached: the next rule", MakeTree(2, 2, kCutOff),
                             MakeTree(1, 1, kCutOff, 1), Ground::kNewer},
                    DuelCase{"of a headless tree there is nothing to be reached",
                             MakeTree(2, 2, kHeadless), MakeTree(1, 1, kClaims, 1),
                             Ground::kNewer}));

INSTANTIATE_TEST_SUITE_P(
    Steady, DuelRow,
    testing::Values(
        DuelCase{"the wrong standby was promoted, then the right one restarts",
                 MakeTree(1, 1, kWasNamed), MakeTree(2, 1, kRefused, 1), Ground::kSteady},
        DuelCase{"then the primary itself restarts", MakeTree(1, 1, kWasNamed | kHeadless),
                 MakeTree(2, 1, kRefused, 1), Ground::kSteady},
        DuelCase{"with nobody left but the refused one", MakeTree(1, 0, kWasNamed | kHeadless),
                 MakeTree(1, 1, kRefused, 1), Ground::kSteady},
        DuelCase{"somebody follows the refused one", MakeTree(2, 2, kRefused | kFollowed, 1),
                 MakeTree(1, 1, kWasNamed), Ground::kNewer}));

INSTANTIATE_TEST_SUITE_P(
    Age, DuelRow,
    testing::Values(
        DuelCase{"failover: many have not moved yet", MakeTree(2, 1, kClaims, 1),
                 MakeTree(1, 3, kHeadless | kWasNamed), Ground::kSucceeded},
        DuelCase{"only we have lost the primary of the many",
                 MakeTree(1, 3, kHeadless | kWasNamed | kElsewhere), MakeTree(2, 1, kClaims, 1),
                 Ground::kIncumbent},
        DuelCase{"failover with the old one alive, a follower has moved",
                 MakeTree(2, 2, kFollowed, 1), MakeTree(1, 1, kWasNamed), Ground::kNewer},
        DuelCase{"two nodes: the newer one", MakeTree(2, 1, kClaims, 1), MakeTree(1, 1, kWasNamed),
                 Ground::kNewer},
        DuelCase{"the right primary restarts beside a superseded one",
                 MakeTree(2, 1, kHeadless | kWasNamed, 1), MakeTree(1, 1, kClaims), Ground::kNewer},
        DuelCase{"the wrong standby was promoted", MakeTree(1, 2, kWasNamed | kFollowed),
                 MakeTree(2, 1, kClaims, 1), Ground::kIncumbent},
        DuelCase{"an old primary comes back with a standby that was never pointed elsewhere",
                 MakeTree(2, 1, kWasNamed, 1), MakeTree(1, 2, kFollowed), Ground::kIncumbent},
        DuelCase{"nobody remembers: the bigger", MakeTree(1, 2, kFollowed),
                 MakeTree(2, 1, kClaims, 1), Ground::kOlderBigger},
        DuelCase{"a higher number that does not descend from the other is not newer",
                 MakeTree(1, 2, kFollowed, 0, &kFirst), MakeTree(2, 1, kClaims, 1, &kSecond),
                 Ground::kOlderBigger}));

INSTANTIATE_TEST_SUITE_P(
    Equals, DuelRow,
    testing::Values(
        DuelCase{"started without standby.signal, first in the list",
                 MakeTree(1, 2, kWasNamed | kFollowed, 1), MakeTree(1, 1, kClaims, 0),
                 Ground::kBigger},
        DuelCase{"the same without a follower", MakeTree(1, 1, kWasNamed, 1),
                 MakeTree(1, 1, kClaims, 0), Ground::kIncumbent},
        DuelCase{"two promoted at once: the bigger", MakeTree(2, 2, kFollowed, 1, &kSecond),
                 MakeTree(2, 1, kWasNamed, 0, &kOtherSecond), Ground::kBigger},
        DuelCase{"as big: who was named", MakeTree(2, 2, kWasNamed | kFollowed, 1, &kSecond),
                 MakeTree(2, 2, kFollowed, 0, &kOtherSecond), Ground::kIncumbent},
        DuelCase{"nothing tells them apart: the list", MakeTree(2, 1, kClaims, 0, &kSecond),
                 MakeTree(2, 1, kClaims, 1, &kOtherSecond), Ground::kFirst}));

TEST(Elect, NobodyWinsWhereNobodyIs) {
  EXPECT_FALSE(Elect({}).winner);
  const Election alone = Elect({MakeTree(1, 1, kClaims)});
  EXPECT_EQ(alone.winner, Index(0));
  EXPECT_FALSE(alone.rival);
  EXPECT_EQ(alone.ground, Ground::kAlone);
}

TEST(Elect, TheStrongestOfTheOthersIsTheRival) {
  const Election election = Elect({MakeTree(1, 0, kHeadless, 3), MakeTree(1, 1, kClaims, 0),
                                   MakeTree(2, 3, kFollowed, 1), MakeTree(1, 2, kFollowed, 2)});
  EXPECT_EQ(election.winner, Index(2));
  EXPECT_EQ(election.rival, Index(3));
  EXPECT_EQ(election.ground, Ground::kNewer);
}

// ---- histories ----------------------------------------------------------------------------------

TEST(Primary, OfAnOrdinaryClusterIsTheOnlyOne) {
  const Story story = Three();
  EXPECT_EQ(story.Named(), Index(0));
  EXPECT_EQ(story.cluster.primary_reason, "\"a:5432\" is the only primary in sight.");
  ASSERT_TRUE(story.cluster.incumbent);
  EXPECT_EQ(story.cluster.incumbent->name, "a:5432");
}

TEST(Primary, IsNotKnownBeforeEverybodyWasAskedButIsNotForgottenThen) {
  Story story(2);
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  EXPECT_FALSE(story.cluster.incumbent);
  story.Fails(1, 1100);
  EXPECT_TRUE(story.cluster.incumbent);
}

TEST(Primary, StaysWhenTheWrongStandbyIsPromoted) {
  Story story = WrongOnePromoted();
  EXPECT_EQ(story.Named(), Index(0));
  EXPECT_TRUE(story.cluster.split_brain);
  EXPECT_TRUE(story[2].superseded);
  EXPECT_FALSE(story[1].diverged);
  EXPECT_EQ(
      story.cluster.primary_reason,
      "\"a:5432\" (timeline 1, 2 hosts) goes before \"c:5432\" (timeline 2, 1 host): it was the "
      "primary while the other one claimed to be already, and nobody follows that one.");
}

TEST(Primary, StaysWhenItsFollowerRestartsBesideTheWrongOne) {
  Story story = WrongOnePromoted();
  story.Dies(1, 5000);
  EXPECT_EQ(story.Named(), Index(0));
  story.Answers(1, Story::Unconnected(1, 1, 1), 6000);
  EXPECT_EQ(story.Named(), Index(0));
}

TEST(Primary, IsNotReplacedByTheWrongOneWhileItRestarts) {
  Story story = WrongOnePromoted();
  story.Dies(0, 5000);
  EXPECT_EQ(story.Named(), kNobody);
  EXPECT_TRUE(story[2].superseded);
  story.Answers(2, Story::PrimaryOf(2, 2), 7000);
  EXPECT_EQ(story.Named(), kNobody);
  story.Answers(0, Story::PrimaryOf(0, 1, 1), 8000);
  EXPECT_EQ(story.Named(), Index(0));
}

TEST(Primary, IsReplacedByTheRefusedOneWhenItStaysAway) {
  Story story = WrongOnePromoted();
  story.Dies(0, 5000);
  for (int s = 6; s <= 13; ++s) {
    story.Answers(1, Story::Unconnected(1, 1), s * 1000);
    story.Answers(2, Story::PrimaryOf(2, 2), s * 1000);
    EXPECT_EQ(story.Named(), kNobody) << s;
  }
  story.Answers(1, Story::Unconnected(1, 1), 15500);
  story.Answers(2, Story::PrimaryOf(2, 2), 15500);
  EXPECT_EQ(story.Named(), Index(2));
}

// A server that starts up, or is shutting down for long, says so.
TEST(Primary, IsWaitedForAsLongAsItSaysThatItIsOnItsWay) {
  Story story = WrongOnePromoted();
  story.Dies(0, 5000);
  for (int s = 6; s <= 40; ++s) {
    story.Fails(0, s * 1000, Outcome::kRejected);
    story.Answers(1, Story::Unconnected(1, 1), s * 1000);
    story.Answers(2, Story::PrimaryOf(2, 2), s * 1000);
    EXPECT_EQ(story.Named(), kNobody) << s;
  }
}

TEST(Primary, IsTheRefusedOneWhenSomebodyMovesToIt) {
  Story story = WrongOnePromoted();
  story.Answers(1, Story::StandbyOf(1, 2, 2), 5000);
  EXPECT_EQ(story.Named(), Index(2));
  EXPECT_TRUE(story[0].superseded);
}

TEST(Primary, OfAPlainFailoverIsNamedAtOnceHoweverManyHaveNotMoved) {
  Story story(5);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    for (std::size_t i = 1; i < 5; ++i) story.Answers(i, Story::StandbyOf(i, 1, 0), ms);
  }
  story.Dies(0, 2100);
  EXPECT_EQ(story.Named(), kNobody);
  EXPECT_EQ(story.cluster.primary_reason,
            "No host in sight is a primary. The last one was \"a:5432\".");
  story.Answers(3, Story::PrimaryOf(3, 2), 2300);
  EXPECT_EQ(story.Named(), Index(3));
  EXPECT_FALSE(story.cluster.split_brain);
}

TEST(Primary, OfAFailoverThatIsSeenBeforeTheOldOneIsDownIsNamedWhenThatIs) {
  Story story = Three();
  story.Fails(0, 2100);
  story.Answers(2, Story::PrimaryOf(2, 2), 2150);
  EXPECT_EQ(story.Named(), Index(0)) << "one failure proves nothing";
  story.Fails(0, 2200);
  EXPECT_EQ(story.Named(), Index(2))
      << "two, and a promotion since it was heard of, are a failover";
  story.Answers(2, Story::PrimaryOf(2, 2), 2250);
  story.Fails(0, 2300);
  EXPECT_EQ(story.Named(), Index(2));
  EXPECT_FALSE(story.cluster.split_brain);
}

TEST(Primary, IsTheSuccessorThatIsFollowed) {
  Story story = Superseded();
  EXPECT_EQ(story.Named(), Index(1));
  EXPECT_TRUE(story[0].superseded);
  EXPECT_TRUE(story.cluster.split_brain);
}

TEST(Primary, IsNeverASupersededOne) {
  Story story = Superseded();
  story.Dies(1, 5000);
  EXPECT_EQ(story.Named(), kNobody);
  EXPECT_TRUE(story.cluster.split_brain) << "c proves a newer timeline than a's";
  EXPECT_NE(story.cluster.primary_reason.find("\"a:5432\" is not named"), std::string::npos);
  story.Dies(2, 6000);
  EXPECT_EQ(story.Named(), kNobody);
  for (int s = 7; s <= 40; ++s) {
    story.Answers(0, Story::PrimaryOf(0, 1), s * 1000);
    ASSERT_EQ(story.Named(), kNobody) << s << ", whatever else is down";
  }
  EXPECT_EQ(
      story.cluster.primary_reason,
      "\"a:5432\" is not named: its timeline 1 was left for timeline 2 of \"b:5432\", which was "
      "named last.");
  story.Answers(1, Story::PrimaryOf(1, 2, 1), 41000);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(Primary, MayBeASupersededOneWhenAnOperatorSaysSo) {
  Story story = Superseded();
  story.Dies(1, 5000);
  story.Dies(2, 5000);
  story[1].forced_out = true;
  story.Answers(0, Story::PrimaryOf(0, 1), 6000);
  EXPECT_EQ(story.Named(), Index(0));
}

TEST(Primary, IsAnotherOneWhenAnOperatorTakesTheFirstOut) {
  Story story = WrongOnePromoted();
  story[0].forced_out = true;
  story.Judge(4100);
  EXPECT_EQ(story.Named(), Index(2));
  story[2].forced_out = true;
  story.Judge(4200);
  EXPECT_EQ(story.Named(), Index(0)) << "hidden by whoever answers, but there is no other";
}

TEST(Primary, StaysWhenTheOldOneComesBackWithAStandbyThatWasNeverMoved) {
  Story story(4);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    for (std::size_t i = 1; i < 4; ++i) story.Answers(i, Story::StandbyOf(i, 1, 0), ms);
  }
  story.Dies(0, 2100);
  story.Answers(1, Story::PrimaryOf(1, 2), 2300);
  EXPECT_EQ(story.Named(), Index(1));
  for (const int ms : {3000, 4000}) {
    story.Answers(0, Story::PrimaryOf(0, 1, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 2), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
    story.Answers(3, Story::StandbyOf(3, 1, 0), ms);
    EXPECT_EQ(story.Named(), Index(1)) << ms;
  }
}

TEST(Primary, OnOneTimelineIsWhoIsFollowedNotWhoIsFirst) {
  Story story(3);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::StandbyOf(0, 5, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 5), ms);
    story.Answers(2, Story::StandbyOf(2, 5, 1), ms);
  }
  for (const int ms : {3000, 4000}) {
    story.Answers(0, Story::PrimaryOf(0, 5, 1), ms);  // started without standby.signal
    EXPECT_EQ(story.Named(), Index(1));
    story.Answers(1, Story::PrimaryOf(1, 5), ms);
    story.Answers(2, Story::StandbyOf(2, 5, 1), ms);
  }
  story.Fails(1, 4100, Outcome::kTerminated);
  EXPECT_EQ(story.Named(), Index(1)) << "a terminated session changes nobody's place";
  story.Dies(1, 4200);
  EXPECT_EQ(story.Named(), kNobody) << "it restarts";
  story.Answers(1, Story::PrimaryOf(1, 5, 1), 6000);
  EXPECT_EQ(story.Named(), Index(1));
}

// Without a third node: what is left is the memory of who was the primary.
TEST(Primary, OfTwoOnOneTimelineIsTheOneThatWasItBefore) {
  Story story(2);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::StandbyOf(0, 5, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 5), ms);
  }
  for (const int ms : {3000, 4000}) {
    story.Answers(0, Story::PrimaryOf(0, 5, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 5), ms);
  }
  EXPECT_EQ(story.Named(), Index(1));
  story.Dies(1, 4100);
  EXPECT_EQ(story.Named(), kNobody);
  story.Answers(0, Story::PrimaryOf(0, 5, 1), 6000);
  EXPECT_EQ(story.Named(), kNobody);
  story.Answers(1, Story::PrimaryOf(1, 5, 1), 6100);
  EXPECT_EQ(story.Named(), Index(1));
}

// The same data on a shared disk, started on another machine.
TEST(Primary, MayMoveToAnotherMachineOnTheSameTimeline) {
  Story story(2);
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  story.Fails(1, 1000);
  story.Dies(0, 2000);
  story.Answers(1, Story::PrimaryOf(0, 1, 7), 3000);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(Primary, IsFoundAtAnyOfTheEntriesOfAServer) {
  Story story(2);
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  story.Answers(1, Story::PrimaryOf(0, 1), 1000);
  EXPECT_EQ(story.cluster.live_primaries, 1U);
  EXPECT_FALSE(story[1].superseded);
  story.Dies(0, 2000);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(Primary, SteppedDownIsTheIncumbentNoMore) {
  Story story = Three();
  story.Answers(0, Story::StandbyOf(0, 1, 1, 1), 3000);
  EXPECT_EQ(story.Named(), kNobody);
  EXPECT_FALSE(story.cluster.incumbent);
}

// ---- a node that has just started ---------------------------------------------------------------

TEST(Fresh, NodeTakesWhomTheOthersName) {
  Story story(3);
  const auto says_a = [](const Facts& facts) { return Voting(facts, "a:5432", Story::StartOf(0)); };
  story.Answers(2, Story::PrimaryOf(2, 2), 1000);
  story.Answers(0, says_a(Story::PrimaryOf(0, 1)), 1000);
  story.Answers(1, says_a(Story::StandbyOf(1, 1, 0)), 1000);
  EXPECT_EQ(story.Named(), Index(0));
  EXPECT_TRUE(story[2].superseded);
  story.Dies(1, 2000);
  EXPECT_EQ(story.Named(), Index(0)) << "c was refused before this node was there";
}

TEST(Fresh, NodeTakesASuccessorThatTheOthersNameAlthoughTheOldTreeIsBigger) {
  Story story(4);
  const auto says_b = [](const Facts& facts) { return Voting(facts, "b:5432", Story::StartOf(1)); };
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  story.Answers(1, says_b(Story::PrimaryOf(1, 2)), 1000);
  story.Answers(2, says_b(Story::StandbyOf(2, 1, 0)), 1000);
  story.Answers(3, says_b(Story::StandbyOf(3, 1, 0)), 1000);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(Fresh, NodeLearnsOfAPrimaryThatIsJustAway) {
  Story story(3);
  const auto says_b = [](const Facts& facts) {
    return Voting(facts, "b:5432", Story::StartOf(1), Rank::kIncumbent);
  };
  story.Fails(1, 900);
  story.Answers(0, says_b(Story::PrimaryOf(0, 1)), 1000);
  story.Answers(2, says_b(Story::StandbyOf(2, 2, 1)), 1000);
  EXPECT_EQ(story.Named(), kNobody);
}

// This very server is the primary that restarts, and it takes a moment until it can be asked.
TEST(Fresh, NodeDoesNotTakeTheWrongOneBecauseItIsTheFirstToBeSeen) {
  Story story(3);
  const auto says_a = [](const Facts& facts) {
    return Voting(facts, "a:5432", Story::StartOf(0), Rank::kIncumbent);
  };
  story.Fails(0, 900, Outcome::kRejected);
  story.Answers(2, says_a(Story::PrimaryOf(2, 2)), 1000);
  story.Answers(1, says_a(Story::Unconnected(1, 1)), 1000);
  EXPECT_EQ(story.Named(), kNobody);
  story.Answers(0, Story::PrimaryOf(0, 1, 1), 1100);
  EXPECT_EQ(story.Named(), Index(0));
}

TEST(Fresh, NodeThatHearsNothingGoesByWhatItSees) {
  Story story(3);
  story.Answers(0, Story::PrimaryOf(0, 1), 1000);
  story.Answers(1, Story::StandbyOf(1, 1, 0), 1000);
  story.Answers(2, Story::PrimaryOf(2, 2), 1000);
  EXPECT_EQ(story.Named(), Index(0)) << "more are with it";
}

// What the others say of it is of before it was started; a moment later it is not.
TEST(Fresh, NodeIsNotTakenForUnreachableBecauseItWasDown) {
  Story story(3);
  story.own_start = Story::StartOf(1, 1);
  const auto says = [](Facts facts) {
    facts.gives_opinions = true;
    Opinion opinion;
    opinion.host = "b:5432";
    opinion.system_identifier = kSystem;
    opinion.postmaster_start = Story::StartOf(1);
    opinion.rank = Rank::kIncumbent;
    facts.opinions = std::make_shared<Opinions>(Opinions{opinion});
    return facts;
  };
  story.Answers(0, says(Story::PrimaryOf(0, 1)), 1000);
  story.Answers(2, says(Story::StandbyOf(2, 2, 1)), 1000);
  story.Answers(1, Story::PrimaryOf(1, 2, 1), 1001);
  EXPECT_EQ(story[1].votes_down, 2);
  EXPECT_EQ(story.Named(), Index(1));
  for (const int ms : {1200, 2300, 4000, 6000, 8200, 8400}) {
    story.Answers(0, says(Story::PrimaryOf(0, 1)), ms);
    story.Answers(2, says(Story::StandbyOf(2, 2, 1)), ms);
    story.Answers(1, Story::PrimaryOf(1, 2, 1), ms + 1);
    if (ms < 8300) {
      EXPECT_EQ(story.Named(), Index(1)) << ms;
    }
  }
  EXPECT_EQ(story.Named(), kNobody) << "they go on saying so: it is cut off, and a is superseded";
}

// Standbys of which SQL tells no more than the timeline of their last restart point may be with
// either.
TEST(Fresh, NodeCountsNobodyForAnOldTimelineThatMayHaveMovedOn) {
  Story story(4);
  story.Answers(0, Primary(1, 900, Story::StartOf(0)), 1000);
  story.Answers(1, Primary(2, 5000, Story::StartOf(1)), 1000);
  story.Answers(2, WithoutExactTimeline(Standby(1, 4000, Story::StartOf(2))), 1000);
  story.Answers(3, WithoutExactTimeline(Standby(1, 4000, Story::StartOf(3))), 1000);
  EXPECT_EQ(story.Named(), Index(1));
}

// ---- without agreement --------------------------------------------------------------------------

TEST(Agreement, OfMostCountsMoreThanOnesOwnMemory) {
  // a: named here, alone with d; b: named by two others. As many are with each of the two siblings.
  Story story(4);
  const auto says_b = [](const Facts& facts) { return Voting(facts, "b:5432", Story::StartOf(1)); };
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 2), ms);
    story.Answers(3, Story::StandbyOf(3, 2, 0), ms);
    for (std::size_t i : {1, 2}) story.Fails(i, ms);
  }
  ASSERT_EQ(story.Named(), Index(0));
  story.Answers(1, WithHistory(says_b(Story::PrimaryOf(1, 2)), {{1, 7}}), 3000);
  story.Answers(2, WithHistory(says_b(Story::StandbyOf(2, 2, 1)), {{1, 7}}), 3000);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(Agreement, WhereOneHoldsThisAndOneThatTheListDecides) {
  Story story(2);
  story.own_start = Story::StartOf(1);
  story.Answers(1, Voting(Story::PrimaryOf(1, 2), "b:5432", Story::StartOf(1)), 1000);
  story.Fails(0, 1000);
  ASSERT_EQ(story.Named(), Index(1));
  story.Answers(0, Voting(Story::PrimaryOf(0, 2), "a:5432", Story::StartOf(0)), 2000);
  EXPECT_EQ(story.Named(), Index(0));
}

}  // namespace
}  // namespace pg_status
