// Votes and majorities, a situation each. This server is host 0, unless a scene says otherwise.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

struct Vote {
  std::size_t host;
  bool reachable;
  std::int64_t age_ms = 0;
};

WallUs StartOf(std::size_t host) { return kStart + static_cast<WallUs>(host); }

// Hosts 0, 1, 2 ... of one cluster, host 0 the primary. All run pg_status.
struct Electorate : Scene {
  explicit Electorate(std::size_t hosts) : Scene(hosts) { own_start = StartOf(0); }

  Facts FactsOf(std::size_t host) const {
    return host == 0 ? Primary(1, 100, StartOf(0)) : Standby(1, 100, StartOf(host));
  }

  // Answers, and says this of the hosts; by default that it reaches them all.
  void Says(std::size_t host, std::int64_t ms, const std::vector<Vote>& votes) {
    Facts facts = FactsOf(host);
    facts.gives_opinions = true;
    auto opinions = std::make_shared<Opinions>();
    for (const Vote& vote : votes) {
      Opinion opinion;
      opinion.host = entries[vote.host].name;
      opinion.reachable = vote.reachable;
      opinion.success_age_us = Ms(vote.age_ms);
      opinion.system_identifier = kSystem;
      opinion.postmaster_start = StartOf(vote.host);
      opinions->push_back(opinion);
    }
    facts.opinions = std::move(opinions);
    Answers(host, std::move(facts), ms);
  }
  void AllSayAll(std::int64_t ms) {
    std::vector<Vote> all;
    for (std::size_t i = 0; i < entries.size(); ++i) all.push_back({i, true});
    for (std::size_t i = 0; i < entries.size(); ++i) Says(i, ms, all);
  }
  void Dies(std::size_t host, std::int64_t ms) {
    for (int i = 0; i < limits.max_fails; ++i) Fails(host, ms + i * 100);
  }
  std::string Votes(std::size_t host) const {
    const HostVerdict& verdict = cluster.hosts[host];
    return std::to_string(verdict.votes_up) + ":" + std::to_string(verdict.votes_down);
  }
  std::string InSight() const {
    return std::to_string(cluster.quorum.in_sight) + "/" + std::to_string(cluster.quorum.voters);
  }
};

TEST(Quorum, AllSeeAll) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  EXPECT_EQ(scene.InSight(), "3/3");
  EXPECT_EQ(scene.cluster.self, 0U);
  EXPECT_TRUE(scene.cluster.quorum.in_majority());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(scene.Votes(i), "3:0") << i;
}

TEST(Quorum, HowManyItTakes) {
  struct Case {
    int voters;
    bool possible;
    int majority;
  };
  for (const Case& c : {Case{1, false, 1}, Case{2, false, 2}, Case{3, true, 2}, Case{4, true, 3},
                        Case{5, true, 3}, Case{6, true, 4}}) {
    Quorum quorum;
    quorum.voters = c.voters;
    EXPECT_EQ(quorum.possible(), c.possible) << c.voters;
    EXPECT_EQ(quorum.majority(), c.majority) << c.voters;
    quorum.in_sight = c.majority;
    EXPECT_EQ(quorum.in_majority(), c.possible) << c.voters;
    quorum.in_sight = c.majority - 1;
    EXPECT_FALSE(quorum.in_majority()) << c.voters;
  }
}

TEST(Quorum, HostsThatWereNotHeardOfYetCount) {
  Electorate scene(3);
  scene.Judge(500);
  EXPECT_EQ(scene.InSight(), "1/3") << "one of them is this server";
  scene.Says(0, 1000, {{0, true}});
  EXPECT_EQ(scene.InSight(), "1/3");
  EXPECT_EQ(scene.cluster.quorum.undecided, 2);
  scene.Dies(1, 1000);
  scene.Dies(2, 1000);
  EXPECT_EQ(scene.InSight(), "1/3") << "nor do they cease to count when they are given up";
  EXPECT_EQ(scene.cluster.quorum.undecided, 0);
}

TEST(Quorum, HostsThatAReloadAddsCountFromTheirFirstProbeOn) {
  Electorate scene(4);
  scene.cluster.hosts.resize(3);
  const HostEntry last = scene.entries.back();
  scene.entries.pop_back();
  scene.AllSayAll(1000);
  scene.entries.push_back(last);
  scene.cluster.hosts.emplace_back();
  scene.Judge(1100);
  EXPECT_EQ(scene.InSight(), "3/3");
  scene.Fails(3, 1200);
  EXPECT_EQ(scene.InSight(), "3/4");
}

TEST(Quorum, AListThatIsAllNewGivesNobodyAMajority) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.cluster.hosts.assign(3, HostVerdict());
  scene.Judge(1100);
  EXPECT_TRUE(scene.cluster.quorum.possible());
  EXPECT_FALSE(scene.cluster.quorum.in_majority());
  scene.Says(0, 1200, {{0, true}});
  EXPECT_TRUE(scene.cluster.quorum.possible());
  EXPECT_FALSE(scene.cluster.quorum.in_majority());
  scene.Fails(1, 1300);
  EXPECT_FALSE(scene.cluster.quorum.in_majority());
  scene.Says(2, 1400, {{0, true}});
  EXPECT_TRUE(scene.cluster.quorum.in_majority());
}

