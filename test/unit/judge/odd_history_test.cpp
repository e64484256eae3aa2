// Who is the primary in histories that are rare, and that people have all the same. Most of them
// were named wrongly once.
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "judge/judge.hpp"
#include "judge/story.hpp"

namespace pg_status {
namespace {

TEST(OddHistory, ARogueOnTheTimelineOfStandbysThatFollowAnUnlistedAddress) {
  Story story(4);
  const auto by_vip = [](std::size_t h) {
    return Streaming(Voting(Standby(5, 1000, Story::StartOf(h))), "vip");
  };
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 5), ms);
    for (std::size_t i : {1, 2, 3}) story.Answers(i, by_vip(i), ms);
  }
  ASSERT_EQ(story.Named(), Index(0));
  for (const int ms : {3000, 4000, 5000, 6000}) {
    story.Answers(3, Story::PrimaryOf(3, 5, 1), ms);
    story.Answers(0, Story::PrimaryOf(0, 5), ms);
    story.Answers(1, by_vip(1), ms);
    story.Answers(2, by_vip(2), ms);
    EXPECT_EQ(story.Named(), Index(0)) << ms << story.cluster.primary_reason;
    EXPECT_FALSE(story[0].superseded);
  }
}

TEST(OddHistory, TheWrongOneIsPutBackAsAStandbyWithoutARewind) {
  Story story = WrongOnePromoted();
  story.Dies(2, 5000);
  for (const int ms : {8000, 9000}) {
    story.Answers(2, Story::Unconnected(2, 2, 1), ms);
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(1, Story::StandbyOf(1, 1, 0), ms);
    EXPECT_EQ(story.Named(), Index(0)) << ms;
  }
  story.Dies(1, 9500);
  EXPECT_EQ(story.Named(), Index(0)) << story.cluster.primary_reason;
  EXPECT_FALSE(story[0].superseded);
}

TEST(OddHistory, ThePollerAloneIsStartedAnewWhileTheRightOneRestarts) {
  Story story(3);
  // inherited, as Poller::Inherit does
  Incumbent inc;
  inc.name = "a:5432";
  inc.run = {kSystem, Story::StartOf(0)};
  inc.timeline = 1;
  story.cluster.incumbent = inc;
  story[2].refused_timeline = 2;  // as Inherit() would have it
  const auto says_a = [](const Facts& facts) {
    return Voting(facts, "a:5432", Story::StartOf(0), Rank::kIncumbent);
  };
  story.Fails(0, 900, Outcome::kRefused);
  story.Answers(2, says_a(Story::PrimaryOf(2, 2)), 1000);
  story.Answers(1, says_a(Story::Unconnected(1, 1)), 1000);
  EXPECT_EQ(story.Named(), kNobody) << story.cluster.primary_reason;
  story.Fails(0, 1000);
  story.Fails(0, 1100);
  story.Fails(0, 1200);
  story.Answers(2, says_a(Story::PrimaryOf(2, 2)), 2000);
  EXPECT_EQ(story.Named(), kNobody) << story.cluster.primary_reason;
  story.Answers(0, Story::PrimaryOf(0, 1, 1), 3000);
  story.Answers(1, says_a(Story::StandbyOf(1, 1, 0)), 3100);
  EXPECT_EQ(story.Named(), Index(0)) << story.cluster.primary_reason;
}

TEST(OddHistory, AReloadPutsAllHostsAtOtherPlaces) {
  Story story = Superseded();
  // addresses instead of names: no host is kept, as in Poller::ReplacePeers
  for (HostEntry& e : story.entries) {
    e.hostname += ".x";
    e.name = e.hostname + ":5432";
  }
  story.cluster.hosts = std::vector<HostVerdict>(3);
  story.Judge(4100);
  story.Answers(0, Story::PrimaryOf(0, 1), 4110);
  EXPECT_EQ(story.Named(), kNobody) << story.cluster.primary_reason;
  story.Answers(1, Story::PrimaryOf(1, 2), 4120);
  story.Answers(2, Streaming(Voting(Standby(2, 1000, Story::StartOf(2))), "b.x"), 4130);
  EXPECT_EQ(story.Named(), Index(1));
}

