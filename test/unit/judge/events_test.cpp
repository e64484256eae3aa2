// What changed, as events. Each scene tells what happens and which events that brings.
#include "judge/events.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/fixed_text.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

using Lines = std::vector<std::string>;

// "host kind: old -> new (detail)"; what is "" is left out.
std::string TextOf(const Event& event) {
  std::string text = event.host.empty() ? "" : event.host + ' ';
  text += std::string(KindWord(event.kind)) + ": ";
  text += event.old_value + "->" + event.new_value;
  if (!event.detail.empty()) text += " (" + event.detail + ")";
  return text;
}

Lines TextsOf(const std::vector<Event>& events) {
  Lines texts;
  for (const Event& event : events) texts.push_back(TextOf(event));
  return texts;
}

// A scene that notes the events each thing brings.
struct EventScene : Scene {
  using Scene::Scene;

  // Those since the last look.
  Lines Told() {
    const std::vector<Event> events = DescribeEvents(belief, cluster, entries, orders);
    belief = BeliefOf(cluster, entries, orders);
    EXPECT_TRUE(DescribeEvents(belief, cluster, entries, orders).empty())
        << "an event is told once";
    return TextsOf(events);
  }
  Lines After(std::size_t host, const Observation& observation) {
    See(host, observation);
    return Told();
  }
  Lines After(std::size_t host, const Facts& facts, std::int64_t ms) {
    return After(host, Answer(facts, ms));
  }
  Lines AfterFailure(std::size_t host, std::int64_t ms, Outcome outcome = Outcome::kRefused) {
    return After(host, Failure(outcome, ms, "connection refused"));
  }

  std::vector<PgstOrder> orders;
  Belief belief = BeliefOf(cluster, entries, orders);
};

constexpr WallUs kStartB = kStart + 5;  // the start that Standby() tells

TEST(Events, MaintenanceIsTheOperatorsWord) {
  EventScene scene(2);
  scene.orders.resize(2);
  EXPECT_EQ(scene.Told(), Lines{});
  PgstOrder& order = scene.orders[1];
  order.maintenance = PGST_MAINT;
  CopyFixedText(order.reason, "new disks");
  const std::string host = scene.entries[1].name;
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: ->maint (new disks)"});
  CopyFixedText(order.reason, "old disks");
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: maint->maint (old disks)"});
  order.forced = 1;
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: maint->maint, forced (old disks)"});
  order.forced = 0;
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: maint, forced->maint (old disks)"});
  CopyFixedText(order.reason, "new disks");
  scene.Told();
  order.maintenance = PGST_DRAIN;
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: maint->drain (new disks)"});
  order.maintenance = PGST_IN_SERVICE;
  EXPECT_EQ(scene.Told(), Lines{host + " maintenance: drain->"});
  order.has_weight = 1;
  EXPECT_EQ(scene.Told(), Lines{});
}

TEST(Events, EveryKindHasAWordOfItsOwn) {
  Lines words;
  for (int kind = 0; kind <= static_cast<int>(EventKind::kQuorum); ++kind) {
    words.emplace_back(KindWord(static_cast<EventKind>(kind)));
  }
  EXPECT_EQ(words, Lines({"state", "unreachable_here", "role", "foreign", "diverged", "maintenance",
                          "hosts", "primary", "split_brain", "quorum"}));
}

TEST(Events, NothingChangedNothingTold) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.After(0, Primary(1, 200), 2000), Lines());
  EXPECT_EQ(scene.After(1, Standby(1, 150), 2000), Lines());
}

TEST(Events, FirstAnswers) {
  EventScene scene(2);
  EXPECT_EQ(scene.After(1, Standby(1, 100), 1000),
            Lines({"b:5432 state: unknown->up (standby)", "b:5432 role: unknown->standby"}));
  EXPECT_EQ(scene.After(0, Primary(1, 100), 1000),
            Lines({"a:5432 state: unknown->up (primary, timeline 1)",
                   "a:5432 role: unknown->primary (timeline 1)", "primary: ->a:5432"}));
}

