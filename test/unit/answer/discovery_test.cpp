// The discovery port row by row: which request gets which status, fields and body, in HTTP and as a
// line. What is told of hosts, and what is kept, have tests of their own beside this.
#include "answer/discovery.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "answer/discovery_scene.hpp"
#include "answer/host_table.hpp"
#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

constexpr const char* kSelectors[] = {"/replica",
                                      "/sync_by_time",
                                      "/sync_by_bytes",
                                      "/sync_by_time_or_bytes",
                                      "/most_sync_by_bytes",
                                      "/sync_by_time_and_bytes"};
// Every path that tells something about hosts.
constexpr const char* kHostPaths[] = {"/master",
                                      "/replica",
                                      "/sync_by_time",
                                      "/sync_by_bytes",
                                      "/hosts",
                                      "/status",
                                      "/sync_by_time_or_bytes",
                                      "/sync_by_time_and_bytes",
                                      "/most_sync_by_bytes"};

constexpr const char* kNotReadyJson = R"({"error_text": "pg_monitor is not ready"})";
constexpr const char* kStaleJson = R"({"error_text": "pg_monitor is stale"})";

TEST(DiscoveryLine, AnAgentAtTheWrongPortIsToldSo) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.Line("/agent", {{"role", "replica"}}), "fail # this is the discovery port\n");
  EXPECT_EQ(scene.Line("/agents"), "error not found\n");
}

TEST(DiscoveryHttp, CountsItsAnswers) {
  DiscoveryScene scene;
  scene.HttpBytes(Get("/master"));
  scene.HttpBytes(Get("/master"));
  scene.HttpBytes(Get("/replica", {{"lag_ms", "x"}}));
  scene.HttpBytes(Get("/nothing/of/the/kind"));
  ASSERT_EQ(scene.traffic().requests().size(), 3u);
  EXPECT_EQ(scene.traffic().requests()[0].path, "/master");
  EXPECT_EQ(scene.traffic().requests()[0].code, "200");
  EXPECT_EQ(scene.traffic().requests()[0].count, 2u);
  EXPECT_EQ(scene.traffic().requests()[1].path, "/replica");
  EXPECT_EQ(scene.traffic().requests()[1].code, "400");
  EXPECT_EQ(scene.traffic().requests()[2].path, Traffic::kOtherPath);
  EXPECT_EQ(scene.traffic().requests()[2].port, Port::kDiscovery);
}

// ---- the usual answers ------------------------------------------------------------------------

TEST(DiscoveryHttp, NameAsText) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.HttpBytes(Get("/master")),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 1\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: discovery\r\n"
            "\r\n"
            "p");
}

TEST(DiscoveryHttp, NameAsJson) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.HttpBytes(GetJson("/master")),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: 35\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: discovery\r\n"
            "\r\n"
            R"({"host":"p","dc":"east","geo":null})");
}

TEST(DiscoveryHttp, EndpointsThatAreFine) {
  const struct {
    const char* path;
    const char* type;
    const char* json_type;  // of the answer to a client that likes JSON
    const char* body;
  } kCases[] = {
      {"/live", "text/plain; charset=utf-8", "text/plain; charset=utf-8", "OK"},
      {"/ready", "text/plain; charset=utf-8", "text/plain; charset=utf-8", "OK"},
      {"/version", "text/plain; charset=utf-8", "text/plain; charset=utf-8", "1.2.3"},
      {"/master", "text/plain; charset=utf-8", "application/json", "p"},
      {"/most_sync_by_bytes", "text/plain; charset=utf-8", "application/json", "s1"},
      {"/hosts", "application/json", "application/json", nullptr},  // its body: see below
  };
  for (const auto& c : kCases) {
    DiscoveryScene scene;
    const Response text = scene.Http(Get(c.path));
    EXPECT_EQ(text.status, "200 OK") << c.path;
    EXPECT_EQ(text.TypeOf(), c.type) << c.path;
    EXPECT_EQ(c.body == nullptr ? text.body : c.body, text.body) << c.path;
    const Response json = scene.Http(GetJson(c.path));
    EXPECT_EQ(json.status, "200 OK") << c.path;
    EXPECT_EQ(json.TypeOf(), c.json_type) << c.path;
  }
}

