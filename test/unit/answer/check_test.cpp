// The check port over HTTP: each path's code in each state, each parameter, methods and heads.
#include "answer/check.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "answer/check_http.hpp"

namespace pg_status {
namespace {

// ---- codes ------------------------------------------------------------------------------------

// One row of the contract: the path on a primary, and on a standby that is async, sync, in the
// quorum, or of unknown sync state; while starting, and while a smart shutdown waits.
struct PathRow {
  const char* path;
  int primary;
  int async;
  int sync;
  int quorum;
  int unknown;
  int starting;
  int stopping;
};

constexpr PathRow kPathRows[] = {
    {"/", 200, 503, 503, 503, 503, 503, 503},
    {"/primary", 200, 503, 503, 503, 503, 503, 503},
    {"/read-write", 200, 503, 503, 503, 503, 503, 503},
    {"/master", 200, 503, 503, 503, 503, 503, 503},
    {"/leader", 200, 503, 503, 503, 503, 503, 503},
    {"/standby-leader", 503, 503, 503, 503, 503, 503, 503},
    {"/standby_leader", 503, 503, 503, 503, 503, 503, 503},
    {"/replica", 503, 200, 200, 200, 200, 503, 503},
    {"/read-only", 200, 200, 200, 200, 200, 503, 503},
    {"/sync", 503, 503, 200, 503, 503, 503, 503},
    {"/synchronous", 503, 503, 200, 503, 503, 503, 503},
    {"/quorum", 503, 503, 503, 200, 503, 503, 503},
    {"/async", 503, 200, 503, 503, 503, 503, 503},
    {"/asynchronous", 503, 200, 503, 503, 503, 503, 503},
    {"/read-only-sync", 200, 503, 200, 503, 503, 503, 503},
    {"/read-only-synchronous", 200, 503, 200, 503, 503, 503, 503},
    {"/read-only-quorum", 200, 503, 503, 200, 503, 503, 503},
    {"/health", 200, 200, 200, 200, 200, 503, 200},
    {"/liveness", 200, 200, 200, 200, 200, 200, 200},
    {"/readiness", 200, 200, 200, 200, 200, 503, 503},
    {"/patroni", 200, 200, 200, 200, 200, 200, 200},
    {"/node", 200, 200, 200, 200, 200, 200, 200},
    {"/cluster", 200, 200, 200, 200, 200, 200, 200},
    {"/metrics", 200, 200, 200, 200, 200, 200, 200},
};

class CheckPath : public testing::TestWithParam<PathRow> {};

INSTANTIATE_TEST_SUITE_P(Contract, CheckPath, testing::ValuesIn(kPathRows));

TEST_P(CheckPath, HasItsCodeInEachRole) {
  const PathRow& row = GetParam();
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene replica = CheckScene::OnReplica();
  EXPECT_EQ(CodeIn(primary, row.path), row.primary) << row.path;
  EXPECT_EQ(CodeIn(replica, row.path), row.async) << row.path;
  replica.SetSyncState("potential");
  EXPECT_EQ(CodeIn(replica, row.path), row.async) << row.path;
  replica.SetSyncState("sync");
  EXPECT_EQ(CodeIn(replica, row.path), row.sync) << row.path;
  replica.SetSyncState("quorum");
  EXPECT_EQ(CodeIn(replica, row.path), row.quorum) << row.path;
}

TEST_P(CheckPath, DoesNotGuessAtTheSyncState) {
  const PathRow& row = GetParam();
  for (const std::string_view state : {"", "SYNC", "synchronous", "nonsense"}) {
    CheckScene replica = CheckScene::OnReplica();
    replica.SetSyncState(state);
    EXPECT_EQ(CodeIn(replica, row.path), row.unknown) << row.path << " " << state;
  }
  CheckScene stale = CheckScene::OnReplica();
  stale.SetSyncState("sync");
  stale.MakeStale();
  EXPECT_EQ(CodeIn(stale, row.path), row.unknown) << row.path;
  CheckScene not_listed = CheckScene::OnReplica();
  not_listed.SetSyncState("sync");
  not_listed.host(1).self = 0;
  EXPECT_EQ(CodeIn(not_listed, row.path), row.unknown) << row.path;
}

TEST_P(CheckPath, HasItsCodeWhileTheServerTakesNoSessions) {
  const PathRow& row = GetParam();
  CheckScene starting = CheckScene::Starting();
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene replica = CheckScene::OnReplica();
  primary.node().state = replica.node().state = NodeState::kStopping;
  replica.SetSyncState("sync");
  EXPECT_EQ(CodeIn(starting, row.path), row.starting) << row.path;
  EXPECT_EQ(CodeIn(primary, row.path), row.stopping) << row.path;
  EXPECT_EQ(CodeIn(replica, row.path), row.stopping) << row.path;
}

TEST_P(CheckPath, IsMatchedAsAWhole) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string path = GetParam().path;
  for (const std::string& other : {path + "x", path + "/", "x" + path, path + "%20x"}) {
    const std::string target = other[0] == '/' ? other : "/" + other;
    EXPECT_EQ(StatusOf(Ask(scene, "GET", target)), "404") << target;
  }
}

TEST(CheckPaths, UnknownOnesAreNotFound) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* path :
       {"/nope", "/xprimaryx", "/Primary", "//", "//primary", "/hosts", "/version", "/sync_by_time",
        "/live", "/ready", "/ui/", "/agent", "/restart", "/primary%2F", "/*"}) {
    const std::string response = Ask(scene, "GET", path);
    EXPECT_EQ(StatusOf(response), "404") << path;
    EXPECT_EQ(BodyOf(response), R"({"error_text": "Not found"})") << path;
    EXPECT_EQ(FieldOf(response, "Content-Type"), "application/json") << path;
  }
}

