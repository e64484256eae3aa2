// Draining clients before closing; see drain.hpp.

#include "loop/drain.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pg_status {
namespace {

constexpr std::int64_t kFirstLookUs = 3 * kUsPerMs;
constexpr std::int64_t kBetweenLooksUs = 1 * kUsPerMs;

}  // namespace

// Reads what there is. True when the client is done with, one way or the other.
bool DrainQueue::Gone(Client& client, MonoUs now) {
  char sink[8192];
  while (client.drained < kMaxDrainBytes) {
    const ssize_t got = recv(client.fd.get(), sink, sizeof sink, 0);
    if (got > 0) {
      client.drained += static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return now >= client.until;
    return true;  // end of file, or the connection is broken
  }
  return true;
}

void DrainQueue::Add(OwnedFd fd, MonoUs now, std::int64_t patience_us) {
  Client client;
  client.fd = std::move(fd);
  client.since = now;
  client.until = now + patience_us;
  client.look = now + std::min(kFirstLookUs, patience_us);
  const MonoUs look = client.look;
  clients_.push_back(std::move(client));
  next_look_ = next_look_ == 0 ? look : std::min(next_look_, look);
}

void DrainQueue::Look(MonoUs now) {
  if (next_look_ == 0 || now < next_look_) return;
  next_look_ = 0;
  const auto done = [&](Client& client) {
    if (now >= client.look) {
      if (Gone(client, now)) return true;
      // After 3, 9, 27, 81 ... ms.
      client.look = std::min(client.until, now + 2 * (now - client.since));
    }
    next_look_ = next_look_ == 0 ? client.look : std::min(next_look_, client.look);
    return false;
  };
  clients_.erase(std::remove_if(clients_.begin(), clients_.end(), done), clients_.end());
  // With many of them somebody's time is always there.
  if (next_look_ != 0) next_look_ = std::max(next_look_, now + kBetweenLooksUs);
}

void DrainQueue::DropOldest() {
  if (clients_.empty()) return;
  Gone(clients_.front(), 0);  // reads what there is: unread input would make it a reset
  clients_.pop_front();
  if (clients_.empty()) next_look_ = 0;
}

}  // namespace pg_status
