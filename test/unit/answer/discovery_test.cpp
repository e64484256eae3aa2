// The discovery port row by row: which request gets which status, fields and body, in HTTP and as a
// line; and that ready-made answers never outlive the snapshot they were made from.
#include "answer/discovery.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rapidjson/document.h>

#include "answer/host_json.hpp"
#include "base/fixed_text.hpp"
#include "publish/snapshot_storage.hpp"

#if defined(__SANITIZE_ADDRESS__)
// Not every compiler that has this function has its header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));
#endif

namespace pg_status {
namespace {

constexpr MonoUs kNow = 1000 * kUsPerSecond;
constexpr WallUs kWallNow = 1700000000 * kUsPerSecond;
constexpr std::int64_t kStaleAfter = 6 * kUsPerSecond;
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

using Query = std::vector<std::pair<std::string, std::string>>;

Request Get(std::string path, Query query = {}) {
  Request request;
  request.keep_alive = true;
  request.path = std::move(path);
  request.query = std::move(query);
  return request;
}

Request GetJson(std::string path, Query query = {}) {
  Request request = Get(std::move(path), std::move(query));
  request.wants_json = true;
  return request;
}

// A response taken apart, by rules that every answer must fulfil.
struct Response {
  std::string status;  // "200 OK"
  std::vector<std::string> fields;
  std::string body;

  explicit Response(const std::string& bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) {
      ADD_FAILURE() << "the head does not end: " << bytes;
      return;
    }
    body = bytes.substr(end + 4);
    std::string head = bytes.substr(0, end + 2);
    for (std::size_t cut = head.find("\r\n"); cut != std::string::npos; cut = head.find("\r\n")) {
      fields.push_back(head.substr(0, cut));
      head.erase(0, cut + 2);
    }
    EXPECT_EQ(fields[0].substr(0, 9), "HTTP/1.1 ");
    status = fields[0].substr(9);
    fields.erase(fields.begin());
    EXPECT_TRUE(Has("Content-Length: " + std::to_string(body.size()))) << bytes;
    EXPECT_TRUE(Has("Cache-Control: no-store")) << bytes;
    EXPECT_TRUE(Has("X-Pg-Status-Port: discovery")) << bytes;
    EXPECT_EQ(TypeOf().empty(), body.empty()) << bytes;
    EXPECT_EQ(Has("Allow: GET"), status.substr(0, 3) == "405") << bytes;
  }

