// libuv for this project: one loop, its handles as owned values, and the rule that nothing throws
// through libuv's C frames.
//
// The loop never waits by itself. Whoever embeds it waits until fd() is readable or timeout_ms()
// has passed, then calls Run().
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// libuv frees nothing at once: a handle's memory must outlive its close callback, which only the
// loop runs.
template <typename Handle>
struct HandleCloser {
  void operator()(Handle* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
      delete reinterpret_cast<Handle*>(closed);  // NOLINT(cppcoreguidelines-owning-memory)
    });
  }
};
using TimerHandle = std::unique_ptr<uv_timer_t, HandleCloser<uv_timer_t>>;
// The descriptor under a poll handle may be closed as soon as the handle was given up.
using PollHandle = std::unique_ptr<uv_poll_t, HandleCloser<uv_poll_t>>;

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs what is due, without waiting. Throws std::bad_alloc when a callback ran out of memory.
  void Run();

  int fd() const { return uv_backend_fd(&loop_); }

  // Milliseconds until Run() is needed again even if fd() stays quiet; -1 for ever, 0 at once.
  int timeout_ms();

  // Both throw std::bad_alloc. `data` is handed to callbacks through handle->data.
  TimerHandle NewTimer(void* data);
  // nullptr when the descriptor cannot be watched.
  PollHandle NewPoll(int fd, void* data);

  // Makes room for watching descriptors up to this number: where libuv has to make room later and
  // gets no memory, it ends the process. Throws std::bad_alloc.
  void Reserve(std::size_t descriptors);

  // Starts the watcher, anew if it was started before. False, with errno, when the kernel does not
  // take it; the watcher is to be given up then.
  [[nodiscard]] bool Watch(uv_poll_t* poll, int events, uv_poll_cb callback);

  // The wrapper for every callback's body. Out of memory is kept and thrown from Run(), outside
  // libuv's frames.
  template <typename Body>
  void Guard(Body body) noexcept {
    try {
      body();
    } catch (...) {
      out_of_memory_ = true;
    }
  }

  // The two clocks of this process.
  static WallUs WallNow();
  static MonoUs Now() { return static_cast<MonoUs>(uv_hrtime() / 1000); }

 private:
  uv_loop_t loop_{};
  bool watchers_changed_ = false;
  std::size_t reserved_ = 0;
  bool out_of_memory_ = false;
};

// Arms a one-shot timer for a monotonic time; one in the past fires in the next Run(). Millisecond
// steps, rounded up.
void ArmTimer(uv_timer_t* timer, MonoUs when, uv_timer_cb callback);

}  // namespace pg_status
