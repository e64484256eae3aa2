// The poller with scripted servers as hosts: what it asks becomes a snapshot and lines of log, and
// a host that hangs costs the others nothing. How hosts are judged belongs to other tests.
#include "loop/poller.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/fixed_text.hpp"
#include "loop/scene.hpp"

namespace pg_status {
namespace {

class PollerTest : public testing::Test {
 protected:
  PollerTest() {
    settings.connection = ParseConninfo("dbname=postgres user=monitor", "pg_status", 900).value();
    settings.limits.poll_interval_us = 50 * kUsPerMs;
    settings.limits.fast_poll_interval_us = 20 * kUsPerMs;
    settings.limits.poll_timeout_us = 200 * kUsPerMs;
    settings.max_hosts = 4;
  }

  void Start(const std::string& hosts) {
    settings.hosts = ParseHosts(hosts, 5432, settings.max_hosts).value();
    poller = std::make_unique<Poller>(settings);
    running = std::make_unique<Running<Poller>>(*poller, &Poller::Step);
  }
  static std::string Place(const ScriptedServer& server) {
    return "127.0.0.1:" + std::to_string(server.port());
  }

  bool Run(const std::function<bool()>& done) {
    return RunUntil({running.get(), &server, &other}, [&] {
      if (const PgstSnapshot* news = poller->TakeSnapshot()) snapshot = news;
      LogLine line;
      while (poller->TakeLogLine(line)) log += line.message + "\n";
      PgstEvent event;
      while (poller->TakeEvent(event)) {
        events += std::string(event.kind) + ' ' + event.old_value + "->" + event.new_value + '\n';
        EXPECT_LE(event.at_wall, snapshot->made_wall) << "the snapshot shows it";
      }
      return done();
    });
  }
  PgstState StateOf(std::uint32_t host) const {
    return static_cast<PgstState>(snapshot->hosts[host].state);
  }

  ScriptedServer server;
  ScriptedServer other;
  PollerSettings settings;
  std::unique_ptr<Poller> poller;
  std::unique_ptr<Running<Poller>> running;
  const PgstSnapshot* snapshot = nullptr;  // the newest
  std::string log;
  std::string events;  // "kind old->new\n" each
};

TEST_F(PollerTest, AHostIsKnownBeforeItIsAskedAndThenJudged) {
  Start(Place(server));
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->host_count, 1u);
  EXPECT_EQ(snapshot->ready, 0);
  EXPECT_EQ(StateOf(0), PGST_STATE_UNKNOWN);
  EXPECT_EQ(poller->TakeSnapshot(), nullptr) << "no news";

  ASSERT_TRUE(Run([&] { return snapshot->ready != 0; }));
  EXPECT_EQ(StateOf(0), PGST_STATE_UP);
  EXPECT_EQ(snapshot->primary, 0);
}

TEST_F(PollerTest, OneConnectionIsKeptForManyPolls) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return server.queries() >= 5; }));
  EXPECT_EQ(server.sessions().size(), 1u);
}

TEST_F(PollerTest, AHostGoesDownAndComesBack) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  server.GoDown();
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_DOWN; }));
  EXPECT_EQ(snapshot->primary, -1);
  EXPECT_NE(log.find(Place(server)), std::string::npos) << log;
  server.ComeBack();
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_UP; }));
}

TEST_F(PollerTest, WhatChangesIsAnEvent) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  EXPECT_EQ(events, "state unknown->up\nrole unknown->primary\nprimary ->" + Place(server) + "\n");
  events.clear();
  const std::size_t asked = server.queries();
  ASSERT_TRUE(Run([&] { return server.queries() > asked + 3; }));
  EXPECT_EQ(events, "") << "a poll that finds the same is none";
  server.GoDown();
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_DOWN; }));
  EXPECT_EQ(events, "state up->suspect\nstate suspect->down\nrole primary->unknown\nprimary " +
                        Place(server) + "->\n");
}

TEST_F(PollerTest, AnotherListOfHostsIsAnEvent) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  events.clear();
  poller->Configure(settings);
  ASSERT_TRUE(Run([&] { return snapshot->reloads == 1; }));
  EXPECT_EQ(events, "") << "a reload by itself is none";
  settings.hosts = ParseHosts(Place(other), 5432, 4).value();
  poller->Configure(settings);
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_UP; }));
  EXPECT_EQ(events, "hosts 1->1\nprimary " + Place(server) +
                        "->\nstate unknown->up\nrole unknown->primary\nprimary ->" + Place(other) +
                        "\n");
}

