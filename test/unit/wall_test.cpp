// The wall, called as the C side calls it: that each function converts what it is given, that a
// refusal names what is wrong, and that nothing which is thrown behind it comes through.
#include "wall.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "answer/check_scene.hpp"
#include "loop/event_loop.hpp"
#include "loop/scene.hpp"

namespace pg_status {
namespace {

// ---- settings ---------------------------------------------------------------------------------

PgstStatus CheckFourHosts(const char* text, PgstMessage* why) {
  return pgst_check_hosts(text, 4, why);
}

TEST(WallSettings, AreChecked) {
  const struct {
    PgstStatus (*check)(const char* text, PgstMessage* why);
    const char* good;
    const char* bad;
    const char* why;
  } kCases[] = {
      {CheckFourHosts, "a, b:5433 dc=east", "a, b dc",
       "Entry \"b dc\" has no value for the attribute dc."},
      {CheckFourHosts, "a, b, c, d", "a, b, c, d, e",
       "Entry \"e\" is one too many: pg_status.max_hosts allows 4."},
      {CheckFourHosts, "", "a, a:5432",
       "Entry \"a:5432\" is the same host and port as entry \"a\"."},
      {pgst_check_conninfo, "user=monitor dbname=postgres", "host=elsewhere",
       "\"host\" cannot be set there; hosts are listed in pg_status.hosts."},
      {pgst_check_listen_addresses, "localhost, 192.0.2.1, ::1", "db1",
       "Entry \"db1\" is not an IP address, \"localhost\" or \"*\"."},
      {pgst_check_networks, "10.0.0.0/8, ::1", "10.0.0.0/33",
       "Entry \"10.0.0.0/33\" must have a prefix length from 0 to 32."},
      {pgst_check_label, "east", "ea\nst",
       "\"ea st\" has a blank, a comma, a control character or bytes that are not UTF-8 in it."},
  };
  for (const auto& c : kCases) {
    PgstMessage why{};
    EXPECT_EQ(c.check(c.good, &why), PGST_OK) << c.good << why.text;
    EXPECT_STREQ(why.text, "") << c.good;
    EXPECT_EQ(c.check(c.bad, &why), PGST_INVALID) << c.bad;
    EXPECT_STREQ(why.text, c.why) << c.bad;
    EXPECT_EQ(c.check(c.bad, nullptr), PGST_INVALID) << "nobody wants to know why";
  }
}

TEST(WallSettings, Numbers) {
  std::uint64_t value = 7;
  EXPECT_FALSE(pgst_parse_uint64("1x", &value));
  EXPECT_EQ(value, 7u);
  EXPECT_TRUE(pgst_parse_uint64("18446744073709551615", &value));
  EXPECT_EQ(value, UINT64_MAX);
}

TEST(WallOrders, AreWrittenAndReadAgain) {
  PgstOrder order{};
  std::strcpy(order.host, "db1");
  std::strcpy(order.hostname, "10.0.0.1");
  order.port = 5432;
  order.maintenance = PGST_MAINT;
  EXPECT_TRUE(pgst_set_reason(&order, "two\nlines"));
  EXPECT_STREQ(order.reason, "two lines");
  char line[PGST_ORDER_LINE_SIZE];
  pgst_write_order(&order, line);
  EXPECT_STREQ(line, "maint there plain 0 db1 10.0.0.1 5432 two lines\n");

  PgstOrder read[2] = {};
  std::uint32_t count = 7;
  PgstMessage why;
  EXPECT_EQ(pgst_parse_orders(line, 2, read, &count, &why), PGST_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_STREQ(read[0].reason, "two lines");
  EXPECT_EQ(pgst_parse_orders("nonsense\n", 2, read, &count, &why), PGST_INVALID);
  EXPECT_STREQ(why.text, "Line 1 is no order.");
  EXPECT_EQ(count, 0u);

  EXPECT_FALSE(pgst_set_reason(&order, std::string(PGST_REASON_SIZE, 'r').c_str()));
  EXPECT_TRUE(pgst_set_reason(&order, std::string(PGST_REASON_SIZE - 1, 'r').c_str()));
}

TEST(WallClock, IsTheClockOfTheLoop) {
  const MonoUs before = EventLoop::Now();
  const std::int64_t now = pgst_monotonic_us();
  EXPECT_LE(before, now);
  EXPECT_LE(now, EventLoop::Now());
}

// ---- poller -----------------------------------------------------------------------------------

// What the worker does with a poller or a listener: waits for its descriptor, calls step.
template <typename Object, int (*Fd)(const Object*), int (*Timeout)(Object*),
          PgstStatus (*StepOnce)(Object*, PgstMessage*)>
class Worked : public Part {
 public:
  explicit Worked(Object* object) : object_(object) {}
  void Watch(std::vector<pollfd>& fds) override { fds.push_back({Fd(object_), POLLIN, 0}); }
  int timeout_ms() override { return Timeout(object_); }
  void Step() override {
    PgstMessage why{};
    const PgstStatus now = StepOnce(object_, &why);
    if (now == PGST_OK) return;
    status = now;
    said = why.text;
  }

  PgstStatus status = PGST_OK;  // the last that was not
  std::string said;

 private:
  Object* object_;
};

template <typename Object>
std::string TakeLog(Object* object, bool (*take)(Object*, PgstLogLine*), bool* warned = nullptr) {
  std::string log;
  PgstLogLine line{};
  while (take(object, &line)) {
    log += std::string(line.message) + "|" + line.detail + "|" + line.hint + "\n";
    if (warned != nullptr) *warned = line.warning;
  }
  return log;
}

class WallPoller : public testing::Test {
 protected:
  WallPoller() {
    settings.conninfo = "dbname=postgres user=monitor";
    settings.application_name = "pg_status";
    settings.dc = "east";
    settings.geo = "";
    settings.max_hosts = 4;
    settings.poll_interval_ms = 50;
    settings.fast_poll_interval_ms = 20;
    settings.poll_timeout_ms = 2000;
    settings.conn_max_age_ms = 60000;
    settings.max_fails = 3;
    settings.sync_max_lag_ms = 1234;
    settings.sync_max_lag_bytes = 5678;
    UseHosts("127.0.0.1:" + std::to_string(server.port()));
  }
  ~WallPoller() override { pgst_poller_free(poller); }

  void UseHosts(const std::string& text) {
    hosts = text;
    settings.hosts = hosts.c_str();
  }

  std::string hosts;
  PgstPollerSettings settings{};
  ScriptedServer server;
  PgstPoller* poller = nullptr;
  PgstMessage why{};
};

TEST_F(WallPoller, PublishesWhatItsSettingsSay) {
  ASSERT_EQ(pgst_poller_new(&settings, &poller, &why), PGST_OK) << why.text;
  Worked<PgstPoller, pgst_poller_fd, pgst_poller_timeout_ms, pgst_poller_step> worker(poller);
  const PgstSnapshot* snapshot = nullptr;
  const auto ready = [&] {
    if (const PgstSnapshot* news = pgst_poller_take_snapshot(poller)) snapshot = news;
    return snapshot != nullptr && snapshot->ready != 0;
  };
  ASSERT_TRUE(RunUntil({&worker, &server}, ready)) << worker.said;
  EXPECT_EQ(snapshot->max_hosts, 4u);
  EXPECT_EQ(snapshot->host_count, 1u);
  EXPECT_EQ(snapshot->primary, 0);
  EXPECT_EQ(snapshot->sync_max_lag_ms, 1234u);
  EXPECT_EQ(snapshot->sync_max_lag_bytes, 5678u);
  EXPECT_STREQ(snapshot->dc, "east");
  EXPECT_EQ(snapshot->reloads, 0u);
  EXPECT_EQ(pgst_poller_take_snapshot(poller), nullptr) << "no news";

  bool warned = false;
  EXPECT_EQ(TakeLog(poller, pgst_poller_take_log, &warned),
            "near hosts are not preferred by dc|It counts only when this node and every host have "
            "one.|Set pg_status.dc, and give each entry of pg_status.hosts one.\n"
            "host \"" +
                hosts + "\" is up: primary, timeline 3||\nprimary is \"" + hosts + "\"||\n");
  EXPECT_FALSE(warned) << "the last line is good news";

  const std::size_t asked = server.queries();
  pgst_poller_probe_now(poller);
  EXPECT_TRUE(RunUntil({&worker, &server}, [&] { return server.queries() > asked; }));
}

TEST_F(WallPoller, ARefusedSettingLeavesNoneBehind) {
  settings.conninfo = "host=elsewhere";
  EXPECT_EQ(pgst_poller_new(&settings, &poller, &why), PGST_INVALID);
  EXPECT_EQ(poller, nullptr);
  EXPECT_STREQ(why.text,
               "In pg_status.conninfo: \"host\" cannot be set there; hosts are listed in "
               "pg_status.hosts.");
}

TEST_F(WallPoller, ARefusedReloadIsToldAndTheOldSettingsStay) {
  ASSERT_EQ(pgst_poller_new(&settings, &poller, &why), PGST_OK) << why.text;
  UseHosts("a, b, c, d, e");
  EXPECT_EQ(pgst_poller_configure(poller, &settings, &why), PGST_INVALID);
  EXPECT_STREQ(why.text,
               "In pg_status.hosts: entry \"e\" is one too many: pg_status.max_hosts allows 4.");
  const PgstSnapshot* snapshot = pgst_poller_take_snapshot(poller);
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->host_count, 1u);
  EXPECT_EQ(snapshot->reloads, 1u);
  EXPECT_EQ(snapshot->reload_refused, 1u);

  UseHosts("192.0.2.1, 192.0.2.2");
  EXPECT_EQ(pgst_poller_configure(poller, &settings, &why), PGST_OK);
  snapshot = pgst_poller_take_snapshot(poller);
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->host_count, 2u);
  EXPECT_EQ(snapshot->reloads, 2u);
  EXPECT_EQ(snapshot->reload_refused, 0u);
}

TEST_F(WallPoller, EventsComeOverTheWall) {
  ASSERT_EQ(pgst_poller_new(&settings, &poller, &why), PGST_OK) << why.text;
  PgstEvent event{};
  EXPECT_FALSE(pgst_poller_take_event(poller, &event));
  Worked<PgstPoller, pgst_poller_fd, pgst_poller_timeout_ms, pgst_poller_step> worker(poller);
  ASSERT_TRUE(RunUntil({&worker, &server}, [&] { return pgst_poller_take_event(poller, &event); }));
  EXPECT_STREQ(event.host, hosts.c_str());
  EXPECT_STREQ(event.kind, "state");
  EXPECT_STREQ(event.new_value, "up");

  const PgstSnapshot* published = pgst_poller_take_snapshot(poller);
  ASSERT_NE(published, nullptr);
  PgstPoller* next = nullptr;
  ASSERT_EQ(pgst_poller_new(&settings, &next, &why), PGST_OK) << why.text;
  pgst_poller_inherit(next, published);
  Worked<PgstPoller, pgst_poller_fd, pgst_poller_timeout_ms, pgst_poller_step> successor(next);
  const PgstSnapshot* snapshot = nullptr;
  EXPECT_TRUE(RunUntil({&successor, &server}, [&] {
    if (const PgstSnapshot* news = pgst_poller_take_snapshot(next)) snapshot = news;
    return snapshot != nullptr && snapshot->ready != 0;
  }));
  EXPECT_FALSE(pgst_poller_take_event(next, &event)) << event.kind << event.new_value;
  pgst_poller_free(next);
}

// What the C side passes on from SQL: probes at once, counters from zero, operators' orders.
TEST_F(WallPoller, OrdersOfSqlComeOverTheWall) {
  UseHosts("127.0.0.1:" + std::to_string(server.port()) + " name=db1");
  ASSERT_EQ(pgst_poller_new(&settings, &poller, &why), PGST_OK) << why.text;
  Worked<PgstPoller, pgst_poller_fd, pgst_poller_timeout_ms, pgst_poller_step> worker(poller);
  const PgstSnapshot* snapshot = nullptr;
  const auto publishes = [&](auto wanted) {
    return RunUntil({&worker, &server}, [&] {
      if (const PgstSnapshot* news = pgst_poller_take_snapshot(poller)) snapshot = news;
      return snapshot != nullptr && wanted(*snapshot);
    });
  };
  ASSERT_TRUE(publishes([](const PgstSnapshot& now) { return now.ready != 0; })) << worker.said;
  const std::size_t asked = server.queries();
  pgst_poller_probe_host(poller, 0);
  pgst_poller_probe_host(poller, 77);  // no such host: nothing happens
  EXPECT_TRUE(RunUntil({&worker, &server}, [&] { return server.queries() > asked; }));

  PgstOrder order{};
  std::strcpy(order.host, "db1");
  std::strcpy(order.hostname, "127.0.0.1");
  order.port = server.port();
  order.maintenance = PGST_MAINT;
  ASSERT_EQ(pgst_poller_set_orders(poller, &order, 1, 5, &why), PGST_OK) << why.text;
  EXPECT_TRUE(
      publishes([](const PgstSnapshot& now) { return now.hosts[0].maintenance == PGST_MAINT; }));

  std::vector<PgstLagHistory> lags(settings.max_hosts);
  pgst_note_lags(lags.data(), snapshot);
  EXPECT_STREQ(lags[0].host, "db1");
  EXPECT_STREQ(lags[1].host, "");

  const std::uint64_t counted = snapshot->hosts[0].tally.succeeded;
  ASSERT_GT(counted, 0u);
  pgst_poller_reset_tally(poller, 0);
  EXPECT_TRUE(
      publishes([&](const PgstSnapshot& now) { return now.hosts[0].tally.succeeded < counted; }));
}

// ---- listener ---------------------------------------------------------------------------------

// The server as the listener asks it. Plain functions have no other place to look at.
struct FakeServer {
  PgstNodeState state = PGST_NODE_PRIMARY;
  std::uint64_t cursor = 0;
  std::vector<std::uint32_t> handed_out;
  bool busy = false;  // the poller is at what the page shows
  std::function<void()> before_move;
  std::function<void()> on_node_state;
  std::function<void()> on_node_facts;
};
FakeServer* fake = nullptr;

PgstNodeState FakeState() {
  if (fake->on_node_state) fake->on_node_state();
  return fake->state;
}
void FakeFacts(PgstNodeFacts* facts) {
  if (fake->on_node_facts) fake->on_node_facts();
  facts->state = fake->state;
}
std::uint64_t FakeCursor() { return fake->cursor; }
bool FakeMove(std::uint64_t from, std::uint64_t to) {
  if (fake->before_move) fake->before_move();
  if (fake->cursor != from) return false;
  fake->cursor = to;
  return true;
}
void FakeHandedOut(std::uint32_t host) { fake->handed_out.push_back(host); }
// The newest one only, and one history; neither while the poller is at it.
int FakeEvents(PgstEvent* copy, int most) {
  if (fake->busy) return -1;
  if (most < 1) return 0;
  copy[0] = PgstEvent{};
  copy[0].seq = 7;
  pg_status::CopyFixedText(copy[0].kind, "quorum");
  return 1;
}
bool FakeLags(PgstLagHistory* copy, std::uint32_t count) {
  if (fake->busy) return false;
  for (std::uint32_t i = 0; i < count; ++i) copy[i] = PgstLagHistory{};
  return true;
}
constexpr PgstServerCalls kCalls = {FakeState,     FakeFacts,  FakeCursor, FakeMove,
                                    FakeHandedOut, FakeEvents, FakeLags};

class WallListener : public testing::Test {
 protected:
  WallListener() {
    fake = &server;
    settings.listen_addresses = "127.0.0.1";
    settings.allow = "127.0.0.0/8";
    settings.port = FreePort();
    settings.http_port = FreePort();
    settings.check_port = FreePort();
    settings.max_clients = 8;
    settings.client_timeout_ms = 5000;
  }
  ~WallListener() override {
    pgst_listener_free(listener);
    fake = nullptr;
  }

