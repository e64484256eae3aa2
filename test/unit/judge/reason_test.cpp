// Why this one is the primary, or nobody is, in words: in the verdict, in the log and in the
// events. Hosts are "a:5432", "b:5432" ...
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "judge/events.hpp"
#include "judge/judge.hpp"
#include "judge/story.hpp"

namespace pg_status {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The lines that an observation brings, each with its detail and its hint.
std::vector<std::string> LinesOf(Story& story, std::size_t host, const Observation& observation) {
  const ClusterVerdict before = story.cluster;
  story.See(host, observation);
  std::vector<std::string> lines;
  for (const LogLine& line : DescribeChanges(before, story.cluster, story.entries, false)) {
    lines.push_back(line.message + " | " + line.detail + " | " + line.hint);
  }
  return lines;
}

// A voter that reaches nobody at that place.
Facts MissingHost(Facts facts, const std::string& host, WallUs start) {
  facts.gives_opinions = true;
  Opinion opinion;
  opinion.host = host;
  opinion.system_identifier = kSystem;
  opinion.postmaster_start = start;
  facts.opinions = std::make_shared<Opinions>(Opinions{opinion});
  return facts;
}

TEST(Reason, WhomAMajorityReaches) {
  // b was started without standby.signal and is followed by most; a majority cannot reach it.
  Story story(5);
  story.own_start = Story::StartOf(0);
  const auto b_is_away = [](Facts facts) {
    return MissingHost(std::move(facts), "b:5432", Story::StartOf(1));
  };
  for (int ms = 1000; ms <= 9000; ms += 1000) {
    story.Answers(0, b_is_away(Story::PrimaryOf(0, 1)), ms);
    story.Answers(1, Story::PrimaryOf(1, 1), ms);
    for (const std::size_t host : {2, 3, 4}) {
      story.Answers(host, b_is_away(Story::StandbyOf(host, 1, 1)), ms);
    }
  }
  ASSERT_GE(story[1].votes_down, 3);
  ASSERT_EQ(story.Named(), Index(0)) << story.cluster.primary_reason;
  EXPECT_TRUE(Contains(story.cluster.primary_reason, "a majority of the voting nodes reaches it"))
      << story.cluster.primary_reason;
}

TEST(Reason, NobodyIsNamedUntilTheNewHostsOfAListWereAsked) {
  Story story = Three();
  story.Dies(0, 3000);
  ASSERT_EQ(story.Named(), kNobody);
  story.cluster.hosts.emplace_back();
  story.entries.push_back(story.entries.back());
  story.entries.back().hostname = "d";
  story.entries.back().name = "d:5432";
  const std::vector<std::string> lines = LinesOf(story, 1, Answer(Story::PrimaryOf(1, 2), 3100));
  ASSERT_EQ(story.Named(), kNobody);
  EXPECT_TRUE(Contains(story.cluster.primary_reason, "before every host of the new list was asked"))
      << story.cluster.primary_reason;
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(
      Contains(lines.back(), "nobody is named as the primary, although there is \"b:5432\""))
      << lines.back();
  story.Fails(3, 3200);
  EXPECT_EQ(story.Named(), Index(1)) << "one that was asked in vain was asked";
}

TEST(Reason, WhoseTimelineWasLeftIsNotNamedAndWhatEndsThatIsSaid) {
  Story story = Superseded();
  ASSERT_EQ(story.Named(), Index(1));
  story.Fails(1, 5000);
  story.Fails(1, 5001);
  const std::vector<std::string> lines = LinesOf(story, 1, Failure(Outcome::kRefused, 5002));
  ASSERT_EQ(story.Named(), kNobody);
  bool told = false;
  for (const std::string& line : lines) {
    told = told || (Contains(line, "nobody is named as the primary") &&
                    Contains(line, "pg_status_detach_node('b:5432', force => true)"));
  }
  EXPECT_TRUE(told) << testing::PrintToString(lines);
}

TEST(Reason, APrimaryThatTurnsOutToBeForeignOrUnheardOfSaysSo) {
  Story story = Three();
  Facts foreign = Story::PrimaryOf(0, 1, 7);
  foreign.system_identifier = kOtherSystem;
  std::vector<std::string> lines = LinesOf(story, 0, Answer(foreign, 3000));
  bool told = false;
  for (const std::string& line : lines) {
    told = told || (Contains(line, "no primary is in sight any more (was \"a:5432\")") &&
                    Contains(line, "\"a:5432\" belongs to another cluster."));
  }
  EXPECT_TRUE(told) << testing::PrintToString(lines);

  // Our own poller stood still; it is not known what became of a.
  Story frozen = Three();
  lines = LinesOf(frozen, 1, Answer(Story::StandbyOf(1, 1, 0), 60000));
  ASSERT_EQ(frozen.Named(), kNobody);
  told = false;
  for (const std::string& line : lines) {
    told = told || Contains(line, "\"a:5432\" has not been heard of for too long.");
  }
  EXPECT_TRUE(told) << testing::PrintToString(lines);
}

TEST(Reason, AnotherHistoryIsToldWhenItIsSeenAndWhenItIsMended) {
  Story story(2);
  std::vector<PgstOrder> orders;
  story.Answers(0, WithHistory(Story::PrimaryOf(0, 2), {{1, 500}}), 1000);
  Belief belief = BeliefOf(story.cluster, story.entries, orders);
  std::vector<std::string> lines =
      LinesOf(story, 1, Answer(Standby(1, 501, Story::StartOf(1)), 1100));
  ASSERT_TRUE(story[1].diverged);
  EXPECT_TRUE(Contains(lines.back(), "host \"b:5432\" has another history than the primary"));
  std::vector<Event> events = DescribeEvents(belief, story.cluster, story.entries, orders);
  bool begun = false;
  for (const Event& event : events) {
    begun = begun || (event.kind == EventKind::kDiverged && event.new_value == "true" &&
                      Contains(event.detail, "It has replayed timeline 1"));
  }
  EXPECT_TRUE(begun);

  belief = BeliefOf(story.cluster, story.entries, orders);
  Facts mended = WithHistory(Story::StandbyOf(1, 2, 0, 1), {{1, 500}});
  mended.replay_lsn = 800;
  story.Answers(0, WithHistory(Story::PrimaryOf(0, 2), {{1, 500}}), 8900);
  lines = LinesOf(story, 1, Answer(mended, 9000));
  ASSERT_FALSE(story[1].diverged);
  bool told = false;
  for (const std::string& line : lines) {
    told = told || Contains(line, "host \"b:5432\" is not diverged any more");
  }
  EXPECT_TRUE(told) << testing::PrintToString(lines);
  events = DescribeEvents(belief, story.cluster, story.entries, orders);
  bool ended = false;
  for (const Event& event : events) {
    ended = ended || (event.kind == EventKind::kDiverged && event.new_value == "false");
  }
  EXPECT_TRUE(ended);
}

// The primary is gone, and somebody who claims to be one is on a timeline that others have left.
TEST(Reason, ASplitBrainWithOneInSightNamesTheOneThatGoesOn) {
  Story story = Superseded();
  ASSERT_TRUE(story.cluster.split_brain);
  story.Dies(0, 5000);
  story.Answers(2, Story::StandbyOf(2, 2, 1), 5100);
  story.Answers(1, Story::PrimaryOf(1, 2), 5100);
  ASSERT_FALSE(story.cluster.split_brain);
  story.Dies(1, 6000);
  story.Answers(2, Story::StandbyOf(2, 2, 1), 6100);
  const std::vector<std::string> lines = LinesOf(story, 0, Answer(Story::PrimaryOf(0, 1, 1), 6200));
  bool told = false;
  for (const std::string& line : lines) {
    told = told || Contains(line, "goes on as a primary, although its timeline was left");
  }
  EXPECT_TRUE(told) << testing::PrintToString(lines);
}

// A list that is too short for a majority has none to be seen again.
TEST(Reason, AMajorityIsNotSeenAgainWhereThereIsNoneToBeSeen) {
  Story story = Three();
  story.own_start = Story::StartOf(0);
  story.Judge(2000);
  story.Dies(1, 3000);
  story.Dies(2, 3000);
  story.Answers(0, Story::PrimaryOf(0, 1), 3100);
  const ClusterVerdict before = story.cluster;
  ASSERT_TRUE(before.quorum.possible());
  ASSERT_FALSE(before.quorum.in_majority());
  story.cluster.hosts.resize(1);
  story.entries.resize(1);
  story.Answers(0, Story::PrimaryOf(0, 1), 3200);
  ASSERT_FALSE(story.cluster.quorum.possible());
  ClusterVerdict now = story.cluster;
  now.hosts = before.hosts;  // (lines are of hosts that are in both)
  std::vector<HostEntry> entries = Three().entries;
  for (const LogLine& line : DescribeChanges(before, now, entries, true)) {
    EXPECT_FALSE(Contains(line.message, "a majority is in sight again")) << line.message;
  }
}

// A chain of standbys may lead in a circle, or be longer than anybody's.
TEST(Reason, ACircleOfStandbysHasNoLeader) {
  Story story(40);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, WithHistory(Story::PrimaryOf(0, 2), {{1, 500}}), ms);
    for (std::size_t i = 1; i < 40; ++i) {
      Facts facts = Story::StandbyOf(i, 1, 0);
      facts.replay_lsn = 900;  // past the fork
      facts.receiver->sender_host = story.entries[i == 39 ? 1 : i + 1].hostname;
      story.Answers(i, facts, ms);
    }
  }
  EXPECT_TRUE(story[1].diverged);
  EXPECT_TRUE(story[39].diverged);
  EXPECT_EQ(story.Named(), Index(0));
}

