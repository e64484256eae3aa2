// That the discovery port's ready-made answers never outlive the snapshot they were made from, and
// cost nothing while it is the same.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include <rapidjson/document.h>

#include "answer/discovery_scene.hpp"
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

TEST(DiscoveryKept, AnswersAreAppended) {
  DiscoveryScene scene;
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
  DiscoveryScene scene;
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

// The number of an event is known a moment after the snapshot that shows it.
TEST(DiscoveryKept, TheGenerationIsThatOfTheMoment) {
  DiscoveryScene scene;
  scene.world().generation = 7;
  EXPECT_TRUE(scene.Http(Get("/hosts")).Has("X-Pg-Status-Generation: 7"));
  scene.world().generation = 8;
  EXPECT_TRUE(scene.Http(Get("/hosts")).Has("X-Pg-Status-Generation: 8"));
}

// A poller that was started anew counts from the beginning.
TEST(DiscoveryKept, SameGenerationOfAnotherPoller) {
  DiscoveryScene scene;
  scene.Http(Get("/master"));
  scene.Http(Get("/hosts"));
  CopyFixedText(scene.host(0).name, "renamed");
  scene.snapshot().made_mono += kUsPerSecond;
  EXPECT_EQ(scene.Http(Get("/master")).body, "renamed");
  EXPECT_EQ(scene.Http(Get("/hosts")).body.find(R"([{"host":"renamed",)"), 0u);
}

TEST(DiscoveryKept, EveryHostAndFormHasItsOwn) {
  DiscoveryScene scene;
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
  DiscoveryScene scene;
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
  DiscoveryScene scene;
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
  DiscoveryScene scene(kHosts);
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
  DiscoveryScene scene;
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
