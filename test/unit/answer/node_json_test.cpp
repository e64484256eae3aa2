// The JSON of the check port: keys and values in each role and state, and what is left out.
#include "answer/node_json.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>

#include <rapidjson/document.h>

#include "answer/check_scene.hpp"

namespace pg_status {
namespace {

using rapidjson::Document;
using rapidjson::Value;

std::string NodeText(CheckScene& scene) {
  std::string text;
  AppendNode(scene.world(), "1.0.0", text);
  return text;
}

Document Parse(const std::string& text) {
  Document json;
  json.Parse(text.data(), text.size());
  EXPECT_FALSE(json.HasParseError()) << text;
  return json;
}

Document Node(CheckScene& scene) { return Parse(NodeText(scene)); }

Document Cluster(CheckScene& scene) {
  std::string text;
  AppendCluster(scene.world(), text);
  return Parse(text);
}

TEST(NodeJson, OfAPrimary) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(
      NodeText(scene),
      R"({"state":"running","postmaster_start_time":"2026-07-23 09:00:00.123456+00:00",)"
      R"("role":"primary","server_version":150007,"xlog":{"location":1000000},"timeline":3,)"
      R"("dcs_last_seen":1784883599,"database_system_identifier":"7300000000000000001",)"
      R"("patroni":{"version":"1.0.0","scope":"main","name":"a"},)"
      R"("pg_status":{"version":"1.0.0","lag_bytes":0,"lag_ms":0,"primary":"a",)"
      R"("primary_reason":null,"split_brain":false,"diverged":false,"quorum":null,)"
      R"("fenced":false,"fence_cause":null,"read_only":null,"maintenance":false,"maintenance_reason":null,"polled_ms":250}})");
}

TEST(NodeJson, OfAReplica) {
  CheckScene scene = CheckScene::OnReplica();
  scene.SetLag(24);
  scene.host(1).lag_ms = 7;
  scene.node().replay_commit = 1784883599 * kUsPerSecond + 5;
  EXPECT_EQ(
      NodeText(scene),
      R"({"state":"running","postmaster_start_time":"2026-07-23 09:00:00.123456+00:00",)"
      R"("role":"replica","server_version":150007,"xlog":{"received_location":1000000,)"
      R"("replayed_location":999976,"replayed_timestamp":"2026-07-24 08:59:59.000005+00:00",)"
      R"("paused":false},"timeline":3,"replication_state":"streaming",)"
      R"("dcs_last_seen":1784883599,"database_system_identifier":"7300000000000000001",)"
      R"("patroni":{"version":"1.0.0","scope":"main","name":"b"},)"
      R"("pg_status":{"version":"1.0.0","lag_bytes":24,"lag_ms":7,"primary":"a",)"
      R"("primary_reason":null,"split_brain":false,"diverged":false,"quorum":null,)"
      R"("fenced":false,"fence_cause":null,"read_only":null,"maintenance":false,"maintenance_reason":null,"polled_ms":250}})");
}

TEST(NodeJson, ListsWhoStreamsFromThisNode) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_FALSE(Node(scene).HasMember("replication"));
  scene.snapshot().sender_count = 2;
  PgstSender& first = scene.snapshot().senders[0];
  CopyFixedText(first.usename, "replicator");
  CopyFixedText(first.application_name, "b");
  CopyFixedText(first.client_addr, "10.0.0.2");
  CopyFixedText(first.state, "streaming");
  CopyFixedText(first.sync_state, "sync");
  first.sync_priority = 1;
  EXPECT_NE(NodeText(scene).find(
                R"("replication":[{"usename":"replicator","application_name":"b",)"
                R"("client_addr":"10.0.0.2","state":"streaming","sync_state":"sync",)"
                R"("sync_priority":1},{"usename":"","application_name":"","client_addr":null,)"),
            std::string::npos)
      << NodeText(scene);
  scene.snapshot().sender_count = 4000000000U;
  EXPECT_EQ(Node(scene)["replication"].Size(), static_cast<unsigned>(PGST_MAX_SENDERS));
  scene.MakeStale();
  EXPECT_FALSE(Node(scene).HasMember("replication"));
}

