// A server or a host that an operator has taken out of service, on every surface that says so.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "answer/agent_memory.hpp"
#include "answer/check.hpp"
#include "answer/health.hpp"
#include "answer/host_json.hpp"
#include "answer/metrics.hpp"
#include "answer/node_json.hpp"
#include "answer/standing.hpp"
#include "check_scene.hpp"

namespace pg_status {
namespace {

int Code(CheckScene& scene, std::string_view path) {
  return CodeOf(Examine(scene.world(), ReadLine(path)).complaint);
}

std::string Reply(CheckScene& scene, std::string_view command) {
  AgentMemory memory(0);
  return AgentLine(scene.world(), ReadLine(command), memory);
}

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

constexpr std::string_view kReadPaths[] = {"replica", "read-only", "async", "readiness"};
constexpr std::string_view kWritePaths[] = {"primary", "", "master", "read-write", "leader"};

TEST(Maintenance, TakesAReplicaOutOfEveryPool) {
  CheckScene scene = CheckScene::OnReplica();
  for (const std::string_view path : kReadPaths) EXPECT_EQ(Code(scene, path), 200) << path;
  scene.Detach("b", "new kernel");
  for (const std::string_view path : kReadPaths) {
    EXPECT_EQ(Code(scene, path), 503) << path;
    EXPECT_EQ(Examine(scene.world(), ReadLine(path)).complaint, Complaint::kMaintenance) << path;
  }
  for (const std::string_view path : {"health", "liveness", "patroni", "cluster", "metrics"}) {
    EXPECT_EQ(Code(scene, path), 200) << path;
  }
}

TEST(Maintenance, IsComplainedOfOnlyWhereNothingElseStandsAgainstAYes) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Detach("b", "");
  EXPECT_EQ(Examine(scene.world(), ReadLine("primary")).complaint, Complaint::kIsReplica);
  EXPECT_EQ(Examine(scene.world(), ReadLine("replica?lag=x")).complaint, Complaint::kInvalidLag);
  scene.node().state = NodeState::kStopping;
  EXPECT_EQ(Examine(scene.world(), ReadLine("replica")).complaint, Complaint::kStopping);
}

TEST(Maintenance, OfAPrimaryLeavesItItsWritesUnlessForced) {
  CheckScene scene = CheckScene::OnPrimary();
  PgstOrder& order = scene.Detach("a", "");
  for (const std::string_view path : kWritePaths) EXPECT_EQ(Code(scene, path), 200) << path;
  EXPECT_EQ(Reply(scene, "agent?role=primary"), "up\n");
  EXPECT_EQ(Reply(scene, "agent?role=any"), "up maint # maintenance\n");
  EXPECT_EQ(Reply(scene, "agent?role=replica&primary_weight=5"), "up maint # maintenance\n");
  order.forced = 1;
  for (const std::string_view path : kWritePaths) EXPECT_EQ(Code(scene, path), 503) << path;
  EXPECT_EQ(Code(scene, "read-only"), 503);
  EXPECT_EQ(Code(scene, "readiness"), 503);
  EXPECT_EQ(Reply(scene, "agent?role=primary"), "up maint # maintenance\n");
}

TEST(Maintenance, IsTheAgentsWordWithTheReason) {
  CheckScene scene = CheckScene::OnReplica();
  PgstOrder& order = scene.Detach("b", "new kernel");
  EXPECT_EQ(Reply(scene, "agent?role=replica&lag=10MB"), "up maint # new kernel\n");
  EXPECT_EQ(Reply(scene, "agent?role=any"), "up maint # new kernel\n");
  EXPECT_EQ(Reply(scene, "replica?lag=10MB"), "up maint # new kernel\n");
  EXPECT_EQ(Reply(scene, "agent?lag=x"), "fail # Invalid lag\n");
  order.maintenance = PGST_DRAIN;
  EXPECT_EQ(Reply(scene, "agent?role=replica"), "up drain # new kernel\n");
  EXPECT_EQ(Reply(scene, "read-only"), "up drain # new kernel\n");
  EXPECT_EQ(Reply(scene, "agent?role=primary"), "down # replica\n");
  EXPECT_EQ(Reply(scene, "primary"), "down # replica\n");
}

TEST(Maintenance, TheLongestReasonFitsIntoAnAgentsLine) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Detach("b", std::string(PGST_REASON_SIZE - 1, 'r'));
  EXPECT_LE(Reply(scene, "agent?role=replica").size(), 255U);
  EXPECT_TRUE(Has(Reply(scene, "agent?role=replica"), std::string(PGST_REASON_SIZE - 1, 'r')));
}