TEST(CheckPaths, ArePercentDecoded) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(StatusOf(Ask(scene, "GET", "/%70rimary")), "200");
  EXPECT_EQ(StatusOf(Ask(scene, "GET", "http://x:8008/primary")), "200");
}

// ---- parameters -------------------------------------------------------------------------------

constexpr const char* kReplicaFamily[] = {
    "/replica",         "/read-only",    "/sync",
    "/synchronous",     "/quorum",       "/read-only-sync",
    "/async",           "/asynchronous", "/read-only-synchronous",
    "/read-only-quorum"};

// A standby on which the path is a yes without parameters.
CheckScene Fitting(std::string_view path) {
  CheckScene scene = CheckScene::OnReplica();
  const bool quorum = path.find("quorum") != std::string_view::npos;
  const bool sync =
      path.find("sync") != std::string_view::npos && path.find("async") == std::string_view::npos;
  scene.SetSyncState(quorum ? "quorum" : sync ? "sync" : "async");
  return scene;
}

class CheckReplicaPath : public testing::TestWithParam<const char*> {
 protected:
  CheckScene scene_ = Fitting(GetParam());
  int Code(const char* query) { return CodeIn(scene_, std::string(GetParam()) + query); }
};

INSTANTIATE_TEST_SUITE_P(Family, CheckReplicaPath, testing::ValuesIn(kReplicaFamily));

TEST_P(CheckReplicaPath, AnEqualLagPasses) {
  scene_.SetLag(1024);
  EXPECT_EQ(Code(""), 200);
  EXPECT_EQ(Code("?lag=1024"), 200);
  EXPECT_EQ(Code("?lag=1kB"), 200);
  EXPECT_EQ(Code("?lag=1023"), 503);
  EXPECT_EQ(Code("?lag=0"), 503);
  EXPECT_EQ(Code("?lag=18446744073709551615"), 200);
}

TEST_P(CheckReplicaPath, AnUnknownLagIsNotWithinALimit) {
  scene_.ForgetLeader();
  EXPECT_EQ(Code(""), 200);
  EXPECT_EQ(Code("?lag=100TB"), 503);
  scene_ = Fitting(GetParam());
  scene_.node().replayed = kNoLsn;
  EXPECT_EQ(Code(""), 200);
  EXPECT_EQ(Code("?lag=100TB"), 503);
}

TEST_P(CheckReplicaPath, AMalformedLagIsRefusedWhateverTheState) {
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene starting = CheckScene::Starting();
  for (const char* query :
       {"?lag=", "?lag", "?lag=abc", "?lag=-1", "?lag=10mb", "?lag=abc&lag=1"}) {
    const std::string path = std::string(GetParam()) + query;
    for (CheckScene* scene : {&scene_, &primary, &starting}) {
      const std::string response = Ask(*scene, "GET", path);
      EXPECT_EQ(StatusOf(response), "400") << path;
      EXPECT_EQ(BodyOf(response), R"({"error_text": "Invalid lag"})") << path;
    }
  }
}

TEST_P(CheckReplicaPath, TheFirstOfTwoValuesCounts) {
  scene_.SetLag(10);
  EXPECT_EQ(Code("?lag=10&lag=abc"), 200);
  EXPECT_EQ(Code("?lag=9&lag=10"), 503);
}

TEST_P(CheckReplicaPath, BlanksInASizeAreTolerated) {
  scene_.SetLag(1536);
  EXPECT_EQ(Code("?lag=1.5+kB"), 200);
  EXPECT_EQ(Code("?lag=1.4%20kB"), 503);
}

TEST_P(CheckReplicaPath, ComparesTheReplicationState) {
  EXPECT_EQ(Code("?replication_state=streaming"), 200);
  EXPECT_EQ(Code("?replication_state=in+archive+recovery"), 503);
  EXPECT_EQ(Code("?replication_state=Streaming"), 503);
  EXPECT_EQ(Code("?replication_state="), 503);
  scene_.node().streaming = false;
  EXPECT_EQ(Code("?replication_state=streaming"), 503);
  // (nobody waits for a standby without a receiver)
  const std::string path = GetParam();
  const bool waited_for =
      path.find("sync") != std::string::npos && path.find("async") == std::string::npos;
  const bool of_quorum = path.find("quorum") != std::string::npos;
  EXPECT_EQ(Code("?replication_state=in+archive+recovery"), waited_for || of_quorum ? 503 : 200);
}

TEST_P(CheckReplicaPath, HasNoTags) {
  EXPECT_EQ(Code("?tag_zone=a"), 503);
  EXPECT_EQ(Code("?x=1&tag_nofailover=false"), 503);
  EXPECT_EQ(Code("?tag_"), 503);
  EXPECT_EQ(Code("?tags=1&atag_x=1"), 200);
}

TEST_P(CheckReplicaPath, IgnoresOtherParameters) {
  EXPECT_EQ(Code("?foo=bar&LAG=abc&mode=nonsense&"), 200);
}

TEST(CheckParameters, APrimaryIsNeverBehindNorAReplicaOfAState) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* path : {"read-only", "read-only-sync", "read-only-quorum"}) {
    const std::string query = "?lag=0&replication_state=streaming";
    EXPECT_EQ(CodeIn(scene, path + query), 200) << path;
  }
}

