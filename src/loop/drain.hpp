// Clients that have got their whole answer and are still there. Closing a socket with unread input
// makes the kernel send a reset, which may overtake the answer; so what they send is read and
// thrown away until they close, for a short while at most.
//
// They are looked at a few times at growing intervals instead of being watched: most are gone at
// the first look, and registering each with the kernel's event queue would cost more than the rest
// of the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/clock.hpp"
#include "loop/owned_fd.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class DrainQueue {
 public:
  DrainQueue() = default;
  ~DrainQueue() = default;
  DrainQueue(const DrainQueue&) = delete;
  DrainQueue& operator=(const DrainQueue&) = delete;

  // Takes over a non-blocking socket whose sending side was shut down. It is closed when the client
  // has gone, at the latest after patience_us or kMaxDrainBytes.
  void Add(OwnedFd fd, MonoUs now, std::int64_t patience_us);

  // Looks at the clients whose time for a look has come.
  void Look(MonoUs now);

  // Closes the one that has been here longest: it has its answer, and room is needed for somebody
  // who has none.
  void DropOldest();

  // When Look() is wanted next; 0 when nobody is here.
  MonoUs next_look() const { return next_look_; }
  std::size_t size() const { return clients_.size(); }

  static constexpr std::size_t kMaxDrainBytes = 65536;

 private:
  struct Client {
    OwnedFd fd;
    MonoUs since = 0;
    MonoUs until = 0;
    MonoUs look = 0;
    std::size_t drained = 0;
  };

  static bool Gone(Client& client, MonoUs now);

  std::deque<Client> clients_;  // oldest first
  MonoUs next_look_ = 0;
};

}  // namespace pg_status
