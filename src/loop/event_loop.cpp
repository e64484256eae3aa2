// The loop itself; see event_loop.hpp.

#include "loop/event_loop.hpp"

#include <fcntl.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "loop/owned_fd.hpp"

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

// libuv's table is as long as the highest number that was ever watched, so one watcher of a high
// number makes it long enough. That there is memory for it is tried first.
void EventLoop::Reserve(std::size_t descriptors) {
  if (descriptors <= reserved_) return;
  struct rlimit limit {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    descriptors = std::min(descriptors, static_cast<std::size_t>(limit.rlim_cur));
  }
  // (volatile: or the compiler would see that nothing is done with it)
  void* volatile room = std::malloc(4 * descriptors * sizeof(void*));
  if (room == nullptr) throw std::bad_alloc();
  std::free(room);
  int ends[2];
  if (pipe(ends) != 0) return;
  const OwnedFd reading(ends[0]);
  const OwnedFd writing(ends[1]);
  const OwnedFd high(fcntl(reading.get(), F_DUPFD_CLOEXEC, static_cast<int>(descriptors) - 1));
  if (high.get() < 0) return;
  {
    const PollHandle watch = NewPoll(high.get(), nullptr);
    if (!watch || !Watch(watch.get(), UV_READABLE, [](uv_poll_t*, int, int) {})) return;
  }
  reserved_ = descriptors;
}

PollHandle EventLoop::NewPoll(int fd, void* data) {
  auto poll = std::make_unique<uv_poll_t>();
  if (uv_poll_init(&loop_, poll.get(), fd) != 0) return nullptr;
  poll->data = data;
  return PollHandle(poll.release());
}

// libuv tells the kernel only when it next polls, and ends the process when the kernel refuses: for
// want of memory, or because the system's user has no watches left (fs.epoll.max_user_watches,
// which other processes use up as well). So the kernel is told here, where a refusal can be
// answered; libuv then finds the descriptor there and changes what is waited for, which takes
// nothing. (An error and a hang-up are told of without being asked for.)
bool EventLoop::Watch(uv_poll_t* poll, int events, uv_poll_cb callback) {
  uv_os_fd_t fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd) != 0 ||
      uv_poll_start(poll, events, callback) != 0) {
    return false;
  }
#ifdef __linux__
  epoll_event nothing_yet{};
  nothing_yet.data.fd = fd;
  if (epoll_ctl(uv_backend_fd(&loop_), EPOLL_CTL_ADD, fd, &nothing_yet) != 0 && errno != EEXIST) {
    const int error = errno;
    uv_poll_stop(poll);  // asks the kernel, too, and has no luck either
    errno = error;
    return false;
  }
#endif
  watchers_changed_ = true;
  return true;
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