TEST(DiscoveryHttp, EverySelectorAsksForItsRoute) {
  const struct {
    const char* path;
    Route route;
  } kCases[] = {
      {"/master", Route::kMaster},
      {"/replica", Route::kReplica},
      {"/sync_by_time", Route::kSyncByTime},
      {"/sync_by_bytes", Route::kSyncByBytes},
      {"/sync_by_time_or_bytes", Route::kSyncByTimeOrBytes},
      {"/sync_by_time_and_bytes", Route::kSyncByTimeAndBytes},
      {"/most_sync_by_bytes", Route::kMostSyncByBytes},
  };
  for (const auto& c : kCases) {
    DiscoveryScene scene;
    EXPECT_EQ(scene.Http(Get(c.path)).status, "200 OK") << c.path;
    ASSERT_EQ(scene.wishes.size(), 1u) << c.path;
    EXPECT_EQ(scene.wishes[0].route, c.route) << c.path;
    EXPECT_FALSE(scene.wishes[0].lag_ms) << c.path;
    EXPECT_FALSE(scene.wishes[0].lag_bytes) << c.path;
    EXPECT_EQ(scene.wishes[0].min_lsn, kNoLsn) << c.path;
  }
}

TEST(DiscoveryHttp, TurnsAreTaken) {
  DiscoveryScene scene;
  std::string names;
  for (int i = 0; i < 4; ++i) names += scene.Http(Get("/replica")).body + " ";
  EXPECT_EQ(names, "s1 s2 s1 s2 ");
}

TEST(DiscoveryHttp, NoReplicaFallsBackToTheMaster) {
  DiscoveryScene scene;
  scene.host(1).state = PGST_STATE_DOWN;
  scene.host(2).state = PGST_STATE_DOWN;
  EXPECT_EQ(scene.Http(Get("/replica")).body, "p");
}

TEST(DiscoveryHttp, NobodyToName) {
  DiscoveryScene scene;
  scene.snapshot().primary = -1;
  for (std::uint32_t i = 0; i < 3; ++i) scene.host(i).state = PGST_STATE_DOWN;
  for (const char* path : {"/master", "/replica", "/most_sync_by_bytes"}) {
    const Response text = scene.Http(Get(path));
    EXPECT_EQ(text.status, "404 Not Found") << path;
    EXPECT_EQ(text.body, "") << path;
    const Response json = scene.Http(GetJson(path));
    EXPECT_EQ(json.status, "404 Not Found") << path;
    EXPECT_EQ(json.TypeOf(), "application/json") << path;
    EXPECT_EQ(json.body, R"({"host":null,"dc":null,"geo":null})") << path;
  }
  EXPECT_EQ(scene.Http(Get("/ready")).status, "200 OK");  // once ready, never unready
}

TEST(DiscoveryHttp, NamesAreGivenAsConfigured) {
  DiscoveryScene scene;
  CopyFixedText(scene.host(0).name, "[2001:db8::1]:5433");
  EXPECT_EQ(scene.Http(Get("/master")).body, "[2001:db8::1]:5433");
  CopyFixedText(scene.host(0).name, "\xC3\xBC\"x\\");
  scene.Publish();
  EXPECT_EQ(scene.Http(Get("/master")).body, "\xC3\xBC\"x\\");
  EXPECT_EQ(scene.Http(GetJson("/master")).body,
            "{\"host\":\"\xC3\xBC\\\"x\\\\\",\"dc\":\"east\",\"geo\":null}");
}

TEST(DiscoveryHttp, ChoiceThatPointsNowhere) {
  DiscoveryScene scene;
  Choice choice;
  choice.reason = Reason::kFound;
  choice.host = 3;  // there are hosts 0 to 2, and room for more
  scene.instead = choice;
  EXPECT_EQ(scene.Http(Get("/replica")).status, "404 Not Found");
  choice.host = 4000000000;
  scene.instead = choice;
  EXPECT_EQ(scene.Http(Get("/replica")).status, "404 Not Found");
}

// The chooser looks at the same world, but has the last word.
TEST(DiscoveryHttp, ChooserMayFindThatNothingIsKnown) {
  DiscoveryScene scene;
  Choice choice;
  choice.reason = Reason::kNotReady;
  scene.instead = choice;
  EXPECT_EQ(scene.Http(Get("/replica")).body, kNotReadyJson);
  choice.reason = Reason::kStale;
  scene.instead = choice;
  EXPECT_EQ(scene.Http(Get("/replica")).body, kStaleJson);
}

