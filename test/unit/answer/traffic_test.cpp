// Counts of answers: one for each kind, and never one for what a client made up.
#include "answer/traffic.hpp"

#include <gtest/gtest.h>

namespace pg_status {
namespace {

TEST(Traffic, EachKindHasOneCount) {
  Traffic traffic;
  for (int i = 0; i < 3; ++i) {
    traffic.Count(Port::kDiscovery, "/master", 200);
    traffic.Count(Port::kCheck, "/master", 200);
    traffic.Count(Port::kDiscovery, "/master", 404);
    traffic.Count(Port::kRaw, "", "MASTER");
  }
  ASSERT_EQ(traffic.requests().size(), 4u);
  for (const Traffic::Requests& requests : traffic.requests()) EXPECT_EQ(requests.count, 3u);
}

TEST(Traffic, TheSameTextAtAnotherPlaceIsTheSameKind) {
  const char path[] = "/hosts";
  const char same_path[] = "/hosts";
  Traffic traffic;
  traffic.Count(Port::kDiscovery, path, 200);
  traffic.Count(Port::kDiscovery, same_path, 200);
  ASSERT_EQ(traffic.requests().size(), 1u);
  EXPECT_EQ(traffic.requests()[0].count, 2u);
}

TEST(Traffic, EveryStatusThatNobodyKnowsIsOneKind) {
  Traffic traffic;
  traffic.Count(Port::kCheck, "/", 418);
  traffic.Count(Port::kCheck, "/", 599);
  ASSERT_EQ(traffic.requests().size(), 1u);
  EXPECT_EQ(traffic.requests()[0].code, "other");
}

TEST(Traffic, PortsCountTheirConnectionsApart) {
  Traffic traffic;
  traffic.of(Port::kRaw).rejected = 1;
  traffic.of(Port::kCheck).open = 2;
  EXPECT_EQ(traffic.of(Port::kRaw).open, 0u);
  EXPECT_EQ(traffic.of(Port::kCheck).open, 2u);
  EXPECT_EQ(traffic.of(Port::kDiscovery).rejected, 0u);
}

}  // namespace
}  // namespace pg_status