// A poller that ended is followed by one that knows nothing of the hosts yet. What it finds as it
// was is no event.
TEST_F(PollerTest, WhatTheOneBeforeItHasToldIsNotToldAgain) {
  Start(Place(server) + ", " + Place(other));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && snapshot->ready != 0; }));
  std::vector<std::uint64_t> bytes(pgst_snapshot_size(4) / sizeof(std::uint64_t) + 1);
  std::memcpy(bytes.data(), snapshot, pgst_snapshot_size(2));
  const auto* published = reinterpret_cast<const PgstSnapshot*>(bytes.data());
  for (const bool lost_one : {false, true}) {
    if (lost_one) other.GoDown();
    Start(Place(server) + ", " + Place(other));
    poller->Inherit(*published);
    snapshot = nullptr;
    events.clear();
    const auto known = [&] {
      return snapshot != nullptr && snapshot->ready != 0 &&
             (!lost_one || StateOf(1) == PGST_STATE_DOWN);
    };
    ASSERT_TRUE(Run(known));
    if (!lost_one) {
      EXPECT_EQ(events, "");
    } else {
      EXPECT_NE(events.find("->down\n"), std::string::npos) << events;
      EXPECT_EQ(events.find("->up\n"), std::string::npos) << events;
    }
  }
}

TEST_F(PollerTest, EventsThatNobodyTakesAreBounded) {
  settings.max_hosts = PGST_EVENTS + 100;
  std::string hosts;
  for (std::uint32_t i = 0; i < settings.max_hosts; ++i) {
    hosts += (i == 0 ? "" : ", ") + std::string("/nowhere/") + std::to_string(i);
  }
  Start(hosts);
  settings.limits.max_fails = 1;
  poller->Configure(settings);
  ASSERT_TRUE(RunUntil({running.get()}, [&] {
    snapshot = poller->TakeSnapshot();
    return snapshot != nullptr && snapshot->ready != 0;
  }));
  PgstEvent event;
  std::size_t count = 0;
  std::size_t lost = 0;
  for (; poller->TakeEvent(event); ++count) lost += event.seq;
  EXPECT_EQ(count, static_cast<std::size_t>(PGST_EVENTS));
  EXPECT_EQ(count + lost, settings.max_hosts + 1)
      << "one of each host, and no majority is in sight";
}

TEST_F(PollerTest, AHostThatHangsDelaysNobody) {
  other.on_query = [](ScriptedServer::Session&) {};
  Start(Place(server) + ", " + Place(other));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(1) == PGST_STATE_DOWN; }));
  EXPECT_EQ(StateOf(0), PGST_STATE_UP);
  EXPECT_GE(server.queries(), 5u) << "it was asked all the time";
}

TEST_F(PollerTest, NewSettingsKeepWhatIsKnownOfAHostThatStays) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  settings.hosts = ParseHosts(Place(other) + ", " + Place(server), 5432, 4).value();
  poller->Configure(settings);
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->host_count, 2u);
  EXPECT_EQ(StateOf(0), PGST_STATE_UNKNOWN);
  EXPECT_EQ(StateOf(1), PGST_STATE_UP);
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_UP; }));
  EXPECT_EQ(server.sessions().size(), 1u) << "its connection was kept";
}

TEST_F(PollerTest, AHostThatIsAskedNoMoreIsLeftAlone) {
  Start(Place(server) + ", " + Place(other));
  ASSERT_TRUE(Run([&] { return server.queries() > 0 && other.queries() > 0; }));
  settings.hosts = ParseHosts(Place(server), 5432, 4).value();
  poller->Configure(settings);
  EXPECT_TRUE(Run([&] { return other.open_sessions() == 0; }));
  const std::size_t asked = server.queries();
  ASSERT_TRUE(Run([&] { return server.queries() >= asked + 3; }));
  EXPECT_EQ(other.sessions().size(), 1u);
}

TEST_F(PollerTest, AskedForNowItDoesNotWaitForTheNextTurn) {
  settings.limits.poll_interval_us = 3600 * kUsPerSecond;
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  const std::size_t asked = server.queries();
  poller->ProbeNow();
  EXPECT_TRUE(Run([&] { return server.queries() > asked; }));
}

TEST_F(PollerTest, AskedForNowDuringAPollItPollsOnceMore) {
  settings.limits.poll_interval_us = 3600 * kUsPerSecond;
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  const std::size_t asked = server.queries();
  poller->ProbeNow(0);
  ASSERT_TRUE(Run([&] { return server.queries() == asked + 1; }));
  poller->ProbeNow(0);  // its answer has not been read
  const MonoUs now = EventLoop::Now();
  EXPECT_TRUE(Run([&] { return snapshot->hosts[0].last_begun_mono >= now; }));
  EXPECT_EQ(server.queries(), asked + 2);
  poller->ProbeNow(4000);  // there is no such host
}