TEST(Quorum, ItsOwnEntryThatDoesNotAnswerIsNoSecondVoter) {
  Electorate scene(3);
  scene.Dies(0, 1000);
  scene.Says(1, 1000, {{0, true}});
  scene.Says(2, 1000, {{0, true}});
  EXPECT_EQ(scene.InSight(), "3/3");
}

// A server that is full stays suspect for as long as that lasts; what it said last does not.
TEST(Quorum, OpinionsGrowOld) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Says(2, 2000, {{1, false}});
  EXPECT_EQ(scene.Votes(1), "2:1");
  scene.Fails(2, 3000, Outcome::kFull);
  EXPECT_EQ(scene.Votes(1), "2:1");
  for (const std::size_t host : {0, 1}) scene.Says(host, 8500, {{0, true}, {1, true}, {2, true}});
  scene.Fails(2, 9000, Outcome::kFull);
  EXPECT_EQ(scene.Votes(1), "2:0");
  EXPECT_EQ(scene.InSight(), "3/3");
}

// Who does not tell which server it is may still be this one, but not while it answers as another.
TEST(Quorum, WhoIsInSightHasAVoteWhateverItTellsOfItself) {
  Electorate scene(3);
  scene.own_start = 0;
  Facts nameless = scene.FactsOf(2);
  nameless.system_identifier = 0;
  nameless.gives_opinions = true;
  scene.Answers(2, nameless, 1000);
  EXPECT_EQ(scene.InSight(), "2/3");
}

TEST(Quorum, HostsWithoutPgStatusHaveNoVote) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Answers(2, scene.FactsOf(2), 2000);
  EXPECT_EQ(scene.InSight(), "2/2");
  EXPECT_FALSE(scene.cluster.quorum.possible());
  EXPECT_EQ(scene.Votes(2), "2:0");
  scene.Dies(2, 3000);
  EXPECT_EQ(scene.InSight(), "2/2") << "that it had none is remembered";
}

TEST(Quorum, ServersOfAnotherClusterHaveNoVoteAndGetNone) {
  Electorate scene(4);
  scene.AllSayAll(1000);
  Facts facts = Primary(1, 100, StartOf(3));
  facts.system_identifier = kOtherSystem;
  facts.gives_opinions = true;
  auto opinions = std::make_shared<Opinions>();
  opinions->push_back({"a:5432", false, 0, 0, 0});
  facts.opinions = std::move(opinions);
  scene.Answers(3, std::move(facts), 2000);
  EXPECT_EQ(scene.InSight(), "3/3");
  EXPECT_EQ(scene.Votes(0), "3:0");
  EXPECT_EQ(scene.Votes(3), "0:0");
}

TEST(Quorum, OneServerUnderTwoNamesHasOneVote) {
  Electorate scene(4);
  scene.AllSayAll(1000);
  Facts facts = scene.FactsOf(2);
  facts.gives_opinions = true;
  scene.Answers(3, std::move(facts), 1500);
  EXPECT_EQ(scene.InSight(), "3/3");
  EXPECT_EQ(scene.Votes(2), "3:0");
  EXPECT_EQ(scene.Votes(3), "3:0");
}

TEST(Quorum, AWatcherOutsideOfTheClusterHasNoVote) {
  Electorate scene(3);
  scene.own_system = kOtherSystem;
  scene.AllSayAll(1000);
  EXPECT_EQ(scene.InSight(), "3/3");
  EXPECT_FALSE(scene.cluster.self);
  EXPECT_EQ(scene.Votes(1), "3:0");
}

TEST(Quorum, AServerThatIsNotInItsOwnListVotesAllTheSame) {
  Electorate scene(3);
  scene.own_start = StartOf(9);
  scene.AllSayAll(1000);
  EXPECT_EQ(scene.InSight(), "4/4");
  EXPECT_EQ(scene.Votes(1), "4:0");
}

TEST(Quorum, SuspectsAreInSight) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Fails(1, 1500);
  scene.Fails(2, 1500);
  EXPECT_EQ(scene.InSight(), "3/3");
  EXPECT_EQ(scene.Votes(1), "3:0");
}

TEST(Quorum, AloneIsNoMajority) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Dies(1, 2000);
  scene.Dies(2, 2000);
  EXPECT_EQ(scene.InSight(), "1/3");
  EXPECT_FALSE(scene.cluster.quorum.in_majority());
  EXPECT_EQ(scene.Votes(0), "1:0") << "who is not heard any more has no voice";
  EXPECT_EQ(scene.Votes(1), "0:1");
  EXPECT_FALSE(scene[1].unreachable_here);
}

