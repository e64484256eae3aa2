// Conversations over socket pairs, without doors: turns, the limit of what is unsent, and what is
// counted. What is said belongs to other tests.
#include "loop/conversations.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loop/scene.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\n\r\n";

// Answers everything with the same number of bytes.
class Long : public Service {
 public:
  explicit Long(std::size_t bytes) : bytes_(bytes) {}
  Port port() const override { return Port::kCheck; }
  void AnswerHttp(const Request&, bool, std::string& out) override { out.append(bytes_, 'x'); }
  void AnswerLine(const Request&, std::string& out) override { out.append(bytes_, 'x'); }
  void AnswerBad(int, std::string_view, std::string& out) override { out.append("no"); }

 private:
  std::size_t bytes_;
};

class ConversationsTest : public testing::Test {
 protected:
  ConversationsTest() { conversations.Configure(100, ClientLimits{}, 200 * kUsPerMs); }
  ~ConversationsTest() override {
    for (const int client : clients) {
      if (client >= 0) close(client);
    }
  }

  // A client that has said this by the time it is let in, now or later.
  int Join(Service& service, std::string_view says, std::int64_t later_us = 0) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    EXPECT_EQ(send(pair[0], says.data(), says.size(), 0), static_cast<ssize_t>(says.size()));
    clients.push_back(pair[0]);
    conversations.Add(OwnedFd(pair[1]), service, IpAddress(), EventLoop::Now() + later_us);
    return pair[0];
  }

  // Reads until `bytes` have come or nothing comes any more.
  std::size_t Read(int client, std::size_t bytes) {
    std::size_t all = 0;
    char sink[65536];
    for (int idle = 0; all < bytes && idle < 1000; ++idle) {
      loop.Run();
      for (ssize_t got = 1; got > 0;) {
        got = recv(client, sink, sizeof sink, 0);
        if (got == 0) return all;
        if (got > 0) {
          all += static_cast<std::size_t>(got);
          idle = 0;
        }
      }
    }
    return all;
  }

  EventLoop loop;
  DrainQueue drain;
  Traffic traffic;
  int turns = 0;
  Conversations conversations{
      loop, drain, traffic, [this](MonoUs) { ++turns; }, [](const IpAddress&) {}, [] {}};
  std::vector<int> clients;
};

TEST_F(ConversationsTest, OthersHaveATurnBetweenAnyTwo) {
  Long service(10);
  const int first = Join(service, kGet);
  const int second = Join(service, kGet);
  EXPECT_EQ(turns, 2);
  EXPECT_EQ(Read(first, 10), 10u);
  EXPECT_EQ(Read(second, 10), 10u);
}

TEST_F(ConversationsTest, ALongAnswerTakesManyTurnsAndComesInFull) {
  constexpr std::size_t kBytes = 8000000;
  Long service(kBytes);
  const int client = Join(service, kGet);
  EXPECT_EQ(Read(client, kBytes), kBytes);
  EXPECT_GT(turns, 10);
  EXPECT_EQ(conversations.size(), 1u);
}

TEST_F(ConversationsTest, RequestsThatCameTogetherAreAllAnswered) {
  constexpr int kRequests = 500;
  Long service(1000);
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += kGet;
  const int client = Join(service, requests);
  EXPECT_EQ(Read(client, kRequests * 1000), kRequests * 1000u);
}

// Ten times 8 MB is more than may wait: whoever asked first and does not read has to go.
TEST_F(ConversationsTest, AnswersThatNobodyTakesAreBoundedTogether) {
  constexpr std::size_t kBytes = 8000000;
  Long service(kBytes);
  for (int i = 0; i < 10; ++i) Join(service, kGet);
  EXPECT_EQ(conversations.size(), 4u);
  EXPECT_EQ(traffic.of(Port::kCheck).open, 4u);
  EXPECT_EQ(traffic.of(Port::kCheck).write_failures, 6u);
  EXPECT_EQ(Read(clients.back(), kBytes), kBytes);
  EXPECT_LT(Read(clients.front(), kBytes), kBytes);
}

