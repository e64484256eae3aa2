// Doors, conversations and the drain as the listener puts them together, with real sockets: who is
// let in, who has to wait for nobody, who has to go. What is said belongs to other tests.
#include "loop/listener.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loop/scene.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kGet = "GET /version HTTP/1.1\r\n\r\n";

int Count(const std::string& text, std::string_view part) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++count;
  }
  return count;
}

int StatusOf(const Visitor& visitor) {
  return Count(visitor.heard(), "HTTP/1.1 ") > 0 ? std::stoi(visitor.heard().substr(9, 3)) : 0;
}

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    settings.addresses = ParseListenAddresses("127.0.0.1").value();
    settings.ports = {FreePort(), FreePort(), FreePort()};
  }

  void Open() {
    listener->Configure(settings);
    Run([this] { return OpenDoors() >= 3; });
    ASSERT_GE(OpenDoors(), 3) << Log();
  }
  int OpenDoors() { return Count(Log(), " is open on "); }

  std::uint16_t Number(Port port) const { return settings.ports[static_cast<std::size_t>(port)]; }
  Visitor& Visit(Port port, std::string_view says = "") {
    visitors.push_back(std::make_unique<Visitor>(Number(port), says));
    return *visitors.back();
  }

  // All of them together.
  bool Run(const std::function<bool()>& done) { return RunUntil(Parts(), done); }
  std::vector<Part*> Parts() {
    std::vector<Part*> parts{&running};
    for (const auto& visitor : visitors) parts.push_back(visitor.get());
    return parts;
  }

  bool Ends(const Visitor& visitor) {
    return Run([&] { return !visitor.end().empty(); });
  }

  // What was logged until now.
  const std::string& Log() {
    LogLine line;
    while (listener->TakeLogLine(line)) log += line.message + "\n";
    return log;
  }

  NodeState state = NodeState::kPrimary;
  ListenerSettings settings;
  std::unique_ptr<Listener> listener =
      std::make_unique<Listener>(Server{[this] { return state; },
                                        [] { return NodeFacts(); },
                                        [](const World&, const Wish&) { return Choice(); },
                                        {}},
                                 "1.2.3");
  Running<Listener> running{*listener, &Listener::Step};
  std::list<std::unique_ptr<Visitor>> visitors;
  std::string log;
};

TEST_F(ListenerTest, TheRawPortSaysTheStateOfTheMoment) {
  Open();
  Visitor& first = Visit(Port::kRaw);
  state = NodeState::kStandby;  // after the connection, before the answer
  ASSERT_TRUE(Ends(first));
  EXPECT_EQ(first.heard(), "STANDBY\n");
  EXPECT_EQ(first.end(), "closed");
  state = NodeState::kPrimary;
  Visitor& second = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(second));
  EXPECT_EQ(second.heard(), "MASTER\n");
}

TEST_F(ListenerTest, WhoSpeaksFirstOnTheRawPortGetsNoReset) {
  Open();
  Visitor& visitor = Visit(Port::kRaw, std::string(30000, 'x'));
  ASSERT_TRUE(Ends(visitor));
  EXPECT_EQ(visitor.heard(), "MASTER\n");
  EXPECT_EQ(visitor.end(), "closed");
}

TEST_F(ListenerTest, WhoHoldsTheRawPortIsLetGo) {
  Open();
  Visitor& visitor = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(visitor));  // and does not end its own side
  EXPECT_EQ(listener->clients(), 1u);
  EXPECT_TRUE(Run([&] { return listener->clients() == 0; }));
}

TEST_F(ListenerTest, MoreHoldersThanAllowedMakeTheOldestGo) {
  settings.max_clients = 5;
  Open();
  for (int i = 0; i < 20; ++i) {
    Visitor& visitor = Visit(Port::kRaw);
    ASSERT_TRUE(Ends(visitor));
    EXPECT_EQ(visitor.heard() + visitor.end(), "MASTER\nclosed");
    EXPECT_LE(listener->clients(), 5u);
  }
}