// It has as few as any other node: a pool of readers that wants one must not get all reads.
TEST(CheckParameters, APrimaryHasNoTagsEither) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const std::string path :
       {"read-only", "read-only-sync", "read-only-synchronous", "read-only-quorum"}) {
    EXPECT_EQ(CodeIn(scene, path + "?tag_zone=a"), 503) << path;
    EXPECT_EQ(Examine(scene.world(), ReadLine(path + "?tag_zone=a")).complaint, Complaint::kTags);
    EXPECT_EQ(CodeIn(scene, path + "?tags=1"), 200) << path;
  }
}

TEST(CheckReadWrite, IsForWhereSessionsCanWrite) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(CodeIn(scene, "read-write"), 200) << "not known";
  scene.node().read_only = false;
  EXPECT_EQ(CodeIn(scene, "read-write"), 200);
  scene.node().read_only = true;
  EXPECT_EQ(Examine(scene.world(), ReadLine("read-write")).complaint, Complaint::kReadOnly);
  EXPECT_EQ(CodeIn(scene, "read-write"), 503);
  EXPECT_EQ(AgentReply(scene.world(), "read-write"), "down # read only");
  for (const char* path : {"", "primary", "master", "leader", "read-only", "health", "readiness"}) {
    EXPECT_EQ(CodeIn(scene, path), 200) << path;
  }
  EXPECT_EQ(AgentReply(scene.world(), "agent?role=primary"), "up");
  CheckScene standby = CheckScene::OnReplica();
  standby.node().read_only = true;
  EXPECT_EQ(Examine(standby.world(), ReadLine("read-write")).complaint, Complaint::kIsReplica);
  EXPECT_EQ(CodeIn(standby, "replica"), 200) << "it reads as well as any";
}

TEST(CheckParameters, ThePrimaryFamilyTakesNone) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* path :
       {"/", "/primary", "/read-write", "/master", "/leader", "/health", "/liveness"}) {
    EXPECT_EQ(CodeIn(scene, std::string(path) + "?lag=abc&tag_x=1&replication_state=y"), 200);
  }
}

// ---- the leader's position --------------------------------------------------------------------

struct LeaderRow {
  const char* situation;
  Lsn polled;
  std::uint32_t polled_timeline;
  Lsn latest_end;
  Lsn received;
  std::uint64_t lag;  // of a node on timeline 3 that has replayed 5000
};

class CheckLeader : public testing::TestWithParam<LeaderRow> {};

INSTANTIATE_TEST_SUITE_P(
    Sources, CheckLeader,
    testing::Values(LeaderRow{"the poller knows most", 9000, 3, 8000, 7000, 4000},
                    LeaderRow{"the sender told most", 7000, 3, 9000, 8000, 4000},
                    LeaderRow{"more was received", 7000, 3, 8000, 9000, 4000},
                    LeaderRow{"only the poller knows", 9000, 3, 0, 0, 4000},
                    LeaderRow{"only the sender told", 0, 0, 9000, 0, 4000},
                    LeaderRow{"received only", 0, 0, 0, 9000, 4000},
                    LeaderRow{"the polled one is of the old timeline", 9000, 2, 6000, 0, 1000},
                    LeaderRow{"of an unknown timeline", 9000, 0, 6000, 0, 1000},
                    LeaderRow{"replay is ahead of all", 4000, 3, 4000, 4000, 0}));

TEST_P(CheckLeader, IsTheNewestThatIsKnown) {
  const LeaderRow& row = GetParam();
  CheckScene scene = CheckScene::OnReplica();
  scene.snapshot().newest_lsn = row.polled;
  scene.snapshot().newest_timeline = row.polled_timeline;
  scene.node().latest_end = row.latest_end;
  scene.node().received = row.received;
  scene.node().replayed = 5000;
  const std::string path = "/replica?lag=";
  EXPECT_EQ(CodeIn(scene, path + std::to_string(row.lag)), 200) << row.situation;
  if (row.lag == 0) return;
  EXPECT_EQ(CodeIn(scene, path + std::to_string(row.lag - 1)), 503) << row.situation;
}

// A standby that has not followed to the new primary's timeline yet, or never will.
TEST(CheckLeaderStale, WhoIsLeftOnAnOldTimelineIsWithinNoLimit) {
  CheckScene scene = CheckScene::OnReplica();
  EXPECT_EQ(CodeIn(scene, "replica?lag=1TB"), 200);
  scene.snapshot().newest_timeline = scene.node().timeline + 1;
  EXPECT_EQ(CodeIn(scene, "replica?lag=1TB"), 503);
  EXPECT_EQ(CodeIn(scene, "readiness?lag=1TB"), 503);
  EXPECT_EQ(CodeIn(scene, "replica"), 200);
  scene.MakeStale();
  EXPECT_EQ(CodeIn(scene, "replica?lag=1TB"), 200) << "that was long ago";
}

TEST(CheckLeaderStale, WhatWasPolledLongAgoDoesNotCount) {
  CheckScene scene = CheckScene::OnReplica();
  scene.node().replayed = scene.node().received = scene.node().latest_end = 5000;
  EXPECT_EQ(CodeIn(scene, "replica?lag=0"), 503);
  scene.MakeStale();
  EXPECT_EQ(CodeIn(scene, "replica?lag=0"), 200);
  scene.node().received = scene.node().latest_end = kNoLsn;
  EXPECT_EQ(CodeIn(scene, "replica?lag=0"), 503);
}