TEST(Quorum, OnlyThisNodeCannotReachIt) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Dies(1, 2000);
  scene.Says(2, 3000, {{0, true}, {1, true, 200}, {2, true}});
  EXPECT_EQ(scene.Votes(1), "2:1") << "its own vote is implied: somebody reaches it";
  EXPECT_FALSE(scene[1].unreachable_here) << "it may have come back for all";
  scene.Fails(1, 3100);
  EXPECT_TRUE(scene[1].unreachable_here);
  EXPECT_EQ(scene[1].liveness, Liveness::kDown) << "it stays what it is for us";
  scene.Says(1, 3500, {{0, true}, {1, true}, {2, true}});
  EXPECT_FALSE(scene[1].unreachable_here);
}

// It is stopping: sessions that were open go on, its own poller gets none.
TEST(Quorum, ThisServerIsNotUnreachableFromItself) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Dies(0, 2000);
  scene.Says(1, 3000, {{0, true, 200}, {1, true}, {2, true}});
  scene.Says(2, 3000, {{0, true, 200}, {1, true}, {2, true}});
  scene.Fails(0, 3100);
  EXPECT_EQ(scene[0].liveness, Liveness::kDown);
  EXPECT_EQ(scene.Votes(0).substr(0, 1), "2");
  EXPECT_FALSE(scene[0].unreachable_here);
}

TEST(Quorum, AnOpinionFromBeforeTheFailureIsNoProof) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Dies(1, 2000);
  scene.Says(2, 2300, {{0, true}, {1, true, 400}, {2, true}});
  EXPECT_EQ(scene.Votes(1), "2:1") << "not noticed yet over there";
  EXPECT_FALSE(scene[1].unreachable_here);
  scene.Says(2, 2600, {{0, true}, {1, false, 700}, {2, true}});
  EXPECT_EQ(scene.Votes(1), "0:2");
  EXPECT_FALSE(scene[1].unreachable_here);
}

TEST(Quorum, AMinorityThatReachesItDoesNotMakeItALocalFault) {
  Electorate scene(5);
  scene.AllSayAll(1000);
  scene.Dies(1, 2000);
  scene.Says(2, 3000, {{1, false}});
  scene.Says(3, 3000, {{1, false}});
  scene.Says(4, 3000, {{1, true, 100}});
  EXPECT_EQ(scene.Votes(1), "2:3");
  EXPECT_FALSE(scene[1].unreachable_here);
}

TEST(Quorum, OpinionsNeverTouchAHostThatWeReach) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Says(2, 2000, {{0, false}, {1, false}, {2, true}});
  EXPECT_EQ(scene[1].liveness, Liveness::kUp);
  EXPECT_EQ(scene[1].role, Role::kStandby);
  EXPECT_EQ(scene.cluster.primary, 0U);
  EXPECT_EQ(scene.Votes(1), "2:1");
}

TEST(Quorum, WhatOneSaysOfItselfIsNotCountedTwice) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  scene.Says(1, 2000, {{1, true}, {1, true}, {1, false}, {0, true}, {0, true}});
  EXPECT_EQ(scene.Votes(1), "3:0");
  EXPECT_EQ(scene.Votes(0), "3:0");
}

Opinion Named(const std::string& name, bool reachable, WallUs start) {
  return {name, reachable, 0, start == 0 ? 0 : kSystem, start};
}

void SaysOf(Electorate& scene, std::size_t host, std::int64_t ms, Opinion opinion) {
  Facts facts = scene.FactsOf(host);
  facts.gives_opinions = true;
  facts.opinions = std::make_shared<const Opinions>(Opinions{std::move(opinion)});
  scene.Answers(host, std::move(facts), ms);
}

TEST(Quorum, HostsAreMatchedByTheRunOfTheServerFirst) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  SaysOf(scene, 2, 2000, Named("another name for b", false, StartOf(1)));
  EXPECT_EQ(scene.Votes(1), "2:1");
  SaysOf(scene, 2, 3000, Named("b:5432", false, StartOf(0)));
  EXPECT_EQ(scene.Votes(1), "2:0") << "that name means this very server over there";
  EXPECT_EQ(scene.Votes(0), "2:1");
}

TEST(Quorum, ThenByName) {
  Electorate scene(3);
  scene.AllSayAll(1000);
  SaysOf(scene, 2, 2000, Named("b:5432", false, 0));
  EXPECT_EQ(scene.Votes(1), "2:1") << "it never reached it";
  SaysOf(scene, 2, 3000, Named("b:5432", false, kStart - 100));
  EXPECT_EQ(scene.Votes(1), "2:1") << "it saw a former run of it";
  SaysOf(scene, 2, 4000, Named("b:5432", true, kStart - 100));
  EXPECT_EQ(scene.Votes(1), "2:0") << "it reaches another server by that name";
  SaysOf(scene, 2, 5000, Named("z:5432", false, 0));
  EXPECT_EQ(scene.Votes(1), "2:0");
}

}  // namespace
}  // namespace pg_status