  bool Has(const std::string& field) const {
    return std::count(fields.begin(), fields.end(), field) == 1;
  }
  std::string TypeOf() const {
    const std::string name = "Content-Type: ";
    for (const std::string& field : fields) {
      if (field.compare(0, name.size(), name) == 0) return field.substr(name.size());
    }
    return "";
  }
  bool Mentions(const std::string& name) const {
    return std::any_of(fields.begin(), fields.end(), [&](const std::string& field) {
      return field.compare(0, name.size() + 1, name + ":") == 0;
    });
  }
};

// A primary "p", two standbys "s1" and "s2" (5 and 9 ms behind, 50 and 90 bytes) and a service that
// chooses among them as the real one does.
class Scene {
 public:
  explicit Scene(std::uint32_t max_hosts = 8)
      : storage_(max_hosts),
        service_(
            world_, [this](const World& world, const Wish& wish) { return TakeTurn(world, wish); },
            "1.2.3", traffic_) {
    snapshot().layout = PGST_SNAPSHOT_LAYOUT;
    snapshot().ready = 1;
    snapshot().primary = 0;
    snapshot().generation = 1;
    snapshot().made_mono = kNow - 250 * kUsPerMs;
    snapshot().stale_after = kStaleAfter;
    snapshot().sync_max_lag_ms = 1000;
    snapshot().sync_max_lag_bytes = 1000000;
    AddHost("p", PGST_ROLE_PRIMARY, 0);
    AddHost("s1", PGST_ROLE_STANDBY, 5);
    AddHost("s2", PGST_ROLE_STANDBY, 9);
    host(0).primary = 1;
    world_.snapshot = &snapshot();
    world_.poller_alive = kNow;
    world_.now = kNow;
    world_.wall_now = kWallNow;
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  PgstSnapshot& snapshot() { return storage_.get(); }
  PgstHost& host(std::uint32_t index) { return snapshot().hosts[index]; }
  World& world() { return world_; }
  const Traffic& traffic() const { return traffic_; }
  Discovery& service() { return service_; }

  void AddHost(std::string_view name, PgstRole role, std::uint64_t lag) {
    PgstHost& added = host(snapshot().host_count++);
    added = PgstHost{};
    CopyFixedText(added.name, name);
    CopyFixedText(added.dc, "east");
    added.role = static_cast<std::uint8_t>(role);
    added.state = PGST_STATE_UP;
    added.checked = 1;
    added.weight = 1;
    added.timeline = 1;
    added.has_lag_ms = 1;
    added.lag_ms = lag;
    added.has_lag_bytes = 1;
    added.lag_bytes = lag * 10;
    added.has_lsn = 1;
    added.lsn = 0x3000060;
    added.last_success_wall = kWallNow - 1250 * kUsPerMs;
  }
  void Publish() { ++snapshot().generation; }

  std::string HttpBytes(const Request& request, bool close = false) {
    std::string out;
    service_.AnswerHttp(request, close, out);
    return out;
  }
  Response Http(const Request& request, bool close = false) {
    return Response(HttpBytes(request, close));
  }
  std::string Line(const std::string& path, Query query = {}) {
    Request request;
    request.line = true;
    request.path = path;
    request.query = std::move(query);
    std::string out;
    service_.AnswerLine(request, out);
    return out;
  }

  std::vector<Wish> wishes;       // what the service wished for
  std::optional<Choice> instead;  // what it gets, instead of a real choice

 private:
  Choice TakeTurn(const World& world, const Wish& wish) {
    wishes.push_back(wish);
    if (instead) return *instead;
    const Choice choice = Choose(*world.snapshot, wish, cursor_, world.poller_alive, world.now);
    cursor_ = choice.next_cursor;
    return choice;
  }

  SnapshotStorage storage_;
  World world_;
  Cursor cursor_ = 0;
  Traffic traffic_;
  Discovery service_;
};

TEST(DiscoveryLine, AnAgentAtTheWrongPortIsToldSo) {
  Scene scene;
  EXPECT_EQ(scene.Line("/agent", {{"role", "replica"}}), "fail # this is the discovery port\n");
  EXPECT_EQ(scene.Line("/agents"), "error not found\n");
}

TEST(DiscoveryHttp, CountsItsAnswers) {
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
    Scene scene;
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
    Scene scene;
    EXPECT_EQ(scene.Http(Get(c.path)).status, "200 OK") << c.path;
    ASSERT_EQ(scene.wishes.size(), 1u) << c.path;
    EXPECT_EQ(scene.wishes[0].route, c.route) << c.path;
    EXPECT_FALSE(scene.wishes[0].lag_ms) << c.path;
    EXPECT_FALSE(scene.wishes[0].lag_bytes) << c.path;
    EXPECT_EQ(scene.wishes[0].min_lsn, kNoLsn) << c.path;
  }
}

TEST(DiscoveryHttp, TurnsAreTaken) {
  Scene scene;
  std::string names;
  for (int i = 0; i < 4; ++i) names += scene.Http(Get("/replica")).body + " ";
  EXPECT_EQ(names, "s1 s2 s1 s2 ");
}

TEST(DiscoveryHttp, NoReplicaFallsBackToTheMaster) {
  Scene scene;
  scene.host(1).state = PGST_STATE_DOWN;
  scene.host(2).state = PGST_STATE_DOWN;
  EXPECT_EQ(scene.Http(Get("/replica")).body, "p");
}

TEST(DiscoveryHttp, NobodyToName) {
  Scene scene;
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
  Scene scene;
  CopyFixedText(scene.host(0).name, "[2001:db8::1]:5433");
  EXPECT_EQ(scene.Http(Get("/master")).body, "[2001:db8::1]:5433");
  CopyFixedText(scene.host(0).name, "\xC3\xBC\"x\\");
  scene.Publish();
  EXPECT_EQ(scene.Http(Get("/master")).body, "\xC3\xBC\"x\\");
  EXPECT_EQ(scene.Http(GetJson("/master")).body,
            "{\"host\":\"\xC3\xBC\\\"x\\\\\",\"dc\":\"east\",\"geo\":null}");
}

TEST(DiscoveryHttp, ChoiceThatPointsNowhere) {
  Scene scene;
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
  Scene scene;
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
    Scene scene;
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
  Scene scene;
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
      Scene scene;
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
  Scene scene;
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
  Scene scene;
  Request request = GetJson("/");
  request.path_ok = false;
  const Response response = scene.Http(request);
  EXPECT_EQ(response.status, "400 Bad Request");
  EXPECT_EQ(response.body, "");
}

// Whatever the caller thinks: the bytes of the body are still to come, and nobody will read them.
TEST(DiscoveryHttp, BodyEndsTheConnection) {
  for (const char* path : {"/master", "/live", "/nope"}) {
    Scene scene;
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
  Scene scene;
  for (const auto& c : kCases) {
    std::string out;
    scene.service().AnswerBad(c.status, c.help, out);
    EXPECT_EQ(out, c.expected);
  }
}

// ---- readiness --------------------------------------------------------------------------------

struct Unready {
  const char* what;
  void (*make)(Scene&);
  const char* json;
  const char* line;
};

constexpr Unready kUnready[] = {
    {"nothing was published", [](Scene& scene) { scene.snapshot().layout = 0; }, kNotReadyJson,
     "error not ready\n"},
    {"the snapshot of another version", [](Scene& scene) { scene.snapshot().layout += 1; },
     kNotReadyJson, "error not ready\n"},
    {"first probes not finished", [](Scene& scene) { scene.snapshot().ready = 0; }, kNotReadyJson,
     "error not ready\n"},
    {"poller silent for too long",
     [](Scene& scene) { scene.world().poller_alive = kNow - kStaleAfter - 1; }, kStaleJson,
     "error stale\n"},
    {"poller never alive", [](Scene& scene) { scene.world().poller_alive = 0; }, kStaleJson,
     "error stale\n"},
};

TEST(DiscoveryReadiness, NothingIsToldOfHosts) {
  for (const Unready& c : kUnready) {
    Scene scene;
    c.make(scene);
    std::vector<std::string> paths(std::begin(kHostPaths), std::end(kHostPaths));
    paths.push_back("/ready");
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
    Scene scene;
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
  Scene scene;
  scene.world().poller_alive = kNow - kStaleAfter;
  EXPECT_EQ(scene.Http(Get("/ready")).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/master")).body, "p");
}

// What is kept ready made must not be told either.
TEST(DiscoveryReadiness, GoingStaleStopsAnswersThatWereGivenBefore) {
  Scene scene;
  EXPECT_EQ(scene.Http(Get("/master")).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/hosts")).status, "200 OK");
  scene.world().now += kStaleAfter + 1;
  EXPECT_EQ(scene.Http(Get("/master")).body, kStaleJson);
  EXPECT_EQ(scene.Http(Get("/hosts")).body, kStaleJson);
  scene.world().poller_alive = scene.world().now;
  EXPECT_EQ(scene.Http(Get("/master")).body, "p");
}

// ---- parameters -------------------------------------------------------------------------------

TEST(DiscoveryParameters, Good) {
  const struct {
    const char* name;
    const char* value;
    Wish wish;
  } kCases[] = {
      {"lag_ms", "0", {Route::kMaster, 0, {}, kNoLsn}},
      {"lag_ms", "1000", {Route::kMaster, 1000, {}, kNoLsn}},
      {"lag_ms", "0007", {Route::kMaster, 7, {}, kNoLsn}},
      {"lag_ms", "18446744073709551615", {Route::kMaster, kMax, {}, kNoLsn}},
      {"lag_bytes", "0", {Route::kMaster, {}, 0, kNoLsn}},
      {"lag_bytes", "18446744073709551615", {Route::kMaster, {}, kMax, kNoLsn}},
      {"min_lsn", "0/3000060", {Route::kMaster, {}, {}, 0x3000060}},
      {"min_lsn", "ab/CDef01", {Route::kMaster, {}, {}, 0xAB00CDEF01}},
      {"min_lsn", "FFFFFFFF/FFFFFFFF", {Route::kMaster, {}, {}, kMax}},
      {"min_lsn", "0/0", {Route::kMaster, {}, {}, kNoLsn}},
      {"min_lsn", "00000000/00000000", {Route::kMaster, {}, {}, kNoLsn}},
  };
  for (const char* path : kSelectors) {
    for (const auto& c : kCases) {
      Scene scene;
      EXPECT_EQ(scene.Http(Get(path, {{c.name, c.value}})).status, "200 OK") << path << c.value;
      ASSERT_EQ(scene.wishes.size(), 1u);
      EXPECT_EQ(scene.wishes[0].lag_ms, c.wish.lag_ms) << path << c.value;
      EXPECT_EQ(scene.wishes[0].lag_bytes, c.wish.lag_bytes) << path << c.value;
      EXPECT_EQ(scene.wishes[0].min_lsn, c.wish.min_lsn) << path << c.value;
    }
  }
}

TEST(DiscoveryParameters, Bad) {
  const char* kBadNumbers[] = {"",      "-1",  "-0",  "+1",
                               " 1",    "1 ",  "abc", "1ms",
                               "0x10",  "1.5", "1e3", "18446744073709551616",
                               "1,000", "1/2", "\t1", "99999999999999999999999999"};
  const char* kBadLsns[] = {"",      "0",    "/",           "0/",          "/0",
                            "0/0/0", "0//0", "g/0",         "0x0/0",       "+1/0",
                            " 0/1",  "0/1 ", "100000000/0", "0/100000000", "000000001/0",
                            "-1/0",  "0\\0", "0/000000001"};
  const auto expect_bad = [](const char* path, const char* name, const char* value) {
    Scene scene;
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

TEST(DiscoveryParameters, FirstBadOneInTheOrderOfTheContract) {
  Scene scene;
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "x"}, {"lag_ms", "x"}}),
            "error Invalid lag_ms\n");
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "x"}, {"lag_ms", "1"}}),
            "error Invalid lag_bytes\n");
  EXPECT_EQ(scene.Line("/replica", {{"min_lsn", "x"}, {"lag_bytes", "1"}, {"lag_ms", "1"}}),
            "error Invalid min_lsn\n");
}