// A WAL receiver that has not received anything yet has the position it asked to start from: the
// beginning of a WAL segment, or of what comes next.
TEST(CheckLeaderStale, WhereAReceiverWantsToStartIsNoNewsOfALeader) {
  CheckScene scene = CheckScene::OnReplica();
  scene.ForgetLeader();
  scene.node().replayed = 5000;
  for (const Lsn wanted : {4000, 5000}) {
    scene.node().received = wanted;
    EXPECT_EQ(CodeIn(scene, "replica?lag=1TB"), 503) << wanted;
    EXPECT_EQ(CodeIn(scene, "replica"), 200) << wanted;
  }
  scene.node().received = 5001;
  EXPECT_EQ(CodeIn(scene, "replica?lag=1"), 200);
}

TEST(CheckLeaderStale, OfASnapshotThatWasNeverPublishedNothingCounts) {
  CheckScene scene = CheckScene::OnReplica();
  scene.Unpublish();
  scene.snapshot().newest_lsn = CheckScene::kNewest + 99;
  scene.snapshot().newest_timeline = 3;
  EXPECT_EQ(CodeIn(scene, "replica?lag=0"), 200);  // the sender told
  EXPECT_EQ(CodeIn(scene, "sync"), 503);
  EXPECT_EQ(CodeIn(scene, "primary"), 503);
}

// ---- readiness --------------------------------------------------------------------------------

TEST(CheckReadiness, HasTheLimitOfTheSettingsUnlessOneIsGiven) {
  CheckScene scene = CheckScene::OnReplica();  // the setting is 1000
  scene.SetLag(1000);
  EXPECT_EQ(CodeIn(scene, "/readiness"), 200);
  scene.SetLag(1001);
  EXPECT_EQ(CodeIn(scene, "/readiness"), 503);
  EXPECT_EQ(CodeIn(scene, "/readiness?lag=1001"), 200);
  EXPECT_EQ(CodeIn(scene, "/readiness?lag=1000"), 503);
}

TEST(CheckReadiness, ModeSaysWhichPositionCounts) {
  CheckScene scene = CheckScene::OnReplica();
  scene.SetLag(5000);
  EXPECT_EQ(CodeIn(scene, "/readiness?mode=apply"), 503);
  EXPECT_EQ(CodeIn(scene, "/readiness?mode=write"), 200);
  scene.node().received = CheckScene::kNewest - 1001;
  EXPECT_EQ(CodeIn(scene, "/readiness?mode=write"), 503);
  EXPECT_EQ(CodeIn(scene, "/readiness?mode=write&lag=1001"), 200);
  scene.node().received = kNoLsn;
  EXPECT_EQ(CodeIn(scene, "/readiness?mode=write&lag=1TB"), 503);
}

TEST(CheckReadiness, AReplicaMustStreamAndBeKnown) {
  CheckScene scene = CheckScene::OnReplica();
  scene.node().streaming = false;
  EXPECT_EQ(CodeIn(scene, "/readiness"), 503);
  scene = CheckScene::OnReplica();
  scene.ForgetLeader();
  EXPECT_EQ(CodeIn(scene, "/readiness"), 503);
  scene = CheckScene::OnReplica();
  scene.Unpublish();
  EXPECT_EQ(CodeIn(scene, "/readiness"), 503) << "there is no limit to go by";
  EXPECT_EQ(CodeIn(scene, "/readiness?lag=0"), 200);
}

TEST(CheckReadiness, RefusesBadParametersOnAnyNode) {
  CheckScene scenes[] = {CheckScene::OnPrimary(), CheckScene::OnReplica(), CheckScene::Starting()};
  for (CheckScene& scene : scenes) {
    EXPECT_EQ(BodyOf(Ask(scene, "GET", "/readiness?lag=x")), R"({"error_text": "Invalid lag"})");
    EXPECT_EQ(CodeIn(scene, "/readiness?lag=x&mode=y"), 400);
    EXPECT_EQ(CodeIn(scene, "/readiness?mode=replay"), 400);
    EXPECT_EQ(BodyOf(Ask(scene, "GET", "/readiness?mode=")), R"({"error_text": "Invalid mode"})");
  }
}

TEST(CheckReadiness, TakesNoOtherParameters) {
  CheckScene scene = CheckScene::OnReplica();
  EXPECT_EQ(CodeIn(scene, "/readiness?tag_x=1&replication_state=nonsense"), 200);
}

// ---- HTTP -------------------------------------------------------------------------------------

TEST(CheckHttp, EveryAnswerSaysWhichPortItIs) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* request :
       {"GET /primary HTTP/1.0\r\n\r\n", "GET /replica HTTP/1.1\r\n\r\n",
        "GET /nope HTTP/1.1\r\n\r\n", "POST /restart HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n", "\x16\x03\x01",
        "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"}) {
    const std::string response = Talk(scene, request);
    EXPECT_EQ(FieldOf(response, "X-Pg-Status-Port"), "check") << request;
    EXPECT_EQ(FieldOf(response, "Cache-Control"), "no-store") << request;
  }
}

TEST(CheckHttp, EveryHealthPathDescribesTheNodeInJson) {
  CheckScene scene = CheckScene::OnReplica();
  const std::string node = BodyOf(Ask(scene, "GET", "/patroni"));
  EXPECT_EQ(node.substr(0, 2), "{\"");
  for (const char* path : {"/", "/primary", "/replica", "/sync", "/read-only", "/standby-leader",
                           "/health", "/node", "/read-only-quorum"}) {
    const std::string response = Ask(scene, "GET", path);
    EXPECT_EQ(BodyOf(response), node) << path;
    EXPECT_EQ(FieldOf(response, "Content-Type"), "application/json") << path;
    EXPECT_EQ(FieldOf(response, "Content-Length"), std::to_string(node.size())) << path;
  }
}

