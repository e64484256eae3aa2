// c-ares on the event loop; see resolver.hpp.

#include "loop/resolver.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <utility>

namespace pg_status {
namespace {

constexpr int kTries = 2;
constexpr int kTickMs = 50;  // c-ares' own time-outs are looked at this often
constexpr std::int64_t kMinReloadGapUs =
    10 * kUsPerSecond;  // a broken resolver is set up anew this often
constexpr std::size_t kMaxAddresses = 16;

std::vector<std::string> Numeric(const ares_addrinfo* result) {
  std::vector<std::string> addresses;
  const ares_addrinfo_node* node = result == nullptr ? nullptr : result->nodes;
  for (; node != nullptr && addresses.size() < kMaxAddresses; node = node->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    if (node->ai_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
      inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    } else if (node->ai_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    }
    if (text[0] != '\0') addresses.emplace_back(text);
  }
  return addresses;
}

// Answers that a name server, or the hosts file, would give again: there is no such name, or none
// with an address. (A name that c-ares itself finds wrong is asked of nobody.)
bool IsNoSuchName(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

std::string WhyNot(int status) {
  if (status == ARES_SUCCESS) return "the name has no address";
  std::string why = std::string("could not resolve the name: ") + ares_strerror(status);
  // psql on the same machine may well know it
  if (IsNoSuchName(status)) {
    why += " (only /etc/hosts and DNS were asked: other sources of nsswitch.conf are not used)";
  }
  return why;
}

}  // namespace

// What c-ares carries for us; freed in its callback, which always comes.
struct Resolver::Request {
  Resolver* resolver;
  const void* owner;
  std::uint64_t serial;
};

Resolver::Resolver(EventLoop& loop, int try_timeout_ms, std::string name_servers)
    : loop_(loop),
      try_timeout_ms_(try_timeout_ms),
      name_servers_(std::move(name_servers)),
      tick_(loop.NewTimer(this)) {
  ares_library_init(ARES_LIB_INIT_ALL);
  Start();
}

Resolver::~Resolver() {
  waiting_.clear();
  if (channel_ != nullptr) ares_destroy(channel_);  // calls back what is under way
  ares_library_cleanup();
}

// Without a channel (no memory, unreadable configuration) every lookup fails and says so; it is
// tried again later.
void Resolver::Start() {
  started_ = EventLoop::Now();
  ares_options options{};
  options.timeout = try_timeout_ms_;
  options.tries = kTries;
  options.sock_state_cb = [](void* data, ares_socket_t fd, int read, int write) {
    auto* self = static_cast<Resolver*>(data);
    self->loop_.Guard([&] { self->Watch(fd, read != 0, write != 0); });
  };
  options.sock_state_cb_data = this;
  int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
  // Newer versions keep answers for as long as they may be kept: a host that has moved would be
  // asked at its old address for that long, and the new one is looked for when it does not answer.
  options.qcache_max_ttl = 0;
  mask |= ARES_OPT_QUERY_CACHE;
#endif
  if (ares_init_options(&channel_, &options, mask) != ARES_SUCCESS) {
    channel_ = nullptr;
  }
  if (channel_ != nullptr && !name_servers_.empty() &&
      ares_set_servers_ports_csv(channel_, name_servers_.c_str()) != ARES_SUCCESS) {
    ares_destroy(std::exchange(channel_, nullptr));
  }
}

void Resolver::Reload() {
  if (under_way_ > 0) {
    reload_ = true;
    return;
  }
  reload_ = false;
  if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr));
  sockets_.clear();
  Start();
}

void Resolver::Lookup(const void* owner, const std::string& name, Callback callback) {
  if (waiting_.count(owner) != 0) {
    // The earlier lookup still runs; its answer serves this wish too.
    waiting_[owner].callback = std::move(callback);
    return;
  }
  if (channel_ == nullptr && EventLoop::Now() - started_ >= kMinReloadGapUs) Start();
  if (channel_ == nullptr) {
    callback({{}, "the resolver could not be set up", false});
    return;
  }
  const std::uint64_t serial = next_serial_++;
  waiting_[owner] = Waiting{serial, std::move(callback), name};
  Ask(owner, serial, name);
}