// ---- the connection ---------------------------------------------------------------------------

TEST(DiscoveryHttp, WhatIsSaidOfTheConnection) {
  const char* kPaths[] = {"/master", "/hosts", "/status", "/live", "/version", "/nope"};
  for (const char* path : kPaths) {
    DiscoveryScene scene;
    Request request = Get(path);
    EXPECT_FALSE(scene.Http(request, false).Mentions("Connection")) << path;
    EXPECT_TRUE(scene.Http(request, true).Has("Connection: close")) << path;
    request.version_minor = 0;
    EXPECT_TRUE(scene.Http(request, false).Has("Connection: keep-alive")) << path;
    EXPECT_TRUE(scene.Http(request, true).Has("Connection: close")) << path;
    request.version_minor = 1;  // no trace of the others in what is kept
    EXPECT_FALSE(scene.Http(request, false).Mentions("Connection")) << path;
  }
}

// ---- what is wrong with a request -------------------------------------------------------------

TEST(DiscoveryHttp, UnknownPaths) {
  const char* kPaths[] = {"/",          "",           "*",        "/Master",  "/MASTER", "/master/",
                          "//master",   "master",     "/primary", "/masters", "/maste",  "/hosts/",
                          "/status/db", "/read-only", "/metrics", "/ready ",  "/live?",  "/.."};
  DiscoveryScene scene;
  for (const char* path : kPaths) {
    for (const Request& request : {Get(path), GetJson(path)}) {
      const Response response = scene.Http(request);
      EXPECT_EQ(response.status, "404 Not Found") << path;
      EXPECT_EQ(response.body, "") << path;
    }
  }
}

TEST(DiscoveryHttp, OnlyGet) {
  for (const Method method : {Method::kHead, Method::kOptions, Method::kOther}) {
    for (const char* path : {"/master", "/nope", "/", "*", "/live"}) {
      DiscoveryScene scene;
      Request request = GetJson(path);
      request.method = method;
      EXPECT_EQ(scene.HttpBytes(request),
                "HTTP/1.1 405 Method Not Allowed\r\n"
                "Content-Length: 0\r\n"
                "Allow: GET\r\n"
                "Cache-Control: no-store\r\n"
                "X-Pg-Status-Port: discovery\r\n"
                "\r\n")
          << path;
    }
  }
}

// Each row makes one thing more right.
TEST(DiscoveryHttp, TheFirstThingWrongIsTold) {
  DiscoveryScene scene;
  scene.snapshot().ready = 0;
  Request request = Get("/nope", {{"lag_ms", "abc"}});
  request.method = Method::kOther;
  request.path_ok = false;
  request.has_body = true;
  EXPECT_EQ(scene.Http(request, true).status, "405 Method Not Allowed");
  request.method = Method::kGet;
  EXPECT_EQ(scene.Http(request, true).status, "400 Bad Request");
  request.path_ok = true;
  EXPECT_EQ(scene.Http(request, true).status, "413 Payload Too Large");
  request.has_body = false;
  EXPECT_EQ(scene.Http(request).status, "404 Not Found");
  request.path = "/replica";
  EXPECT_EQ(scene.Http(request).body, kNotReadyJson);
  scene.snapshot().ready = 1;
  EXPECT_EQ(scene.Http(request).body, R"({"error_text": "Invalid lag_ms"})");
  request.query[0].second = "1";
  EXPECT_EQ(scene.Http(request).status, "200 OK");
}

TEST(DiscoveryHttp, BrokenPathIsEmpty400) {
  DiscoveryScene scene;
  Request request = GetJson("/");
  request.path_ok = false;
  const Response response = scene.Http(request);
  EXPECT_EQ(response.status, "400 Bad Request");
  EXPECT_EQ(response.body, "");
}

// Whatever the caller thinks: the bytes of the body are still to come, and nobody will read them.
TEST(DiscoveryHttp, BodyEndsTheConnection) {
  for (const char* path : {"/master", "/live", "/nope"}) {
    DiscoveryScene scene;
    Request request = Get(path);
    request.has_body = true;
    for (const bool close : {false, true}) {
      const Response response = scene.Http(request, close);
      EXPECT_EQ(response.status, "413 Payload Too Large") << path;
      EXPECT_EQ(response.body, "") << path;
      EXPECT_TRUE(response.Has("Connection: close")) << path;
    }
  }
}

