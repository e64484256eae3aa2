// HAProxy agent replies: every row of the table, byte for byte, and what no reply may do.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answer/agent_memory.hpp"
#include "answer/check.hpp"
#include "answer/check_scene.hpp"

namespace pg_status {
namespace {

// To somebody who was never ordered anything.
std::string Reply(CheckScene& scene, std::string_view line) {
  AgentMemory memory(0);
  return AgentLine(scene.world(), ReadLine(line), memory);
}

struct AgentRow {
  const char* command;
  const char* reply;
};

// ---- agent, by state --------------------------------------------------------------------------

class AgentOnPrimary : public testing::TestWithParam<AgentRow> {};

TEST_P(AgentOnPrimary, Says) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(Reply(scene, GetParam().command), GetParam().reply) << GetParam().command;
}

INSTANTIATE_TEST_SUITE_P(
    Table, AgentOnPrimary,
    testing::Values(AgentRow{"agent?role=primary", "up\n"},
                    AgentRow{"agent?role=primary&lag=0&down=maint", "up\n"},
                    AgentRow{"agent?role=primary&primary_weight=5", "up 100%\n"},
                    AgentRow{"agent", "up\n"}, AgentRow{"agent?", "up\n"},
                    AgentRow{"agent?role=any", "up\n"},
                    AgentRow{"agent?role=any&lag=10MB&soft=1MB", "up 100%\n"},
                    AgentRow{"agent?role=any&primary_weight=5", "up 5%\n"},
                    AgentRow{"agent?role=replica", "down # primary\n"},
                    AgentRow{"agent?role=replica&lag=10MB&down=down", "down # primary\n"},
                    AgentRow{"agent?role=replica&down=drain", "up drain\n"},
                    AgentRow{"agent?role=replica&down=maint", "up maint # primary\n"},
                    AgentRow{"agent?role=replica&primary_weight=5", "up 5%\n"},
                    AgentRow{"agent?role=replica&primary_weight=100", "up 100%\n"},
                    AgentRow{"agent?role=replica&primary_weight=1&down=maint", "up 1%\n"}));

class AgentOnReplica : public testing::TestWithParam<AgentRow> {};

TEST_P(AgentOnReplica, Says) {
  CheckScene scene = CheckScene::OnReplica();
  scene.SetLag(600);
  EXPECT_EQ(Reply(scene, GetParam().command), GetParam().reply) << GetParam().command;
}

INSTANTIATE_TEST_SUITE_P(
    Table, AgentOnReplica,
    testing::Values(
        AgentRow{"agent", "down # replica\n"}, AgentRow{"agent?role=primary", "down # replica\n"},
        AgentRow{"agent?role=primary&primary_weight=5", "down # replica\n"},
        AgentRow{"agent?role=primary&down=maint", "up maint # replica\n"},
        AgentRow{"agent?role=primary&down=drain", "up drain\n"},
        AgentRow{"agent?role=replica", "up\n"}, AgentRow{"agent?role=replica&soft=1", "up 100%\n"},
        AgentRow{"agent?role=replica&lag=600&soft=600", "up 100%\n"},
        AgentRow{"agent?role=replica&lag=1000&soft=600", "up 100%\n"},
        AgentRow{"agent?role=replica&lag=600&soft=1MB", "up 100%\n"},
        AgentRow{"agent?role=replica&lag=1000&soft=200", "up 50%\n"},
        AgentRow{"agent?role=any&lag=1000&soft=200", "up 50%\n"},
        AgentRow{"agent?role=replica&lag=6000", "up\n"},
        AgentRow{"agent?role=replica&lag=600", "up\n"},
        AgentRow{"agent?role=replica&lag=6000&weight=100", "up 100%\n"},  // soft: 600
        AgentRow{"agent?role=replica&lag=1000&weight=100", "up 45%\n"},   // 400 of 900
        AgentRow{"agent?role=replica&lag=600&weight=100", "up 5%\n"},
        AgentRow{"agent?role=replica&weight=40", "up 40%\n"},
        AgentRow{"agent?role=any&lag=1000&soft=200&weight=40", "up 20%\n"},
        AgentRow{"agent?role=any&lag=600&weight=3", "up 3%\n"},
        AgentRow{"replica?lag=1kB&weight=40", "up\n"},
        AgentRow{"agent?role=replica&lag=600&soft=0", "up 5%\n"},
        AgentRow{"agent?role=replica&lag=599", "down # lag 600 over 599\n"},
        AgentRow{"agent?role=any&lag=599", "down # lag 600 over 599\n"},
        AgentRow{"agent?role=replica&lag=0&soft=1GB", "down # lag 600 over 0\n"},
        AgentRow{"agent?role=replica&lag=599&down=drain", "up drain\n"},
        AgentRow{"agent?role=replica&lag=599&down=maint", "up maint # lag 600 over 599\n"},
        AgentRow{"agent?role=any&lag=1kB&primary_weight=5", "up 45%\n"}));

TEST(Agent, AnUnknownLagIsNotWithinALimit) {
  CheckScene scene = CheckScene::OnReplica();
  scene.ForgetLeader();
  EXPECT_EQ(Reply(scene, "agent?role=replica"), "up\n");
  EXPECT_EQ(Reply(scene, "agent?role=replica&lag=1TB"), "down # lag unknown\n");
  EXPECT_EQ(Reply(scene, "agent?role=any&lag=1TB"), "down # lag unknown\n");
  EXPECT_EQ(Reply(scene, "agent?role=any&lag=1TB&down=maint"), "up maint # lag unknown\n");
}

TEST(Agent, AServerThatTakesNoSessionsIsDownHoweverNoIsToBeSaid) {
  CheckScene starting = CheckScene::Starting();
  CheckScene stopping = CheckScene::OnPrimary();
  stopping.node().state = NodeState::kStopping;
  for (const char* command : {"agent", "agent?role=replica", "agent?role=any&down=maint",
                              "agent?role=primary&down=drain", "primary", "replica", ""}) {
    EXPECT_EQ(Reply(starting, command), "down # starting\n") << command;
    EXPECT_EQ(Reply(stopping, command), "stopped # shutting down\n") << command;
  }
}

class AgentBad : public testing::TestWithParam<AgentRow> {};

TEST_P(AgentBad, FailsInEveryState) {
  CheckScene stopping = CheckScene::OnPrimary();
  stopping.node().state = NodeState::kStopping;
  CheckScene scenes[] = {CheckScene::OnPrimary(), CheckScene::OnReplica(), CheckScene::Starting()};
  for (CheckScene* scene : {&scenes[0], &scenes[1], &scenes[2], &stopping}) {
    EXPECT_EQ(Reply(*scene, GetParam().command), GetParam().reply) << GetParam().command;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, AgentBad,
    testing::Values(AgentRow{"agent?lag=abc", "fail # Invalid lag\n"},
                    AgentRow{"agent?role=primary&lag=-1", "fail # Invalid lag\n"},
                    AgentRow{"agent?role=any&lag=", "fail # Invalid lag\n"},
                    AgentRow{"agent?soft=10mb", "fail # Invalid soft\n"},
                    AgentRow{"agent?role=", "fail # Invalid role\n"},
                    AgentRow{"agent?role=master", "fail # Invalid role\n"},
                    AgentRow{"agent?role=Primary", "fail # Invalid role\n"},
                    AgentRow{"agent?role=x&lag=y", "fail # Invalid role\n"},
                    AgentRow{"agent?role=x&role=any", "fail # Invalid role\n"},
                    AgentRow{"agent?down=up", "fail # Invalid down\n"},
                    AgentRow{"agent?weight=0", "fail # Invalid weight\n"},
                    AgentRow{"agent?weight=x", "fail # Invalid weight\n"},
                    AgentRow{"agent?primary_weight=0", "fail # Invalid primary_weight\n"},
                    AgentRow{"agent?primary_weight=101", "fail # Invalid primary_weight\n"},
                    AgentRow{"agent?primary_weight=5%25", "fail # Invalid primary_weight\n"},
                    AgentRow{"agent?primary_weight=-5", "fail # Invalid primary_weight\n"},
                    AgentRow{"replica?lag=abc", "fail # Invalid lag\n"},
                    AgentRow{"readiness?lag=abc", "fail # Invalid lag\n"},
                    AgentRow{"readiness?mode=abc", "fail # Invalid mode\n"},
                    AgentRow{"nope", "fail # Not found\n"},
                    AgentRow{"up ready 100%", "fail # Bad request\n"},
                    AgentRow{"agents", "fail # Not found\n"},
                    AgentRow{"agent/", "fail # Not found\n"},
                    AgentRow{"/agent", "fail # Not found\n"}, AgentRow{"*", "fail # Not found\n"},
                    AgentRow{"agent?lag=%zz", "fail # Bad request\n"}));

// ---- the weight -------------------------------------------------------------------------------

TEST(AgentWeight, FallsInStepsAndIsNeverNothingWithinTheLimit) {
  CheckScene scene = CheckScene::OnReplica();
  std::set<int> weights;
  int last = 100;
  for (std::uint64_t lag = 0; lag <= 1000; ++lag) {
    scene.SetLag(lag);
    const std::string reply = Reply(scene, "agent?role=replica&lag=1000&soft=100");
    ASSERT_EQ(reply.substr(0, 3), "up ") << lag;
    const int weight = std::stoi(reply.substr(3));
    ASSERT_EQ(reply, "up " + std::to_string(weight) + "%\n");
    EXPECT_EQ(weight % 5, 0) << lag;
    EXPECT_GE(weight, 5) << lag;
    EXPECT_LE(weight, last) << lag;
    EXPECT_TRUE(lag > 100 || weight == 100) << lag;
    weights.insert(weight);
    last = weight;
  }
  EXPECT_EQ(weights.size(), 20U);
  EXPECT_EQ(last, 5);
}

TEST(AgentWeight, HoldsForTheLargestNumbers) {
  CheckScene scene = CheckScene::OnReplica();
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  scene.node().replayed = 1;
  scene.node().latest_end = kMax;
  EXPECT_EQ(Reply(scene, "agent?role=any&lag=18446744073709551615&soft=0"), "up 5%\n");
  EXPECT_EQ(Reply(scene, "agent?role=any&lag=18446744073709551613"),
            "down # lag 18446744073709551614 over 18446744073709551613\n");
  scene.node().replayed = kMax;
  EXPECT_EQ(Reply(scene, "agent?role=any&lag=0&soft=0"), "up 100%\n");
}

TEST(AgentWeight, IsTheOneAskedForOnThePrimary) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(Reply(scene, "agent?weight=40"), "up 40%\n");
  EXPECT_EQ(Reply(scene, "agent?role=any&weight=40"), "up 40%\n");
  EXPECT_EQ(Reply(scene, "agent?role=any&weight=40&primary_weight=5"), "up 5%\n");
}

// ---- taking back ------------------------------------------------------------------------------

constexpr std::int64_t kTakeBack = AgentMemory::kTakeBackUs;
constexpr std::int64_t kUncertain = AgentMemory::kUncertainUs;

// A server and the one process that answers for it, as time goes by.
struct Asked {
  explicit Asked(CheckScene at, MonoUs began = 0) : scene(std::move(at)), memory(began) {}

