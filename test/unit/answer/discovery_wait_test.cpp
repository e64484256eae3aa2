// GET /hosts?wait=SECONDS&generation=N: what is held back and for how long, what is answered at
// once, what is refused, and where the generation is told.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "answer/discovery_scene.hpp"

namespace pg_status {
namespace {

constexpr std::uint64_t kNewest = 1700000000123;
const std::string kNewestText = "1700000000123";
const std::string kTold = "X-Pg-Status-Generation: " + kNewestText;

struct WaitScene : DiscoveryScene {
  WaitScene() { world().generation = kNewest; }

  std::optional<Patience> PatienceOf(const Query& query, const char* path = "/hosts") {
    return service().PatienceOf(Get(path, query));
  }
};

Query Waiting(std::string wait, std::string generation = kNewestText) {
  return {{"wait", std::move(wait)}, {"generation", std::move(generation)}};
}

TEST(DiscoveryWait, HoldsBackWhatIsNoNews) {
  const struct {
    const char* wait;
    std::int64_t us;
  } kCases[] = {
      {"5", 5 * kUsPerSecond},  {"300", 300 * kUsPerSecond}, {"300.000", 300 * kUsPerSecond},
      {"0.25", 250 * kUsPerMs}, {".5", 500 * kUsPerMs},      {"0.000001", 1},
  };
  WaitScene scene;
  for (const auto& c : kCases) {
    const std::optional<Patience> patience = scene.PatienceOf(Waiting(c.wait));
    ASSERT_TRUE(patience) << c.wait;
    EXPECT_EQ(patience->generation, kNewest) << c.wait;
    EXPECT_EQ(patience->us, c.us) << c.wait;
  }
}

TEST(DiscoveryWait, WhatIsNewsIsDue) {
  WaitScene scene;
  for (const char* known : {"0", "1", "1700000000122", "1700000000124", "18446744073709551615"}) {
    EXPECT_FALSE(scene.PatienceOf(Waiting("5", known))) << known;
    EXPECT_EQ(scene.Http(Get("/hosts", Waiting("5", known))).status, "200 OK") << known;
  }
}

TEST(DiscoveryWait, WithoutTimeItIsDue) {
  WaitScene scene;
  for (const char* none : {"0", "0.0", "0.0000001"}) {
    EXPECT_FALSE(scene.PatienceOf(Waiting(none))) << none;
    EXPECT_EQ(scene.Http(Get("/hosts", Waiting(none))).status, "200 OK") << none;
  }
  EXPECT_FALSE(scene.PatienceOf({}));
  EXPECT_FALSE(scene.PatienceOf({{"generation", kNewestText}}));
}

// The answer is the list, whatever ended the wait.
TEST(DiscoveryWait, TheAnswerIsTheListAsItIs) {
  WaitScene scene;
  const std::string list = scene.HttpBytes(Get("/hosts"));
  EXPECT_EQ(scene.HttpBytes(Get("/hosts", Waiting("5"))), list);
  EXPECT_EQ(scene.HttpBytes(Get("/hosts", Waiting("5", "3"))), list);
  EXPECT_EQ(scene.Line("/hosts", Waiting("5")), scene.Line("/hosts"));
}

TEST(DiscoveryWait, AWrongWait) {
  WaitScene scene;
  for (const char* wrong :
       {"", "-1", "300.1", "301", "1e2", " 5", "5s", "nan", "1.2.3", "99999999999999999"}) {
    EXPECT_FALSE(scene.PatienceOf(Waiting(wrong))) << wrong;
    const Response response = scene.Http(Get("/hosts", Waiting(wrong, "x")));
    EXPECT_EQ(response.status, "400 Bad Request") << wrong;
    EXPECT_EQ(response.body, R"({"error_text": "Invalid wait"})") << wrong;
    EXPECT_TRUE(response.Has(kTold)) << wrong;
    EXPECT_EQ(scene.Line("/hosts", Waiting(wrong)), "error Invalid wait\n") << wrong;
  }
}

TEST(DiscoveryWait, AWrongGenerationOrNone) {
  WaitScene scene;
  for (const char* wrong : {"", "x", "-1", "+1", "1.0", "18446744073709551616"}) {
    for (const Query& query : {Waiting("5", wrong), Query{{"generation", wrong}}}) {
      EXPECT_FALSE(scene.PatienceOf(query)) << wrong;
      const Response response = scene.Http(Get("/hosts", query));
      EXPECT_EQ(response.status, "400 Bad Request") << wrong;
      EXPECT_EQ(response.body, R"({"error_text": "Invalid generation"})") << wrong;
    }
  }
  EXPECT_EQ(scene.Line("/hosts", {{"wait", "5"}}), "error Invalid generation\n");
  EXPECT_FALSE(scene.PatienceOf({{"wait", "5"}}));
}

TEST(DiscoveryWait, NobodyWaitsForWhatIsRefusedForAnotherReason) {
  WaitScene scene;
  Request request = Get("/hosts", Waiting("5"));
  request.has_body = true;
  EXPECT_FALSE(scene.service().PatienceOf(request));
  request = Get("/hosts", Waiting("5"));
  request.method = Method::kHead;
  EXPECT_FALSE(scene.service().PatienceOf(request));
  scene.snapshot().ready = 0;
  EXPECT_FALSE(scene.PatienceOf(Waiting("5")));
  const Response response = scene.Http(Get("/hosts", Waiting("wrong")));
  EXPECT_EQ(response.status, "503 Service Unavailable") << "before the parameters";
  EXPECT_TRUE(response.Has(kTold));
}

TEST(DiscoveryWait, OnlyTheListIsWaitedFor) {
  WaitScene scene;
  for (const char* path :
       {"/master", "/replica", "/status", "/ready", "/live", "/nope", "/hosts/"}) {
    EXPECT_FALSE(scene.PatienceOf(Waiting("5"), path)) << path;
    EXPECT_FALSE(scene.Http(Get(path, Waiting("5"))).Mentions("X-Pg-Status-Generation")) << path;
  }
  EXPECT_TRUE(scene.wishes.size() == 2u) << "asking whether to wait takes no turn";
}

TEST(DiscoveryWait, TheListAlwaysTellsTheGeneration) {
  WaitScene scene;
  EXPECT_TRUE(scene.Http(Get("/hosts")).Has(kTold));
  Request head = Get("/hosts");
  head.method = Method::kHead;
  EXPECT_FALSE(scene.Http(head).Mentions("X-Pg-Status-Generation")) << "405: it is no list";
}

TEST(DiscoveryWait, ABareLineWaitsTheSame) {
  WaitScene scene;
  Request line = Get("/hosts", Waiting("5"));
  line.line = true;
  EXPECT_TRUE(scene.service().PatienceOf(line));
}

}  // namespace
}  // namespace pg_status