TEST(DiscoveryParameters, FirstOfDuplicatesCounts) {
  Scene scene;
  EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "abc"}, {"lag_ms", "1"}})).status,
            "400 Bad Request");
  EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "1"}, {"lag_ms", "abc"}})).status, "200 OK");
  ASSERT_EQ(scene.wishes.size(), 1u);
  EXPECT_EQ(scene.wishes[0].lag_ms, 1u);
}

TEST(DiscoveryParameters, OthersAreIgnored) {
  Scene scene;
  for (const char* path : kSelectors) {
    EXPECT_EQ(scene.Http(Get(path, {{"Lag_ms", "abc"}, {"lag", "x"}, {"", ""}})).status, "200 OK");
  }
  for (const char* path : {"/master", "/hosts", "/version", "/live", "/ready"}) {
    const Query query = {{"lag_ms", "abc"}, {"lag_bytes", "-1"}, {"min_lsn", ""}, {"host", ""}};
    EXPECT_EQ(scene.Http(Get(path, query)).status, "200 OK") << path;
  }
}

TEST(DiscoveryParameters, TheyDecide) {
  Scene scene;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(scene.Http(Get("/replica", {{"lag_ms", "5"}})).body, "s1");
    EXPECT_EQ(scene.Http(Get("/replica", {{"lag_bytes", "49"}})).body, "p");
    EXPECT_EQ(scene.Http(Get("/sync_by_time", {{"min_lsn", "0/3000061"}})).body, "p");
  }
}

