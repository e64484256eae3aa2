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
      R"("system_identifier":null,"last_ok_ms":1250,"weight":1.0,"votes_up":0,"votes_down":0,"unreachable_here":false,"diverged":false,"superseded":false,"read_only":null,"takes_sessions":null,"maintenance":false,"maintenance_reason":null})");
}

// Of the host "p", as the list and the host's own path tell it.
std::string LastOk(DiscoveryScene& scene) {
  std::string found;
  for (const Request& request : {Get("/hosts"), Get("/status", {{"host", "p"}})}) {
    const std::string body = scene.Http(request).body;
    const std::size_t at = body.find(R"("last_ok_ms":)") + 13;
    const std::string value = body.substr(at, body.find(',', at) - at);
    EXPECT_TRUE(found.empty() || found == value) << body;
    found = value;
  }
  return found;
}

// Though what is long is kept: an answer that was kept and one that was not agree.
TEST(DiscoveryHosts, AgesAreCountedUpToTheAnswer) {
  DiscoveryScene scene;
  EXPECT_EQ(LastOk(scene), "1250");
  scene.world().now += kUsPerMs;
  EXPECT_EQ(LastOk(scene), "1251");
  scene.world().now += kUsPerSecond;
  EXPECT_EQ(LastOk(scene), "2251");
  scene.world().wall_now -= 3600 * kUsPerSecond;
  EXPECT_EQ(LastOk(scene), "2251") << "the clock was set back, which makes nothing younger";
  scene.snapshot().made_wall = 0;
  scene.Publish();
  EXPECT_EQ(LastOk(scene), "null");
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