TEST(NodeJson, PositionsAreExactUpToTheLargest) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.node().written = std::numeric_limits<Lsn>::max();
  scene.node().system_identifier = std::numeric_limits<std::uint64_t>::max();
  const Document json = Node(scene);
  EXPECT_EQ(json["xlog"]["location"].GetUint64(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_STREQ(json["database_system_identifier"].GetString(), "18446744073709551615");
}

TEST(NodeJson, WhileStartingNoRoleIsClaimed) {
  CheckScene scene = CheckScene::Starting();
  scene.node().replayed = 5;
  const Document json = Node(scene);
  EXPECT_STREQ(json["state"].GetString(), "starting");
  for (const char* key : {"role", "xlog", "replication_state"}) {
    EXPECT_FALSE(json.HasMember(key)) << key;
  }
  EXPECT_TRUE(json["pg_status"]["lag_bytes"].IsNull());
  EXPECT_TRUE(json["pg_status"]["lag_ms"].IsNull());
}

TEST(NodeJson, WhileStoppingTheRoleIsWhatItWas) {
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene replica = CheckScene::OnReplica();
  primary.node().state = replica.node().state = NodeState::kStopping;
  const Document of_primary = Node(primary);
  EXPECT_STREQ(of_primary["state"].GetString(), "stopping");
  EXPECT_STREQ(of_primary["role"].GetString(), "primary");
  const Document of_replica = Node(replica);
  EXPECT_STREQ(of_replica["role"].GetString(), "replica");
  EXPECT_STREQ(of_replica["replication_state"].GetString(), "streaming");
  primary.node().written = kNoLsn;
  EXPECT_FALSE(Node(primary).HasMember("role"));
}

TEST(NodeJson, OfAReplicaThatDoesNotStream) {
  CheckScene scene = CheckScene::OnReplica();
  scene.node().streaming = false;
  scene.node().received = kNoLsn;
  scene.node().replayed = kNoLsn;
  scene.node().replay_paused = true;
  const Document json = Node(scene);
  EXPECT_STREQ(json["replication_state"].GetString(), "in archive recovery");
  const Value& xlog = json["xlog"];
  EXPECT_TRUE(xlog["received_location"].IsNull());
  EXPECT_TRUE(xlog["replayed_location"].IsNull());
  EXPECT_TRUE(xlog["replayed_timestamp"].IsNull());
  EXPECT_TRUE(xlog["paused"].GetBool());
  EXPECT_FALSE(xlog.HasMember("location"));
  EXPECT_TRUE(json["pg_status"]["lag_bytes"].IsNull());
}

TEST(NodeJson, SyncFlagsAreThereOnlyWhenTrue) {
  struct Row {
    const char* state;
    bool sync;
    bool quorum;
  };
  for (const Row& row : {Row{"sync", true, false}, Row{"quorum", false, true},
                         Row{"async", false, false}, Row{"", false, false}}) {
    CheckScene scene = CheckScene::OnReplica();
    scene.SetSyncState(row.state);
    const Document json = Node(scene);
    EXPECT_EQ(json.HasMember("sync_standby"), row.sync) << row.state;
    EXPECT_EQ(json.HasMember("quorum_standby"), row.quorum) << row.state;
    EXPECT_TRUE(!row.sync || json["sync_standby"].IsTrue());
    EXPECT_TRUE(!row.quorum || json["quorum_standby"].IsTrue());
    scene.MakeStale();
    EXPECT_FALSE(Node(scene).HasMember("sync_standby"));
  }
  CheckScene promoted = CheckScene::OnReplica();
  promoted.SetSyncState("sync");
  promoted.node().state = NodeState::kPrimary;
  EXPECT_FALSE(Node(promoted).HasMember("sync_standby")) << "what it was a moment ago";
  CheckScene cut = CheckScene::OnReplica();
  cut.SetSyncState("sync");
  cut.node().streaming = false;
  EXPECT_FALSE(Node(cut).HasMember("sync_standby")) << "it has just lost its receiver";
}

TEST(NodeJson, UnlockedMeansThatNoPrimaryIsInSight) {
  CheckScene replica = CheckScene::OnReplica();
  EXPECT_FALSE(Node(replica).HasMember("cluster_unlocked"));
  replica.snapshot().primary = -1;
  EXPECT_TRUE(Node(replica)["cluster_unlocked"].IsTrue());
  EXPECT_TRUE(Node(replica)["pg_status"]["primary"].IsNull());
  CheckScene stale = CheckScene::OnReplica();
  stale.MakeStale();
  EXPECT_TRUE(Node(stale)["cluster_unlocked"].IsTrue());
  EXPECT_TRUE(Node(stale)["pg_status"]["primary"].IsNull());
  EXPECT_TRUE(Node(stale)["pg_status"]["split_brain"].IsNull());
  EXPECT_EQ(Node(stale)["pg_status"]["polled_ms"].GetUint64(), 6000U);
}

TEST(NodeJson, AFreshPrimaryKnowsItselfBeforeThePollerDoes) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().primary = -1;
  const Document json = Node(scene);
  EXPECT_FALSE(json.HasMember("cluster_unlocked"));
  EXPECT_STREQ(json["pg_status"]["primary"].GetString(), "a");
}