// ---- all that is known of hosts ---------------------------------------------------------------

TEST(DiscoveryHosts, ListAndStatusSayTheSame) {
  Scene scene;
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
  Scene scene;
  EXPECT_EQ(
      scene.Http(Get("/status", {{"host", "s1"}})).body,
      R"({"dc":"east","geo":null,"master":false,"alive":true,"possible_dead":false,)"
      R"("lag_ms":5,"sync_by_time":false,"lag_bytes":50,"sync_by_bytes":false,)"
      R"("lsn":"0/3000060","role":"standby","state":"up","timeline":1,)"
      R"("system_identifier":null,"last_ok_ms":1000,"weight":1.0,"votes_up":0,"votes_down":0,"unreachable_here":false})");
}

// As of the snapshot: an answer that was kept and one that was not must not contradict each other.
TEST(DiscoveryHosts, AgesAreAsOfTheSnapshot) {
  Scene scene;
  const std::string before = scene.Http(Get("/status", {{"host", "p"}})).body;
  scene.world().now += kUsPerSecond;
  scene.world().wall_now += kUsPerSecond;
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "p"}})).body, before);
  scene.world().wall_now = 0;
  EXPECT_NE(scene.Http(Get("/status", {{"host", "p"}})).body.find(R"("last_ok_ms":null)"),
            std::string::npos);
}