TEST(CheckHttp, LivenessAndReadinessHaveNoBody) {
  CheckScene scene = CheckScene::OnReplica();
  scene.node().streaming = false;
  for (const char* path : {"/liveness", "/readiness"}) {
    const std::string response = Ask(scene, "GET", path);
    EXPECT_EQ(BodyOf(response), "") << path;
    EXPECT_EQ(FieldOf(response, "Content-Length"), "0") << path;
    EXPECT_EQ(FieldOf(response, "Content-Type"), "none") << path;
  }
}

TEST(CheckHttp, MetricsAreTextForPrometheus) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string response = Ask(scene, "GET", "/metrics");
  EXPECT_EQ(FieldOf(response, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(BodyOf(response).find("pg_status_build_info{version=\"1.0.0\""), std::string::npos);
}

TEST(CheckHttp, AcceptMakesNoDifference) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(Talk(scene, "GET /primary HTTP/1.1\r\nAccept: text/plain\r\n\r\n"),
            Ask(scene, "GET", "/primary"));
}

class CheckMethod : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Targets, CheckMethod,
                         testing::Values("/", "/primary", "/replica", "/sync", "/health",
                                         "/liveness", "/readiness", "/patroni", "/node", "/cluster",
                                         "/metrics", "/nope", "/replica?lag=abc",
                                         "/readiness?mode=x", "/%zz"));

TEST_P(CheckMethod, HeadIsTheHeadOfGet) {
  for (CheckScene scene :
       {CheckScene::OnPrimary(), CheckScene::OnReplica(), CheckScene::Starting()}) {
    const std::string get = Ask(scene, "GET", GetParam());
    const std::string head = Ask(scene, "HEAD", GetParam());
    EXPECT_EQ(HeadOf(head), HeadOf(get));
    EXPECT_EQ(BodyOf(head), "");
    EXPECT_EQ(FieldOf(head, "Content-Length"), std::to_string(BodyOf(get).size()));
  }
}

TEST_P(CheckMethod, OptionsHasTheCodeOfGetAndNothingElse) {
  for (CheckScene scene :
       {CheckScene::OnPrimary(), CheckScene::OnReplica(), CheckScene::Starting()}) {
    const std::string options = Ask(scene, "OPTIONS", GetParam());
    EXPECT_EQ(StatusOf(options), StatusOf(Ask(scene, "GET", GetParam())));
    EXPECT_EQ(FieldOf(options, "Content-Length"), "0");
    EXPECT_EQ(FieldOf(options, "Content-Type"), "none");
    EXPECT_EQ(BodyOf(options), "");
  }
}

TEST_P(CheckMethod, OthersAreNotAllowed) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "get"}) {
    const std::string response = Ask(scene, method, GetParam());
    EXPECT_EQ(StatusOf(response), "405") << method;
    EXPECT_EQ(FieldOf(response, "Allow"), "GET, HEAD, OPTIONS") << method;
    EXPECT_EQ(BodyOf(response), "") << method;
    EXPECT_EQ(FieldOf(response, "Content-Length"), "0") << method;
  }
}

TEST(CheckHttp, OptionsOfTheWholeServerIsThePrimaryCheck) {
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene replica = CheckScene::OnReplica();
  EXPECT_EQ(StatusOf(Ask(primary, "OPTIONS", "*")), "200");
  EXPECT_EQ(StatusOf(Ask(replica, "OPTIONS", "*")), "503");
  EXPECT_EQ(StatusOf(Ask(primary, "GET", "*")), "400");
}

TEST(CheckHttp, APostWithABodyIsNotAllowedAndTheConnectionEnds) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string response =
      Talk(scene, "POST /switchover HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(StatusOf(response), "405");
  EXPECT_EQ(FieldOf(response, "Connection"), "close");
  EXPECT_EQ(BodyOf(response), "");
}

TEST(CheckHttp, ABodyIsRefused) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string response =
      Talk(scene, "GET /primary HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(StatusOf(response), "413");
  EXPECT_EQ(FieldOf(response, "Connection"), "close");
  EXPECT_EQ(FieldOf(response, "Content-Length"), "0");
}

TEST(CheckHttp, ABrokenPathIsABadRequestWithoutABody) {
  CheckScene scene = CheckScene::OnPrimary();
  for (const char* target : {"/%zz", "/primary%00", "/primary?lag=%"}) {
    const std::string response = Ask(scene, "GET", target);
    EXPECT_EQ(StatusOf(response), "400") << target;
    EXPECT_EQ(BodyOf(response), "") << target;
    EXPECT_EQ(FieldOf(response, "Content-Type"), "none") << target;
  }
}

TEST(CheckHttp, WhatIsNoRequestIsRefusedAndTheConnectionEnds) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string tls = Talk(scene, "\x16\x03\x01");
  EXPECT_EQ(StatusOf(tls), "400");
  EXPECT_EQ(FieldOf(tls, "Connection"), "close");
  EXPECT_EQ(BodyOf(tls), "");
  const std::string typed = Talk(scene, "GET / HTTP/1.1\nHost: x\n\n");
  EXPECT_EQ(StatusOf(typed), "400");
  EXPECT_EQ(FieldOf(typed, "Content-Type"), "text/plain; charset=utf-8");
  EXPECT_NE(BodyOf(typed).find("CR LF"), std::string::npos);
  const std::string large =
      Talk(scene, "GET / HTTP/1.1\r\nx: " + std::string(20000, 'x') + "\r\n\r\n");
  EXPECT_EQ(StatusOf(large), "431");
}