TEST_F(ConversationsTest, WhoWaitsForNothingDoesNotGoForThem) {
  Long small(10);
  Long service(8000000);
  const int idle = Join(small, kGet);
  EXPECT_EQ(Read(idle, 10), 10u);
  for (int i = 0; i < 10; ++i) Join(service, kGet);
  EXPECT_EQ(conversations.size(), 5u);
  EXPECT_EQ(send(idle, kGet.data(), kGet.size(), 0), static_cast<ssize_t>(kGet.size()));
  EXPECT_EQ(Read(idle, 10), 10u);
}

TEST_F(ConversationsTest, ThoseWhoAreThereAreCounted) {
  Long service(10);
  const int client = Join(service, kGet);
  Join(service, "GE");
  EXPECT_EQ(traffic.of(Port::kCheck).open, 2u);
  EXPECT_EQ(traffic.of(Port::kDiscovery).open, 0u);
  shutdown(client, SHUT_RDWR);
  loop.Run();
  loop.Run();
  EXPECT_EQ(traffic.of(Port::kCheck).open, 1u);
}

// A client that came a moment ago may have a request on its way; one that has been busy for long
// has to go.
TEST_F(ConversationsTest, TheSlowestMakesRoomIfItIsSlow) {
  conversations.Configure(2, ClientLimits{}, 200 * kUsPerMs);
  Long service(10);
  const int first = Join(service, "GE");
  const int second = Join(service, "GE");
  EXPECT_EQ(Read(Join(service, kGet), 100), 2u) << "refused";
  EXPECT_EQ(Read(Join(service, kGet, 2 * kUsPerSecond), 10), 10u);
  EXPECT_EQ(Read(first, 1), 0u);
  char byte = 0;
  EXPECT_EQ(recv(first, &byte, 1, 0), 0) << "it has gone";
  EXPECT_EQ(recv(second, &byte, 1, 0), -1) << "it stays";
  EXPECT_EQ(conversations.size(), 2u);
}

TEST_F(ConversationsTest, WhoseRequestHasComeIsNotIdle) {
  conversations.Configure(2, ClientLimits{}, 200 * kUsPerMs);
  Long service(10);
  const int first = Join(service, kGet);
  const int second = Join(service, kGet);
  EXPECT_EQ(Read(first, 10), 10u);
  EXPECT_EQ(Read(second, 10), 10u);
  EXPECT_EQ(send(first, kGet.data(), kGet.size(), 0), static_cast<ssize_t>(kGet.size()));
  Join(service, kGet);
  EXPECT_EQ(Read(first, 10), 10u) << "it waited for its turn";
  char byte = 0;
  EXPECT_EQ(recv(second, &byte, 1, 0), 0) << "it was idle";
}

// Each port has its own room.
TEST_F(ConversationsTest, ACrowdOnOnePortIsNoneOnAnother) {
  class Elsewhere : public Long {
   public:
    Elsewhere() : Long(7) {}
    Port port() const override { return Port::kDiscovery; }
  };
  conversations.Configure(1, ClientLimits{}, 200 * kUsPerMs);
  Long service(10);
  Elsewhere elsewhere;
  Join(service, "GE");
  EXPECT_EQ(Read(Join(elsewhere, kGet), 7), 7u);
  EXPECT_EQ(conversations.size(), 2u);
}

TEST_F(ConversationsTest, ThoseWhoAreNotWelcomeAnyMoreGo) {
  Long service(10);
  const int client = Join(service, "GE");
  conversations.DropIf([](Port port, const IpAddress&) { return port == Port::kDiscovery; });
  EXPECT_EQ(conversations.size(), 1u);
  conversations.DropIf([](Port port, const IpAddress&) { return port == Port::kCheck; });
  EXPECT_EQ(conversations.size(), 0u);
  char byte = 0;
  EXPECT_EQ(recv(client, &byte, 1, 0), 0);
}

