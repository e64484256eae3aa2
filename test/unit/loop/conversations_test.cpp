// Conversations over socket pairs, without doors: turns, the limit of what is unsent, and what is
// counted. What is said belongs to other tests.
#include "loop/conversations.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <new>
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
    for (const int client : clients) close(client);
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
  Conversations conversations{loop, drain, traffic, [this](MonoUs) { ++turns; }, [] {}, [] {}};
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