TEST(CheckHttp, OldClientsGetCloseUnlessTheyWantMore) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(FieldOf(Talk(scene, "GET /primary HTTP/1.0\r\n\r\n"), "Connection"), "close");
  EXPECT_EQ(
      FieldOf(Talk(scene, "GET /primary HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "Connection"),
      "keep-alive");
  EXPECT_EQ(FieldOf(Ask(scene, "GET", "/primary"), "Connection"), "none");
}

TEST(CheckHttp, PipelinedRequestsAreAnsweredInOrder) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::string three = Talk(
      scene,
      "HEAD /primary HTTP/1.1\r\n\r\nOPTIONS /replica HTTP/1.1\r\n\r\nGET /liveness HTTP/1.1\r\n"
      "\r\n");
  EXPECT_EQ(three, Ask(scene, "HEAD", "/primary") + Ask(scene, "OPTIONS", "/replica") +
                       Ask(scene, "GET", "/liveness"));
}

TEST(CheckHttp, ALineIsAnsweredByTheAgent) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(Talk(scene, "primary\n"), "up\n");
  EXPECT_EQ(Talk(scene, "\r\n"), "up\n");
  EXPECT_EQ(Talk(scene, "replica\r\n"), "down # primary\n");
}

TEST(CheckHttp, SeesTheWorldAsItIsAtEachRequest) {
  CheckScene scene = CheckScene::OnReplica();
  Traffic traffic;
  Check check(scene.world(), kNoPageSources, "1.0.0", traffic, 0);
  EXPECT_EQ(StatusOf(AskAgain(check, "/primary")), "503");
  scene.node().state = NodeState::kPrimary;
  EXPECT_EQ(StatusOf(AskAgain(check, "/primary")), "200");
  scene.node().state = NodeState::kStopping;
  EXPECT_EQ(StatusOf(AskAgain(check, "/primary")), "503");
}

// What is kept ready made must not outlive what it was made of.
TEST(CheckHttp, TellsOfTheHostsAsTheLatestSnapshotDoes) {
  CheckScene scene = CheckScene::OnReplica();
  Traffic traffic;
  Check check(scene.world(), kNoPageSources, "1.0.0", traffic, 0);
  const std::string cluster = AskAgain(check, "/cluster");
  const std::string up = "pg_status_host_up{host=\"b\"} 1\n";
  EXPECT_NE(cluster.find("\"streaming\""), std::string::npos);
  EXPECT_NE(AskAgain(check, "/metrics").find(up), std::string::npos);
  EXPECT_EQ(AskAgain(check, "/cluster"), cluster);

  scene.host(1).state = PGST_STATE_DOWN;
  scene.snapshot().generation += 1;
  EXPECT_NE(AskAgain(check, "/cluster").find("\"down\""), std::string::npos);
  EXPECT_EQ(AskAgain(check, "/metrics").find(up), std::string::npos);

  // a poller that was started anew counts anew
  scene.host(1).state = PGST_STATE_UP;
  scene.snapshot().made_mono += 1;
  EXPECT_EQ(AskAgain(check, "/cluster"), cluster);
  EXPECT_NE(AskAgain(check, "/metrics").find(up), std::string::npos);

  // the same snapshot, too old now
  scene.MakeStale();
  EXPECT_EQ(AskAgain(check, "/cluster").find("\"streaming\""), std::string::npos);
  EXPECT_EQ(AskAgain(check, "/metrics").find("host_up"), std::string::npos);
}

// ---- for SQL ----------------------------------------------------------------------------------

TEST(CheckCode, ThePathMayLackItsSlash) {
  CheckScene scene = CheckScene::OnReplica();
  scene.SetLag(1024);
  for (const char* path : {"replica?lag=1kB", "/replica?lag=1kB", "replica?lag=1 kB", "replica "}) {
    EXPECT_EQ(CodeIn(scene, path), 200) << path;
  }
  EXPECT_EQ(CodeIn(scene, ""), 503);
  EXPECT_EQ(CodeIn(scene, "/"), 503);
  EXPECT_EQ(CodeIn(scene, "?lag=1"), 503);
  EXPECT_EQ(CodeIn(scene, "//replica"), 404);
}

TEST(AgentReply, IsTheLineWithoutItsEnd) {
  CheckScene scene = CheckScene::OnReplica();
  EXPECT_EQ(AgentReply(scene.world(), "/agent?role=replica"), "up");
  EXPECT_EQ(AgentReply(scene.world(), "primary"), "down # replica");
  EXPECT_EQ(AgentReply(scene.world(), "a\nb"), "fail # Bad request");
  EXPECT_EQ(AgentReply(scene.world(), std::string(2000, 'x')), "fail # Bad request");
}

TEST(CheckCode, WhatIsNoPathIsABadRequest) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(CodeIn(scene, "primary\nreplica"), 400);
  EXPECT_EQ(CodeIn(scene, "primary%zz"), 400);
  EXPECT_EQ(CodeIn(scene, std::string_view("primary\0", 8)), 400);
  EXPECT_EQ(CodeIn(scene, "GET /primary HTTP/1.0"), 400);
  EXPECT_EQ(CodeIn(scene, std::string(1025, 'x')), 400);
  EXPECT_EQ(CodeIn(scene, std::string(100000, 'x')), 400);
}

// ---- another history --------------------------------------------------------------------------