TEST_F(ListenerTest, TheTwoHttpPortsAreDifferentServices) {
  Open();
  Visitor& discovery = Visit(Port::kDiscovery, "GET /version HTTP/1.0\r\n\r\n");
  Visitor& check = Visit(Port::kCheck, "GET /version HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(Ends(discovery) && Ends(check));
  EXPECT_EQ(StatusOf(discovery), 200);
  EXPECT_EQ(StatusOf(check), 404);
}

TEST_F(ListenerTest, WhoIsNotAllowedHearsNothingAndTheLogIsNotFilled) {
  settings.allowed = ParseNetworks("192.0.2.0/24").value();
  Open();
  for (int i = 0; i < 10; ++i) {
    Visitor& visitor = Visit(Port::kRaw);
    ASSERT_TRUE(Ends(visitor));
    EXPECT_EQ(visitor.heard(), "");
  }
  EXPECT_EQ(Count(Log(), "refused"), 1) << Log();
  EXPECT_EQ(Count(Log(), "the last from 127.0.0.1"), 1) << Log();
  EXPECT_EQ(listener->clients(), 0u);
}

TEST_F(ListenerTest, AConversationGoesOnAndAnswersInOrder) {
  Open();
  Visitor& visitor = Visit(Port::kDiscovery);
  for (int i = 1; i <= 3; ++i) {
    visitor.Say(kGet);
    ASSERT_TRUE(Run([&] { return Count(visitor.heard(), "1.2.3") == i; }));
  }
  visitor.Say("GET /nowhere HTTP/1.1\r\n\r\nGET /version HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(Ends(visitor));
  EXPECT_EQ(visitor.end(), "closed");
  const std::string& heard = visitor.heard();
  EXPECT_EQ(Count(heard, "HTTP/1.1 200"), 4);
  EXPECT_LT(heard.find("HTTP/1.1 404"), heard.rfind("HTTP/1.1 200"));
}

TEST_F(ListenerTest, MuchMoreThanASocketHoldsIsAnsweredInFull) {
  Open();
  constexpr int kMany = 20000;
  std::string requests;
  for (int i = 0; i < kMany; ++i) requests += kGet;
  Visitor& visitor = Visit(Port::kDiscovery, requests);
  visitor.SayNoMore();  // when the socket has taken all there is
  Visitor& whole = Visit(Port::kDiscovery, requests);
  EXPECT_TRUE(Run([&] { return Count(whole.heard(), "HTTP/1.1 200") == kMany; }));
}

TEST_F(ListenerTest, WhoEndsItsSideIsStillAnswered) {
  Open();
  Visitor& whole = Visit(Port::kDiscovery, kGet);
  whole.SayNoMore();
  Visitor& half = Visit(Port::kDiscovery, kGet.substr(0, 10));
  half.SayNoMore();
  ASSERT_TRUE(Ends(whole) && Ends(half));
  EXPECT_EQ(StatusOf(whole), 200);
  EXPECT_EQ(half.heard(), "");
}

TEST_F(ListenerTest, AnIdleClientMakesRoomTheIdlestFirst) {
  settings.max_clients = 3;
  Open();
  std::vector<Visitor*> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(&Visit(Port::kDiscovery, kGet));
    ASSERT_TRUE(Run([&] { return StatusOf(*idle.back()) == 200; }));
  }
  idle[0]->Say(kGet);  // now the second has been idle for longest
  ASSERT_TRUE(Run([&] { return Count(idle[0]->heard(), "HTTP/1.1 200") == 2; }));
  Visitor& elsewhere = Visit(Port::kCheck, kGet);
  ASSERT_TRUE(Run([&] { return StatusOf(elsewhere) == 404; }));
  EXPECT_EQ(idle[1]->end(), "") << "the other port has room";
  Visitor& late = Visit(Port::kDiscovery, kGet);
  ASSERT_TRUE(Run([&] { return StatusOf(late) == 200; }));
  ASSERT_TRUE(Ends(*idle[1]));
  EXPECT_EQ(idle[0]->end(), "");
  EXPECT_EQ(idle[2]->end(), "");
}

TEST_F(ListenerTest, WhereNobodyIsIdleTheNewOneIsToldSo) {
  settings.max_clients = 3;
  Open();
  for (int i = 0; i < 3; ++i) Visit(Port::kDiscovery, kGet.substr(0, 10));
  ASSERT_TRUE(Run([&] { return listener->clients() == 3; }));
  Visitor& late = Visit(Port::kDiscovery, kGet);
  ASSERT_TRUE(Ends(late));
  EXPECT_EQ(StatusOf(late), 503);
  EXPECT_EQ(late.end(), "closed");
  Visitor& raw = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(raw));
  EXPECT_EQ(raw.heard(), "MASTER\n") << "the raw port is counted apart";
  visitors.front()->Leave();
  Visitor& later = Visit(Port::kDiscovery, kGet);
  EXPECT_TRUE(Run([&] { return StatusOf(later) != 0; }));
  EXPECT_EQ(StatusOf(later), 200) << "there is room again";
}