TEST(NodeJson, BeforeAnythingWasPublished) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Unpublish();
  const Document json = Node(scene);
  EXPECT_STREQ(json["state"].GetString(), "running");
  EXPECT_FALSE(json.HasMember("dcs_last_seen"));
  EXPECT_FALSE(json["patroni"].HasMember("name"));
  EXPECT_TRUE(json["pg_status"]["polled_ms"].IsNull());
  EXPECT_TRUE(json["pg_status"]["lag_ms"].IsNull());
  EXPECT_EQ(json["pg_status"]["lag_bytes"].GetUint64(), 0U) << "the sender told of no more";
}

TEST(NodeJson, WhatIsNotKnownOfTheServerIsLeftOut) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.node() = NodeFacts{};
  scene.node().state = NodeState::kPrimary;
  const Document json = Node(scene);
  for (const char* key :
       {"postmaster_start_time", "server_version", "timeline", "database_system_identifier"}) {
    EXPECT_FALSE(json.HasMember(key)) << key;
  }
  EXPECT_TRUE(json["xlog"]["location"].IsNull());
  EXPECT_STREQ(json["patroni"]["scope"].GetString(), "");
}

TEST(NodeJson, SaysWhetherAMajorityIsInSight) {
  for (const std::uint32_t in_sight : {1U, 2U}) {
    CheckScene scene = CheckScene::OnPrimary();
    scene.SeeVoters(in_sight, 3, true);
    const Document json = Node(scene);
    EXPECT_EQ(json["pg_status"]["quorum"].GetBool(), in_sight == 2) << in_sight;
    EXPECT_EQ(json["pg_status"]["fenced"].GetBool(), in_sight == 1) << in_sight;
  }
}

TEST(NodeJson, SaysSplitBrain) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().split_brain = 1;
  EXPECT_TRUE(Node(scene)["pg_status"]["split_brain"].IsTrue());
}

TEST(NodeJson, TimesOutsideOfOurEraAreNotKnown) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const WallUs time :
       {WallUs{-1}, std::numeric_limits<WallUs>::min(), std::numeric_limits<WallUs>::max(),
        WallUs{253402300800} * kUsPerSecond}) {
    scene.node().postmaster_start = time;
    EXPECT_FALSE(Node(scene).HasMember("postmaster_start_time")) << time;
  }
  struct Row {
    WallUs time;
    const char* text;
  };
  for (const Row& row :
       {Row{1, "1970-01-01 00:00:00.000001+00:00"},
        Row{951782400 * kUsPerSecond, "2000-02-29 00:00:00.000000+00:00"},
        Row{4107542399 * kUsPerSecond, "2100-02-28 23:59:59.000000+00:00"},
        Row{4107542400 * kUsPerSecond, "2100-03-01 00:00:00.000000+00:00"},
        Row{253402300800 * kUsPerSecond - 1, "9999-12-31 23:59:59.999999+00:00"}}) {
    scene.node().postmaster_start = row.time;
    EXPECT_STREQ(Node(scene)["postmaster_start_time"].GetString(), row.text);
  }
}

TEST(NodeJson, TextsAreEscaped) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.node().cluster_name, "a\"b\\c</script>");
  EXPECT_STREQ(Node(scene)["patroni"]["scope"].GetString(), "a\"b\\c</script>");
}