  void Open() {
    ASSERT_EQ(pgst_listener_new(&settings, &kCalls, &listener, &why), PGST_OK) << why.text;
    worker = std::make_unique<Work>(listener);
  }
  // What a client hears who says that at this port.
  std::string Ask(std::int32_t port, const std::string& says) {
    Visitor visitor(static_cast<std::uint16_t>(port), says);
    RunUntil({worker.get(), &visitor}, [&] { return !visitor.end().empty(); });
    return visitor.heard();
  }
  std::string Line(std::int32_t port, const std::string& command) {
    return Ask(port, command + "\n");
  }

  using Work = Worked<PgstListener, pgst_listener_fd, pgst_listener_timeout_ms, pgst_listener_step>;
  FakeServer server;
  PgstListenerSettings settings{};
  PgstListener* listener = nullptr;
  std::unique_ptr<Work> worker;
  PgstMessage why{};
};

TEST_F(WallListener, EachPortIsWhereItsSettingSays) {
  Open();
  EXPECT_EQ(Ask(settings.port, ""), "MASTER\n");
  EXPECT_EQ(Line(settings.http_port, "live"), "OK\n");
  EXPECT_EQ(Line(settings.http_port, "master"), "error not ready\n");
  EXPECT_EQ(Line(settings.check_port, "agent").substr(0, 2), "up");
  const std::string log = TakeLog(listener, pgst_listener_take_log);
  EXPECT_NE(log.find(std::to_string(settings.check_port)), std::string::npos) << log;
}

TEST_F(WallListener, WhoWaitsIsAnsweredWhenTheGenerationIsAnotherOne) {
  CheckScene scene = CheckScene::OnPrimary();
  Open();
  scene.snapshot().made_mono = EventLoop::Now();
  pgst_listener_set_snapshot(listener, &scene.snapshot(), EventLoop::Now());
  pgst_listener_set_generation(listener, 7);
  Visitor waiting(static_cast<std::uint16_t>(settings.http_port), "hosts?wait=60&generation=7\n");
  EXPECT_EQ(Line(settings.http_port, "hosts?wait=60&generation=6").substr(0, 5), "host ");
  EXPECT_EQ(Line(settings.http_port, "live"), "OK\n") << "others are served meanwhile";
  EXPECT_EQ(waiting.heard(), "");
  pgst_listener_set_generation(listener, 8);
  ASSERT_TRUE(RunUntil({worker.get(), &waiting}, [&] { return !waiting.end().empty(); }));
  EXPECT_EQ(waiting.heard().substr(0, 5), "host ");
}

TEST_F(WallListener, ThePageIsGivenWhatTheServerHasForIt) {
  CheckScene scene = CheckScene::OnPrimary();
  Open();
  scene.snapshot().made_mono = EventLoop::Now();
  pgst_listener_set_snapshot(listener, &scene.snapshot(), EventLoop::Now());
  pgst_listener_set_generation(listener, 7);
  const std::string request = "GET /ui/data HTTP/1.0\r\n\r\n";
  const std::string events = R"("events":[{"seq":7,)";
  EXPECT_NE(Ask(settings.check_port, request).find(events), std::string::npos);
  server.busy = true;
  const std::string answer = Ask(settings.check_port, request);
  EXPECT_NE(answer.find(R"("lag":null,"events":null})"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("generation":0,)"), std::string::npos) << answer;
}

// As where another process moves the shared cursor between our look at it and our move.
TEST_F(WallListener, WhoIsTakenOutByAnOrderSaysSo) {
  Open();
  PgstOrder order{};
  std::strcpy(order.host, "db1");
  order.self = 1;
  order.forced = 1;
  order.maintenance = PGST_MAINT;
  pgst_listener_set_orders(listener, &order, 1);
  EXPECT_EQ(Ask(settings.port, ""), "MAINT\n");
  pgst_listener_set_orders(listener, nullptr, 0);
  EXPECT_EQ(Ask(settings.port, ""), "MASTER\n");
}

TEST_F(WallListener, ATurnThatSomebodyElseTookIsTakenAnew) {
  CheckScene scene = CheckScene::OnPrimary();
  Open();
  pgst_listener_set_snapshot(listener, &scene.snapshot(), EventLoop::Now());
  scene.snapshot().made_mono = EventLoop::Now();
  EXPECT_EQ(Line(settings.http_port, "replica"), "b\n");
  server.before_move = [&] {
    server.before_move = nullptr;
    PgstWish wish{};
    wish.route = PGST_ROUTE_REPLICA;
    const MonoUs now = EventLoop::Now();
    const PgstChoice choice = pgst_choose(&scene.snapshot(), &wish, server.cursor, now, now);
    EXPECT_EQ(choice.host, 2);
    server.cursor = choice.next_cursor;
  };
  EXPECT_EQ(Line(settings.http_port, "replica"), "b\n") << "the other one got c";
  EXPECT_FALSE(server.before_move);
  EXPECT_EQ(Line(settings.http_port, "replica"), "c\n");
  EXPECT_EQ(server.handed_out, (std::vector<std::uint32_t>{1, 1, 2})) << "each answer counts once";
}

TEST_F(WallListener, ARefusedReloadLeavesThePortsOpen) {
  Open();
  settings.allow = "nobody";
  EXPECT_EQ(pgst_listener_configure(listener, &settings, &why), PGST_INVALID);
  EXPECT_EQ(std::string(why.text).substr(0, 20), "In pg_status.allow: ");
  settings.allow = "";
  settings.listen_addresses = "nowhere";
  EXPECT_EQ(pgst_listener_configure(listener, &settings, &why), PGST_INVALID);
  EXPECT_EQ(std::string(why.text).substr(0, 31), "In pg_status.listen_addresses: ");
  EXPECT_EQ(Ask(settings.port, ""), "MASTER\n");

  settings.listen_addresses = "127.0.0.1";
  settings.allow = "192.0.2.1";
  EXPECT_EQ(pgst_listener_configure(listener, &settings, &why), PGST_OK);
  EXPECT_STREQ(why.text, "");
  EXPECT_EQ(Ask(settings.port, ""), "") << "we are not allowed any more";
}

TEST_F(WallListener, ARefusedSettingLeavesNoneBehind) {
  settings.allow = "nobody";
  EXPECT_EQ(pgst_listener_new(&settings, &kCalls, &listener, &why), PGST_INVALID);
  EXPECT_EQ(listener, nullptr);
}

// A client whose answer could not be finished is let go; the next one is answered.
TEST_F(WallListener, WhatIsThrownInAStepBecomesAStatus) {
  Open();
  server.on_node_facts = [] { throw std::bad_alloc(); };
  EXPECT_EQ(Line(settings.check_port, "primary"), "");
  EXPECT_EQ(worker->status, PGST_OUT_OF_MEMORY);
  EXPECT_EQ(worker->said, "out of memory");
  server.on_node_facts = nullptr;
  EXPECT_NE(Line(settings.check_port, "primary"), "");
}

// The server's functions do not throw; here they stand for whatever might.
TEST_F(WallListener, WhatNobodyForesawIsToldAsFarAsItIsKnown) {
  settings.fence = true;  // so that each step asks for the state
  Open();
  server.on_node_state = [] { throw std::runtime_error("what happened"); };
  EXPECT_EQ(pgst_listener_step(listener, &why), PGST_FAILED);
  EXPECT_STREQ(why.text, "what happened");
  server.on_node_state = [] { throw 1; };
  EXPECT_EQ(pgst_listener_step(listener, &why), PGST_FAILED);
  EXPECT_STREQ(why.text, "an unknown exception");
  server.on_node_state = nullptr;
  EXPECT_EQ(pgst_listener_step(listener, &why), PGST_OK);
  EXPECT_STREQ(why.text, "");
}

// ---- choosing, and this server in SQL ---------------------------------------------------------

class WallView : public testing::Test {
 protected:
  // As if the snapshot had been made just now, on the clock that the wall reads.
  WallView() {
    scene.snapshot().made_mono = now;
    node.state = PGST_NODE_STANDBY;
    node.timeline = 3;
    node.server_version = 150007;
    node.replayed = CheckScene::kNewest - 100;
    node.received = CheckScene::kNewest;
    node.latest_end = CheckScene::kNewest;
    node.has_receiver = true;
    node.streaming = true;
    view = PgstView{&scene.snapshot(), &node, now, false, nullptr, 0};
  }
  std::string AgentLine(const char* command) {
    char line[PGST_AGENT_LINE_SIZE];
    pgst_agent_line(&view, command, line);
    return line;
  }

  CheckScene scene = CheckScene::OnReplica();
  PgstNodeFacts node{};
  PgstView view{};
  MonoUs now = EventLoop::Now();
};

TEST_F(WallView, ChoosesAsTheSnapshotAllows) {
  PgstWish wish{};
  PgstChoice choice = pgst_choose(&scene.snapshot(), &wish, 5, now, now);
  EXPECT_EQ(choice.host, 0);
  EXPECT_EQ(choice.next_cursor, 5u) << "there is but one primary";

  wish.route = PGST_ROUTE_REPLICA;
  choice = pgst_choose(&scene.snapshot(), &wish, 5, now, now);
  EXPECT_GE(choice.host, 1);
  EXPECT_NE(choice.next_cursor, 5u);

  scene.host(1).lag_ms = 10;
  scene.host(1).lag_bytes = 0;
  scene.host(2).lag_ms = 0;
  scene.host(2).lag_bytes = 10;
  wish.has_lag_ms = true;
  wish.lag_ms = 5;
  wish.route = PGST_ROUTE_SYNC_BY_TIME;
  EXPECT_EQ(pgst_choose(&scene.snapshot(), &wish, 0, now, now).host, 2);
  wish.has_lag_bytes = true;
  wish.lag_bytes = 5;
  wish.route = PGST_ROUTE_SYNC_BY_BYTES;
  EXPECT_EQ(pgst_choose(&scene.snapshot(), &wish, 0, now, now).host, 1);
}

TEST_F(WallView, APositionMayHaveItsTimeline) {
  PgstWish wish{};
  wish.route = PGST_ROUTE_REPLICA;
  wish.min_lsn = CheckScene::kNewest;
  EXPECT_GE(pgst_choose(&scene.snapshot(), &wish, 0, now, now).host, 1);
  wish.min_lsn_timeline = 3;
  EXPECT_GE(pgst_choose(&scene.snapshot(), &wish, 0, now, now).host, 1);
  wish.min_lsn_timeline = 2;
  EXPECT_EQ(pgst_choose(&scene.snapshot(), &wish, 0, now, now).host, -1) << "nothing is known of 2";
}

TEST_F(WallView, NothingIsChosenFromWhatIsTooOld) {
  EXPECT_TRUE(pgst_is_fresh(&scene.snapshot(), now, now));
  EXPECT_FALSE(pgst_is_fresh(&scene.snapshot(), 0, now));
  EXPECT_FALSE(pgst_is_fresh(&scene.snapshot(), now, now + CheckScene::kStaleAfter + 1));
  const PgstWish wish{};
  const PgstChoice choice = pgst_choose(&scene.snapshot(), &wish, 5, 0, now);
  EXPECT_EQ(choice.host, -1);
  EXPECT_EQ(choice.next_cursor, 5u);
}

TEST_F(WallView, SaysWhatTheCheckPortWouldSay) {
  EXPECT_EQ(pgst_check_code(&view, "/replica"), 200);
  EXPECT_EQ(pgst_check_code(&view, "primary"), 503);
  EXPECT_EQ(pgst_check_code(&view, "nothing of the kind"), 404);
  EXPECT_EQ(AgentLine("replica").substr(0, 2), "up");
  EXPECT_EQ(AgentLine("replica").find('\n'), std::string::npos);
  EXPECT_NE(AgentLine("primary").substr(0, 2), "up");

  std::uint64_t lag = 0;
  EXPECT_TRUE(pgst_own_lag_bytes(&view, &lag));
  EXPECT_EQ(lag, 100u);
  node.replayed = 0;
  EXPECT_FALSE(pgst_own_lag_bytes(&view, &lag));
}

TEST_F(WallView, TellsWhetherThisServerIsInMaintenance) {
  EXPECT_FALSE(pgst_in_maintenance(&view));
  PgstOrder order{};
  order.maintenance = PGST_MAINT;
  order.self = 1;
  view.orders = &order;
  view.order_count = 1;
  EXPECT_TRUE(pgst_in_maintenance(&view));
  EXPECT_EQ(AgentLine("agent?role=replica"), "up maint # maintenance");
}

TEST_F(WallView, TellsOfTheMajority) {
  scene.snapshot().voters = 3;
  scene.snapshot().voters_in_sight = 1;
  view.fence = true;
  PgstMajority majority{};
  pgst_majority(&view, &majority);
  EXPECT_TRUE(majority.known);
  EXPECT_TRUE(majority.possible);
  EXPECT_FALSE(majority.in_sight);
  EXPECT_FALSE(majority.fenced) << "only a primary is";
  EXPECT_EQ(majority.fence_cause, PGST_FENCE_NONE);
  EXPECT_EQ(majority.voters, 3u);
  EXPECT_EQ(majority.voters_in_sight, 1u);
  EXPECT_EQ(majority.majority, 2u);

  node.state = PGST_NODE_PRIMARY;
  node.system_identifier = scene.snapshot().system_identifier;
  pgst_majority(&view, &majority);
  EXPECT_TRUE(majority.fenced);
  EXPECT_EQ(majority.fence_cause, PGST_FENCE_NO_MAJORITY);
  scene.snapshot().voters_in_sight = 3;
  pgst_majority(&view, &majority);
  EXPECT_TRUE(majority.fenced);
  EXPECT_EQ(majority.fence_cause, PGST_FENCE_SUCCESSOR) << "it names another one";
  scene.snapshot().made_mono -= CheckScene::kStaleAfter + kUsPerSecond;
  pgst_majority(&view, &majority);
  EXPECT_FALSE(majority.known);
}

TEST_F(WallView, TellsItsOpinionsWhileTheyAreFresh) {
  char text[PGST_OPINIONS_SIZE];
  pgst_opinions(&scene.snapshot(), EventLoop::Now(), text);
  EXPECT_NE(std::string(text), "");
  pgst_opinions(&scene.snapshot(), 0, text);
  EXPECT_STREQ(text, "");
}

// ---------------------------------------------------------------- what only the inside knows

std::string Written(const PgstServerFacts& facts) {
  char text[PGST_FACTS_SIZE];
  pgst_write_facts(&facts, text);
  return text;
}

TEST(WallFacts, AreWrittenAsTheOthersReadThem) {
  PgstServerFacts facts{};
  facts.upstream_host = facts.receiver_conninfo = facts.receiver_slot = facts.address = "";
  facts.receiver_fallback = "walreceiver";
  EXPECT_EQ(Written(facts), "facts 1\n") << "nothing is known";

  const std::string file = "1\t0/5000000\tno recovery target specified\n";
  facts.timeline = 2;
  facts.has_history = pgst_parse_history(file.data(), file.size(), 2, &facts.history);
  facts.has_receiver = true;
  facts.receiver = PGST_RECEIVER_STREAMING;
  facts.upstream_host = "10.0.0.1";
  facts.upstream_port = 5432;
  facts.receiver_conninfo =
      "host=10.0.0.1 port=5432 application_name=db2 fallback_application_name=walreceiver";
  facts.receiver_slot = "db2_slot";
  facts.promoting_since_wall = 1700000000250000;
  facts.oldest_wal = 0x3000000;
  facts.has_read_only = true;
  facts.address = "10.0.0.2";
  EXPECT_EQ(Written(facts),
            "facts 1\ntimeline 2\nhistory 1\nfork 1 0/5000000\nreceiver streaming\n"
            "upstream 10.0.0.1 5432\nname db2\nslot db2_slot\npromoting 1700000000250000\n"
            "oldest_wal 0/3000000\nread_only off\naddress 10.0.0.2\n");
}

TEST(WallFacts, OfManyForksAreTheNewest) {
  std::string file;
  for (int i = 1; i < 1000; ++i) file += std::to_string(i) + "\t0/" + std::to_string(i) + "\tx\n";
  PgstHistory history{};
  ASSERT_TRUE(pgst_parse_history(file.data(), file.size(), 1000, &history));
  EXPECT_EQ(history.fork_count, static_cast<std::uint32_t>(PGST_MAX_FORKS));
  EXPECT_EQ(history.from, 1000U - PGST_MAX_FORKS);
  EXPECT_EQ(history.forks[0].timeline, history.from);
  EXPECT_EQ(history.forks[PGST_MAX_FORKS - 1].timeline, 999U);
  EXPECT_FALSE(pgst_parse_history(file.data(), file.size() - 3, 1000, &history)) << "cut short";
}

}  // namespace
}  // namespace pg_status