TEST(DiscoveryHttp, WhatIsNoRequest) {
  const struct {
    int status;
    const char* help;
    const char* expected;
  } kCases[] = {
      {400, "",
       "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n"
       "Cache-Control: no-store\r\nX-Pg-Status-Port: discovery\r\n\r\n"},
      {400, "say CR LF\n",
       "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
       "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n"
       "Cache-Control: no-store\r\nX-Pg-Status-Port: discovery\r\n\r\nsay CR LF\n"},
      {413, "",
       "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 0\r\n"
       "Cache-Control: no-store\r\nX-Pg-Status-Port: discovery\r\n\r\n"},
      {431, "",
       "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n"
       "Cache-Control: no-store\r\nX-Pg-Status-Port: discovery\r\n\r\n"},
  };
  DiscoveryScene scene;
  for (const auto& c : kCases) {
    std::string out;
    scene.service().AnswerBad(c.status, c.help, out);
    EXPECT_EQ(out, c.expected);
  }
}

// ---- readiness --------------------------------------------------------------------------------

struct Unready {
  const char* what;
  void (*make)(DiscoveryScene&);
  const char* json;
  const char* line;
};

constexpr Unready kUnready[] = {
    {"nothing was published", [](DiscoveryScene& scene) { scene.snapshot().layout = 0; },
     kNotReadyJson, "error not ready\n"},
    {"the snapshot of another version", [](DiscoveryScene& scene) { scene.snapshot().layout += 1; },
     kNotReadyJson, "error not ready\n"},
    {"first probes not finished", [](DiscoveryScene& scene) { scene.snapshot().ready = 0; },
     kNotReadyJson, "error not ready\n"},
    {"poller silent for too long",
     [](DiscoveryScene& scene) {
       scene.world().poller_alive = DiscoveryScene::kNow - DiscoveryScene::kStaleAfter - 1;
     },
     kStaleJson, "error stale\n"},
    {"poller never alive", [](DiscoveryScene& scene) { scene.world().poller_alive = 0; },
     kStaleJson, "error stale\n"},
};

TEST(DiscoveryReadiness, NothingIsToldOfHosts) {
  for (const Unready& c : kUnready) {
    DiscoveryScene scene;
    c.make(scene);
    std::vector<std::string> paths(std::begin(kHostPaths), std::end(kHostPaths));
    paths.emplace_back("/ready");
    for (const std::string& path : paths) {
      for (const Request& request :
           {Get(path), GetJson(path), Get(path, {{"lag_ms", "abc"}}), Get(path, {{"host", "p"}})}) {
        const Response response = scene.Http(request);
        EXPECT_EQ(response.status, "503 Service Unavailable") << c.what << path;
        EXPECT_EQ(response.TypeOf(), "application/json") << c.what << path;
        EXPECT_EQ(response.body, c.json) << c.what << path;
      }
      EXPECT_EQ(scene.Line(path, {{"lag_ms", "abc"}}), c.line) << c.what << path;
    }
    EXPECT_TRUE(scene.wishes.empty()) << c.what;  // and nobody's turn is taken
  }
}

TEST(DiscoveryReadiness, TheRestAnswersFromTheFirstInstant) {
  for (const Unready& c : kUnready) {
    DiscoveryScene scene;
    c.make(scene);
    EXPECT_EQ(scene.Http(Get("/live")).body, "OK") << c.what;
    EXPECT_EQ(scene.Http(Get("/version")).body, "1.2.3") << c.what;
    EXPECT_EQ(scene.Http(Get("/nope")).status, "404 Not Found") << c.what;
    Request post = Get("/master");
    post.method = Method::kOther;
    EXPECT_EQ(scene.Http(post).status, "405 Method Not Allowed") << c.what;
  }
}