TEST(DiscoveryHosts, NoHostsAtAll) {
  Scene scene;
  scene.snapshot().host_count = 0;
  scene.snapshot().primary = -1;
  EXPECT_EQ(scene.Http(Get("/hosts")).body, "[]");
  EXPECT_EQ(scene.Http(Get("/master")).status, "404 Not Found");
}

TEST(DiscoveryStatus, NameHasToBeGiven) {
  Scene scene;
  for (const Query& query : {Query{}, Query{{"Host", "p"}}, Query{{"name", "p"}}}) {
    const Response response = scene.Http(Get("/status", query));
    EXPECT_EQ(response.status, "400 Bad Request");
    EXPECT_EQ(response.TypeOf(), "application/json");
    EXPECT_EQ(response.body, R"({"error_text": "Get parameter 'host' wasn't passed"})");
  }
}

TEST(DiscoveryStatus, NameThatIsNotThere) {
  Scene scene;
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
  Scene scene;
  CopyFixedText(scene.host(1).name, "127.0.0.1:5701");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "127.0.0.1:5701"}})).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "127.0.0.1"}})).status, "404 Not Found");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "p"}, {"host", "nope"}})).status, "200 OK");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "nope"}, {"host", "p"}})).status, "404 Not Found");
}

TEST(DiscoveryStatus, DeadHostIsStillThere) {
  Scene scene;
  scene.host(1).state = PGST_STATE_DOWN;
  const Response response = scene.Http(Get("/status", {{"host", "s1"}}));
  EXPECT_EQ(response.status, "200 OK");
  EXPECT_NE(response.body.find(R"("alive":false,"possible_dead":true)"), std::string::npos);
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
    Scene scene;
    EXPECT_EQ(scene.Line(c.path, c.query), c.answer) << c.path;
  }
}

TEST(DiscoveryLine, NobodyIsAnEmptyLine) {
  Scene scene;
  scene.snapshot().primary = -1;
  for (std::uint32_t i = 0; i < 3; ++i) scene.host(i).state = PGST_STATE_DOWN;
  EXPECT_EQ(scene.Line("/master"), "\n");
  EXPECT_EQ(scene.Line("/replica"), "\n");
}

TEST(DiscoveryLine, JsonOfHosts) {
  Scene scene;
  EXPECT_EQ(scene.Line("/hosts"), scene.Http(Get("/hosts")).body + "\n");
  EXPECT_EQ(scene.Line("/status", {{"host", "s2"}}),
            scene.Http(Get("/status", {{"host", "s2"}})).body + "\n");
}

TEST(DiscoveryLine, BrokenEscape) {
  Scene scene;
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
  Scene scene;
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

// ---- what is kept -----------------------------------------------------------------------------

TEST(DiscoveryKept, AnswersAreAppended) {
  Scene scene;
  std::string out;
  std::string expected;
  for (const char* path : {"/master", "/hosts", "/nope", "/hosts", "/master", "/live"}) {
    scene.service().AnswerHttp(Get(path), false, out);
    expected += scene.HttpBytes(Get(path));
  }
  EXPECT_EQ(out, expected);
}

// A snapshot is never changed in place, so what changes here without a publication shows which
// answers were kept.
TEST(DiscoveryKept, AsLongAsTheSnapshotIsTheSame) {
  Scene scene;
  const std::string text = scene.HttpBytes(Get("/master"));
  const std::string json = scene.HttpBytes(GetJson("/master"));
  const std::string list = scene.HttpBytes(Get("/hosts"));
  CopyFixedText(scene.host(0).name, "renamed");
  EXPECT_EQ(scene.HttpBytes(Get("/master")), text);
  EXPECT_EQ(scene.HttpBytes(GetJson("/master")), json);
  EXPECT_EQ(scene.HttpBytes(Get("/hosts")), list);

  scene.Publish();
  EXPECT_EQ(scene.Http(Get("/master")).body, "renamed");
  EXPECT_EQ(scene.Http(GetJson("/master")).body, R"({"host":"renamed","dc":"east","geo":null})");
  EXPECT_EQ(scene.Http(Get("/hosts")).body.find(R"([{"host":"renamed",)"), 0u);
  EXPECT_EQ(scene.Line("/master"), "renamed\n");
}

// A poller that was started anew counts from the beginning.
TEST(DiscoveryKept, SameGenerationOfAnotherPoller) {
  Scene scene;
  scene.Http(Get("/master"));
  scene.Http(Get("/hosts"));
  CopyFixedText(scene.host(0).name, "renamed");
  scene.snapshot().made_mono += kUsPerSecond;
  EXPECT_EQ(scene.Http(Get("/master")).body, "renamed");
  EXPECT_EQ(scene.Http(Get("/hosts")).body.find(R"([{"host":"renamed",)"), 0u);
}

TEST(DiscoveryKept, EveryHostAndFormHasItsOwn) {
  Scene scene;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(scene.Http(Get("/replica")).body, "s1");
    EXPECT_EQ(scene.Http(GetJson("/replica")).body, R"({"host":"s2","dc":"east","geo":null})");
    EXPECT_EQ(scene.Http(Get("/master")).body, "p");
    EXPECT_EQ(scene.Http(GetJson("/replica")).body, R"({"host":"s1","dc":"east","geo":null})");
    EXPECT_EQ(scene.Http(Get("/replica")).body, "s2");
    if (round == 1) scene.Publish();
  }
}

