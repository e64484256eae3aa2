// Whose row of pg_stat_replication is it, and who is the upstream?
#include "judge/replication.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "judge/scene.hpp"

namespace pg_status {
namespace {

Sender Row(std::string application_name, std::string client_addr, int sync_priority,
           std::string state = "streaming", std::string sync_state = "sync") {
  Sender row;
  row.application_name = std::move(application_name);
  row.client_addr = std::move(client_addr);
  row.state = std::move(state);
  row.sync_state = std::move(sync_state);
  row.sync_priority = sync_priority;
  return row;
}

struct StandbySays {
  std::string application_name;  // of the entry
  std::string cluster_name;
  std::string peer_address;
};

// Host "a:5432" is the primary at 192.0.2.1; "b:5432" and "c:5432" are standbys. The priority tells
// the rows apart.
Scene WithRows(const std::vector<Sender>& rows, const StandbySays& b, const StandbySays& c) {
  Scene scene(3);
  Facts primary = Primary(1, 100);
  primary.senders = rows;
  Observation answer = Answer(primary, 1000);
  answer.peer_address = "192.0.2.1";
  scene.See(0, answer);
  std::size_t i = 1;
  for (const StandbySays* says : {&b, &c}) {
    Facts standby = Standby(1, 100, kStart + static_cast<WallUs>(i));
    standby.cluster_name = says->cluster_name;
    answer = Answer(standby, 1000);
    answer.peer_address = says->peer_address;
    scene.entries[i].application_name = says->application_name;
    scene.See(i, answer);
    ++i;
  }
  return scene;
}

struct RowCase {
  const char* situation;
  std::vector<Sender> rows;
  StandbySays b;
  StandbySays c;
  std::optional<int> priority_b;
  std::optional<int> priority_c;
};

class RowOf : public testing::TestWithParam<RowCase> {};

TEST_P(RowOf, Is) {
  const RowCase& row = GetParam();
  const Scene scene = WithRows(row.rows, row.b, row.c);
  EXPECT_EQ(scene.cluster.hosts[1].sync_priority, row.priority_b) << row.situation;
  EXPECT_EQ(scene.cluster.hosts[2].sync_priority, row.priority_c) << row.situation;
  EXPECT_EQ(scene.cluster.hosts[1].replication_state, row.priority_b ? "streaming" : "")
      << row.situation;
  EXPECT_EQ(scene.cluster.hosts[1].sync_state, row.priority_b ? "sync" : "") << row.situation;
  EXPECT_EQ(scene.cluster.hosts[0].sync_priority, std::nullopt) << row.situation;
}

const std::optional<int> kNone = std::nullopt;

INSTANTIATE_TEST_SUITE_P(
    Rows, RowOf,
    testing::Values(
        RowCase{"no rows", {}, {"", "b", "192.0.2.2"}, {"", "c", "192.0.2.3"}, kNone, kNone},
        RowCase{"by the application_name of the entry",
                {Row("walb", "", 1), Row("walc", "", 2)},
                {"walc", "", ""},
                {"walb", "", ""},
                2,
                1},
        RowCase{"application_name is exact, case included",
                {Row("walb", "", 1)},
                {"WALB", "", ""},
                {"wal", "", ""},
                kNone,
                kNone},
        RowCase{"when one is given, nothing else counts",
                {Row("b:5432", "192.0.2.2", 1), Row("b", "", 2)},
                {"gone", "b", "192.0.2.2"},
                {},
                kNone,
                kNone},
        RowCase{"by the name of the entry",
                {Row("c:5432", "", 1), Row("b:5432", "", 2)},
                {"", "x", "192.0.2.9"},
                {},
                2,
                1},
        RowCase{"by cluster_name",
                {Row("main_c", "", 1), Row("main_b", "", 2)},
                {"", "main_b", ""},
                {"", "main_c", ""},
                2,
                1},
        RowCase{"cluster_name shared by two standbys",
                {Row("main", "192.0.2.2", 1)},
                {"", "main", ""},
                {"", "main", ""},
                kNone,
                kNone},
        RowCase{"cluster_name shared by two rows",
                {Row("main", "", 1), Row("main", "", 2)},
                {"", "main", ""},
                {},
                kNone,
                kNone},
        RowCase{"by address",
                {Row("walreceiver", "192.0.2.3", 1), Row("walreceiver", "192.0.2.2", 2)},
                {"", "", "192.0.2.2"},
                {"", "", "192.0.2.3"},
                2,
                1},
        RowCase{"shared cluster_name, told apart by address",
                {Row("main", "192.0.2.3", 1), Row("main", "192.0.2.2", 2)},
                {"", "main", "192.0.2.2"},
                {"", "main", "192.0.2.3"},
                2,
                1},
        RowCase{"address of two hosts",
                {Row("walreceiver", "192.0.2.2", 1)},
                {"", "", "192.0.2.2"},
                {"", "", "192.0.2.2"},
                kNone,
                kNone},
        RowCase{"address of the primary as well",
                {Row("walreceiver", "192.0.2.1", 1)},
                {"", "", "192.0.2.1"},
                {},
                kNone,
                kNone},
        RowCase{"address of two rows",
                {Row("walreceiver", "192.0.2.2", 1), Row("backup", "192.0.2.2", 2)},
                {"", "", "192.0.2.2"},
                {},
                kNone,
                kNone},
        RowCase{"over a socket there is no address to go by",
                {Row("walreceiver", "", 1)},
                {"", "", ""},
                {"", "x", "192.0.2.3"},
                kNone,
                kNone},
        RowCase{"two rows of one given name: the one that streams",
                {Row("walb", "", 1, "startup"), Row("walb", "", 2), Row("walb", "", 3, "backup")},
                {"walb", "", ""},
                {},
                2,
                kNone}));

TEST(Replication, RowWhoseContentsAreHiddenGivesNoPriority) {
  const Scene scene = WithRows({Row("b:5432", "", 0, "", "")}, {}, {});
  EXPECT_EQ(scene.cluster.hosts[1].replication_state, "");
  EXPECT_EQ(scene.cluster.hosts[1].sync_state, "");
  EXPECT_EQ(scene.cluster.hosts[1].sync_priority, kNone);
}

TEST(Replication, RowInCatchUpIsShownAsItIs) {
  const Scene scene = WithRows({Row("b:5432", "", 0, "catchup", "async")}, {}, {});
  EXPECT_EQ(scene.cluster.hosts[1].replication_state, "catchup");
  EXPECT_EQ(scene.cluster.hosts[1].sync_state, "async");
  EXPECT_EQ(scene.cluster.hosts[1].sync_priority, std::optional<int>(0));
}

TEST(Replication, KeptWhileThePrimaryIsSuspectClearedWhenItIsDown) {
  Scene scene = WithRows({Row("b:5432", "", 1)}, {}, {});
  for (int ms : {1100, 1200}) scene.Fails(0, ms);
  EXPECT_EQ(scene[1].sync_state, "sync");
  scene.Fails(0, 1300);
  EXPECT_EQ(scene[1].replication_state, "");
  EXPECT_EQ(scene[1].sync_state, "");
  EXPECT_EQ(scene[1].sync_priority, kNone);
}

TEST(Replication, ClearedWhenTheStandbyIsPromoted) {
  Scene scene = WithRows({Row("b:5432", "", 1)}, {}, {});
  for (int ms : {1100, 1200, 1300}) scene.Fails(0, ms);
  scene.Answers(1, Primary(2, 100, kStart + 1), 2000);
  EXPECT_TRUE(scene[1].chosen_primary);
  EXPECT_EQ(scene[1].replication_state, "");
  EXPECT_EQ(scene[1].sync_priority, kNone);
}

TEST(Replication, HostOfAnotherClusterHasNoRow) {
  Scene scene = WithRows({Row("b:5432", "", 1)}, {}, {});
  Facts foreign = Standby(1, 100);
  foreign.system_identifier = kOtherSystem;
  scene.Answers(1, foreign, 2000);
  EXPECT_EQ(scene[1].replication_state, "");
}

// --- upstream ---

struct UpstreamCase {
  const char* situation;
  std::string sender_host;
  int sender_port;
  std::string upstream;
};

class Upstream : public testing::TestWithParam<UpstreamCase> {};

TEST_P(Upstream, Is) {  // a is at 192.0.2.1, b (asked for here) and c at 192.0.2.3, port 5433
  const UpstreamCase& row = GetParam();
  Scene scene(3);
  scene.entries[2].name = "third";
  scene.entries[2].port = 5433;
  Observation answer = Answer(Primary(1, 100), 1000);
  answer.peer_address = "192.0.2.1";
  scene.See(0, answer);
  answer = Answer(Standby(1, 100, kStart + 8), 1000);
  answer.peer_address = "192.0.2.3";
  scene.See(2, answer);
  scene.Answers(1, Streaming(Standby(1, 100), row.sender_host, row.sender_port), 1000);
  EXPECT_EQ(scene[1].upstream, row.upstream) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Upstream,
    testing::Values(UpstreamCase{"by host name", "a", 5432, "a:5432"},
                    UpstreamCase{"by address", "192.0.2.1", 5432, "a:5432"},
                    UpstreamCase{"cascaded, by host name", "c", 5433, "third"},
                    UpstreamCase{"cascaded, by address", "192.0.2.3", 5433, "third"},
                    UpstreamCase{"another port is another server", "a", 5433, "a:5433"},
                    UpstreamCase{"a server we do not watch", "db9.example", 5432,
                                 "db9.example:5432"},
                    UpstreamCase{"IPv6", "2001:db8::9", 5432, "[2001:db8::9]:5432"},
                    UpstreamCase{"socket directory", "/run/pg:x", 5432, "/run/pg:x:5432"},
                    UpstreamCase{"does not say", "", 5432, ""},
                    UpstreamCase{"nonsense", "a", -1, "a:-1"}));

TEST(Replication, UpstreamIsUnknownWithoutAReceiverOrItsDetails) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  Facts standby = Streaming(Standby(1, 100));
  scene.Answers(1, standby, 1000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  standby.receiver->details_known = false;
  scene.Answers(1, standby, 2000);
  EXPECT_EQ(scene[1].upstream, "");
  scene.Answers(1, Streaming(Standby(1, 100)), 3000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  scene.Answers(1, Standby(1, 100), 4000);
  EXPECT_EQ(scene[1].upstream, "");
}

TEST(Replication, UpstreamOfAHostThatIsDownIsUnknown) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Streaming(Standby(1, 100)), 1000);
  for (int ms : {1100, 1200}) scene.Fails(1, ms);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  scene.Fails(1, 1300);
  EXPECT_EQ(scene[1].upstream, "");
}

TEST(Replication, OfTwoEntriesForOnePlaceTheFirstIsTheUpstream) {
  Scene scene(3);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.entries[1].name = "alias";
  scene.entries[1].hostname = "a";
  scene.Answers(2, Streaming(Standby(1, 100)), 1000);
  EXPECT_EQ(scene[2].upstream, "a:5432");
}

}  // namespace
}  // namespace pg_status