TEST(DiscoveryReadiness, SilenceWithinItsTimeIsFine) {
  DiscoveryScene scene;
  scene.world().poller_alive = DiscoveryScene::kNow - DiscoveryScene::kStaleAfter;
  EXPECT_EQ(scene.Http(Get("/ready")).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/master")).body, "p");
}

// What is kept ready made must not be told either.
TEST(DiscoveryReadiness, GoingStaleStopsAnswersThatWereGivenBefore) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.Http(Get("/master")).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/hosts")).status, "200 OK");
  scene.world().now += DiscoveryScene::kStaleAfter + 1;
  EXPECT_EQ(scene.Http(Get("/master")).body, kStaleJson);
  EXPECT_EQ(scene.Http(Get("/hosts")).body, kStaleJson);
  scene.world().poller_alive = scene.world().now;
  EXPECT_EQ(scene.Http(Get("/master")).body, kStaleJson) << "it lives, but has judged nothing";
  scene.snapshot().made_mono = scene.world().now;
  EXPECT_EQ(scene.Http(Get("/master")).body, "p");
}

// ---- parameters -------------------------------------------------------------------------------

TEST(DiscoveryParameters, Good) {
  const struct {
    const char* name;
    const char* value;
    Wish wish;
  } kCases[] = {
      {"lag_ms", "0", {Route::kMaster, 0, {}, kNoLsn, {}}},
      {"lag_ms", "1000", {Route::kMaster, 1000, {}, kNoLsn, {}}},
      {"lag_ms", "0007", {Route::kMaster, 7, {}, kNoLsn, {}}},
      {"lag_ms", "18446744073709551615", {Route::kMaster, kMax, {}, kNoLsn, {}}},
      {"lag_bytes", "0", {Route::kMaster, {}, 0, kNoLsn, {}}},
      {"lag_bytes", "18446744073709551615", {Route::kMaster, {}, kMax, kNoLsn, {}}},
      {"min_lsn", "0/3000060", {Route::kMaster, {}, {}, 0x3000060, {}}},
      {"min_lsn", "ab/CDef01", {Route::kMaster, {}, {}, 0xAB00CDEF01, {}}},
      {"min_lsn", "FFFFFFFF/FFFFFFFF", {Route::kMaster, {}, {}, kMax, {}}},
      {"min_lsn", "1:0/3000060", {Route::kMaster, {}, {}, 0x3000060, 1}},
      {"min_lsn", "1:0/0", {Route::kMaster, {}, {}, kNoLsn, 1}},
      {"min_lsn", "0/0", {Route::kMaster, {}, {}, kNoLsn, {}}},
      {"min_lsn", "00000000/00000000", {Route::kMaster, {}, {}, kNoLsn, {}}},
  };
  for (const char* path : kSelectors) {
    for (const auto& c : kCases) {
      DiscoveryScene scene;
      EXPECT_EQ(scene.Http(Get(path, {{c.name, c.value}})).status, "200 OK") << path << c.value;
      ASSERT_EQ(scene.wishes.size(), 1u);
      EXPECT_EQ(scene.wishes[0].lag_ms, c.wish.lag_ms) << path << c.value;
      EXPECT_EQ(scene.wishes[0].lag_bytes, c.wish.lag_bytes) << path << c.value;
      EXPECT_EQ(scene.wishes[0].min_lsn, c.wish.min_lsn) << path << c.value;
      EXPECT_EQ(scene.wishes[0].min_lsn_timeline, c.wish.min_lsn_timeline) << path << c.value;
    }
  }
}

