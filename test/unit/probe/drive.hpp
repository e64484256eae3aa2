// Both ends of a conversation in one thread: parts that are polled together until something has
// happened or a generous deadline has passed. Nothing here sleeps; what waits, waits in poll(2).
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace pg_status {

class Part {
 public:
  virtual ~Part() = default;
  // Adds what it waits for.
  virtual void Watch(std::vector<pollfd>& fds) = 0;
  // Does what can be done without waiting.
  virtual void Step() = 0;
  // Milliseconds until Step() is wanted even if no descriptor is ready; -1: never.
  virtual int timeout_ms() { return -1; }
};

inline std::int64_t TestMs() {
  using std::chrono::duration_cast;
  return duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Long enough for the busiest machine; only a test that fails waits for it.
inline constexpr int kPatienceMs = 20000;

// False when limit_ms passed before `done`.
inline bool RunUntil(const std::vector<Part*>& parts, const std::function<bool()>& done,
                     int limit_ms = kPatienceMs) {
  const std::int64_t end = TestMs() + limit_ms;
  for (;;) {
    for (Part* part : parts) part->Step();
    if (done()) return true;
    const std::int64_t left = end - TestMs();
    if (left <= 0) return false;
    std::vector<pollfd> fds;
    auto wait = static_cast<int>(left);
    for (Part* part : parts) {
      part->Watch(fds);
      const int wanted = part->timeout_ms();
      if (wanted >= 0) wait = std::min(wait, wanted);
    }
    poll(fds.data(), fds.size(), wait);
  }
}

// For what must not happen: lets everything run for that long.
inline void RunFor(const std::vector<Part*>& parts, int ms) {
  RunUntil(
      parts, [] { return false; }, ms);
}

}  // namespace pg_status
