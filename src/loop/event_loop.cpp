// The loop itself; see event_loop.hpp.

#include "loop/event_loop.hpp"

#include <algorithm>
#include <chrono>

namespace pg_status {

EventLoop::EventLoop() {
  if (uv_loop_init(&loop_) != 0) throw std::bad_alloc();
}

// The owners of the handles are gone by now; what is left of the handles is freed by their close
// callbacks.
EventLoop::~EventLoop() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

void EventLoop::Run() {
  // A watcher that was started by a callback is unknown to the kernel until the next round (libuv
  // < 1.45 would let us wait without it). A few rounds are enough; what is left over makes
  // timeout_ms() 0.
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    watchers_changed_ = false;
    uv_run(&loop_, UV_RUN_NOWAIT);
    if (!watchers_changed_) break;
  }
  if (out_of_memory_) {
    out_of_memory_ = false;
    throw std::bad_alloc();
  }
}

int EventLoop::timeout_ms() {
  if (watchers_changed_) return 0;
  // Of a loop that has nothing to wait for, libuv says "at once", for ever.
  if (uv_loop_alive(&loop_) == 0) return -1;
  uv_update_time(&loop_);
  return uv_backend_timeout(&loop_);
}

TimerHandle EventLoop::NewTimer(void* data) {
  auto timer = std::make_unique<uv_timer_t>();
  uv_timer_init(&loop_, timer.get());
  timer->data = data;
  return TimerHandle(timer.release());
}

PollHandle EventLoop::NewPoll(int fd, void* data) {
  auto poll = std::make_unique<uv_poll_t>();
  if (uv_poll_init(&loop_, poll.get(), fd) != 0) return nullptr;
  poll->data = data;
  return PollHandle(poll.release());
}

WallUs EventLoop::WallNow() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  using std::chrono::system_clock;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

void ArmTimer(uv_timer_t* timer, MonoUs when, uv_timer_cb callback) {
  const MonoUs wait_us = std::max<MonoUs>(0, when - EventLoop::Now());
  const auto wait_ms = static_cast<std::uint64_t>((wait_us + kUsPerMs - 1) / kUsPerMs);
  // libuv counts from the time it last looked at the clock.
  uv_update_time(timer->loop);
  uv_timer_start(timer, callback, wait_ms, 0);
}

}  // namespace pg_status
