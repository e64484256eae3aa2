// Who is the primary, whose cluster is it, and are there two? One scene a situation.
#include "judge/topology.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

using Index = std::optional<std::size_t>;

Facts OfSystem(Facts facts, std::uint64_t system) {
  facts.system_identifier = system;
  return facts;
}

// --- which cluster is ours ---

struct SystemCase {
  const char* situation;
  std::uint64_t own;
  std::vector<std::optional<std::uint64_t>> told;  // by each host; nullopt: no facts yet
  std::uint64_t reference;
};

class Reference : public testing::TestWithParam<SystemCase> {};

TEST_P(Reference, Is) {
  const SystemCase& row = GetParam();
  std::vector<HostVerdict> hosts(row.told.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (row.told[i]) hosts[i].facts = OfSystem(Primary(1, 1), *row.told[i]);
  }
  EXPECT_EQ(ReferenceSystem(hosts, row.own), row.reference) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Reference,
    testing::Values(SystemCase{"nobody told, own unknown", 0, {std::nullopt}, 0},
                    SystemCase{"no hosts", 5, {}, 5},
                    SystemCase{"nobody told yet", 5, {std::nullopt, std::nullopt}, 5},
                    SystemCase{"own is among them, though rare", 5, {6, 6, 5}, 5},
                    SystemCase{"monitoring node outside: the most common", 5, {6, 7, 7}, 7},
                    SystemCase{"own unknown: the most common", 0, {6, 7, 7}, 7},
                    SystemCase{"tie goes to the first", 0, {7, 7, 6, 6}, 7},
                    SystemCase{"an unknown one does not count", 0, {0, 0, 6}, 6},
                    SystemCase{"only unknown ones: own", 5, {0, 0}, 5}));

TEST(Topology, HostOfAnotherClusterIsShownButNeverChosen) {
  Scene scene(2);
  scene.Answers(0, OfSystem(Primary(9, 100), kOtherSystem), 1000);
  scene.Answers(1, Primary(1, 100), 1010);
  EXPECT_TRUE(scene[0].foreign);
  EXPECT_EQ(scene[0].role, Role::kPrimary);
  EXPECT_FALSE(scene[0].chosen_primary);
  EXPECT_FALSE(scene[1].foreign);
  EXPECT_EQ(scene.cluster.primary, Index(1));
  EXPECT_EQ(scene.cluster.live_primaries, 1U);
}

TEST(Topology, HostOfAnotherClusterStaysForeignWhileItIsDown) {
  Scene scene(2);
  scene.Answers(0, OfSystem(Primary(9, 100), kOtherSystem), 1000);
  scene.Answers(1, Primary(1, 100), 1010);
  for (int ms : {1100, 1200, 1300}) scene.Fails(0, ms);
  EXPECT_EQ(scene[0].liveness, Liveness::kDown);
  EXPECT_TRUE(scene[0].foreign);
}

TEST(Topology, MonitoringNodeOutsideTheClusterSeesItsPrimary) {
  Scene scene(2);
  scene.own_system = kOtherSystem;
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1000);
  EXPECT_EQ(scene.cluster.primary, Index(0));
  EXPECT_EQ(scene.cluster.system_identifier, kSystem);
  EXPECT_FALSE(scene[0].foreign);
  EXPECT_FALSE(scene[1].foreign);
}

TEST(Topology, HostThatDoesNotTellItsSystemIsNotForeign) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, OfSystem(Standby(1, 100), 0), 1000);
  EXPECT_FALSE(scene[1].foreign);
}

// --- who is chosen ---

struct ChoiceCase {
  const char* situation;
  std::vector<std::optional<Facts>> told;  // nullopt: never answered
  std::vector<int> failures;               // of each host, afterwards
  Index primary;
  std::size_t live_primaries;
};

class Chosen : public testing::TestWithParam<ChoiceCase> {};

TEST_P(Chosen, Is) {
  const ChoiceCase& row = GetParam();
  Scene scene(row.told.size());
  for (std::size_t i = 0; i < row.told.size(); ++i) {
    if (row.told[i]) scene.Answers(i, *row.told[i], 1000);
    for (int k = 0; k < row.failures[i]; ++k) scene.Fails(i, 1100 + k);
  }
  EXPECT_EQ(scene.cluster.primary, row.primary) << row.situation;
  EXPECT_EQ(scene.cluster.live_primaries, row.live_primaries) << row.situation;
  EXPECT_FALSE(scene.cluster.split_brain) << row.situation;
  for (std::size_t i = 0; i < row.told.size(); ++i) {
    EXPECT_EQ(scene[i].chosen_primary, row.primary == Index(i)) << row.situation << ", host " << i;
  }
}

constexpr WallUs kStartB = kStart + 77;
const Index kNobody = std::nullopt;