TEST(Events, AFailoverInItsOrder) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.AfterFailure(0, 1100), Lines({"a:5432 state: up->suspect (connection refused)"}));
  EXPECT_EQ(scene.AfterFailure(0, 1200), Lines()) << "a failure more is no change";
  EXPECT_EQ(scene.AfterFailure(0, 1300),
            Lines({"a:5432 state: suspect->down (after 3 failures: connection refused)",
                   "a:5432 role: primary->unknown",
                   "primary: a:5432-> (\"a:5432\" is down: connection refused.)"}));
  EXPECT_EQ(scene.After(1, Primary(2, 100, kStartB), 1400),
            Lines({"b:5432 role: standby->primary (timeline 2)", "primary: ->b:5432"}));
  EXPECT_EQ(scene.After(0, Standby(2, 100, kStart + 9), 5000),
            Lines({"a:5432 state: down->up (standby)", "a:5432 role: unknown->standby"}));
}

TEST(Events, APrimaryThatIsOvertakenTellsWhy) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  EXPECT_EQ(
      scene.After(1, Primary(2, 100, kStartB), 2000),
      Lines({"b:5432 role: standby->primary (timeline 2)",
             "primary: a:5432->b:5432 (\"b:5432\" (timeline 2, 1 host) goes before \"a:5432\" "
             "(timeline 1, 1 host): its timeline is newer, and at least as many are with "
             "it.)"}));
}

TEST(Events, AnUnknownTimelineIsNotToldAsZero) {
  EventScene scene(1);
  EXPECT_EQ(scene.After(0, Primary(0, 100), 1000)[1], "a:5432 role: unknown->primary");
}

TEST(Events, SplitBrain) {
  EventScene scene(2);
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Primary(2, 100, kStartB), ms);
  }
  EXPECT_EQ(
      scene.Told().back(),
      "split_brain: false->true (\"a:5432\" (timeline 1), \"b:5432\" (timeline 2). "
      "\"b:5432\" (timeline 2, 1 host) goes before \"a:5432\" (timeline 1, 1 host): its timeline "
      "is newer, and at least as many are with it.)");
  EXPECT_EQ(scene.After(0, Standby(2, 100, kStart + 9), 4000),
            Lines({"a:5432 role: primary->standby",
                   "split_brain: true->false (The primary is \"b:5432\".)"}));
}

TEST(Events, ASplitBrainOutOfSightSaysWhoMayStillTakeWrites) {
  EventScene scene(2);
  scene.limits.max_fails = 1;
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Primary(2, 100, kStartB), ms);
  }
  scene.Told();
  EXPECT_EQ(scene.AfterFailure(0, 3000, Outcome::kTimeout).back(),
            "split_brain: true->false (May still take writes: \"a:5432\".)");
}

TEST(Events, AHostOfAnotherCluster) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  Facts foreign = Standby(1, 100);
  foreign.system_identifier = kOtherSystem;
  EXPECT_EQ(scene.After(1, foreign, 1000)[2],
            "b:5432 foreign: false->true (Its system identifier is 7000000000000000002, that of "
            "this cluster is 7000000000000000001.)");
  EXPECT_EQ(scene.After(1, Standby(1, 100), 2000), Lines({"b:5432 foreign: true->false"}));
}

