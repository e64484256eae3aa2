// Events as plain data, and what a snapshot says its poller believed.
#include "publish/build_event.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "judge/scene.hpp"
#include "publish/build_snapshot.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr WallUs kAt = 1700000000 * kUsPerSecond;

TEST(BuildEvent, EveryFieldHasItsPlace) {
  const PgstEvent event =
      BuildEvent({"a:5432", EventKind::kRole, "standby", "primary", "timeline 2"}, kAt);
  EXPECT_EQ(event.seq, 0u) << "numbers are given elsewhere";
  EXPECT_EQ(event.at_wall, kAt);
  EXPECT_STREQ(event.host, "a:5432");
  EXPECT_STREQ(event.kind, "role");
  EXPECT_STREQ(event.old_value, "standby");
  EXPECT_STREQ(event.new_value, "primary");
  EXPECT_STREQ(event.detail, "timeline 2");
}

// Whoever compares the name of a new primary with those of the hosts must find it.
TEST(BuildEvent, TheLongestNameIsNotCut) {
  const std::string name(PGST_NAME_SIZE - 1, 'n');
  const PgstEvent event = BuildEvent({"", EventKind::kPrimary, name, name, ""}, kAt);
  EXPECT_EQ(event.old_value, name);
  EXPECT_EQ(event.new_value, name);
}

TEST(BuildEvent, TextsFromElsewhereAreMadeSafe) {
  const std::string error = "no\nroute \x80" + std::string(1000, 'x');
  const PgstEvent event = BuildEvent({"a", EventKind::kState, "up", "suspect", error}, kAt);
  EXPECT_EQ(std::string(event.detail).substr(0, 10), "no route ?");
  EXPECT_EQ(std::strlen(event.detail), PGST_EVENT_DETAIL_SIZE - 1u);
}

// A snapshot is made of a verdict and read back: nothing has changed, so there is no event.
TEST(BeliefIn, WhatASnapshotSaysIsWhatWasBelieved) {
  Scene scene(4);
  scene.own_start = kStart;
  Facts foreign = Standby(1, 100, kStart + 7);
  foreign.system_identifier = kOtherSystem;
  scene.limits.max_fails = 2;
  for (const int ms : {1000, 2000}) {
    scene.Answers(0, Primary(1, 100), ms);
    scene.Answers(1, Primary(2, 100, kStart + 5), ms);
    scene.Answers(2, foreign, ms);
    scene.Fails(3, ms);
  }
  scene.Fails(0, 2100);
  const std::vector<Liveness> states = {Liveness::kSuspect, Liveness::kUp, Liveness::kUp,
                                        Liveness::kDown};
  SnapshotStorage storage(8);
  BuildSnapshot(scene.cluster, scene.entries, scene.limits, LocalNode(), Ms(2100), kAt,
                storage.get());

  const Belief belief = BeliefIn(storage.get());
  ASSERT_EQ(belief.hosts.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(belief.hosts[i].liveness, states[i]) << i;
  EXPECT_EQ(belief.hosts[1].name, "b:5432");
  EXPECT_EQ(belief.hosts[1].role, Role::kPrimary);
  EXPECT_TRUE(belief.hosts[2].foreign);
  EXPECT_EQ(belief.primary, "b:5432");
  EXPECT_TRUE(belief.split_brain);
  EXPECT_TRUE(DescribeEvents(belief, scene.cluster, scene.entries, {}).empty());
}

TEST(BeliefIn, AMajority) {
  SnapshotStorage storage(1);
  const struct {
    std::uint8_t ready;
    std::uint32_t voters;
    std::uint32_t in_sight;
    std::optional<bool> quorum;
  } kCases[] = {
      {1, 3, 2, true},         {1, 3, 1, false},        {0, 3, 2, std::nullopt},
      {1, 2, 2, std::nullopt}, {1, 0, 0, std::nullopt},
  };
  for (const auto& c : kCases) {
    storage.get().ready = c.ready;
    storage.get().voters = c.voters;
    storage.get().voters_in_sight = c.in_sight;
    EXPECT_EQ(BeliefIn(storage.get()).quorum, c.quorum) << c.voters << ' ' << c.in_sight;
  }
}

TEST(BeliefIn, ASnapshotThatMakesNoSense) {
  SnapshotStorage storage(1, 0xff);
  storage.get().max_hosts = 1;
  const Belief belief = BeliefIn(storage.get());
  ASSERT_EQ(belief.hosts.size(), 1u);
  EXPECT_EQ(belief.hosts[0].liveness, Liveness::kUnknown);
  EXPECT_EQ(belief.hosts[0].role, Role::kUnknown);
}

// A poller that is started anew goes on with the memory of the one before it.
TEST(IncumbentIn, IsWhoWasNamedLast) {
  Scene scene(2);
  scene.Answers(0, WithHistory(Primary(3, 100), {{1, 50}, {2, 70}}), 1000);
  scene.Answers(1, Standby(3, 100), 1000);
  SnapshotStorage storage(4);
  BuildSnapshot(scene.cluster, scene.entries, scene.limits, LocalNode(), Ms(1000), kAt,
                storage.get());
  const std::optional<Incumbent> named = IncumbentIn(storage.get());
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name, "a:5432");
  EXPECT_EQ(named->run, (ServerRun{kSystem, kStart}));
  EXPECT_EQ(named->timeline, 3u);
  ASSERT_TRUE(named->history);
  EXPECT_EQ(named->history->forks, (std::vector<Fork>{{1, 50}, {2, 70}}));

  for (const int ms : {1100, 1200, 1300}) scene.Fails(0, ms);
  BuildSnapshot(scene.cluster, scene.entries, scene.limits, LocalNode(), Ms(1300), kAt,
                storage.get());
  EXPECT_EQ(storage.get().primary, -1);
  ASSERT_TRUE(IncumbentIn(storage.get())) << "nobody is named now";
  EXPECT_EQ(IncumbentIn(storage.get())->name, "a:5432");
  EXPECT_EQ(IncumbentIn(storage.get())->timeline, 3u);

  // (a snapshot tells the history of the primary that is named)
  EXPECT_FALSE(IncumbentIn(storage.get())->history);

  storage.get().incumbent = 4;
  EXPECT_FALSE(IncumbentIn(storage.get()));
  storage.get().incumbent = -1;
  EXPECT_FALSE(IncumbentIn(storage.get()));
}

TEST(RefusedIn, IsTheTimelineOfWhoIsSuperseded) {
  SnapshotStorage storage(3);
  PgstSnapshot& snapshot = storage.get();
  snapshot.host_count = 3;
  for (std::uint32_t i = 0; i < 3; ++i) {
    std::strcpy(snapshot.hosts[i].name, std::string(1, static_cast<char>('a' + i)).c_str());
    snapshot.hosts[i].timeline = i + 1;
  }
  snapshot.hosts[1].superseded = 1;
  EXPECT_EQ(RefusedIn(snapshot, "a"), 0u) << "not superseded";
  EXPECT_EQ(RefusedIn(snapshot, "b"), 2u);
  EXPECT_EQ(RefusedIn(snapshot, "d"), 0u) << "not in the list";
  snapshot.host_count = 77;
  EXPECT_EQ(RefusedIn(snapshot, "b"), 2u) << "of a count that cannot be";
  snapshot.host_count = 1;
  EXPECT_EQ(RefusedIn(snapshot, "b"), 0u) << "not in the list any more";
}

}  // namespace
}  // namespace pg_status
