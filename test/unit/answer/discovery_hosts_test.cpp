// What the discovery port tells of hosts beyond a name: the list of them and the state of one.
#include <gtest/gtest.h>

#include <string>

#include "answer/discovery_scene.hpp"
#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

TEST(DiscoveryHosts, ListAndStatusSayTheSame) {
  DiscoveryScene scene;
  scene.host(2).state = PGST_STATE_DOWN;
  const Response list = scene.Http(Get("/hosts"));
  EXPECT_EQ(list.TypeOf(), "application/json");
  std::string expected = "[";
  for (const char* name : {"p", "s1", "s2"}) {
    const Response status = scene.Http(Get("/status", {{"host", name}}));
    EXPECT_EQ(status.status, "200 OK") << name;
    EXPECT_EQ(status.TypeOf(), "application/json") << name;
    if (expected != "[") expected += ",";
    expected += std::string("{\"host\":\"") + name + "\"," + status.body.substr(1);
  }
  EXPECT_EQ(list.body, expected + "]");
}

TEST(DiscoveryHosts, KeysInTheOrderOfTheContract) {
  DiscoveryScene scene;
  EXPECT_EQ(
      scene.Http(Get("/status", {{"host", "s1"}})).body,
      R"({"dc":"east","geo":null,"master":false,"alive":true,"possible_dead":false,)"
      R"("lag_ms":5,"sync_by_time":false,"lag_bytes":50,"sync_by_bytes":false,)"
      R"("lsn":"0/3000060","role":"standby","state":"up","timeline":1,)"
      R"("system_identifier":null,"last_ok_ms":1000,"weight":1.0,"votes_up":0,"votes_down":0,"unreachable_here":false,"maintenance":false,"maintenance_reason":null})");
}

// As of the snapshot: an answer that was kept and one that was not must not contradict each other.
TEST(DiscoveryHosts, AgesAreAsOfTheSnapshot) {
  DiscoveryScene scene;
  const std::string before = scene.Http(Get("/status", {{"host", "p"}})).body;
  scene.world().now += kUsPerSecond;
  scene.world().wall_now += kUsPerSecond;
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "p"}})).body, before);
  scene.world().wall_now = 0;
  EXPECT_NE(scene.Http(Get("/status", {{"host", "p"}})).body.find(R"("last_ok_ms":null)"),
            std::string::npos);
}

TEST(DiscoveryHosts, NoHostsAtAll) {
  DiscoveryScene scene;
  scene.snapshot().host_count = 0;
  scene.snapshot().primary = -1;
  EXPECT_EQ(scene.Http(Get("/hosts")).body, "[]");
  EXPECT_EQ(scene.Http(Get("/master")).status, "404 Not Found");
}

TEST(DiscoveryStatus, NameHasToBeGiven) {
  DiscoveryScene scene;
  for (const Query& query : {Query{}, Query{{"Host", "p"}}, Query{{"name", "p"}}}) {
    const Response response = scene.Http(Get("/status", query));
    EXPECT_EQ(response.status, "400 Bad Request");
    EXPECT_EQ(response.TypeOf(), "application/json");
    EXPECT_EQ(response.body, R"({"error_text": "Get parameter 'host' wasn't passed"})");
  }
}

TEST(DiscoveryStatus, NameThatIsNotThere) {
  DiscoveryScene scene;
  const std::string long_name(10000, 's');
  for (const std::string& name :
       {std::string(), std::string("s"), std::string("S1"), std::string("s1 "), std::string("s11"),
        std::string("s1\0", 3), long_name}) {
    for (const Request& request :
         {Get("/status", {{"host", name}}), GetJson("/status", {{"host", name}})}) {
      const Response response = scene.Http(request);
      EXPECT_EQ(response.status, "404 Not Found") << name;
      EXPECT_EQ(response.body, "") << name;
    }
  }
  scene.snapshot().host_count = 2;  // s2 is no longer configured
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "s2"}})).status, "404 Not Found");
}

TEST(DiscoveryStatus, NameAsConfigured) {
  DiscoveryScene scene;
  CopyFixedText(scene.host(1).name, "127.0.0.1:5701");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "127.0.0.1:5701"}})).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "127.0.0.1"}})).status, "404 Not Found");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "p"}, {"host", "nope"}})).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "nope"}, {"host", "p"}})).status, "404 Not Found");
}

TEST(DiscoveryStatus, DeadHostIsStillThere) {
  DiscoveryScene scene;
  scene.host(1).state = PGST_STATE_DOWN;
  const Response response = scene.Http(Get("/status", {{"host", "s1"}}));
  EXPECT_EQ(response.status, "200 OK");
  EXPECT_NE(response.body.find(R"("alive":false,"possible_dead":true)"), std::string::npos);
}

}  // namespace
}  // namespace pg_status
