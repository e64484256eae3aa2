// Clients that have their answer: how long they are kept, and that they get no reset.
#include "loop/drain.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace pg_status {
namespace {

constexpr MonoUs kStart = 1000 * kUsPerSecond;
constexpr std::int64_t kPatience = 200 * kUsPerMs;

// A client whose socket was handed to the queue. A Unix-domain socket: as with TCP, closing it with
// unread input is a reset.
class DrainedClient {
 public:
  DrainedClient() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
    for (const int end : ends_) fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK);
  }
  ~DrainedClient() { Leave(); }
  DrainedClient(const DrainedClient&) = delete;
  DrainedClient& operator=(const DrainedClient&) = delete;

  int HandOver() {
    shutdown(ends_[1], SHUT_WR);
    return std::exchange(ends_[1], -1);
  }
  void Send(std::size_t bytes) {
    const std::string text(bytes, 'x');
    EXPECT_EQ(send(ends_[0], text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void Leave() {
    for (int& end : ends_) {
      if (end >= 0) close(std::exchange(end, -1));
    }
  }
  // Whether the server's side is closed altogether: nothing can be sent any more.
  bool IsLetGo() const { return send(ends_[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE; }
  // An orderly end, no reset.
  bool SeesEnd() const {
    char byte = 0;
    return recv(ends_[0], &byte, 1, 0) == 0;
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST(Drain, NobodyIsThere) {
  DrainQueue queue;
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.next_look(), 0);
  queue.Look(kStart);
  queue.DropOldest();
  EXPECT_EQ(queue.size(), 0u);
}

TEST(Drain, WhoHasGoneAlreadyIsNoticedAtTheFirstLook) {
  DrainQueue queue;
  DrainedClient client;
  const int fd = client.HandOver();
  client.Send(10);
  client.Leave();
  queue.Add(OwnedFd(fd), kStart, kPatience);
  queue.Look(queue.next_look());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.next_look(), 0);
}

// However many come one after the other, all of them are looked through once a millisecond at most.
TEST(Drain, LooksAreAMillisecondApart) {
  DrainQueue queue;
  DrainedClient first;
  DrainedClient second;
  queue.Add(OwnedFd(first.HandOver()), kStart, kPatience);
  queue.Add(OwnedFd(second.HandOver()), kStart + 10, kPatience);
  const MonoUs look = queue.next_look();
  queue.Look(look);
  EXPECT_EQ(queue.next_look(), look + kUsPerMs);
}

TEST(Drain, WhoGoesIsNoticedAtTheNextLook) {
  DrainQueue queue;
  DrainedClient client;
  queue.Add(OwnedFd(client.HandOver()), kStart, kPatience);
  client.Leave();
  ASSERT_EQ(queue.size(), 1u);
  queue.Look(queue.next_look() - 1);
  EXPECT_EQ(queue.size(), 1u) << "its time has not come";
  queue.Look(queue.next_look());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.next_look(), 0);
}

TEST(Drain, WhoStaysIsLookedAtAtGrowingIntervalsAndLetGoInTime) {
  DrainQueue queue;
  DrainedClient client;
  queue.Add(OwnedFd(client.HandOver()), kStart, kPatience);
  std::vector<std::int64_t> looks;
  while (queue.size() > 0) {
    const MonoUs look = queue.next_look();
    looks.push_back((look - kStart) / kUsPerMs);
    EXPECT_FALSE(client.IsLetGo());
    queue.Look(look);
    ASSERT_LT(looks.size(), 20u);
  }
  EXPECT_EQ(looks, (std::vector<std::int64_t>{3, 9, 27, 81, 200}));
  EXPECT_TRUE(client.IsLetGo());
  EXPECT_TRUE(client.SeesEnd());
}

TEST(Drain, WithoutPatienceTheFirstLookIsTheLast) {
  DrainQueue queue;
  DrainedClient client;
  queue.Add(OwnedFd(client.HandOver()), kStart, 0);
  queue.Look(kStart);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(Drain, WhatIsSentIsReadSoThatTheEndIsNoReset) {
  DrainQueue queue;
  DrainedClient client;
  client.Send(1000);
  queue.Add(OwnedFd(client.HandOver()), kStart, kPatience);
  client.Send(1000);
  queue.Look(kStart + kPatience);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(client.SeesEnd());
}

TEST(Drain, WhoSendsTooMuchIsNotHeardToTheEnd) {
  DrainQueue queue;
  DrainedClient client;
  queue.Add(OwnedFd(client.HandOver()), kStart, kPatience);
  for (std::size_t sent = 0; sent < DrainQueue::kMaxDrainBytes; sent += 16384) {
    EXPECT_EQ(queue.size(), 1u) << sent;
    client.Send(16384);
    queue.Look(queue.next_look());
  }
  EXPECT_EQ(queue.size(), 0u);
}

TEST(Drain, TheOldestGoesFirst) {
  DrainQueue queue;
  DrainedClient first;
  DrainedClient second;
  queue.Add(OwnedFd(first.HandOver()), kStart, kPatience);
  queue.Add(OwnedFd(second.HandOver()), kStart + 1, kPatience);
  first.Send(1000);
  queue.DropOldest();
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_TRUE(first.SeesEnd()) << "and no reset";
  EXPECT_TRUE(first.IsLetGo());
  EXPECT_FALSE(second.IsLetGo());
  queue.DropOldest();
  EXPECT_EQ(queue.next_look(), 0);
}

TEST(Drain, TheNextLookIsTheEarliestOfAll) {
  DrainQueue queue;
  DrainedClient first;
  DrainedClient second;
  queue.Add(OwnedFd(first.HandOver()), kStart, kPatience);
  queue.Look(kStart + 3 * kUsPerMs);  // it is looked at again at 9 ms
  queue.Add(OwnedFd(second.HandOver()), kStart + 3 * kUsPerMs, kPatience);
  EXPECT_EQ(queue.next_look(), kStart + 6 * kUsPerMs);
}

TEST(Drain, TheQueueTakesItsClientsAlong) {
  DrainedClient client;
  {
    DrainQueue queue;
    queue.Add(OwnedFd(client.HandOver()), kStart, kPatience);
  }
  EXPECT_TRUE(client.IsLetGo());
}

}  // namespace
}  // namespace pg_status
