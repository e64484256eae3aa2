// Listening sockets and the raw port; see listener.hpp.

#include "loop/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace pg_status {
namespace {

constexpr int kBacklog = 4096;       // the kernel lowers it to its own limit (net.core.somaxconn)
constexpr int kAcceptsPerTurn = 64;  // then the others have their turn
constexpr std::int64_t kDrainPatienceUs = 200 * kUsPerMs;
constexpr std::int64_t kAcceptPauseUs = 100 * kUsPerMs;
constexpr std::int64_t kFirstRetryUs = 1 * kUsPerSecond;
constexpr std::int64_t kLastRetryUs = 30 * kUsPerSecond;
constexpr std::int64_t kTallyUs = 60 * kUsPerSecond;
constexpr std::size_t kMaxLogLines = 200;

std::string ErrorText(int error) { return std::generic_category().message(error); }

std::string PlaceText(const IpAddress& address, std::uint16_t port) {
  const std::string host = FormatIpAddress(address);
  return address.family == IpFamily::kV6 ? fmt::format("[{}]:{}", host, port)
                                         : fmt::format("{}:{}", host, port);
}

socklen_t ToSockaddr(const IpAddress& address, std::uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.family == IpFamily::kV4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    std::memcpy(&v4->sin_addr, address.bytes.data(), 4);
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  std::memcpy(&v6->sin6_addr, address.bytes.data(), 16);
  return sizeof *v6;
}

IpAddress FromSockaddr(const sockaddr_storage& in) {
  IpAddress address;
  if (in.ss_family == AF_INET6) {
    address.family = IpFamily::kV6;
    std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(in).sin6_addr, 16);
  } else {
    std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in&>(in).sin_addr, 4);
  }
  return address;
}

bool MakeNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL, 0);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