// Three nodes with a vote: this one is "a:5432", the primary.
struct VotingScene : EventScene {
  VotingScene() : EventScene(3) {
    own_start = kStart;
    Says(0, true, 1000);
    Says(1, true, 1000);
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

TEST(Events, AMajorityIsSeenAndLostAndSeenAgain) {
  VotingScene scene;
  EXPECT_EQ(scene.belief.quorum, std::nullopt) << "not every host was asked";
  EXPECT_EQ(scene.Says(2, true, 1000).back(), "quorum: ->true (3 of 3 voting nodes)");
  scene.limits.max_fails = 1;
  scene.AfterFailure(1, 2000);
  EXPECT_EQ(scene.AfterFailure(2, 2000).back(), "quorum: true->false (1 of 3 voting nodes)");
  EXPECT_EQ(scene.Says(2, false, 3000).back(), "quorum: false->true (2 of 3 voting nodes)");
}

TEST(Events, OnlyThisNodeCannotReachIt) {
  VotingScene scene;
  scene.Says(2, true, 1000);
  for (const int ms : {2000, 2100, 2200}) scene.AfterFailure(1, ms);
  EXPECT_EQ(scene.Says(2, true, 3000), Lines());
  EXPECT_EQ(scene.AfterFailure(1, 3100),
            Lines({"b:5432 unreachable_here: false->true (2 of 3 voting nodes reach it. Here: "
                   "connection refused.)"}));
  const Lines back = scene.Says(1, true, 4000);
  ASSERT_EQ(back.size(), 3U);
  EXPECT_EQ(back[0], "b:5432 state: down->up (standby)");
  EXPECT_EQ(back[1], "b:5432 unreachable_here: true->false");
}

// ---- other hosts than before ------------------------------------------------------------------

HostEntry Entry(const std::string& name) {
  HostEntry entry;
  entry.name = name;
  entry.hostname = name;
  return entry;
}

TEST(Events, AHostThatIsRemovedAndOneThatIsAdded) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  // "a" makes place for "new", behind "b"
  scene.entries = {scene.entries[1], Entry("new:1"), Entry("new:2")};
  scene.cluster.hosts = {scene.cluster.hosts[1], HostVerdict(), HostVerdict()};
  scene.Judge(1100);
  EXPECT_EQ(scene.Told(), Lines({"hosts: 2->3 (Added: \"new:1\", \"new:2\". Removed: \"a:5432\".)",
                                 "primary: a:5432-> (\"a:5432\" is in pg_status.hosts no more.)"}));
}

TEST(Events, AnotherOrder) {
  EventScene scene(2);
  scene.After(0, Primary(1, 100), 1000);
  scene.After(1, Standby(1, 100), 1000);
  std::swap(scene.entries[0], scene.entries[1]);
  std::swap(scene.cluster.hosts[0], scene.cluster.hosts[1]);
  scene.Judge(1100);
  EXPECT_EQ(scene.Told(), Lines({"hosts: 2->2 (In another order.)"}));
}

TEST(Events, OfManyHostsNotAllAreNamed) {
  EventScene scene(0);
  for (int i = 0; i < 12; ++i) scene.entries.push_back(Entry("h" + std::to_string(i)));
  scene.cluster.hosts.resize(12);
  const Lines told = scene.Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].substr(0, 13), "hosts: 0->12 ");
  EXPECT_NE(told[0].find("\"h7\" and 4 more.)"), std::string::npos) << told[0];
}

// As with the belief of a poller that ended: what is not known yet is judged by what comes.
TEST(Events, AHostThatTheBeliefDoesNotHaveIsNewOnce) {
  EventScene scene(2);
  scene.belief = Belief();
  scene.cluster.ready = true;
  scene.cluster.hosts[1].checked = true;
  scene.Answers(0, Primary(1, 100), 1000);
  EXPECT_EQ(scene.Told(),
            Lines({"a:5432 state: unknown->up (primary, timeline 1)",
                   "a:5432 role: unknown->primary (timeline 1)",
                   "hosts: 0->2 (Added: \"a:5432\", \"b:5432\".)", "primary: ->a:5432"}));
}

TEST(Events, NoHostsNoEvents) {
  EventScene scene(0);
  scene.Judge(1000);
  EXPECT_EQ(scene.Told(), Lines());
}

}  // namespace
}  // namespace pg_status