TEST(DiscoveryParameters, Bad) {
  const char* kBadNumbers[] = {"",      "-1",  "-0",  "+1",
                               " 1",    "1 ",  "abc", "1ms",
                               "0x10",  "1.5", "1e3", "18446744073709551616",
                               "1,000", "1/2", "\t1", "99999999999999999999999999"};
  const char* kBadLsns[] = {"",
                            "0",
                            "/",
                            "0/",
                            "/0",
                            "0/0/0",
                            "0//0",
                            "g/0",
                            "0x0/0",
                            "+1/0",
                            " 0/1",
                            "0/1 ",
                            "100000000/0",
                            "0/100000000",
                            "000000001/0",
                            "-1/0",
                            "0\\0",
                            "0/000000001",
                            ":0/1",
                            "0:0/1",
                            "2:",
                            "2:0",
                            "2:/",
                            "-2:0/1",
                            "+2:0/1",
                            " 2:0/1",
                            "2 :0/1",
                            "2: 0/1",
                            "2:2:0/1",
                            "0x2:0/1",
                            "a:0/1",
                            "4294967296:0/1",
                            "2:0/1:2",
                            "99999999999999999999:0/1"};
  const auto expect_bad = [](const char* path, const char* name, const char* value) {
    DiscoveryScene scene;
    for (const Request& request : {Get(path, {{name, value}}), GetJson(path, {{name, value}})}) {
      const Response response = scene.Http(request);
      EXPECT_EQ(response.status, "400 Bad Request") << path << " " << name << "=" << value;
      EXPECT_EQ(response.TypeOf(), "application/json");
      EXPECT_EQ(response.body, std::string(R"({"error_text": "Invalid )") + name + R"("})");
    }
    EXPECT_EQ(scene.Line(path, {{name, value}}), std::string("error Invalid ") + name + "\n");
    EXPECT_TRUE(scene.wishes.empty()) << "a turn was taken";
  };
  for (const char* path : kSelectors) {
    for (const char* value : kBadNumbers) expect_bad(path, "lag_ms", value);
    for (const char* value : kBadNumbers) expect_bad(path, "lag_bytes", value);
    for (const char* value : kBadLsns) expect_bad(path, "min_lsn", value);
  }
}

TEST(DiscoveryParameters, TheTimelineOfAPosition) {
  for (const auto& [text, timeline] :
       {std::pair("2:0/5000148", 2U), std::pair("4294967295:0/5000148", 4294967295U),
        std::pair("007:00000000/5000148", 7U)}) {
    DiscoveryScene scene;
    scene.Http(Get("/replica", {{"min_lsn", text}}));
    ASSERT_EQ(scene.wishes.size(), 1u) << text;
    EXPECT_EQ(scene.wishes[0].min_lsn, Lsn{0x5000148}) << text;
    EXPECT_EQ(scene.wishes[0].min_lsn_timeline, timeline) << text;
  }
}

// The primary is on timeline 3, and took over timeline 1 up to 0/2000000.
TEST(DiscoveryParameters, SaysWhyNobodyHasAPosition) {
  DiscoveryScene scene;
  scene.snapshot().has_history = 1;
  scene.snapshot().history_from = 1;
  scene.snapshot().fork_count = 1;
  scene.snapshot().forks[0] = {0x2000000, 1, 0};
  for (std::uint32_t i = 0; i < 3; ++i) scene.host(i).timeline = 3;
  const auto reason = [&](const char* position) {
    const Response text = scene.Http(Get("/replica", {{"min_lsn", position}}));
    const Response json = scene.Http(GetJson("/sync_by_time", {{"min_lsn", position}}));
    EXPECT_EQ(scene.Line("/replica", {{"min_lsn", position}}), text.body + "\n");
    EXPECT_EQ(text.status, json.status);
    EXPECT_EQ(text.Mentions("X-Pg-Status-Reason"), json.Mentions("X-Pg-Status-Reason"));
    if (text.status == "200 OK") return std::string(text.body);
    EXPECT_EQ(text.status, "404 Not Found");
    EXPECT_EQ(text.body, "");
    EXPECT_EQ(json.body, R"({"host":null,"dc":null,"geo":null})");
    for (const char* word : {"lost", "unknown"}) {
      if (text.Has(std::string("X-Pg-Status-Reason: ") + word)) return std::string(word);
    }
    return std::string("not told");
  };
  EXPECT_EQ(reason("1:0/2000000").substr(0, 1), "s");
  EXPECT_EQ(reason("1:0/2000001"), "lost");
  EXPECT_EQ(reason("2:0/1000000"), "lost");
  EXPECT_EQ(reason("4:0/1000000"), "unknown");
  scene.snapshot().has_history = 0;
  EXPECT_EQ(reason("1:0/2000000"), "unknown");
  EXPECT_EQ(reason("3:0/4000000"), "p");
  EXPECT_EQ(reason("0/4000000"), "p");
  scene.snapshot().primary = -1;
  EXPECT_EQ(reason("3:0/2000000"), "unknown");
  EXPECT_EQ(reason("0/4000000"), "not told");
}

TEST(DiscoveryParameters, FirstBadOneInTheOrderOfTheContract) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "x"}, {"lag_ms", "x"}}),
            "error Invalid lag_ms\n");
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "x"}, {"lag_ms", "1"}}),
            "error Invalid lag_bytes\n");
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "1"}, {"lag_ms", "1"}}),
            "error Invalid min_lsn\n");
}