TEST(NodeJson, TextsWithoutAnEndAreNotReadBeyond) {
  CheckScene scene = CheckScene::OnPrimary();
  std::fill(std::begin(scene.node().cluster_name), std::end(scene.node().cluster_name), 'x');
  EXPECT_EQ(Node(scene)["patroni"]["scope"].GetStringLength(), std::size_t{PGST_LABEL_SIZE});
}

// ---- the cluster ------------------------------------------------------------------------------

TEST(ClusterJson, ListsTheMembersInTheirOrder) {
  CheckScene scene = CheckScene::OnReplica();
  CopyFixedText(scene.host(2).sync_state, "sync");
  scene.host(2).streaming = 0;
  scene.host(2).lag_bytes = 77;
  std::string text;
  AppendCluster(scene.world(), text);
  EXPECT_EQ(
      text,
      R"({"members":[)"
      R"({"name":"a","role":"leader","state":"running","host":"10.0.0.1","port":5432,)"
      R"("timeline":3},)"
      R"({"name":"b","role":"replica","state":"streaming","host":"10.0.0.2","port":5432,)"
      R"("timeline":3,"lag":0},)"
      R"({"name":"c","role":"sync_standby","state":"in archive recovery",)"
      R"("host":"10.0.0.3","port":5432,"timeline":3,"lag":77}],"primary_reason":null,"scope":"main"})");
}

TEST(ClusterJson, WhatIsNotKnownIsNoReplica) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.host(1).sync_state, "");
  EXPECT_STREQ(Cluster(scene)["members"][1]["role"].GetString(), "unknown");
  for (const char* state : {"async", "potential"}) {
    CopyFixedText(scene.host(1).sync_state, state);
    EXPECT_STREQ(Cluster(scene)["members"][1]["role"].GetString(), "replica") << state;
  }
}

TEST(ClusterJson, OfAQuorumStandbyAndOneThatKeepsItsReceiverSecret) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.host(1).sync_state, "quorum");
  scene.host(1).has_streaming = 0;
  const Document json = Cluster(scene);
  EXPECT_STREQ(json["members"][1]["role"].GetString(), "quorum_standby");
  EXPECT_STREQ(json["members"][1]["state"].GetString(), "running");
}

// There is one leader: who asks for it takes the first.
TEST(ClusterJson, OfTwoPrimariesOnlyTheNamedOneIsTheLeader) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).role = PGST_ROLE_PRIMARY;
  scene.host(1).lag_bytes = 0;
  const Document json = Cluster(scene);
  EXPECT_STREQ(json["members"][0]["role"].GetString(), "leader");
  EXPECT_STREQ(json["members"][1]["role"].GetString(), "superseded");
  EXPECT_STREQ(json["members"][1]["state"].GetString(), "running");
  EXPECT_STREQ(json["members"][1]["lag"].GetString(), "unknown");
}

TEST(ClusterJson, SaysWhoHasDiverged) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).diverged = scene.host(2).diverged = 1;
  scene.host(2).state = PGST_STATE_DOWN;
  const Document json = Cluster(scene);
  EXPECT_STREQ(json["members"][1]["role"].GetString(), "replica");
  EXPECT_STREQ(json["members"][1]["state"].GetString(), "diverged");
  EXPECT_STREQ(json["members"][2]["state"].GetString(), "down");
}

TEST(ClusterJson, SaysWhyItIsThisPrimary) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.snapshot().primary_reason, "Its history is the newest.");
  EXPECT_STREQ(Cluster(scene)["primary_reason"].GetString(), "Its history is the newest.");
  EXPECT_STREQ(Node(scene)["pg_status"]["primary_reason"].GetString(),
               "Its history is the newest.");
  scene.snapshot().ready = 0;
  EXPECT_TRUE(Cluster(scene)["primary_reason"].IsNull());
  scene.snapshot().ready = 1;
  scene.MakeStale();
  EXPECT_TRUE(Cluster(scene)["primary_reason"].IsNull());
  EXPECT_TRUE(Node(scene)["pg_status"]["primary_reason"].IsNull());
}