// What accepts a standby does not accept this one, whatever else is asked; what asks whether the
// server runs is none the wiser.
TEST(CheckDiverged, NoPathForStandbysPasses) {
  for (const PathRow& row : kPathRows) {
    CheckScene well = CheckScene::OnReplica();
    CheckScene scene = CheckScene::OnReplica();
    for (CheckScene* one : {&well, &scene}) one->SetSyncState("sync");
    scene.host(1).diverged = 1;
    const std::string_view path = row.path;
    const bool is_no_question = path == "/health" || path == "/liveness" || path == "/patroni" ||
                                path == "/node" || path == "/cluster" || path == "/metrics" ||
                                path == "/ui" || path == "/ui/data";
    EXPECT_EQ(CodeIn(scene, path), is_no_question ? CodeIn(well, path) : 503) << path;
  }
}

TEST(CheckDiverged, TheComplaintSaysSo) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(1).diverged = 1;
  for (const char* command : {"replica", "replica?lag=10MB", "read-only", "sync", "async", "quorum",
                              "readiness", "agent?role=replica", "agent?role=any",
                              "agent?role=replica&lag=10MB", "replica?replication_state=x"}) {
    EXPECT_EQ(AgentReply(scene.world(), command), "down # diverged") << command;
  }
  EXPECT_EQ(AgentReply(scene.world(), "agent?role=replica&down=drain"), "up drain");
  EXPECT_EQ(AgentReply(scene.world(), "agent?role=replica&down=maint"), "up maint # diverged");
  EXPECT_EQ(AgentReply(scene.world(), "agent"), "down # replica");
  EXPECT_EQ(AgentReply(scene.world(), "primary"), "down # replica");
  EXPECT_EQ(CodeIn(scene, "/replica?lag=abc"), 400);
}

TEST(CheckDiverged, IsForStandbysWhosePollerKnows) {
  CheckScene promoted = CheckScene::OnPrimary();
  promoted.host(0).diverged = 1;
  EXPECT_EQ(CodeIn(promoted, "/primary"), 200);
  EXPECT_EQ(CodeIn(promoted, "/read-only"), 200);
  CheckScene other = CheckScene::OnReplica();
  other.host(2).diverged = 1;
  EXPECT_EQ(CodeIn(other, "/replica"), 200);
  CheckScene stale = CheckScene::OnReplica();
  stale.host(1).diverged = 1;
  stale.MakeStale();
  EXPECT_EQ(CodeIn(stale, "/replica"), 200);
}

TEST(CheckDiverged, AnOperatorsWordGoesFirst) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(1).diverged = 1;
  scene.Detach("b", "to be rebuilt");
  EXPECT_EQ(AgentReply(scene.world(), "replica"), "up maint # to be rebuilt");
  EXPECT_EQ(AgentReply(scene.world(), "agent?role=replica"), "up maint # to be rebuilt");
}

// ---- a majority -------------------------------------------------------------------------------

TEST(CheckFence, KeepsAPrimaryAwayThatSeesNoMajority) {
  for (const PathRow& row : kPathRows) {
    CheckScene scene = CheckScene::OnPrimary();
    scene.SeeVoters(1, 3, true);
    // what a server that takes no sessions would get, but for what asks whether it runs at all
    const int code = std::string_view(row.path) == "/health" ? 200 : row.starting;
    EXPECT_EQ(CodeIn(scene, row.path), code) << row.path;
  }
  CheckScene scene = CheckScene::OnPrimary();
  scene.SeeVoters(1, 3, true);
  EXPECT_EQ(AgentReply(scene.world(), "agent"), "down # fenced");
  EXPECT_EQ(AgentReply(scene.world(), "agent?role=replica"), "down # fenced");
  EXPECT_EQ(AgentReply(scene.world(), "agent?down=drain"), "up drain");
  EXPECT_EQ(AgentReply(scene.world(), "primary"), "down # fenced");
}

TEST(CheckFence, IsForPrimariesWithoutAMajorityOnly) {
  struct Case {
    const char* situation;
    std::uint32_t in_sight;
    std::uint32_t voters;
    bool fence;
    int code;
  };
  const Case cases[] = {
      {"not asked for", 1, 3, false, 200},
      {"a majority", 2, 3, true, 200},
      {"all", 3, 3, true, 200},
      {"half of four", 2, 4, true, 503},
      {"one of five", 1, 5, true, 503},
      {"two nodes have no majority", 1, 2, true, 200},
      {"nor has one", 1, 1, true, 200},
  };
  for (const Case& c : cases) {
    CheckScene scene = CheckScene::OnPrimary();
    scene.SeeVoters(c.in_sight, c.voters, c.fence);
    EXPECT_EQ(CodeIn(scene, "/primary"), c.code) << c.situation;
    CheckScene replica = CheckScene::OnReplica();
    replica.SeeVoters(c.in_sight, c.voters, c.fence);
    EXPECT_EQ(CodeIn(replica, "/replica"), 200) << c.situation;
  }
}

// Who is named is another one, on a server that stands in the list itself.
void NameAnother(CheckScene& scene) {
  scene.snapshot().primary = 1;
  scene.host(1).role = PGST_ROLE_PRIMARY;
  scene.host(1).primary = 1;
  scene.host(0).primary = 0;
}