// The primary is not heard of for a moment: a standby that still streams hears it for us.
TEST(Reason, LagOfASuspectPrimaryIsKnownFromWhoStreamsFromIt) {
  Story story(4);
  const auto hear = [&](int ms, Lsn written) {
    Facts primary = Story::PrimaryOf(0, 1);
    primary.write_lsn = written;
    story.Answers(0, primary, ms);
    story.Answers(1, Story::StandbyOf(1, 1, 0), ms);
    story.Answers(2, Story::Unconnected(2, 1), ms);
    Facts connecting = Story::StandbyOf(3, 1, 0);
    connecting.receiver->streaming = false;
    story.Answers(3, connecting, ms);
  };
  hear(1000, 1000);
  hear(2000, 1000);
  story.Fails(0, 3000);
  ASSERT_EQ(story[0].liveness, Liveness::kSuspect);
  story.Answers(1, Story::StandbyOf(1, 1, 0), 3500);
  story.Answers(2, Story::Unconnected(2, 1), 3500);
  Facts connecting = Story::StandbyOf(3, 1, 0);
  connecting.receiver->streaming = false;
  story.Answers(3, connecting, 3500);
  EXPECT_EQ(story[1].lag.ms, 0U);
  ASSERT_TRUE(story[2].lag.ms);
  EXPECT_GT(*story[2].lag.ms, 0U) << "it may be behind since the primary was heard of last";
  EXPECT_GT(*story[3].lag.ms, 0U) << "who only connects hears nothing";
}

}  // namespace
}  // namespace pg_status