void Resolver::Ask(const void* owner, std::uint64_t serial, const std::string& name) {
  auto request = std::make_unique<Request>(Request{this, owner, serial});
  ++under_way_;

  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  ares_getaddrinfo(
      channel_, name.c_str(), nullptr, &hints,
      [](void* arg, int status, int /*timeouts*/, ares_addrinfo* result) {
        const std::unique_ptr<Request> answered(static_cast<Request*>(arg));
        Resolver* self = answered->resolver;
        self->loop_.Guard(
            [&] { self->Answered(answered->owner, answered->serial, status, result); });
        if (result != nullptr) ares_freeaddrinfo(result);
      },
      request.release());
  KeepTicking();
}

void Resolver::Answered(const void* owner, std::uint64_t serial, int status,
                        ares_addrinfo* result) {
  --under_way_;
  const bool server_trouble =
      status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED || status == ARES_ESERVFAIL;
  // The machine may have got other name servers since; they are read anew, now and then.
  if (server_trouble && EventLoop::Now() - started_ >= kMinReloadGapUs) reload_ = true;

  const auto found = waiting_.find(owner);
  if (found == waiting_.end() || found->second.serial != serial) return;
  // "search ." in resolv.conf makes older versions ask for "db1..", which they then find wrong;
  // with its last dot a name is asked for as it is.
  std::string& name = found->second.name;
  if (status == ARES_EBADNAME && channel_ != nullptr && !name.empty() && name.back() != '.') {
    name += '.';
    Ask(owner, serial, std::string(name));
    return;
  }
  const Callback callback = std::move(found->second.callback);
  waiting_.erase(found);
  Found told;
  if (status == ARES_SUCCESS) told.addresses = Numeric(result);
  if (told.addresses.empty()) {
    told.error = WhyNot(status);
    told.no_such_name = status == ARES_SUCCESS || IsNoSuchName(status);
  }
  callback(std::move(told));
}

// c-ares opens and closes sockets as it likes and tells here which it waits for.
void Resolver::Watch(ares_socket_t fd, bool read, bool write) {
  sockets_.erase(fd);
  if (!read && !write) return;
  PollHandle poll = loop_.NewPoll(fd, this);
  const int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
  const auto on_ready = [](uv_poll_t* handle, int status, int ready) {
    auto* self = static_cast<Resolver*>(handle->data);
    uv_os_fd_t socket = -1;
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &socket) != 0) return;
    const bool broken = status < 0;
    self->loop_.Guard([&] {
      self->Process(broken || (ready & UV_READABLE) != 0 ? socket : ARES_SOCKET_BAD,
                    broken || (ready & UV_WRITABLE) != 0 ? socket : ARES_SOCKET_BAD);
    });
  };
  // (without a watcher the tick lets the lookup time out)
  if (poll && loop_.Watch(poll.get(), events, on_ready)) sockets_.emplace(fd, std::move(poll));
}

void Resolver::Process(ares_socket_t read, ares_socket_t write) {
  if (channel_ != nullptr) ares_process_fd(channel_, read, write);
  if (reload_ && under_way_ == 0) Reload();
}

void Resolver::KeepTicking() {
  if (under_way_ == 0 || uv_is_active(reinterpret_cast<uv_handle_t*>(tick_.get())) != 0) return;
  ArmTimer(tick_.get(), EventLoop::Now() + kTickMs * kUsPerMs, [](uv_timer_t* timer) {
    auto* self = static_cast<Resolver*>(timer->data);
    self->loop_.Guard([&] {
      self->Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      self->KeepTicking();
    });
  });
}

}  // namespace pg_status