PgstOrder Maintenance(const std::string& host, const std::string& reason) {
  PgstOrder order{};
  CopyFixedText(order.host, host);
  CopyFixedText(order.reason, reason);
  order.maintenance = PGST_MAINT;
  order.since_wall = 1;
  return order;
}

TEST_F(PollerTest, OrdersAreShownAtOnce) {
  Start(Place(server) + ", " + Place(other));
  PgstOrder weight{};
  CopyFixedText(weight.host, Place(other));
  weight.has_weight = 1;
  weight.weight = 0.5;
  poller->SetOrders({Maintenance(Place(server), "why"), weight}, 7);
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->orders, 7U);
  EXPECT_EQ(snapshot->hosts[0].maintenance, PGST_MAINT);
  EXPECT_EQ(FixedText(snapshot->hosts[0].maintenance_reason), "why");
  EXPECT_EQ(snapshot->hosts[0].maintenance_since_wall, 1);
  EXPECT_EQ(snapshot->hosts[1].maintenance, PGST_IN_SERVICE);
  EXPECT_EQ(snapshot->hosts[1].weight, 0.5);
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_UP && StateOf(1) == PGST_STATE_UP; }));
  EXPECT_EQ(snapshot->hosts[0].maintenance, PGST_MAINT) << "it is polled all the same";
}

TEST_F(PollerTest, AHostIsBackInServiceWhenItWasAskedAnew) {
  settings.limits.poll_interval_us = 3600 * kUsPerSecond;
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  poller->SetOrders({Maintenance(Place(server), "why")}, 1);
  const std::size_t asked = server.queries();
  poller->SetOrders({}, 2);
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->orders, 2U);
  EXPECT_EQ(snapshot->hosts[0].maintenance, PGST_MAINT);
  ASSERT_TRUE(Run([&] { return snapshot->hosts[0].maintenance == PGST_IN_SERVICE; }));
  EXPECT_GT(server.queries(), asked);
  EXPECT_EQ(snapshot->hosts[0].maintenance_reason[0], '\0');
}

TEST_F(PollerTest, AHostThatIsDownIsShownAsThatWhenItIsAttached) {
  RefusedPort nobody;
  Start("127.0.0.1:" + std::to_string(nobody.port()));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_DOWN; }));
  poller->SetOrders({Maintenance("127.0.0.1:" + std::to_string(nobody.port()), "")}, 1);
  ASSERT_TRUE(Run([&] { return snapshot->hosts[0].maintenance == PGST_MAINT; }));
  poller->SetOrders({}, 2);
  EXPECT_TRUE(Run([&] { return snapshot->hosts[0].maintenance == PGST_IN_SERVICE; }));
}

TEST_F(PollerTest, AnOrderWaitsForItsHostToBeInTheList) {
  Start(Place(server));
  poller->SetOrders({Maintenance(Place(other), "why")}, 1);
  settings.hosts = ParseHosts(Place(server) + ", " + Place(other), 5432, 4).value();
  poller->Configure(settings);
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->hosts[0].maintenance, PGST_IN_SERVICE);
  EXPECT_EQ(snapshot->hosts[1].maintenance, PGST_MAINT);
  EXPECT_EQ(snapshot->orders, 1U);
}

// `count` hosts at which nobody listens.
std::string Nobody(const RefusedPort& port, std::size_t count) {
  std::string hosts;
  for (std::size_t i = 0; i < count; ++i) {
    hosts += (i == 0 ? "127." : ", 127.") + std::to_string(1 + i / 62500) + '.' +
             std::to_string(i / 250 % 250) + '.' + std::to_string(1 + i % 250) + ':' +
             std::to_string(port.port());
  }
  return hosts;
}

TEST_F(PollerTest, AStepDoesNotServeAllWhenThereAreVeryMany) {
  constexpr std::uint32_t kHosts = 3000;
  const RefusedPort port;
  settings.max_hosts = kHosts;
  settings.limits.poll_interval_us = 1 * kUsPerSecond;
  Start(Nobody(port, kHosts));
  poller->Step();
  EXPECT_EQ(poller->timeout_ms(), 0) << "it wants to be called again at once";
  std::size_t steps = 0;
  ASSERT_TRUE(Run([&] {
    ++steps;
    return snapshot->ready != 0;
  }));
  EXPECT_GT(steps, 8u) << "whoever calls it had a turn now and then";
}

