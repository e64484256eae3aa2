// The loop that never waits by itself: what it tells its owner to wait for, and what goes wrong in
// callbacks.
#include "loop/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <new>
#include <utility>

#include "loop/owned_fd.hpp"
#include "loop/scene.hpp"

namespace pg_status {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  ~EventLoopTest() override {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }

  // Handles carry a function: what to do when they fire.
  using What = std::function<void()>;
  static void OnTimer(uv_timer_t* timer) { (*static_cast<What*>(timer->data))(); }
  static void OnPoll(uv_poll_t* poll, int, int) { (*static_cast<What*>(poll->data))(); }

  EventLoop loop;
  Running<EventLoop> running{loop, &EventLoop::Run};
  int ends[2] = {-1, -1};
};

TEST_F(EventLoopTest, WithNothingToDoItWaitsForEver) {
  EXPECT_EQ(loop.timeout_ms(), -1);
  loop.Run();
  EXPECT_EQ(loop.timeout_ms(), -1);
}

TEST_F(EventLoopTest, ItTellsHowLongToWaitForATimer) {
  What what = [] {};
  const TimerHandle timer = loop.NewTimer(&what);
  ArmTimer(timer.get(), EventLoop::Now() + 3600 * kUsPerSecond, OnTimer);
  loop.Run();
  EXPECT_GT(loop.timeout_ms(), 3500 * 1000);
  EXPECT_LE(loop.timeout_ms(), 3600 * 1000);
}

TEST_F(EventLoopTest, ATimerFiresOnceAndNotTooEarly) {
  int fired = 0;
  What what = [&] { ++fired; };
  const TimerHandle timer = loop.NewTimer(&what);
  const MonoUs start = EventLoop::Now();
  ArmTimer(timer.get(), start + 20 * kUsPerMs, OnTimer);
  ASSERT_TRUE(RunUntil({&running}, [&] { return fired > 0; }));
  EXPECT_GE(EventLoop::Now(), start + 19 * kUsPerMs);
  loop.Run();
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(loop.timeout_ms(), -1);
}

TEST_F(EventLoopTest, ATimeInThePastIsDueInTheNextRun) {
  int fired = 0;
  What what = [&] { ++fired; };
  const TimerHandle timer = loop.NewTimer(&what);
  ArmTimer(timer.get(), EventLoop::Now() - kUsPerSecond, OnTimer);
  EXPECT_EQ(loop.timeout_ms(), 0);
  EXPECT_EQ(fired, 0);
  loop.Run();
  EXPECT_EQ(fired, 1);
}

TEST_F(EventLoopTest, ItsDescriptorTellsOfAWatchedOne) {
  int fired = 0;
  char byte = 0;
  What what = [&] {
    ++fired;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  };
  const PollHandle watch = loop.NewPoll(ends[0], &what);
  ASSERT_TRUE(watch);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_READABLE, OnPoll));
  loop.Run();
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(loop.timeout_ms(), -1);

  ASSERT_EQ(write(ends[1], "x", 1), 1);
  pollfd fd{loop.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, kPatienceMs), 1);
  loop.Run();
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(byte, 'x');
}

// The kernel learns of such a watcher in the next round only.
TEST_F(EventLoopTest, AWatcherStartedInACallbackIsNotForgotten) {
  bool heard = false;
  PollHandle watch;
  What on_ready = [&] {
    heard = true;
    uv_poll_stop(watch.get());
  };
  What on_time = [&] {
    watch = loop.NewPoll(ends[0], &on_ready);
    ASSERT_TRUE(watch);
    ASSERT_TRUE(loop.Watch(watch.get(), UV_READABLE, OnPoll));
  };
  const TimerHandle timer = loop.NewTimer(&on_time);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  ArmTimer(timer.get(), EventLoop::Now(), OnTimer);
  EXPECT_TRUE(RunUntil({&running}, [&] { return heard; }));
}

TEST_F(EventLoopTest, AWatcherMayBeGivenUpInItsOwnCallbackAndTheSocketClosed) {
  int fired = 0;
  PollHandle watch;
  What what = [&] {
    ++fired;
    watch.reset();
    close(std::exchange(ends[0], -1));
  };
  watch = loop.NewPoll(ends[0], &what);
  ASSERT_TRUE(watch);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_READABLE | UV_WRITABLE, OnPoll));
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  ASSERT_TRUE(RunUntil({&running}, [&] { return fired > 0; }));
  loop.Run();
  EXPECT_EQ(fired, 1);
}