TEST(DiscoveryKept, MoreAndFewerHosts) {
  Scene scene;
  EXPECT_EQ(scene.Http(Get("/replica")).body, "s1");
  for (const char* name : {"s3", "s4", "s5"}) scene.AddHost(name, PGST_ROLE_STANDBY, 1);
  scene.Publish();
  std::string names;
  for (int i = 0; i < 5; ++i) names += scene.Http(Get("/replica")).body + " ";
  EXPECT_EQ(names, "s2 s3 s4 s5 s1 ");
  scene.snapshot().host_count = 2;
  scene.Publish();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(scene.Http(Get("/replica")).body, "s1");
  scene.snapshot().host_count = 6;
  scene.Publish();
  EXPECT_EQ(scene.Http(Get("/replica")).body, "s2");
}

// Another buffer with the same bytes: what counts is which snapshot it is, not where.
TEST(DiscoveryKept, SnapshotInAnotherPlace) {
  Scene scene;
  const std::string before = scene.HttpBytes(Get("/hosts"));
  SnapshotStorage other(8);
  std::memcpy(static_cast<void*>(&other.get()), &scene.snapshot(), other.bytes());
  CopyFixedText(scene.host(0).name, "overwritten");
  scene.world().snapshot = &other.get();
  EXPECT_EQ(scene.HttpBytes(Get("/hosts")), before);
  other.get().generation += 1;
  EXPECT_EQ(scene.HttpBytes(Get("/hosts")), before);
}

TEST(DiscoveryKept, ManyHosts) {
  constexpr std::uint32_t kHosts = 4096;
  Scene scene(kHosts);
  for (std::uint32_t i = 3; i < kHosts; ++i) {
    scene.AddHost("h" + std::to_string(i), PGST_ROLE_STANDBY, 1);
  }
  rapidjson::Document document;
  document.Parse(scene.Http(Get("/hosts")).body.c_str());
  ASSERT_TRUE(document.IsArray());
  ASSERT_EQ(document.Size(), kHosts);
  EXPECT_STREQ(document[kHosts - 1]["host"].GetString(), "h4095");
  EXPECT_EQ(scene.Http(Get("/status", {{"host", "h4095"}})).status, "200 OK");
}

#if defined(__SANITIZE_ADDRESS__)

int allocations = 0;

// The usual request must cost next to nothing.
TEST(DiscoveryKept, WhatIsKeptIsAnsweredWithoutAllocating) {
  Scene scene;
  Choice choice;
  choice.reason = Reason::kFound;
  choice.host = 1;
  scene.instead = choice;
  scene.wishes.reserve(1000);
  const Request requests[] = {Get("/master"), GetJson("/replica", {{"lag_ms", "10"}}),
                              Get("/hosts"),  Get("/nope"),
                              Get("/live"),   Get("/replica", {{"lag_ms", "x"}})};
  std::string out;
  const auto answer_all = [&] {
    out.clear();
    for (const Request& request : requests) scene.service().AnswerHttp(request, false, out);
  };
  answer_all();
  ASSERT_NE(
      __sanitizer_install_malloc_and_free_hooks(
          [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {}),
      0);
  allocations = 0;
  for (int i = 0; i < 100; ++i) answer_all();
  EXPECT_EQ(allocations, 0);
  scene.Publish();
  answer_all();  // the list is written anew: the counter does count
  EXPECT_GT(allocations, 0);
}

#endif

}  // namespace
}  // namespace pg_status