TEST(DiscoveryParameters, FirstOfDuplicatesCounts) {
  DiscoveryScene scene;
  EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "abc"}, {"lag_ms", "1"}})).status,
            "400 Bad Request");
  EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "1"}, {"lag_ms", "abc"}})).status, "200 OK");
  ASSERT_EQ(scene.wishes.size(), 1u);
  EXPECT_EQ(scene.wishes[0].lag_ms, 1u);
}

TEST(DiscoveryParameters, OthersAreIgnored) {
  DiscoveryScene scene;
  for (const char* path : kSelectors) {
    EXPECT_EQ(scene.Http(Get(path, {{"Lag_ms", "abc"}, {"lag", "x"}, {"", ""}})).status, "200 OK");
  }
  for (const char* path : {"/master", "/hosts", "/version", "/live", "/ready"}) {
    const Query query = {{"lag_ms", "abc"}, {"lag_bytes", "-1"}, {"min_lsn", ""}, {"host", ""}};
    EXPECT_EQ(scene.Http(Get(path, query)).status, "200 OK") << path;
  }
}

TEST(DiscoveryParameters, TheyDecide) {
  DiscoveryScene scene;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "5"}})).body, "s1");
    EXPECT_EQ(scene.Http(Get("/replica", {{"lag_bytes", "49"}})).body, "p");
    EXPECT_EQ(scene.Http(Get("/sync_by_time", {{"min_lsn", "0/3000061"}})).body, "p");
  }
}

// ---- lines ------------------------------------------------------------------------------------

TEST(DiscoveryLine, Words) {
  const struct {
    const char* path;
    Query query;
    const char* answer;
  } kCases[] = {
      {"/master", {}, "p\n"},
      {"/master", {{"lag_ms", "abc"}}, "p\n"},
      {"/replica", {}, "s1\n"},
      {"/replica", {{"min_lsn", "0/3000060"}}, "s1\n"},
      {"/most_sync_by_bytes", {}, "s1\n"},
      {"/replica", {{"lag_ms", "abc"}}, "error Invalid lag_ms\n"},
      {"/live", {}, "OK\n"},
      {"/ready", {}, "OK\n"},
      {"/version", {}, "1.2.3\n"},
      {"/", {}, "error not found\n"},
      {"/nope", {}, "error not found\n"},
      {"/Master", {}, "error not found\n"},
      {"/status", {}, "error Get parameter 'host' wasn't passed\n"},
      {"/status", {{"host", "nope"}}, "\n"},
      {"/status", {{"host", ""}}, "\n"},
  };
  for (const auto& c : kCases) {
    DiscoveryScene scene;
    EXPECT_EQ(scene.Line(c.path, c.query), c.answer) << c.path;
  }
}

TEST(DiscoveryLine, NobodyIsAnEmptyLine) {
  DiscoveryScene scene;
  scene.snapshot().primary = -1;
  for (std::uint32_t i = 0; i < 3; ++i) scene.host(i).state = PGST_STATE_DOWN;
  EXPECT_EQ(scene.Line("/master"), "\n");
  EXPECT_EQ(scene.Line("/replica"), "\n");
}

TEST(DiscoveryLine, HostsAreATableAndOneOfThemIsJson) {
  DiscoveryScene scene;
  std::string table;
  AppendHostTable(scene.snapshot(), true, table);
  EXPECT_EQ(scene.Line("/hosts"), table);
  EXPECT_EQ(scene.Line("/status", {{"host", "s2"}}),
            scene.Http(Get("/status", {{"host", "s2"}})).body + "\n");
}

TEST(DiscoveryLine, BrokenEscape) {
  DiscoveryScene scene;
  Request request;
  request.line = true;
  request.path = "/";
  request.path_ok = false;
  std::string out;
  scene.service().AnswerLine(request, out);
  EXPECT_EQ(out, "error bad request\n");
}

// Only path and query of a line mean anything.
TEST(DiscoveryLine, TheRestOfARequestMeansNothing) {
  DiscoveryScene scene;
  Request request;
  request.line = true;
  request.path = "/master";
  request.method = Method::kOther;
  request.has_body = true;
  request.wants_json = true;
  std::string out = "before ";
  scene.service().AnswerLine(request, out);
  EXPECT_EQ(out, "before p\n");
}

}  // namespace
}  // namespace pg_status
