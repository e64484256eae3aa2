// Draining clients before closing; see drain.hpp.

#include "loop/drain.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pg_status {
namespace {

constexpr std::int64_t kFirstLookUs = 3 * kUsPerMs;
constexpr std::int64_t kBetweenLooksUs = 1 * kUsPerMs;

}  // namespace

DrainQueue::~DrainQueue() {
  for (const Client& client : clients_) close(client.fd);
}

// Reads what there is. True when the client is done with, one way or the other.
bool DrainQueue::Gone(Client& client, MonoUs now) {
  char sink[8192];
  while (client.drained < kMaxDrainBytes) {
    const ssize_t got = recv(client.fd, sink, sizeof sink, 0);
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

void DrainQueue::Add(int fd, MonoUs now, std::int64_t patience_us) {
  Client client;
  client.fd = fd;
  client.since = now;
  client.until = now + patience_us;
  client.look = now + std::min(kFirstLookUs, patience_us);
  clients_.push_back(client);
  next_look_ = next_look_ == 0 ? client.look : std::min(next_look_, client.look);
}

void DrainQueue::Look(MonoUs now) {
  if (next_look_ == 0 || now < next_look_) return;
  next_look_ = 0;
  const auto done = [&](Client& client) {
    if (now >= client.look) {
      if (Gone(client, now)) {
        close(client.fd);
        return true;
      }
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
  close(clients_.front().fd);
  clients_.pop_front();
  if (clients_.empty()) next_look_ = 0;
}

}  // namespace pg_status