INSTANTIATE_TEST_SUITE_P(
    Rows, Chosen,
    testing::Values(
        ChoiceCase{"one primary", {Standby(1, 9), Primary(1, 9)}, {0, 0}, 1, 1},
        ChoiceCase{"none", {Standby(1, 9), Standby(1, 9)}, {0, 0}, kNobody, 0},
        ChoiceCase{"nobody answered", {std::nullopt, std::nullopt}, {0, 1}, kNobody, 0},
        ChoiceCase{
            "a suspect primary is still the primary", {Primary(1, 9), Standby(1, 9)}, {2, 0}, 0, 1},
        ChoiceCase{
            "a primary that is down is none", {Primary(1, 9), Standby(1, 9)}, {3, 0}, kNobody, 0},
        ChoiceCase{
            "two: the higher timeline", {Primary(1, 9), Primary(2, 9, kStartB)}, {0, 0}, 1, 2},
        ChoiceCase{"old primary revived with a lower timeline",
                   {Primary(3, 9), Standby(3, 9), Primary(2, 99, kStartB)},
                   {0, 0, 0},
                   0,
                   2},
        ChoiceCase{"a suspect one on the higher timeline goes first",
                   {Primary(1, 9), Primary(2, 9, kStartB)},
                   {0, 1},
                   1,
                   2},
        ChoiceCase{"same timeline: a single failure changes nobody's place",
                   {Primary(2, 9), Primary(2, 9, kStartB)},
                   {1, 0},
                   0,
                   2},
        ChoiceCase{"same timeline: configured order",
                   {Primary(2, 9), Primary(2, 9, kStartB)},
                   {0, 0},
                   0,
                   2},
        ChoiceCase{"same server reached by two entries counts once",
                   {Primary(2, 9), Primary(2, 9), Standby(2, 9)},
                   {0, 0, 0},
                   0,
                   1},
        ChoiceCase{"start times unknown: taken for two servers",
                   {Primary(2, 9, 0), Primary(2, 9, 0)},
                   {0, 0},
                   0,
                   2}));

TEST(Topology, RoleIsUnknownUnlessUpOrSuspect) {
  Scene scene(1);
  EXPECT_EQ(scene[0].role, Role::kUnknown);
  scene.Answers(0, Standby(1, 9), 1000);
  EXPECT_EQ(scene[0].role, Role::kStandby);
  EXPECT_EQ(scene[0].last_change, Ms(1000));
  scene.Fails(0, 1100);
  scene.Fails(0, 1200);
  EXPECT_EQ(scene[0].role, Role::kStandby);
  scene.Fails(0, 1300);
  EXPECT_EQ(scene[0].role, Role::kUnknown);
}

TEST(Topology, ChangeOfRoleIsAChange) {
  Scene scene(1);
  scene.Answers(0, Standby(1, 9), 1000);
  scene.Answers(0, Standby(1, 9), 2000);
  EXPECT_EQ(scene[0].last_change, Ms(1000));
  scene.Answers(0, Primary(2, 9, kStart + 5), 3000);
  EXPECT_EQ(scene[0].last_change, Ms(3000));
}

// --- split brain ---

struct Look {
  std::size_t host;
  Facts facts;
  std::int64_t finished_ms;
};

struct SplitCase {
  const char* situation;
  std::vector<Look> looks;
  bool split_brain;
  std::size_t live_primaries;
};

class Split : public testing::TestWithParam<SplitCase> {};

TEST_P(Split, Is) {
  const SplitCase& row = GetParam();
  Scene scene(3);
  for (const Look& look : row.looks) scene.Answers(look.host, look.facts, look.finished_ms);
  EXPECT_EQ(scene.cluster.split_brain, row.split_brain) << row.situation;
  EXPECT_EQ(scene.cluster.live_primaries, row.live_primaries) << row.situation;
}

const Facts kA = Primary(1, 9);
const Facts kB = Primary(2, 9, kStartB);
const Facts kSameTimeline = Primary(1, 9, kStartB);
const Facts kC = Primary(2, 9, kStartB + 1);