TEST_F(EventLoopTest, AWatcherIsStartedAnewForSomethingElse) {
  int fired = 0;
  What what = [&] { ++fired; };
  const PollHandle watch = loop.NewPoll(ends[1], &what);
  ASSERT_TRUE(watch);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_READABLE, OnPoll));
  loop.Run();
  EXPECT_EQ(fired, 0);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_WRITABLE, OnPoll));
  ASSERT_TRUE(RunUntil({&running}, [&] { return fired > 0; }));
  uv_poll_stop(watch.get());
  fired = 0;
  loop.Run();
  EXPECT_EQ(fired, 0);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_WRITABLE, OnPoll));
  EXPECT_TRUE(RunUntil({&running}, [&] { return fired > 0; }));
}

// The kernel may refuse later than NewPoll() asks. libuv by itself would end the process.
TEST_F(EventLoopTest, AWatcherThatTheKernelRefusesIsToldOfAndTheLoopGoesOn) {
  What never = [] { ADD_FAILURE(); };
  PollHandle refused = loop.NewPoll(ends[0], &never);
  ASSERT_TRUE(refused);
  close(std::exchange(ends[0], -1));
  EXPECT_FALSE(loop.Watch(refused.get(), UV_READABLE, OnPoll));
  loop.Run();
  refused.reset();
  loop.Run();

  int fired = 0;
  What what = [&] { ++fired; };
  const PollHandle watch = loop.NewPoll(ends[1], &what);
  ASSERT_TRUE(watch);
  ASSERT_TRUE(loop.Watch(watch.get(), UV_WRITABLE, OnPoll));
  EXPECT_TRUE(RunUntil({&running}, [&] { return fired > 0; }));
}

// (two that watch each other: what the kernel says of that differs from what it says of a watch
// that is not there)
TEST_F(EventLoopTest, WhyTheKernelRefusesAWatcherIsKept) {
  const OwnedFd other(epoll_create1(EPOLL_CLOEXEC));
  ASSERT_GE(other.get(), 0);
  epoll_event event{};
  ASSERT_EQ(epoll_ctl(other.get(), EPOLL_CTL_ADD, loop.fd(), &event), 0);
  What never = [] { ADD_FAILURE(); };
  const PollHandle refused = loop.NewPoll(ends[0], &never);
  ASSERT_TRUE(refused);
  ASSERT_EQ(dup2(other.get(), ends[0]), ends[0]);
  errno = 0;
  EXPECT_FALSE(loop.Watch(refused.get(), UV_READABLE, OnPoll));
  EXPECT_EQ(errno, ELOOP);
}

TEST_F(EventLoopTest, WhatCannotBeWatchedIsNoWatcher) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(loop.NewPoll(fileno(file), nullptr));
  EXPECT_EQ(std::fclose(file), 0);
}

TEST_F(EventLoopTest, OutOfMemoryInACallbackIsThrownByRunAndTheLoopGoesOn) {
  What what = [&] { loop.Guard([] { throw std::bad_alloc(); }); };
  const TimerHandle timer = loop.NewTimer(&what);
  ArmTimer(timer.get(), EventLoop::Now(), OnTimer);
  EXPECT_THROW(loop.Run(), std::bad_alloc);

  int fired = 0;
  what = [&] { ++fired; };
  ArmTimer(timer.get(), EventLoop::Now(), OnTimer);
  EXPECT_NO_THROW(loop.Run());
  EXPECT_EQ(fired, 1);
}

TEST(EventLoop, ReservedRoomNeedsNoDescriptorAfterwards) {
  EventLoop loop;
  const int before = dup(0);
  close(before);
  loop.Reserve(900);
  loop.Reserve(10);
  loop.Reserve(1 << 30);  // more than this process may have is not asked for
  const int after = dup(0);
  close(after);
  EXPECT_EQ(after, before);
  loop.Run();
  EXPECT_EQ(loop.timeout_ms(), -1);
}

}  // namespace
}  // namespace pg_status