TEST(OddHistory, AReloadRenamesTheSuccessorBesideABiggerOldTree) {
  Story story(4);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    for (std::size_t i = 1; i < 4; ++i) story.Answers(i, Story::StandbyOf(i, 1, 0), ms);
  }
  story.Dies(0, 2100);
  story.Answers(1, Story::PrimaryOf(1, 2), 2300);
  for (const int ms : {3000, 4000}) {
    story.Answers(0, Story::PrimaryOf(0, 1, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 2), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
    story.Answers(3, Story::StandbyOf(3, 1, 0), ms);
  }
  ASSERT_EQ(story.Named(), Index(1));
  Story renamed = story;
  renamed.entries[1].name = "beta";  // the same place, so its verdict is kept
  renamed.Judge(4100);
  EXPECT_EQ(renamed.Named(), Index(1)) << "renamed: " << renamed.cluster.primary_reason;
  renamed.Answers(0, Story::PrimaryOf(0, 1, 1), 5000);
  renamed.Answers(1, Story::PrimaryOf(1, 2), 5000);
  EXPECT_EQ(renamed.Named(), Index(1)) << "renamed: " << renamed.cluster.primary_reason;
}

TEST(OddHistory, AnAddressMovesToTheWrongOne) {
  Story story(4);  // a is a VIP
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(1, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 1), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 1), ms);
    story.Answers(3, Story::StandbyOf(3, 1, 1), ms);
  }
  for (const int ms : {3000, 4000}) {
    story.Answers(3, Story::PrimaryOf(3, 2), ms);
    story.Answers(1, Story::PrimaryOf(1, 1), ms);
    story.Answers(0, Story::PrimaryOf(1, 1), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 1), ms);
  }
  EXPECT_NE(story.Named(), Index(3));
  for (const int ms : {5000, 6000}) {
    story.Answers(0, Story::PrimaryOf(3, 2), ms);
    story.Answers(3, Story::PrimaryOf(3, 2), ms);
    story.Answers(1, Story::PrimaryOf(1, 1), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 1), ms);
    EXPECT_EQ(story.Named(), Index(1)) << ms << story.cluster.primary_reason;
  }
}

TEST(OddHistory, TheAddressThatStandbysFollowIsGoneAndThePrimaryRestarts) {
  Story story(4);  // a is a VIP of b, which the standbys follow
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(1, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 1), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
    story.Answers(3, Story::StandbyOf(3, 1, 0), ms);
  }
  story.Dies(0, 2500);
  story.Dies(1, 2500);
  for (int ms = 4000; ms < 40000; ms += 1000) {
    story.Answers(1, Story::PrimaryOf(1, 1, 1), ms);
    story.Answers(2, Story::Unconnected(2, 1), ms);
    story.Answers(3, Story::Unconnected(3, 1), ms);
  }
  EXPECT_EQ(story.Named(), Index(1)) << story.cluster.primary_reason;
}

// a shared disk: the same timeline on another machine, the standbys not pointed there yet
TEST(OddHistory, ASharedDiskIsStartedElsewhereAndStandbysAreNotPointedThereYet) {
  Story story(4);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Fails(1, ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
    story.Answers(3, Story::StandbyOf(3, 1, 0), ms);
  }
  story.Dies(0, 2500);
  for (int ms = 4000; ms < 40000; ms += 1000) {
    story.Answers(1, Story::PrimaryOf(0, 1, 1), ms);
    story.Answers(2, Story::Unconnected(2, 1), ms);
    story.Answers(3, Story::Unconnected(3, 1), ms);
  }
  EXPECT_EQ(story.Named(), Index(1)) << story.cluster.primary_reason;
}

Facts Says(Facts facts, std::vector<Opinion> said) {
  facts.gives_opinions = true;
  facts.opinions = std::make_shared<Opinions>(std::move(said));
  return facts;
}