INSTANTIATE_TEST_SUITE_P(
    Rows, Split,
    testing::Values(
        SplitCase{"one look at each proves nothing", {{0, kA, 1000}, {1, kB, 1000}}, false, 2},
        SplitCase{"old one not asked again since the new one was promoted",
                  {{0, kA, 1000}, {0, kA, 2000}, {1, kB, 2500}, {1, kB, 3000}},
                  false,
                  2},
        SplitCase{"old one seen once more, after the new timeline was seen",
                  {{0, kA, 1000}, {1, kB, 1500}, {0, kA, 2000}},
                  true,
                  2},
        SplitCase{"the same with a standby on the new timeline, whose primary is not in sight",
                  {{0, kA, 1000}, {1, Standby(2, 9), 1500}, {0, kA, 2000}},
                  true,
                  1},
        SplitCase{"a standby on the new timeline, before the old one was asked again",
                  {{0, kA, 1000}, {1, Standby(2, 9), 1500}},
                  false,
                  1},
        SplitCase{"both seen before and after a common moment",
                  {{0, kA, 1000}, {1, kB, 1500}, {0, kA, 2000}, {1, kB, 2500}},
                  true,
                  2},
        SplitCase{
            "the same on one timeline",
            {{0, kA, 1000}, {1, kSameTimeline, 1500}, {0, kA, 2000}, {1, kSameTimeline, 2500}},
            true,
            2},
        SplitCase{"a single common moment is enough (a probe is sent 2 ms before it ends)",
                  {{0, kA, 1000}, {1, kB, 1998}, {0, kA, 2000}, {1, kB, 2500}},
                  true,
                  2},
        SplitCase{"just short of a common moment",
                  {{0, kA, 1000}, {1, kB, 1999}, {0, kA, 2000}},
                  false,
                  2},
        SplitCase{"both asked at the same moments",
                  {{0, kA, 1000}, {1, kB, 1000}, {0, kA, 2000}, {1, kB, 2000}},
                  true,
                  2},
        SplitCase{
            "the old one came back as a standby",
            {{0, kA, 1000}, {1, kB, 1500}, {0, kA, 2000}, {1, kB, 2500}, {0, Standby(2, 9), 3000}},
            false,
            1},
        SplitCase{
            "the old one was restarted in between and seen once since",
            {{0, kA, 1000}, {1, kB, 1500}, {0, Primary(1, 9, kStart + 3), 2000}, {1, kB, 2500}},
            true,
            2},
        SplitCase{"same server reached twice",
                  {{0, kA, 1000}, {1, kA, 1500}, {0, kA, 2000}, {1, kA, 2500}},
                  false,
                  1},
        SplitCase{"what two entries saw of one server is one span",
                  {{0, kA, 1000}, {2, kB, 1500}, {1, kA, 2500}, {2, kB, 2600}},
                  true,
                  2},
        SplitCase{"only the last two of three",
                  {{0, kA, 1000},
                   {0, kA, 1100},
                   {1, kB, 1500},
                   {2, kC, 1600},
                   {1, kB, 2000},
                   {2, kC, 2100}},
                  true,
                  3},
        SplitCase{"a primary of another cluster is nobody's rival",
                  {{0, kA, 1000},
                   {1, OfSystem(kB, kOtherSystem), 1500},
                   {0, kA, 2000},
                   {1, OfSystem(kB, kOtherSystem), 2500}},
                  false,
                  1}));

TEST(Topology, SplitBrainLastsWhileOneOfThemIsSuspectAndEndsWhenItIsDown) {
  Scene scene(2);
  for (int ms : {1000, 2000}) {
    scene.Answers(0, kA, ms);
    scene.Answers(1, kB, ms);
  }
  EXPECT_TRUE(scene.cluster.split_brain);
  EXPECT_EQ(scene.cluster.primary, Index(1));
  scene.Fails(0, 2100);
  scene.Fails(0, 2200);
  EXPECT_TRUE(scene.cluster.split_brain);
  scene.Fails(0, 2300);
  EXPECT_FALSE(scene.cluster.split_brain);
  EXPECT_EQ(scene.cluster.live_primaries, 1U);
}

TEST(Topology, PlannedFailoverNeverLooksLikeSplitBrain) {
  Scene scene(2);
  scene.Answers(0, kA, 1000);
  scene.Answers(0, kA, 2000);
  scene.Answers(1, Standby(1, 9, kStartB), 2000);
  scene.Answers(1, kB, 2100);  // promoted; the old one is being stopped
  EXPECT_FALSE(scene.cluster.split_brain);
  EXPECT_EQ(scene.cluster.primary, Index(1));
  for (int ms : {2200, 2300, 2400}) {
    scene.Fails(0, ms);
    scene.Answers(1, kB, ms);
    EXPECT_FALSE(scene.cluster.split_brain) << ms;
  }
  scene.Answers(0, Standby(2, 9, kStart + 3), 5000);
  EXPECT_FALSE(scene.cluster.split_brain);
  EXPECT_EQ(scene.cluster.primary, Index(1));
}

// --- ready ---

TEST(Topology, ReadyWhenEveryHostWasProbedHoweverItEnded) {
  Scene scene(2);
  scene.Judge(1);
  EXPECT_FALSE(scene.cluster.ready);
  scene.Answers(0, kA, 1000);
  EXPECT_FALSE(scene.cluster.ready);
  scene.Fails(1, 1100);
  EXPECT_TRUE(scene.cluster.ready);
}

TEST(Topology, ReadyNeverGoesBack) {
  Scene scene(1);
  scene.Answers(0, kA, 1000);
  scene.cluster.hosts.emplace_back();
  scene.entries.push_back(scene.entries[0]);
  scene.Judge(1100);
  EXPECT_TRUE(scene.cluster.ready);
}

TEST(Topology, EmptyListIsReadyAndHasNoPrimary) {
  Scene scene(0);
  scene.Judge(1);
  EXPECT_TRUE(scene.cluster.ready);
  EXPECT_EQ(scene.cluster.primary, kNobody);
  EXPECT_FALSE(scene.cluster.split_brain);
}

}  // namespace
}  // namespace pg_status