TEST_F(ListenerTest, WhoWouldNotBeLetInAnyMoreHasToGo) {
  Open();
  Visitor& here = Visit(Port::kDiscovery, kGet);
  Visitor& there = Visit(Port::kCheck, kGet);
  ASSERT_TRUE(Run([&] { return StatusOf(here) == 200 && StatusOf(there) == 404; }));
  settings.ports[static_cast<std::size_t>(Port::kCheck)] = 0;
  listener->Configure(settings);
  ASSERT_TRUE(Ends(there));
  EXPECT_EQ(here.end(), "");
  settings.allowed = ParseNetworks("192.0.2.0/24").value();
  listener->Configure(settings);
  EXPECT_TRUE(Ends(here));
}

TEST_F(ListenerTest, WhoDoesNotFinishARequestIsCutAndOthersAreNot) {
  settings.client_timeout_us = 300 * kUsPerMs;
  Open();
  Visitor& silent = Visit(Port::kCheck);
  Visitor& slow = Visit(Port::kCheck, "GET");
  Visitor& kept = Visit(Port::kDiscovery, kGet);
  const MonoUs start = EventLoop::Now();
  ASSERT_TRUE(Run([&, said = 0]() mutable {
    if (said < 100) slow.Say(" ");  // it is not merely silent
    ++said;
    return !slow.end().empty();
  }));
  EXPECT_GE(EventLoop::Now() - start, settings.client_timeout_us - 10 * kUsPerMs);
  EXPECT_EQ(slow.heard(), "");
  ASSERT_TRUE(Ends(silent));
  EXPECT_EQ(silent.end(), "closed");
  EXPECT_EQ(kept.end(), "") << "between two requests there is more time";
}

TEST_F(ListenerTest, WhoDoesNotTakeItsAnswersIsCut) {
  settings.client_timeout_us = 300 * kUsPerMs;
  Open();
  std::string requests;
  for (int i = 0; i < 100000; ++i) requests += kGet;
  Visitor& deaf = Visit(Port::kDiscovery);
  deaf.deaf = true;
  deaf.Say(requests);
  Visitor& other = Visit(Port::kDiscovery, kGet);
  ASSERT_TRUE(Run([&] { return StatusOf(other) == 200; }));
  EXPECT_EQ(deaf.end(), "");
  other.Leave();
  EXPECT_TRUE(Run([&] { return listener->clients() == 0; }));
}

TEST_F(ListenerTest, WhoVanishesIsForgotten) {
  Open();
  Visitor& visitor = Visit(Port::kDiscovery, "GET");
  ASSERT_TRUE(Run([&] { return listener->clients() == 1; }));
  visitor.Leave();
  EXPECT_TRUE(Run([&] { return listener->clients() == 0; }));
}

TEST_F(ListenerTest, WhoBreaksOffIsForgotten) {
  Open();
  Visitor& asking = Visit(Port::kDiscovery, "GET");
  Visitor& deaf = Visit(Port::kDiscovery);
  deaf.deaf = true;
  std::string requests;
  for (int i = 0; i < 100000; ++i) requests += kGet;
  deaf.Say(requests);
  ASSERT_TRUE(Run([&] { return listener->clients() == 2; }));
  asking.BreakOff();
  ASSERT_TRUE(Run([&] { return listener->clients() == 1; }));
  deaf.BreakOff();
  EXPECT_TRUE(Run([&] { return listener->clients() == 0; }));
}