Opinion Op(std::string host, bool up, WallUs start, Rank rank) {
  Opinion o;
  o.host = std::move(host);
  o.reachable = up;
  if (start != 0) {
    o.system_identifier = kSystem;
    o.postmaster_start = start;
  }
  o.rank = rank;
  return o;
}

// hairpin: a cannot reach its own listed address
TEST(OddHistory, APrimaryThatCannotReachItsOwnEntryIsNotOutvoted) {
  Story story(3);
  story.own_start = Story::StartOf(0);
  for (const int ms : {1000, 2000, 3000, 10000}) {
    for (int k = 0; k < 4; ++k) story.Fails(0, ms + k);
    for (std::size_t i : {1, 2}) {
      story.Answers(
          i,
          Says(Story::StandbyOf(i, 1, 0), {Op("a:5432", true, Story::StartOf(0), Rank::kPrimary)}),
          ms + 10);
    }
    EXPECT_EQ(story.cluster.fence_cause, FenceCause::kNone) << ms;
  }
}

TEST(OddHistory, PeersOfAnOlderVersionHaveNoVoice) {
  Story story = WrongOnePromoted();
  story.Dies(0, 5000);
  EXPECT_EQ(story.Named(), kNobody);
}

// switchover: b promoted before a was stopped
TEST(OddHistory, InASwitchoverTheNewOneIsPromotedFirst) {
  Story story = Three();
  for (const int ms : {3000, 4000}) {
    story.Answers(1, Story::PrimaryOf(1, 2), ms);
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
  }
  story.Dies(0, 5000);
  story.Answers(0, Story::StandbyOf(0, 1, 1, 1), 6000);
  EXPECT_EQ(story.Named(), Index(1)) << story.cluster.primary_reason;
}

// cut heals, b (successor) is lost at once; c, which knew, restarts
TEST(OddHistory, TheRightOneRestartsBesideARogueAndStandbysFollowAnUnlistedAddress) {
  for (const std::size_t hosts : {3, 4}) {
    Story story(hosts);
    const std::size_t rogue = hosts - 1;
    const auto by_vip = [](std::size_t h) {
      return Streaming(Voting(Standby(5, 1000, Story::StartOf(h))), "vip");
    };
    for (const int ms : {1000, 2000}) {
      story.Answers(0, Story::PrimaryOf(0, 5), ms);
      for (std::size_t i = 1; i < hosts; ++i) story.Answers(i, by_vip(i), ms);
    }
    for (const int ms : {3000, 4000}) {
      story.Answers(rogue, Story::PrimaryOf(rogue, 5, 1), ms);
      story.Answers(0, Story::PrimaryOf(0, 5), ms);
      for (std::size_t i = 1; i < rogue; ++i) story.Answers(i, by_vip(i), ms);
    }
    EXPECT_EQ(story.Named(), Index(0)) << hosts << story.cluster.primary_reason;
    story.Dies(0, 4500);
    EXPECT_EQ(story.Named(), kNobody) << hosts << story.cluster.primary_reason;
    for (const int ms : {5000, 6000}) {
      story.Answers(rogue, Story::PrimaryOf(rogue, 5, 1), ms);
      for (std::size_t i = 1; i < rogue; ++i) story.Answers(i, Story::Unconnected(i, 5), ms);
      EXPECT_EQ(story.Named(), kNobody) << hosts << story.cluster.primary_reason;
    }
    story.Answers(0, Story::PrimaryOf(0, 5, 1), 6500);
    EXPECT_EQ(story.Named(), Index(0)) << hosts << story.cluster.primary_reason;
  }
}

// our own poller stood still for 16 story; the wrong one answers first
TEST(OddHistory, OurPollerStoodStillInTheMiddleOfAWrongPromotion) {
  Story story = WrongOnePromoted();
  story.Answers(2, Story::PrimaryOf(2, 2), 20000);
  EXPECT_EQ(story.Named(), kNobody) << story.cluster.primary_reason;
  story.Answers(0, Story::PrimaryOf(0, 1), 20010);
  story.Answers(1, Story::StandbyOf(1, 1, 0), 20020);
  EXPECT_EQ(story.Named(), Index(0)) << story.cluster.primary_reason;
  for (const int ms : {21000, 22000, 23000}) {
    story.Answers(2, Story::PrimaryOf(2, 2), ms);
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(1, Story::StandbyOf(1, 1, 0), ms);
  }
  EXPECT_EQ(story.Named(), Index(0)) << story.cluster.primary_reason;
}