TEST(CheckFence, HearsWhatItIsTold) {
  struct Case {
    const char* situation;
    void (*change)(CheckScene&);
    std::uint32_t voters;
    PgstFenceCause cause;
  };
  constexpr auto kNothing = [](CheckScene&) {};
  const Case cases[] = {
      {"nothing", kNothing, 3, PGST_FENCE_NONE},
      {"no majority", [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_NO_MAJORITY; }, 3,
       PGST_FENCE_NO_MAJORITY},
      {"unreachable", [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_UNREACHABLE; }, 3,
       PGST_FENCE_UNREACHABLE},
      {"a successor", [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_SUCCESSOR; }, 3,
       PGST_FENCE_SUCCESSOR},
      {"outvoted", [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_OUTVOTED; }, 3,
       PGST_FENCE_OUTVOTED},
      {"what has no name yet", [](CheckScene& s) { s.snapshot().fence_cause = 200; }, 3,
       PGST_FENCE_OUTVOTED},
      {"another one is named", NameAnother, 3, PGST_FENCE_SUCCESSOR},
      {"one is named that lets nobody read which server it is",
       [](CheckScene& s) {
         NameAnother(s);
         s.host(1).system_identifier = 0;
       },
       3, PGST_FENCE_NONE},
      {"another one was named, and is down",
       [](CheckScene& s) {
         NameAnother(s);
         s.host(1).state = PGST_STATE_DOWN;
       },
       3, PGST_FENCE_NONE},
      {"nobody is named", [](CheckScene& s) { s.snapshot().primary = -1; }, 3, PGST_FENCE_NONE},
      {"another one is named, and this server has not found itself",
       [](CheckScene& s) {
         NameAnother(s);
         s.host(0).self = 0;
       },
       3, PGST_FENCE_SUCCESSOR},
      {"another cluster's primary is named",
       [](CheckScene& s) {
         NameAnother(s);
         s.host(0).self = 0;
         s.snapshot().system_identifier = 1;
       },
       3, PGST_FENCE_NONE},
      {"this server has just started, and is still to be found",
       [](CheckScene& s) {
         s.snapshot().primary = -1;
         s.host(0).self = 0;
         s.snapshot().undecided = 1;
       },
       3, PGST_FENCE_NO_MAJORITY},
      {"this server has no place for its own poller since it was started",
       [](CheckScene& s) {
         s.snapshot().primary = -1;
         s.host(0).self = 0;
         s.host(0).state = PGST_STATE_UNKNOWN;
       },
       3, PGST_FENCE_NONE},
      {"a new host is in the list", [](CheckScene& s) { s.host(1).state = PGST_STATE_UNKNOWN; }, 3,
       PGST_FENCE_NONE},
      // of two nodes none can be outvoted, but one can see that another took over
      {"two nodes, nothing", kNothing, 2, PGST_FENCE_NONE},
      {"two nodes, no majority",
       [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_NO_MAJORITY; }, 2,
       PGST_FENCE_NONE},
      {"two nodes, unreachable",
       [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_UNREACHABLE; }, 2,
       PGST_FENCE_NONE},
      {"two nodes, outvoted", [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_OUTVOTED; },
       2, PGST_FENCE_NONE},
      {"two nodes, a successor",
       [](CheckScene& s) { s.snapshot().fence_cause = PGST_FENCE_SUCCESSOR; }, 2,
       PGST_FENCE_SUCCESSOR},
      {"two nodes, another one is named", NameAnother, 2, PGST_FENCE_SUCCESSOR},
      {"two nodes, another cause, and another one is named",
       [](CheckScene& s) {
         NameAnother(s);
         s.snapshot().fence_cause = PGST_FENCE_OUTVOTED;
       },
       2, PGST_FENCE_SUCCESSOR},
  };
  for (const Case& c : cases) {
    CheckScene scene = CheckScene::OnPrimary();
    c.change(scene);
    scene.SeeVoters(c.voters, c.voters, true);
    const bool fenced = c.cause != PGST_FENCE_NONE;
    EXPECT_EQ(scene.node().state, fenced ? NodeState::kFenced : NodeState::kPrimary) << c.situation;
    EXPECT_EQ(OwnFenceCause(scene.world()), c.cause) << c.situation;
    EXPECT_EQ(AgentReply(scene.world(), "agent"), fenced ? "down # fenced" : "up") << c.situation;
    CheckScene off = CheckScene::OnPrimary();
    c.change(off);
    off.SeeVoters(c.voters, c.voters, false);
    EXPECT_EQ(CodeIn(off, "/primary"), 200) << c.situation;
    CheckScene replica = CheckScene::OnReplica();
    c.change(replica);
    replica.SeeVoters(c.voters, c.voters, true);
    EXPECT_EQ(replica.node().state, NodeState::kStandby) << c.situation;
    EXPECT_EQ(OwnFenceCause(replica.world()), PGST_FENCE_NONE) << c.situation;
  }
}

TEST(CheckFence, WithoutKnowledgeThereIsNoMajority) {
  CheckScene unpublished = CheckScene::OnPrimary();
  unpublished.Unpublish();
  unpublished.SeeVoters(3, 3, true);
  EXPECT_EQ(CodeIn(unpublished, "/primary"), 503);
  EXPECT_EQ(OwnFenceCause(unpublished.world()), PGST_FENCE_NO_MAJORITY);

  CheckScene old = CheckScene::OnPrimary();
  old.snapshot().made_mono = CheckScene::kNow - old.snapshot().stale_after - 1;
  old.SeeVoters(3, 3, true);
  EXPECT_EQ(CodeIn(old, "/primary"), 503);
}

// A poller that is started anew takes a second; what was judged before that still holds.
TEST(CheckFence, APollerThatIsAwayForAMomentChangesNothing) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.MakeStale();
  scene.SeeVoters(2, 3, true);
  EXPECT_EQ(CodeIn(scene, "/primary"), 200);
}

}  // namespace
}  // namespace pg_status