TEST_F(ListenerTest, ACrowdThatHasGoneIsForgotten) {
  Open();
  for (int i = 0; i < 100; ++i) Visit(Port::kDiscovery, kGet);
  ASSERT_TRUE(Run([&] { return listener->clients() == 100; }));
  for (const auto& visitor : visitors) visitor->Leave();
  ASSERT_TRUE(Run([&] { return listener->clients() == 0; }));
  Visitor& later = Visit(Port::kDiscovery, kGet);
  EXPECT_TRUE(Run([&] { return StatusOf(later) == 200; }));
}

TEST_F(ListenerTest, APortMovesAndConversationsGoOn) {
  Open();
  Visitor& kept = Visit(Port::kDiscovery, kGet);
  ASSERT_TRUE(Run([&] { return StatusOf(kept) == 200; }));
  Visitor& waiting = Visit(Port::kRaw);  // not yet accepted
  const std::uint16_t former = Number(Port::kRaw);
  settings.ports = {FreePort(), FreePort(), 0};
  listener->Configure(settings);

  ASSERT_TRUE(Ends(waiting));
  EXPECT_EQ(waiting.heard() + waiting.end(), "MASTER\nclosed") << "who waited at the old port";
  EXPECT_EQ(Visitor(former).end(), "refused");
  Visitor& moved = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(moved));
  EXPECT_EQ(moved.heard(), "MASTER\n");
  kept.Say(kGet);
  EXPECT_TRUE(Run([&] { return Count(kept.heard(), "HTTP/1.1 200") == 2; }));
}

TEST_F(ListenerTest, SettingsThatStayDisturbNobody) {
  Open();
  Visitor& waiting = Visit(Port::kRaw);
  listener->Configure(settings);
  ASSERT_TRUE(Ends(waiting));
  EXPECT_EQ(waiting.heard(), "MASTER\n");
  EXPECT_EQ(OpenDoors(), 3) << "none was opened again";
}

TEST_F(ListenerTest, WhileAPortIsTakenTheOldOneStaysAndItIsTriedAgain) {
  Open();
  const std::uint16_t former = Number(Port::kRaw);
  auto taken = std::make_unique<ScriptedServer>();
  settings.ports[static_cast<std::size_t>(Port::kRaw)] = taken->port();
  listener->Configure(settings);
  EXPECT_EQ(Count(Log(), "could not open raw status port"), 1) << Log();
  visitors.push_back(std::make_unique<Visitor>(former));
  Visitor& visitor = *visitors.back();
  ASSERT_TRUE(Ends(visitor));
  EXPECT_EQ(visitor.heard(), "MASTER\n");

  taken.reset();
  ASSERT_TRUE(Run([this] { return OpenDoors() == 4; })) << Log();
  Visitor& moved = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(moved));
  EXPECT_EQ(moved.heard(), "MASTER\n");
  EXPECT_EQ(Visitor(former).end(), "refused");
}

TEST_F(ListenerTest, ManyAtOnceAreAllServed) {
  Open();
  for (int i = 0; i < 100; ++i) {
    Visit(Port::kRaw);
    Visit(Port::kDiscovery, "GET /version HTTP/1.0\r\n\r\n");
  }
  EXPECT_TRUE(Run([&] {
    for (const auto& visitor : visitors) {
      if (visitor->end() != "closed" || visitor->heard().empty()) return false;
    }
    return true;
  }));
}

TEST_F(ListenerTest, ItEndsInTheMiddleOfEverything) {
  Open();
  Visitor& idle = Visit(Port::kDiscovery, kGet);
  Visitor& slow = Visit(Port::kCheck, "GET");
  Visitor& raw = Visit(Port::kRaw);
  ASSERT_TRUE(Run([&] { return StatusOf(idle) == 200 && listener->clients() == 3; }));
  listener.reset();
  for (Visitor* visitor : {&idle, &slow, &raw}) {
    EXPECT_TRUE(RunUntil({visitor}, [&] { return !visitor->end().empty(); }));
  }
}

// ---- what the snapshot says ---------------------------------------------------------------------