  std::string operator()(std::string_view command) {
    return AgentLine(scene.world(), ReadLine(command), memory);
  }
  void Pass(std::int64_t us) {
    scene.world().now += us;
    scene.world().wall_now += us;
  }
  void Attach() {
    PgstOrder& order = scene.Detach("b", "");
    order.ended = order.maintenance;
    order.maintenance = PGST_IN_SERVICE;
    order.since_wall = scene.world().wall_now;
  }

  CheckScene scene;
  AgentMemory memory;
};

TEST(AgentReady, TakesBackAnOrderForAWhileAfterItsEnd) {
  Asked asked(CheckScene::OnReplica());
  EXPECT_EQ(asked("agent?role=replica&soft=1MB"), "up 100%\n");
  asked.scene.Detach("b", "new kernel");
  EXPECT_EQ(asked("agent?role=replica&soft=1MB"), "up maint # new kernel\n");
  EXPECT_EQ(asked("replica"), "up maint # new kernel\n");
  asked.Attach();
  EXPECT_EQ(asked("agent?role=replica&soft=1MB"), "up ready 100%\n");
  EXPECT_EQ(asked("replica"), "up ready\n");
  asked.Pass(kTakeBack - 1);
  EXPECT_EQ(asked("agent?role=replica&soft=1MB"), "up ready 100%\n")
      << "HAProxy may have missed it";
  asked.Pass(1);
  EXPECT_EQ(asked("agent?role=replica&soft=1MB"), "up 100%\n");
  EXPECT_EQ(asked("replica"), "up\n");
}

// agent-inter may be minutes, and a server that is put back may have to catch up first.
TEST(AgentReady, WaitsForTheFirstYesHoweverLateItIs) {
  Asked asked(CheckScene::OnReplica());
  asked.scene.Detach("b", "");
  EXPECT_EQ(asked("agent?role=replica&lag=1kB"), "up maint # maintenance\n");
  asked.Attach();
  asked.scene.SetLag(5000);
  EXPECT_EQ(asked("agent?role=replica&lag=1kB"), "down # lag 5000 over 1024\n");
  asked.Pass(3600 * kUsPerSecond);
  asked.scene.SetLag(0);
  EXPECT_EQ(asked("agent?role=replica&lag=1kB"), "up ready\n");
  asked.Pass(kTakeBack);
  EXPECT_EQ(asked("agent?role=replica&lag=1kB"), "up\n");
}

TEST(AgentReady, IsForWhoWasOrderedSomething) {
  Asked asked(CheckScene::OnReplica());
  IpAddress& asker = asked.scene.world().asker;
  const auto say = [&](const char* address, const char* command) {
    asker = *ParseIpAddress(address);
    return asked(command);
  };
  asked.scene.SetLag(5000);
  EXPECT_EQ(say("10.0.0.1", "agent?role=replica&lag=1kB&down=drain"), "up drain\n");
  asked.scene.SetLag(0);
  EXPECT_EQ(say("10.0.0.2", "agent?role=replica&lag=1kB&down=drain"), "up\n") << "another HAProxy";
  EXPECT_EQ(say("10.0.0.1", "agent?role=replica&lag=2kB&down=drain"), "up\n") << "or backend";
  EXPECT_EQ(say("::ffff:10.0.0.1", "agent?role=replica&lag=1kB&down=drain"), "up ready\n");
  asked.Pass(kTakeBack);
  EXPECT_EQ(say("10.0.0.1", "agent?role=replica&lag=1kB&down=drain"), "up\n");
}

TEST(AgentReady, IsSaidOnceMoreForEachOrder) {
  Asked asked(CheckScene::OnReplica());
  for (int round = 0; round < 3; ++round) {
    asked.scene.SetLag(5000);
    EXPECT_EQ(asked("agent?role=replica&lag=1kB&down=maint"), "up maint # lag 5000 over 1024\n");
    asked.scene.SetLag(0);
    EXPECT_EQ(asked("agent?role=replica&lag=1kB&down=maint"), "up ready\n");
    asked.Pass(kTakeBack);
    EXPECT_EQ(asked("agent?role=replica&lag=1kB&down=maint"), "up\n");
  }
}

// The process that gave the order may be gone: then whoever may have got one is told once.
TEST(AgentReady, IsSaidAfterARestartToWhomAnOrderMayHaveBeenGiven) {
  Asked asked(CheckScene::OnReplica(), CheckScene::kNow);
  EXPECT_EQ(asked("agent?role=replica"), "up\n") << "never an order, and no maintenance ended";
  EXPECT_EQ(asked("agent?role=replica&down=drain"), "up ready\n");
  asked.Attach();
  asked.Pass(kTakeBack);
  EXPECT_EQ(asked("agent?role=any"), "up ready\n") << "it was ended a moment before the restart";
  EXPECT_EQ(asked("agent?role=replica&down=drain"), "up\n");
  asked.Pass(kTakeBack);
  EXPECT_EQ(asked("agent?role=any"), "up\n");
  asked.Pass(kUncertain);
  EXPECT_EQ(asked("agent?role=replica&down=maint"), "up\n") << "came long after the start";
  EXPECT_EQ(asked("replica"), "up\n");
}

TEST(AgentReady, DoesNotLastWhenTheClockIsSetBack) {
  Asked asked(CheckScene::OnReplica());
  asked.Attach();
  asked.scene.world().wall_now -= 3600 * kUsPerSecond;
  EXPECT_EQ(asked("agent?role=replica"), "up\n");
}

TEST(AgentMemoryOf, ManyAskersForgetsWhoHasHeardItFirst) {
  AgentMemory memory(0);
  const auto question = [](std::size_t i) { return ReadLine("replica?n=" + std::to_string(i)); };
  const IpAddress asker = *ParseIpAddress("10.0.0.1");
  memory.Ordered(asker, question(0), 1);
  for (std::size_t i = 1; i < AgentMemory::kMost; ++i) {
    memory.Ordered(asker, question(i), 2);
    EXPECT_TRUE(memory.TakesBack(asker, question(i), false, 3));
  }
  for (std::size_t i = 0; i + 1 < AgentMemory::kMost; ++i) {
    memory.Ordered(asker, question(1000 + i), 4);
  }
  EXPECT_FALSE(memory.TakesBack(asker, question(1), false, 5)) << "forgotten";
  EXPECT_TRUE(memory.TakesBack(asker, question(0), false, 5)) << "it has not heard its ready";
  memory.Ordered(asker, question(5000), 6);
  EXPECT_TRUE(memory.TakesBack(asker, question(1000), false, 7));
}

// ---- paths as lines ---------------------------------------------------------------------------

TEST(AgentPaths, SayYesOrNoAsTheirCodesDo) {
  CheckScene primary = CheckScene::OnPrimary();
  CheckScene replica = CheckScene::OnReplica();
  CheckScene starting = CheckScene::Starting();
  for (const char* path : {"",
                           "primary",
                           "read-write",
                           "master",
                           "leader",
                           "standby-leader",
                           "standby_leader",
                           "replica",
                           "read-only",
                           "sync",
                           "synchronous",
                           "quorum",
                           "async",
                           "asynchronous",
                           "read-only-sync",
                           "read-only-synchronous",
                           "read-only-quorum",
                           "health",
                           "liveness",
                           "readiness",
                           "patroni",
                           "node",
                           "cluster",
                           "metrics",
                           "replica?lag=10MB"}) {
    for (CheckScene* scene : {&primary, &replica, &starting}) {
      const int code = CheckCode(scene->world(), path);
      const std::string reply = Reply(*scene, path);
      if (code == 200) {
        EXPECT_EQ(reply, "up\n") << path;
      } else {
        EXPECT_EQ(reply.substr(0, 7), "down # ") << path;
        EXPECT_GT(reply.size(), 8U) << path;
      }
    }
  }
}

TEST(AgentPaths, SayWhyNot) {
  CheckScene primary = CheckScene::OnPrimary();
  EXPECT_EQ(Reply(primary, "replica?lag=10MB"), "down # primary\n");
  CheckScene replica = CheckScene::OnReplica();
  replica.SetLag(12345);
  EXPECT_EQ(Reply(replica, "primary"), "down # replica\n");
  EXPECT_EQ(Reply(replica, "replica?lag=10kB"), "down # lag 12345 over 10240\n");
  EXPECT_EQ(Reply(replica, "replica?tag_x=1"), "down # no tags\n");
  EXPECT_EQ(Reply(replica, "sync"), "down # not synchronous\n");
  EXPECT_EQ(Reply(replica, "quorum"), "down # not in the quorum\n");
  EXPECT_EQ(Reply(replica, "replica?replication_state=x"), "down # other replication state\n");
  replica.SetSyncState("sync");
  EXPECT_EQ(Reply(replica, "async"), "down # not asynchronous\n");
  replica.MakeStale();
  EXPECT_EQ(Reply(replica, "async"), "down # sync state unknown\n");
  replica.node().streaming = false;
  EXPECT_EQ(Reply(replica, "readiness"), "down # not streaming\n");
  replica.ForgetLeader();
  EXPECT_EQ(Reply(replica, "replica?lag=1"), "down # lag unknown\n");
}

// ---- what holds for every reply ---------------------------------------------------------------

// As HAProxy splits it, in lower case.
std::vector<std::string> WordsOf(const std::string& line) {
  std::istringstream words(line.substr(0, line.find('#')));
  std::vector<std::string> list;
  for (std::string word; words >> word;) list.push_back(word);
  return list;
}

TEST(AgentReplies, AreOneShortLineThatHaproxyUnderstands) {
  CheckScene scenes[] = {CheckScene::OnPrimary(), CheckScene::OnReplica(), CheckScene::OnReplica(),
                         CheckScene::OnReplica(), CheckScene::Starting(),  CheckScene::OnPrimary()};
  scenes[1].SetLag(999999);
  scenes[2].ForgetLeader();
  scenes[3].MakeStale();
  scenes[5].node().state = NodeState::kStopping;
  const std::string long_value(900, 'a');
  std::vector<std::string> commands = {"",
                                       "primary",
                                       "replica",
                                       "sync",
                                       "nope " + long_value,
                                       "agent?role=" + long_value,
                                       "replica?lag=%0aup"};
  for (const char* role : {"primary", "replica", "any", "x%0aup"}) {
    for (const char* rest : {"", "&lag=1", "&lag=1TB&soft=1", "&down=drain&lag=1",
                             "&down=maint&lag=1", "&primary_weight=5", "&lag=x"}) {
      commands.push_back("agent?role=" + std::string(role) + rest);
    }
  }
  const std::set<std::string> health = {"up", "down", "fail", "stopped"};
  const std::set<std::string> admin = {"ready", "drain", "maint"};
  for (CheckScene& scene : scenes) {
    for (const std::string& command : commands) {
      const std::string reply = Reply(scene, command);
      ASSERT_LE(reply.size(), 255U) << command;
      ASSERT_EQ(reply.find_first_of("\r\n"), reply.size() - 1) << command;
      int health_words = 0;
      int admin_words = 0;
      int weights = 0;
      bool takes_back = false;
      for (const std::string& word : WordsOf(reply)) {
        const bool weight = word.back() == '%';
        health_words += health.count(word) != 0 ? 1 : 0;
        admin_words += admin.count(word) != 0 ? 1 : 0;
        weights += weight ? 1 : 0;
        takes_back |= word == "ready";
        EXPECT_TRUE(weight || health.count(word) + admin.count(word) == 1) << reply;
      }
      EXPECT_EQ(health_words, 1) << reply;
      const bool yes = reply.substr(0, 2) == "up" && admin_words == 0;
      EXPECT_LE(admin_words, 1) << reply;
      EXPECT_FALSE(takes_back) << reply << ": nothing was ordered";
      const bool wanted = command.find("soft=") != std::string::npos ||
                          command.find("weight=") != std::string::npos;
      EXPECT_EQ(weights, yes && wanted ? 1 : 0) << reply;
      EXPECT_EQ(reply.find('>'), std::string::npos) << "its log would print <3E>: " << reply;
    }
  }
}

}  // namespace
}  // namespace pg_status