// A non-blocking connection, or -1 with errno.
int Accept(int listening, sockaddr_storage& from) {
  socklen_t size = sizeof from;
#ifdef SOCK_NONBLOCK
  return accept4(listening, reinterpret_cast<sockaddr*>(&from), &size,
                 SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  const int fd = accept(listening, reinterpret_cast<sockaddr*>(&from), &size);
  if (fd >= 0 && !MakeNonBlocking(fd)) {
    close(fd);
    errno = ECONNABORTED;
    return -1;
  }
  return fd;
#endif
}

// What accept(2) says of a connection that broke before it was accepted, network errors included.
bool VisitorIsGone(int error) {
  for (const int gone : {ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN,
                         EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH}) {
    if (error == gone) return true;
  }
  return false;
}

// A listening socket, or -1 with errno.
int Listen(const IpAddress& address, std::uint16_t port) {
  sockaddr_storage place;
  const socklen_t size = ToSockaddr(address, port, place);
  const int fd = socket(place.ss_family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const int on = 1;
  bool good = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && MakeNonBlocking(fd) &&
              setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  // IPv4 has doors of its own.
  if (good && address.family == IpFamily::kV6) {
    good = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
  }
  good =
      good && bind(fd, reinterpret_cast<sockaddr*>(&place), size) == 0 && listen(fd, kBacklog) == 0;
  if (good) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

Listener::Door::Door(Listener& owner, const IpAddress& where)
    : listener(owner), address(where), retry(owner.loop_.NewTimer(this)) {}

Listener::Door::~Door() {
  watch.reset();
  if (fd >= 0) close(fd);
}

Listener::Listener(NodeStateReader node_state) : node_state_(std::move(node_state)) {
  look_timer_ = loop_.NewTimer(this);
  resume_timer_ = loop_.NewTimer(this);
}

Listener::~Listener() = default;

// ---------------------------------------------------------------- doors

void Listener::Configure(ListenerSettings settings) {
  settings_ = std::move(settings);
  if (settings_.port == 0) settings_.addresses.clear();

  // Doors that are not wanted any more go first: they may be what is in the way of a new one ("*"
  // after "127.0.0.1").
  const auto unwanted = [&](const std::unique_ptr<Door>& door) {
    return std::find(settings_.addresses.begin(), settings_.addresses.end(), door->address) ==
           settings_.addresses.end();
  };
  for (const auto& door : doors_) {
    if (unwanted(door)) Close(*door);
  }
  doors_.erase(std::remove_if(doors_.begin(), doors_.end(), unwanted), doors_.end());

  for (const IpAddress& address : settings_.addresses) {
    Door& door = DoorAt(address);
    door.retry_after_us = 0;
    door.last_error = 0;
    uv_timer_stop(door.retry.get());  // it may be about a port that is not wanted any more
    if (door.open_port != settings_.port) Open(door);
  }
}

Listener::Door& Listener::DoorAt(const IpAddress& address) {
  for (const auto& door : doors_) {
    if (door->address == address) return *door;
  }
  doors_.push_back(std::make_unique<Door>(*this, address));
  return *doors_.back();
}

void Listener::Open(Door& door) {
  const int fd = Listen(door.address, settings_.port);
  if (fd < 0) {
    OpenFailed(door, errno);
    return;
  }
  Close(door);
  door.fd = fd;
  door.open_port = settings_.port;
  uv_timer_stop(door.retry.get());
  door.last_error = 0;
  door.retry_after_us = 0;
  Log(LogLine::Level::kInfo,
      fmt::format("raw status port is open on {}", PlaceText(door.address, door.open_port)));
  if (!paused_) Watch(door);
}

void Listener::OpenFailed(Door& door, int error) {
  if (error != door.last_error) {
    // A machine without IPv6 is no fault: "localhost" and "*" mean what there is.
    const bool no_ipv6 =
        door.address.family == IpFamily::kV6 && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
    Log(no_ipv6 ? LogLine::Level::kInfo : LogLine::Level::kWarning,
        fmt::format("could not open raw status port on {}: {}",
                    PlaceText(door.address, settings_.port), ErrorText(error)),
        error == EADDRINUSE ? "Is another server using that port? It is tried again."
                            : "It is tried again.");
  }
  door.last_error = error;
  door.retry_after_us = std::clamp(door.retry_after_us * 2, kFirstRetryUs, kLastRetryUs);
  ArmTimer(door.retry.get(), EventLoop::Now() + door.retry_after_us, [](uv_timer_t* timer) {
    auto* closed = static_cast<Door*>(timer->data);
    closed->listener.loop_.Guard([&] { closed->listener.Open(*closed); });
  });
}

// Closing a listening socket resets the connections that wait to be accepted: they are answered
// first.
void Listener::Close(Door& door) {
  door.watch.reset();
  if (door.fd >= 0) AcceptAll(door);
  if (door.fd >= 0) close(door.fd);
  door.fd = -1;
  door.open_port = 0;
}

void Listener::Watch(Door& door) {
  door.watch = loop_.NewPoll(door.fd, &door);
  if (!door.watch) throw std::bad_alloc();
  uv_poll_start(door.watch.get(), UV_READABLE, [](uv_poll_t* handle, int status, int /*ready*/) {
    auto* knocked = static_cast<Door*>(handle->data);
    knocked->listener.loop_.Guard([&] {
      knocked->listener.AcceptSome(*knocked);
      // libuv stops a watcher that reports an error.
      if (status < 0 && knocked->watch) knocked->listener.Watch(*knocked);
    });
  });
  loop_.WatchersChanged();
}

// ---------------------------------------------------------------- clients

bool Listener::AcceptOne(Door& door, MonoUs now) {
  sockaddr_storage from;
  const int fd = Accept(door.fd, from);
  if (fd >= 0) {
    Answer(fd, FromSockaddr(from), now);
    return true;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    PauseAccepting(errno);
    return false;
  }
  if (VisitorIsGone(errno)) return true;
  // The listening socket itself is broken: a new one is needed.
  const int error = errno;
  door.watch.reset();
  close(std::exchange(door.fd, -1));
  door.open_port = 0;
  OpenFailed(door, error);
  return false;
}

void Listener::AcceptAll(Door& door) {
  const MonoUs now = EventLoop::Now();
  int left = kBacklog;
  while (left > 0 && AcceptOne(door, now)) --left;
  ScheduleLook();
}

void Listener::AcceptSome(Door& door) {
  const MonoUs now = EventLoop::Now();
  int left = kAcceptsPerTurn;
  while (left > 0 && AcceptOne(door, now)) --left;
  draining_.Look(now);
  ScheduleLook();
}

// The state is read for each client at the moment of its answer. One word always fits into a new
// socket's buffer; if the client has gone in the meantime there is nobody to tell.
void Listener::Answer(int fd, const IpAddress& client, MonoUs now) {
  if (!IsAllowed(settings_.allowed, client)) {
    close(fd);
    ++refused_.count;
    if (Due(refused_, now)) {
      Log(LogLine::Level::kInfo,
          fmt::format("refused {} connections from outside pg_status.allow, the last from {}",
                      std::exchange(refused_.count, 0), FormatIpAddress(Unmapped(client))));
    }
    return;
  }
  const std::string_view line = RawLine(node_state_());
  int flags = 0;
#ifdef MSG_NOSIGNAL
  flags |= MSG_NOSIGNAL;
#endif
#ifdef MSG_MORE
  flags |= MSG_MORE;  // leaves together with the end of the stream
#endif
  if (send(fd, line.data(), line.size(), flags) < 0 || shutdown(fd, SHUT_WR) != 0) {
    close(fd);
    return;
  }
  while (draining_.size() >= settings_.max_clients) draining_.DropOldest();
  draining_.Add(fd, now, std::min(kDrainPatienceUs, settings_.client_timeout_us));
}

void Listener::ScheduleLook() {
  const MonoUs next = draining_.next_look();
  if (next == 0 || next == look_armed_for_) return;
  look_armed_for_ = next;
  ArmTimer(look_timer_.get(), next, [](uv_timer_t* timer) {
    auto* self = static_cast<Listener*>(timer->data);
    self->loop_.Guard([&] {
      self->look_armed_for_ = 0;
      self->draining_.Look(EventLoop::Now());
      self->ScheduleLook();
    });
  });
}

// Out of descriptors: a readable listening socket would wake us for ever, so it is left alone for a
// moment.
void Listener::PauseAccepting(int error) {
  const MonoUs now = EventLoop::Now();
  ++exhausted_.count;
  if (Due(exhausted_, now)) {
    Log(LogLine::Level::kWarning,
        fmt::format("could not accept connections {} times: {}", std::exchange(exhausted_.count, 0),
                    ErrorText(error)),
        "Lower pg_status.max_clients or raise the limit of open files.");
  }
  paused_ = true;
  for (const auto& door : doors_) door->watch.reset();
  ArmTimer(resume_timer_.get(), now + kAcceptPauseUs, [](uv_timer_t* timer) {
    auto* self = static_cast<Listener*>(timer->data);
    self->loop_.Guard([&] { self->ResumeAccepting(); });
  });
}

void Listener::ResumeAccepting() {
  paused_ = false;
  for (const auto& door : doors_) {
    if (door->fd >= 0 && !door->watch) Watch(*door);
  }
}

void Listener::Step() {
  try {
    loop_.Run();
  } catch (...) {
    // A callback was cut short: no door may stay unwatched for that.
    look_armed_for_ = 0;
    ScheduleLook();
    if (!paused_) PauseAccepting(ENOMEM);
    throw;
  }
}

// ---------------------------------------------------------------- log

bool Listener::Due(Tally& tally, MonoUs now) {
  if (tally.told != 0 && now - tally.told < kTallyUs) return false;
  tally.told = now;
  return true;
}

void Listener::Log(LogLine::Level level, std::string message, std::string hint) {
  if (log_.size() < kMaxLogLines) log_.push_back({level, std::move(message), "", std::move(hint)});
}

bool Listener::TakeLogLine(LogLine& line) {
  if (log_.empty()) return false;
  line = std::move(log_.front());
  log_.pop_front();
  return true;
}

}  // namespace pg_status