// As after a restart, before the poller has found out which of the hosts this server is.
TEST(Maintenance, IsKnownFromTheOrderItselfWhenNothingElseIs) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Detach("b", "new kernel");
  scene.Unpublish();
  ASSERT_NE(OwnMaintenance(scene.world()), nullptr);
  EXPECT_EQ(Code(scene, "replica"), 503);
}

TEST(Maintenance, IsKnownFromTheNameWhenTheOrderDoesNotSay) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Detach("b", "", false);
  EXPECT_EQ(Code(scene, "replica"), 503);
  scene.Detach("c", "", false);
  EXPECT_EQ(Code(scene, "replica"), 200) << "another host's";
}

TEST(Maintenance, AnOrderOfWeightAloneIsNone) {
  CheckScene scene = CheckScene::OnReplica();
  PgstOrder& order = scene.Detach("b", "");
  order.maintenance = PGST_IN_SERVICE;
  order.has_weight = 1;
  EXPECT_EQ(OwnMaintenance(scene.world()), nullptr);
  EXPECT_EQ(Code(scene, "replica"), 200);
}

TEST(Maintenance, IsInTheNodesJson) {
  CheckScene scene = CheckScene::OnReplica();
  std::string json;
  scene.Detach("b", "say \"when\"");
  AppendNode(scene.world(), "1", json);
  EXPECT_TRUE(Has(json, R"("maintenance":true,"maintenance_reason":"say \"when\"")")) << json;
}

TEST(Maintenance, IsInTheHostsJsonAsItsStateAndWhetherItLivesIsStillTold) {
  CheckScene scene = CheckScene::OnReplica();
  PgstHost& host = scene.host(2);
  host.maintenance = PGST_MAINT;
  CopyFixedText(host.maintenance_reason, "disks");
  std::string json;
  AppendHostStatus(host, CheckScene::kWallNow, json);
  EXPECT_TRUE(Has(json, R"("state":"maintenance")")) << json;
  EXPECT_TRUE(Has(json, R"("alive":true)")) << json;
  EXPECT_TRUE(Has(json, R"("maintenance":true,"maintenance_reason":"disks")")) << json;
  host.state = PGST_STATE_DOWN;
  json.clear();
  AppendHostStatus(host, CheckScene::kWallNow, json);
  EXPECT_TRUE(Has(json, R"("alive":false)")) << json;
}

TEST(Maintenance, IsInTheClustersJsonAsPatroniHasIt) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(2).maintenance = PGST_MAINT;
  std::string json;
  AppendCluster(scene.world(), json);
  EXPECT_TRUE(Has(json, R"("name":"c")")) << json;
  EXPECT_TRUE(Has(json, R"("tags":{"noloadbalance":true})")) << json;
  EXPECT_EQ(json.find("noloadbalance"), json.rfind("noloadbalance"));
}

TEST(Maintenance, IsInTheMetricsEvenWhenThePollerIsSilent) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(2).maintenance = PGST_MAINT;
  scene.MakeStale();
  std::string text;
  AppendHostMetrics(scene.world(), text);
  EXPECT_TRUE(Has(text, "pg_status_host_maintenance{host=\"c\"} 1\n")) << text;
  EXPECT_FALSE(Has(text, "pg_status_host_up")) << text;
}

TEST(Maintenance, IsInTheMetrics) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(2).maintenance = PGST_DRAIN;
  CopyFixedText(scene.host(2).maintenance_reason, "disks");
  std::string text;
  AppendHostMetrics(scene.world(), text);
  EXPECT_TRUE(Has(text, "pg_status_host_maintenance{host=\"b\"} 0\n")) << text;
  EXPECT_TRUE(Has(text, "pg_status_host_maintenance{host=\"c\"} 1\n")) << text;
  EXPECT_TRUE(
      Has(text, "pg_status_host_maintenance_info{host=\"c\",mode=\"drain\",reason=\"disks\"} 1\n"))
      << text;
  EXPECT_FALSE(Has(text, "maintenance_info{host=\"b\""));

  Traffic traffic;
  text.clear();
  AppendNodeMetrics(scene.world(), "1", traffic, text);
  EXPECT_TRUE(Has(text, "pg_status_local_maintenance 0\n")) << text;
  scene.Detach("b", "");
  text.clear();
  AppendNodeMetrics(scene.world(), "1", traffic, text);
  EXPECT_TRUE(Has(text, "pg_status_local_maintenance 1\n")) << text;
}

}  // namespace
}  // namespace pg_status