// Without memory for an answer the client gets none, rather than half of one and then the next.
TEST_F(ConversationsTest, WhoseAnswerCannotBeFinishedIsLetGo) {
  class Failing : public Long {
   public:
    Failing() : Long(0) {}
    void AnswerHttp(const Request&, bool, std::string& out) override {
      out += "HTTP/1.1 200 OK";
      throw std::bad_alloc();
    }
  };
  Failing service;
  EXPECT_THROW(Join(service, kGet), std::bad_alloc);
  EXPECT_EQ(conversations.size(), 0u);
  EXPECT_EQ(traffic.of(Port::kCheck).open, 0u);
  char bytes[100];
  EXPECT_EQ(recv(clients.back(), bytes, sizeof bytes, 0), 0);
}

// ---- requests that are held back --------------------------------------------------------------

constexpr std::string_view kWait = "GET /wait HTTP/1.1\r\n\r\n";

// Answers with the path of a request and the generation; holds back what begins with "/wait" while
// the generation is that of now, and what begins with "/past" for a moment only.
class Waiter : public Long {
 public:
  Waiter() : Long(0) {}
  std::optional<Patience> PatienceOf(const Request& request) const override {
    if (request.path == "/past") return Patience{generation, 2 * kUsPerMs};
    if (request.path != "/wait") return std::nullopt;
    return Patience{generation, 60 * kUsPerSecond};
  }
  void AnswerHttp(const Request& request, bool, std::string& out) override { Say(request, out); }
  void AnswerLine(const Request& request, std::string& out) override { Say(request, out); }

  std::uint64_t generation = 1;

 private:
  void Say(const Request& request, std::string& out) const {
    out += request.path + std::to_string(generation) + " ";
  }
};

class HeldTest : public ConversationsTest {
 protected:
  HeldTest() { conversations.SetGeneration(service.generation); }

  void Change() {
    ++service.generation;
    conversations.SetGeneration(service.generation);
  }
  // What this client hears until nothing is left to be done.
  std::string Hear(int client) {
    do {
      conversations.ServeDue();
      loop.Run();
    } while (conversations.has_due());
    std::string heard;
    char bytes[4096];
    for (ssize_t got = 1; got > 0;) {
      got = recv(client, bytes, sizeof bytes, 0);
      if (got > 0) heard.append(bytes, static_cast<std::size_t>(got));
      if (got == 0) heard += "end";
    }
    return heard;
  }

  Waiter service;
};

TEST_F(HeldTest, WhoWaitsIsAnsweredWhenTheGenerationChanges) {
  const int client = Join(service, kWait);
  EXPECT_EQ(Hear(client), "");
  EXPECT_FALSE(conversations.has_due());
  conversations.SetGeneration(1);
  EXPECT_FALSE(conversations.has_due()) << "the same one is no change";
  Change();
  EXPECT_TRUE(conversations.has_due());
  EXPECT_EQ(Hear(client), "/wait2 ");
  EXPECT_FALSE(conversations.has_due());
  send(client, kWait.data(), kWait.size(), 0);
  EXPECT_EQ(Hear(client), "") << "now it knows that one";
  Change();
  EXPECT_EQ(Hear(client), "/wait3 ");
}

TEST_F(HeldTest, TheRequestMayComeInPieces) {
  for (std::size_t cut = 1; cut < kWait.size(); ++cut) {
    const int client = Join(service, kWait.substr(0, cut));
    EXPECT_EQ(Hear(client), "") << cut;
    const std::string_view rest = kWait.substr(cut);
    send(client, rest.data(), rest.size(), 0);
    EXPECT_EQ(Hear(client), "") << cut;
    const std::uint64_t before = service.generation;
    Change();
    EXPECT_EQ(Hear(client), "/wait" + std::to_string(before + 1) + " ") << cut;
  }
}

// Nothing is due before the time is up: neither a tick nor a look at who waits.
TEST_F(HeldTest, WaitingCostsNoTick) {
  for (int i = 0; i < 10; ++i) Join(service, kWait);
  const MonoUs start = EventLoop::Now();
  while (EventLoop::Now() < start + 200 * kUsPerMs && loop.timeout_ms() < 1000) loop.Run();
  EXPECT_GT(loop.timeout_ms(), 10000) << "the next is the end of their time";
  const int before = turns;
  for (int i = 0; i < 100; ++i) loop.Run();
  EXPECT_EQ(turns, before);
  EXPECT_EQ(conversations.size(), 10u);
}