// a wrong promotion in the middle of a cascade a -> b -> c, d follows a
TEST(OddHistory, ARebuiltStandbyBehindAnUnlistedAddressIsNotDivergedForEver) {
  Story story(3);
  const auto by_vip = [](std::size_t h, Lsn lsn, int run) {
    return Streaming(Voting(Standby(1, lsn, Story::StartOf(h, run))), "vip");
  };
  const auto primary = [](Lsn lsn, int run) {
    return Voting(Primary(1, lsn, Story::StartOf(0, run)));
  };
  for (const int ms : {1000, 2000}) {
    story.Answers(0, primary(9000000, 0), ms);
    story.Answers(1, by_vip(1, 9000000, 0), ms);
    story.Answers(2, by_vip(2, 9000000, 0), ms);
  }
  story.Dies(0, 2500);
  story.Answers(1, Voting(Standby(1, 9000000, Story::StartOf(1))), 3000);
  story.Answers(0, primary(5000000, 1), 3100);
  EXPECT_TRUE(story[1].diverged);
  story.Dies(1, 4000);
  for (const int ms : {6000, 7000, 8000}) {
    story.Answers(0, primary(5000000 + static_cast<Lsn>(ms), 1), ms);
    story.Answers(1, by_vip(1, 5000000 + static_cast<Lsn>(ms), 1), ms + 5);
  }
  EXPECT_FALSE(story[1].diverged) << story[1].divergence.why;
}

// The standby that a promoted one is as big as without it is this very server, whose pg_hba.conf
// does not let its own poller in.
TEST(OddHistory, ANodeThatCannotAskItselfGoesByTheOthers) {
  Story story(3);
  story.own_start = Story::StartOf(1);
  const auto says_a = [](const Facts& facts) { return Voting(facts, "a:5432", Story::StartOf(0)); };
  for (const int ms : {1000, 2000}) {
    story.Answers(0, says_a(Story::PrimaryOf(0, 1)), ms);
    story.Answers(2, says_a(Story::StandbyOf(2, 1, 0)), ms);
    story.Fails(1, ms, Outcome::kRejected);
  }
  for (const int ms : {3000, 4000}) {
    story.Answers(2, says_a(Story::PrimaryOf(2, 2)), ms);
    story.Answers(0, says_a(Story::PrimaryOf(0, 1)), ms);
    story.Fails(1, ms, Outcome::kRejected);
    EXPECT_EQ(story.Named(), Index(0)) << ms;
  }
  // and they go on without it
  story.Dies(0, 5000);
  story.Answers(2, Voting(Story::PrimaryOf(2, 2), "c:5432", Story::StartOf(2)), 6000);
  EXPECT_EQ(story.Named(), Index(2));
}

// It is this very server, which has just started and knows of itself only what the others say; the
// standby tells only its timeline, as its WAL receiver has lost its upstream.
TEST(OddHistory, TheRightOneStartsBesideARogueThatIsTheFirstToAnswer) {
  Story story(3);
  const auto says_b = [](const Facts& facts) {
    return Voting(facts, "b:5432", Story::StartOf(1), Rank::kIncumbent);
  };
  story.Fails(1, 990, Outcome::kRejected);
  story.Answers(0, says_b(Story::PrimaryOf(0, 5, 1)), 1000);
  story.Answers(2, says_b(Story::Unconnected(2, 5)), 1001);
  EXPECT_EQ(story.Named(), kNobody);
  story.Answers(1, Story::PrimaryOf(1, 5, 1), 1010);
  EXPECT_EQ(story.Named(), Index(1));
}

}  // namespace
}  // namespace pg_status