TEST(NodeJson, OfAStandbyThatHasDiverged) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(1).diverged = 1;
  EXPECT_TRUE(Node(scene)["pg_status"]["diverged"].IsTrue());
  EXPECT_TRUE(Node(scene)["pg_status"]["lag_bytes"].IsNull());
  scene.MakeStale();
  EXPECT_TRUE(Node(scene)["pg_status"]["diverged"].IsNull());
  CheckScene promoted = CheckScene::OnPrimary();
  promoted.host(0).diverged = 1;
  EXPECT_TRUE(Node(promoted)["pg_status"]["diverged"].IsFalse()) << "it is no standby any more";
}

TEST(NodeJson, SaysWhyItIsFenced) {
  const std::pair<PgstFenceCause, const char*> causes[] = {
      {PGST_FENCE_NO_MAJORITY, "no_majority"},
      {PGST_FENCE_UNREACHABLE, "unreachable"},
      {PGST_FENCE_SUCCESSOR, "successor"},
      {PGST_FENCE_OUTVOTED, "outvoted"},
  };
  for (const auto& [cause, word] : causes) {
    CheckScene scene = CheckScene::OnPrimary();
    scene.snapshot().fence_cause = static_cast<std::uint8_t>(cause);
    scene.SeeVoters(3, 3, true);
    EXPECT_TRUE(Node(scene)["pg_status"]["fenced"].IsTrue()) << word;
    EXPECT_STREQ(Node(scene)["pg_status"]["fence_cause"].GetString(), word);
    CheckScene off = CheckScene::OnPrimary();
    off.snapshot().fence_cause = static_cast<std::uint8_t>(cause);
    off.SeeVoters(3, 3, false);
    EXPECT_TRUE(Node(off)["pg_status"]["fenced"].IsFalse()) << word;
    EXPECT_TRUE(Node(off)["pg_status"]["fence_cause"].IsNull()) << word;
  }
}

TEST(ClusterJson, OfWhatIsDownForeignOrNeverAnsweredNoRoleIsClaimed) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(0).state = PGST_STATE_DOWN;
  scene.host(0).role = PGST_ROLE_UNKNOWN;
  scene.host(1).state = PGST_STATE_UNKNOWN;
  scene.host(1).role = PGST_ROLE_UNKNOWN;
  scene.host(1).has_lag_bytes = 0;
  scene.host(1).timeline = 0;
  scene.host(2).foreign = 1;
  scene.host(2).role = PGST_ROLE_PRIMARY;
  const Document json = Cluster(scene);
  const Value& members = json["members"];
  for (rapidjson::SizeType i = 0; i < 3; ++i) {
    EXPECT_STREQ(members[i]["role"].GetString(), "unknown") << i;
  }
  EXPECT_STREQ(members[0]["state"].GetString(), "down");
  EXPECT_STREQ(members[1]["state"].GetString(), "unknown");
  EXPECT_STREQ(members[1]["lag"].GetString(), "unknown");
  EXPECT_FALSE(members[1].HasMember("timeline"));
}

TEST(ClusterJson, OnceThePollerIsSilentOnlyNamesAndPlacesAreLeft) {
  CheckScene scene = CheckScene::OnReplica();
  scene.MakeStale();
  const Document json = Cluster(scene);
  ASSERT_EQ(json["members"].Size(), 3U);
  for (const Value& member : json["members"].GetArray()) {
    EXPECT_STREQ(member["role"].GetString(), "unknown");
    EXPECT_STREQ(member["state"].GetString(), "unknown");
    EXPECT_STREQ(member["lag"].GetString(), "unknown");
  }
}

TEST(ClusterJson, BeforeAnythingWasPublishedThereIsNobody) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Unpublish();
  scene.snapshot().host_count = 3;
  EXPECT_EQ(Cluster(scene)["members"].Size(), 0U);
}

TEST(ClusterJson, NeverLooksBeyondTheRoomThereIs) {
  CheckScene scene = CheckScene::OnReplica();
  scene.snapshot().host_count = 1000;
  EXPECT_EQ(Cluster(scene)["members"].Size(), scene.snapshot().max_hosts);
  scene.snapshot().primary = 999;
  EXPECT_TRUE(Node(scene)["cluster_unlocked"].IsTrue());
}

}  // namespace
}  // namespace pg_status