TEST_F(PollerTest, AHostThatLeavesTheListWhileItStandsInLineIsForgotten) {
  settings.limits.poll_interval_us = 3600 * kUsPerSecond;
  Start(Place(server) + ", " + Place(other));
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && snapshot->ready != 0; }));
  const std::size_t asked = server.queries();
  poller->ProbeNow();
  settings.hosts = ParseHosts(Place(server), 5432, 4).value();
  poller->Configure(settings);
  EXPECT_TRUE(Run([&] { return server.queries() > asked && other.open_sessions() == 0; }));
}

TEST_F(PollerTest, ItTellsHowLateProbesBegan) {
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return server.queries() >= 5; }));
  snapshot = nullptr;
  ASSERT_TRUE(Run([&] { return snapshot != nullptr; }));
  std::uint64_t begun = 0;
  for (const std::uint64_t probes : snapshot->lateness) begun += probes;
  EXPECT_GE(begun, 5u);
  EXPECT_LE(snapshot->lateness_max_us, snapshot->lateness_us);
}

TEST_F(PollerTest, AHostThatHasANameIsLookedUp) {
  Start("localhost:" + std::to_string(server.port()) + ", no-such-host.invalid");
  ASSERT_TRUE(Run([&] { return snapshot != nullptr && StateOf(0) == PGST_STATE_UP; }));
  EXPECT_EQ(StateOf(1), PGST_STATE_UNKNOWN) << "one that is not found holds up nobody";
  EXPECT_TRUE(Run([&] { return StateOf(1) == PGST_STATE_DOWN; }));
  EXPECT_GE(server.queries(), 1u);
}

TEST_F(PollerTest, SettingsThatDoNotFitTogetherAreShownAndTheOldOnesStay) {
  Start(Place(server));
  poller->RefuseSettings();
  snapshot = poller->TakeSnapshot();
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->reloads, 1u);
  EXPECT_EQ(snapshot->reload_refused, 1u);
  ASSERT_TRUE(Run([&] { return StateOf(0) == PGST_STATE_UP; }));
  poller->Configure(settings);
  snapshot = poller->TakeSnapshot();
  EXPECT_EQ(snapshot->reloads, 2u);
  EXPECT_EQ(snapshot->reload_refused, 0u);
}

TEST_F(PollerTest, LocalityThatDoesNotCountIsToldOnce) {
  settings.local.dc = "east";
  Start(Place(server));
  poller->Configure(settings);
  settings.local.geo = "europe";
  poller->Configure(settings);
  settings.local.dc = "";
  poller->Configure(settings);
  settings.local.geo = "";
  poller->Configure(settings);
  Run([] { return true; });
  EXPECT_EQ(log,
            "near hosts are not preferred by dc\nnear hosts are not preferred by dc and geo\n"
            "near hosts are not preferred by geo\n");
}

// One node is no majority, nor are two.
TEST_F(PollerTest, AFenceThatCannotWorkIsToldOnce) {
  settings.fence = true;
  Start(Place(server));
  const std::string warning = "pg_status.fence cannot work: there are too few nodes with a vote\n";
  ASSERT_TRUE(Run([&] { return log.find(warning) != std::string::npos; }));
  const std::size_t asked = server.queries();
  ASSERT_TRUE(Run([&] { return server.queries() >= asked + 3; }));
  EXPECT_EQ(log.find(warning), log.rfind(warning));

  settings.fence = false;
  poller->Configure(settings);
  const std::size_t asked_again = server.queries();
  ASSERT_TRUE(Run([&] { return server.queries() >= asked_again + 3; }));
  settings.fence = true;
  poller->Configure(settings);
  EXPECT_TRUE(Run([&] { return log.find(warning) != log.rfind(warning); })) << "it is news again";
}

// Whatever it is that comes again and again, the server's log is not filled.
TEST_F(PollerTest, TheLogIsBounded) {
  Start(Place(server));
  const auto complain = [&] {
    for (const char* dc : {"east", ""}) {
      settings.local.dc = dc;
      poller->Configure(settings);
    }
  };
  for (int i = 0; i < 600; ++i) complain();
  Run([] { return true; });
  const auto lines = std::count(log.begin(), log.end(), '\n');
  EXPECT_GE(lines, 500);
  EXPECT_LT(lines, 600);
  EXPECT_TRUE(Run([&] {
    complain();
    return log.find("lines were not logged, because there were too many") != std::string::npos;
  }));
}

TEST_F(PollerTest, ItEndsDuringAPoll) {
  server.on_query = [](ScriptedServer::Session&) {};
  Start(Place(server));
  ASSERT_TRUE(Run([&] { return server.queries() > 0; }));
  poller.reset();
  EXPECT_TRUE(RunUntil({&server}, [&] { return server.open_sessions() == 0; }));
}

}  // namespace
}  // namespace pg_status