TEST_F(ListenerTest, APrimaryThatIsFencedSaysSoToTheLogToo) {
  SnapshotStorage storage(1);
  PgstSnapshot& snapshot = storage.get();
  snapshot.layout = PGST_SNAPSHOT_LAYOUT;
  snapshot.ready = 1;
  snapshot.made_mono = EventLoop::Now();
  snapshot.stale_after = 3600 * kUsPerSecond;
  snapshot.voters = 3;
  snapshot.voters_in_sight = 1;
  settings.fence = true;
  Open();
  listener->SetSnapshot(&snapshot, EventLoop::Now());
  Visitor& fenced = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(fenced));
  EXPECT_EQ(fenced.heard(), "FENCED\n");
  ASSERT_TRUE(Run([&] { return Count(Log(), "this primary says FENCED") == 1; })) << log;

  snapshot.voters_in_sight = 2;
  Visitor& again = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(again));
  EXPECT_EQ(again.heard(), "MASTER\n");
  ASSERT_TRUE(Run([&] { return Count(Log(), "this primary says MASTER again") == 1; })) << log;

  snapshot.voters_in_sight = 1;
  ASSERT_TRUE(Run([&] { return Count(Log(), "this primary says FENCED") == 2; })) << log;
  state = NodeState::kStandby;
  EXPECT_TRUE(Run([&] { return Count(Log(), "this server is no fenced primary any more") == 1; }))
      << log;
}

// ---- what a machine may lack ------------------------------------------------------------------

// As many files as this process has open, and not one more, for as long as this lives.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    MustBe(getrlimit(RLIMIT_NOFILE, &former_) == 0, "getrlimit");
    const int lowest = dup(STDIN_FILENO);
    MustBe(lowest >= 0, "dup");
    close(lowest);
    rlimit none = former_;
    none.rlim_cur = static_cast<rlim_t>(lowest);
    MustBe(setrlimit(RLIMIT_NOFILE, &none) == 0, "setrlimit");
  }
  ~NoMoreFiles() { setrlimit(RLIMIT_NOFILE, &former_); }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;

 private:
  rlimit former_{};
};

TEST_F(ListenerTest, WhereNoDescriptorIsLeftVisitorsWaitForOne) {
  Open();
  Visitor& waiting = Visit(Port::kRaw);
  {
    const NoMoreFiles scarce;
    ASSERT_TRUE(Run([&] { return Count(Log(), "could not accept connections 1 times") == 1; }));
    EXPECT_NE(listener->timeout_ms(), 0) << "it does not run in circles";
    EXPECT_EQ(waiting.heard(), "");
  }
  ASSERT_TRUE(Ends(waiting));
  EXPECT_EQ(waiting.heard() + waiting.end(), "MASTER\nclosed");
}

TEST_F(ListenerTest, APortIsOpenOnIPv6Too) {
  const OwnedFd probe(socket(AF_INET6, SOCK_STREAM, 0));
  sockaddr_in6 place{};
  place.sin6_family = AF_INET6;
  place.sin6_addr = in6addr_loopback;
  if (bind(probe.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) != 0) {
    GTEST_SKIP() << "this machine has no ::1";
  }
  settings.addresses = ParseListenAddresses("127.0.0.1, ::1").value();
  settings.allowed = ParseNetworks("::1").value();
  listener->Configure(settings);
  ASSERT_TRUE(Run([this] { return OpenDoors() == 6; })) << Log();
  Visitor& not_allowed = Visit(Port::kRaw);
  ASSERT_TRUE(Ends(not_allowed));
  EXPECT_EQ(not_allowed.heard(), "");

  const OwnedFd visitor(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  place.sin6_port = htons(Number(Port::kRaw));
  ASSERT_EQ(connect(visitor.get(), reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
  std::string heard(16, '\0');
  ssize_t size = -1;
  ASSERT_TRUE(Run([&] {
    size = recv(visitor.get(), heard.data(), heard.size(), MSG_DONTWAIT);
    return size >= 0;
  }));
  heard.resize(static_cast<std::size_t>(size));
  EXPECT_EQ(heard, "MASTER\n");
}

}  // namespace
}  // namespace pg_status