TEST_F(HeldTest, WhoseTimeIsUpIsAnsweredWithWhatThereIs) {
  const int client = Join(service, "GET /past HTTP/1.1\r\n\r\n");
  const MonoUs deadline = EventLoop::Now() + 30 * kUsPerSecond;
  std::string heard;
  while (heard.empty() && EventLoop::Now() < deadline) heard = Hear(client);
  EXPECT_EQ(heard, "/past1 ");
}

TEST_F(HeldTest, RequestsBehindItKeepTheirOrder) {
  const std::string more = std::string(kWait) + std::string(kGet) + std::string(kWait);
  const int client = Join(service, std::string(kGet) + more);
  EXPECT_EQ(Hear(client), "/1 ");
  send(client, kGet.data(), kGet.size(), 0);
  EXPECT_EQ(Hear(client), "") << "it is not read";
  Change();
  EXPECT_EQ(Hear(client), "/wait2 /2 ");
  Change();
  EXPECT_EQ(Hear(client), "/wait3 /3 ");
}

// Its wait has begun behind an answer that is not taken: then it has something to send, and is a
// client like any other until that is done.
TEST_F(HeldTest, WhoDoesNotTakeWhatIsBeforeItGetsNoMore) {
  class LongWaiter : public Waiter {
   public:
    void AnswerHttp(const Request& request, bool, std::string& out) override {
      out += request.path == "/wait" ? std::string("answered") : std::string(60000, 'x');
    }
  };
  LongWaiter slow;
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  clients.push_back(pair[0]);
  const int little = 4096;
  ASSERT_EQ(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
  const std::string says = std::string(kGet) + std::string(kWait);
  send(pair[0], says.data(), says.size(), 0);
  conversations.Add(OwnedFd(pair[1]), slow, IpAddress(), EventLoop::Now());
  loop.Run();
  Change();
  EXPECT_FALSE(conversations.has_due()) << "there is something to send first";
  EXPECT_EQ(Read(pair[0], 60008), 60008u);
  EXPECT_EQ(conversations.size(), 1u);
}

TEST_F(HeldTest, WhoGoesAwayIsNoticed) {
  const int client = Join(service, kWait);
  const int other = Join(service, kWait);
  close(client);
  clients[0] = -1;
  for (int i = 0; i < 10; ++i) loop.Run();
  EXPECT_EQ(traffic.of(Port::kCheck).open, 1u);
  Change();
  EXPECT_EQ(Hear(other), "/wait2 ");
}

TEST_F(HeldTest, WhoEndsHisSideIsAnsweredAndLetGo) {
  const int client = Join(service, std::string(kWait) + std::string(kGet));
  EXPECT_EQ(Hear(client), "");
  shutdown(client, SHUT_WR);
  std::string heard;
  for (int i = 0; i < 10; ++i) heard += Hear(client);
  EXPECT_EQ(heard.substr(0, 10), "/wait1 /1 ");
  EXPECT_EQ(conversations.size(), 0u);
}

// With more to be read behind it, of which nobody must wait for long.
TEST_F(HeldTest, WhoHasLeftDoesNotWaitAgain) {
  const std::string more = std::string(kWait) + std::string(kWait);
  const int client = Join(service, kWait);
  EXPECT_EQ(Hear(client), "");
  send(client, more.data(), more.size(), 0);
  shutdown(client, SHUT_WR);
  std::string heard;
  for (int i = 0; i < 10; ++i) heard += Hear(client);
  EXPECT_EQ(heard.substr(0, 21), "/wait1 /wait1 /wait1 ");
  EXPECT_EQ(conversations.size(), 0u);
}

// As `printf 'wait\n' | nc` does it.
TEST_F(HeldTest, ALineThatEndsItsSideGoesOnWaiting) {
  const int client = Join(service, "wait\n");
  shutdown(client, SHUT_WR);
  EXPECT_EQ(Hear(client), "");
  EXPECT_EQ(conversations.size(), 1u);
  const int before = turns;
  for (int i = 0; i < 100; ++i) loop.Run();
  EXPECT_EQ(turns, before) << "that its side has ended is heard once";
  Change();
  EXPECT_EQ(Hear(client).substr(0, 7), "/wait2 ");
  EXPECT_EQ(conversations.size(), 0u);
}

// Others have their turn while a crowd is answered.
TEST_F(HeldTest, ACrowdIsAnsweredByAndBy) {
  constexpr std::size_t kCrowd = 300;
  conversations.Configure(1000, ClientLimits{}, 200 * kUsPerMs);
  for (std::size_t i = 0; i < kCrowd; ++i) Join(service, kWait);
  Change();
  std::size_t steps = 0;
  for (; conversations.has_due(); ++steps) {
    const int before = turns;
    conversations.ServeDue();
    EXPECT_LE(turns - before, 64);
    ASSERT_LT(steps, kCrowd);
  }
  EXPECT_GE(steps, kCrowd / 64);
  for (const int client : clients) EXPECT_EQ(Hear(client), "/wait2 ");
}

// Whoever has a wait that ends, and is due, may leave before it is answered.
TEST_F(HeldTest, WhoIsDueMayLeave) {
  const int client = Join(service, kWait);
  const int other = Join(service, kWait);
  Change();
  close(client);
  clients[0] = -1;
  EXPECT_EQ(Hear(other), "/wait2 ");
  for (int i = 0; i < 10; ++i) loop.Run();
  EXPECT_EQ(conversations.size(), 1u);
}

TEST_F(HeldTest, TheyCountAmongThoseWhoAreThere) {
  conversations.Configure(2, ClientLimits{}, 200 * kUsPerMs);
  const int first = Join(service, kWait);
  const int second = Join(service, kWait);
  EXPECT_EQ(traffic.of(Port::kCheck).open, 2u);
  EXPECT_EQ(Hear(Join(service, kGet)), "noend") << "they came a moment ago";
  EXPECT_EQ(Hear(Join(service, kGet, 2 * kUsPerSecond)), "/1 ");
  EXPECT_EQ(Hear(first), "end") << "who has waited for longest makes room";
  EXPECT_EQ(Hear(second), "");
}

TEST_F(HeldTest, WhoIsIdleOrSlowMakesRoomBeforeThem) {
  conversations.Configure(3, ClientLimits{}, 200 * kUsPerMs);
  const int waiting = Join(service, kWait);
  const int slow = Join(service, "GE");
  const int idle = Join(service, kGet);
  EXPECT_EQ(Hear(idle), "/1 ");
  EXPECT_EQ(Hear(Join(service, kWait, 2 * kUsPerSecond)), "");
  EXPECT_EQ(Hear(idle), "end");
  EXPECT_EQ(Hear(Join(service, kWait, 2 * kUsPerSecond)), "");
  EXPECT_EQ(Hear(slow), "end");
  EXPECT_EQ(Hear(waiting), "");
}

TEST_F(HeldTest, TheyGoWhenTheyAreNotWelcomeAnyMore) {
  const int held = Join(service, kWait);
  const int due = Join(service, kWait);
  conversations.DropIf([](Port port, const IpAddress&) { return port == Port::kDiscovery; });
  EXPECT_EQ(conversations.size(), 2u);
  conversations.DropIf([](Port port, const IpAddress&) { return port == Port::kCheck; });
  EXPECT_EQ(conversations.size(), 0u);
  EXPECT_EQ(Hear(held), "end");
  EXPECT_EQ(Hear(due), "end");
  Change();
  EXPECT_FALSE(conversations.has_due());
}

TEST_F(ConversationsTest, WhoIsRefusedIsCountedAsThat) {
  conversations.Configure(1, ClientLimits{}, 200 * kUsPerMs);
  Long service(10);
  Join(service, "GE");
  const int second = Join(service, kGet);
  EXPECT_EQ(Read(second, 100), 2u);
  EXPECT_EQ(traffic.of(Port::kCheck).rejected, 1u);
  EXPECT_EQ(traffic.of(Port::kCheck).open, 1u);
}

}  // namespace
}  // namespace pg_status
