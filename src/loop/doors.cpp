// Listening sockets; see doors.hpp.

#include "loop/doors.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/number.hpp"

namespace pg_status {
namespace {

constexpr int kBacklog = 4096;       // the kernel lowers it to its own limit (net.core.somaxconn)
constexpr int kAcceptsPerTurn = 64;  // then the others have their turn
constexpr int kSendBufferBytes = 65536;  // of each connection; the kernel doubles it
constexpr std::int64_t kPauseUs = 100 * kUsPerMs;
constexpr std::int64_t kFirstRetryUs = 1 * kUsPerSecond;
constexpr std::int64_t kLastRetryUs = 30 * kUsPerSecond;
constexpr std::int64_t kTellFailuresUs = 60 * kUsPerSecond;

constexpr const char* kPortNames[kPorts] = {"raw status port", "discovery port", "check port"};

std::string ErrorText(int error) { return std::generic_category().message(error); }

std::string PlaceText(const IpAddress& address, std::uint16_t port) {
  const std::string host = FormatIpAddress(address);
  return address.family == IpFamily::kV6 ? fmt::format("[{}]:{}", host, port)
                                         : fmt::format("{}:{}", host, port);
}

// 0 for no zone, and for one that is not there (now): no socket can be bound to that.
std::uint32_t InterfaceIndex(const std::string& zone) {
  if (zone.empty()) return 0;
  const std::uint32_t index = if_nametoindex(zone.c_str());
  if (index != 0) return index;
  const auto number = ParseUint64(zone);
  return number && *number <= UINT32_MAX ? static_cast<std::uint32_t>(*number) : 0;
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
  v6->sin6_scope_id = InterfaceIndex(address.zone);
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

// A non-blocking connection, or none with errno.
OwnedFd Accept(int listening, sockaddr_storage& from) {
  socklen_t size = sizeof from;
#ifdef SOCK_NONBLOCK
  return OwnedFd(
      accept4(listening, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
#else
  OwnedFd fd(accept(listening, reinterpret_cast<sockaddr*>(&from), &size));
  if (fd.get() >= 0 && !MakeNonBlocking(fd.get())) {
    fd.Close();
    errno = ECONNABORTED;
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

bool TooManyFiles(int error) { return error == EMFILE || error == ENFILE; }

// A listening socket, or -1 with errno.
int Listen(const IpAddress& address, std::uint16_t port) {
  sockaddr_storage place{};
  const socklen_t size = ToSockaddr(address, port, place);
  const int fd = socket(place.ss_family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const int on = 1;
  bool good = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && MakeNonBlocking(fd) &&
              setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  // What clients do not read lies in the kernel, and its memory for that is the whole machine's.
  const int send_bytes = kSendBufferBytes;
  good = good && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes) == 0;
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

Doors::Door::Door(Doors& owner, Port which, const IpAddress& where)
    : doors(owner), port(which), address(where), retry(owner.loop_.NewTimer(this)) {}

Doors::Door::~Door() {
  watch.reset();
  if (fd >= 0) close(fd);
}

Doors::Doors(EventLoop& loop, Visitor visitor, Logger logger)
    : loop_(loop),
      visitor_(std::move(visitor)),
      logger_(std::move(logger)),
      resume_timer_(loop.NewTimer(this)) {}

Doors::~Doors() = default;

void Doors::Configure(const std::vector<IpAddress>& addresses,
                      const std::array<std::uint16_t, kPorts>& port_numbers) {
  // Doors that are not wanted any more go first: they may be in the way of a new one ("*" after
  // "127.0.0.1").
  const auto unwanted = [&](const std::unique_ptr<Door>& door) {
    return port_numbers[static_cast<std::size_t>(door->port)] == 0 ||
           std::find(addresses.begin(), addresses.end(), door->address) == addresses.end();
  };
  for (const auto& door : doors_) {
    if (unwanted(door)) Close(*door);
  }
  doors_.erase(std::remove_if(doors_.begin(), doors_.end(), unwanted), doors_.end());

  for (const Port port : {Port::kRaw, Port::kDiscovery, Port::kCheck}) {
    const std::uint16_t number = port_numbers[static_cast<std::size_t>(port)];
    for (const IpAddress& address : addresses) {
      if (number == 0) continue;
      Door& door = DoorAt(port, address);
      door.wanted_number = number;
      door.retry_after_us = 0;
      door.last_error = 0;
      uv_timer_stop(door.retry.get());  // it may be about a port that is not wanted any more
      if (door.open_number != number) Open(door);
    }
  }
}

Doors::Door& Doors::DoorAt(Port port, const IpAddress& address) {
  for (const auto& door : doors_) {
    if (door->port == port && door->address == address) return *door;
  }
  doors_.push_back(std::make_unique<Door>(*this, port, address));
  return *doors_.back();
}

void Doors::Open(Door& door) {
  const int fd = Listen(door.address, door.wanted_number);
  if (fd < 0) {
    OpenFailed(door, errno);
    return;
  }
  Close(door);
  door.fd = fd;
  door.open_number = door.wanted_number;
  uv_timer_stop(door.retry.get());
  if (!paused_ && !Watch(door)) return;
  door.last_error = 0;
  door.retry_after_us = 0;
  logger_({LogLine::Level::kInfo,
           fmt::format("{} is open on {}", kPortNames[static_cast<std::size_t>(door.port)],
                       PlaceText(door.address, door.open_number)),
           "", ""});
}

void Doors::OpenFailed(Door& door, int error) {
  if (error != door.last_error) {
    // A machine without IPv6 is no fault: "localhost" and "*" mean what there is.
    const bool no_ipv6 =
        door.address.family == IpFamily::kV6 && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
    logger_(
        {no_ipv6 ? LogLine::Level::kInfo : LogLine::Level::kWarning,
         fmt::format("could not open {} on {}: {}", kPortNames[static_cast<std::size_t>(door.port)],
                     PlaceText(door.address, door.wanted_number), ErrorText(error)),
         "",
         error == EADDRINUSE ? "Is another server, or another port of pg_status, using that "
                               "number? It is tried again."
                             : "It is tried again."});
  }
  door.last_error = error;
  door.retry_after_us = std::clamp(door.retry_after_us * 2, kFirstRetryUs, kLastRetryUs);
  ArmTimer(door.retry.get(), EventLoop::Now() + door.retry_after_us, [](uv_timer_t* timer) {
    auto* closed = static_cast<Door*>(timer->data);
    closed->doors.loop_.Guard([&] { closed->doors.Open(*closed); });
  });
}

// Closing a listening socket resets the connections that wait to be accepted: they are handed on
// first.
void Doors::Close(Door& door) {
  door.watch.reset();
  if (door.fd >= 0) {
    AcceptSome(door, kBacklog);
  }
  if (door.fd >= 0) close(door.fd);
  door.fd = -1;
  door.open_number = 0;
}

// False when it cannot be watched: it is closed then, and tried again.
bool Doors::Watch(Door& door) {
  door.watch = loop_.NewPoll(door.fd, &door);
  const auto on_knock = [](uv_poll_t* handle, int status, int /*ready*/) {
    auto* knocked = static_cast<Door*>(handle->data);
    knocked->doors.loop_.Guard([&] {
      knocked->doors.AcceptSome(*knocked, kAcceptsPerTurn);
      // libuv stops a watcher that reports an error.
      if (status < 0 && knocked->watch) knocked->doors.Watch(*knocked);
    });
  };
  if (door.watch && loop_.Watch(door.watch.get(), UV_READABLE, on_knock)) return true;
  // An open port that nobody listens to would let clients wait for ever.
  const int error = errno;
  Close(door);
  OpenFailed(door, error);
  return false;
}

bool Doors::AcceptOne(Door& door, MonoUs now) {
  sockaddr_storage from{};
  OwnedFd fd = Accept(door.fd, from);
  if (fd.get() >= 0) {
    visitor_(door.port, std::move(fd), FromSockaddr(from), now);
    return true;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
  if (TooManyFiles(errno) || errno == ENOBUFS || errno == ENOMEM) {
    Pause(errno);
    return false;
  }
  if (VisitorIsGone(errno)) return true;
  // The listening socket itself is broken: a new one is needed.
  const int error = errno;
  door.watch.reset();
  close(std::exchange(door.fd, -1));
  door.open_number = 0;
  OpenFailed(door, error);
  return false;
}

void Doors::AcceptSome(Door& door, int most) {
  const MonoUs now = EventLoop::Now();
  while (most > 0 && AcceptOne(door, now)) --most;
}

void Doors::Attend(Port port) {
  if (paused_) return;
  for (const auto& door : doors_) {
    if (door->port == port && door->fd >= 0) AcceptSome(*door, kAcceptsPerTurn);
  }
}

// A readable listening socket would wake us for ever, so it is left alone for a moment.
void Doors::Pause(int error) {
  const MonoUs now = EventLoop::Now();
  ++failures_;
  if (failures_told_ == 0 || now - failures_told_ >= kTellFailuresUs) {
    failures_told_ = now;
    logger_({LogLine::Level::kWarning,
             fmt::format("could not accept connections {} times: {}", std::exchange(failures_, 0),
                         ErrorText(error)),
             "",
             TooManyFiles(error) ? "Lower pg_status.max_clients or raise the limit of open files."
                                 : ""});
  }
  paused_ = true;
  for (const auto& door : doors_) door->watch.reset();
  ArmTimer(resume_timer_.get(), now + kPauseUs, [](uv_timer_t* timer) {
    auto* self = static_cast<Doors*>(timer->data);
    self->loop_.Guard([&] { self->Resume(); });
  });
}

void Doors::Resume() {
  paused_ = false;
  for (const auto& door : doors_) {
    if (door->fd >= 0 && !door->watch) Watch(*door);
  }
}

}  // namespace pg_status
