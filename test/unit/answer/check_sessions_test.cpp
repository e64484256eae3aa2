// A node that lets no new session in, as its own poller found: what the check port says of it.
#include <gtest/gtest.h>

#include "answer/check.hpp"
#include "answer/check_scene.hpp"

namespace pg_status {
namespace {

void LetsNobodyIn(PgstHost& host) {
  host.has_takes_sessions = 1;
  host.takes_sessions = 0;
}

TEST(CheckSessions, AreAskedForByReadinessAndOnWish) {
  CheckScene primary = CheckScene::OnPrimary();
  EXPECT_EQ(CheckCode(primary.world(), "/primary?sessions=1"), 200) << "nothing is known";
  primary.host(0).has_takes_sessions = primary.host(0).takes_sessions = 1;
  EXPECT_EQ(CheckCode(primary.world(), "/primary?sessions=1"), 200);
  LetsNobodyIn(primary.host(0));
  for (const char* path : {"/primary", "/read-write", "/read-only", "/primary?sessions=0",
                           "/primary?sessions=false", "/health", "/liveness", "/metrics"}) {
    EXPECT_EQ(CheckCode(primary.world(), path), 200) << path;
  }
  for (const char* path : {"/readiness", "/primary?sessions=1", "/read-only?sessions=true"}) {
    EXPECT_EQ(CheckCode(primary.world(), path), 503) << path;
  }
  CheckScene replica = CheckScene::OnReplica();
  EXPECT_EQ(CheckCode(replica.world(), "/replica?sessions=1"), 200);
  EXPECT_EQ(CheckCode(replica.world(), "/readiness"), 200);
  LetsNobodyIn(replica.host(1));
  EXPECT_EQ(CheckCode(replica.world(), "/replica"), 200);
  EXPECT_EQ(CheckCode(replica.world(), "/replica?sessions=1"), 503);
  EXPECT_EQ(CheckCode(replica.world(), "/readiness"), 503);
}

TEST(CheckSessions, OfOthersOrOfLongAgoDoNotCount) {
  CheckScene scene = CheckScene::OnPrimary();
  LetsNobodyIn(scene.host(1));
  EXPECT_EQ(CheckCode(scene.world(), "/primary?sessions=1"), 200);
  LetsNobodyIn(scene.host(0));
  scene.MakeStale();
  EXPECT_EQ(CheckCode(scene.world(), "/primary?sessions=1"), 200);
}

TEST(CheckSessions, AreWantedOrNot) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* path : {"/primary?sessions=", "/primary?sessions=2", "/replica?sessions=yes"}) {
    EXPECT_EQ(CheckCode(scene.world(), path), 400) << path;
  }
}

}  // namespace
}  // namespace pg_status
