// Host names to addresses, without waiting: c-ares on the event loop. getaddrinfo blocks for as
// long as a name server is silent, and threads have no place in a server process.
#pragma once

#include <ares.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "loop/event_loop.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Resolver {
 public:
  // Numeric addresses, or none and the reason. no_such_name: not for want of an answer, but because
  // it was answered that the name does not exist, or has no address.
  struct Found {
    std::vector<std::string> addresses;
    std::string error;
    bool no_such_name = false;
  };
  using Callback = std::function<void(Found found)>;

  // try_timeout_ms: how long one name server is waited for. name_servers: "127.0.0.1:53,[::1]:53",
  // instead of the system's; "" for those.
  Resolver(EventLoop& loop, int try_timeout_ms, std::string name_servers = "");
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Starts a lookup. The callback comes from within this call or from a later Run(), once, unless
  // Forget() came first. `owner` may have one lookup under way; a second is ignored until the first
  // has ended.
  void Lookup(const void* owner, const std::string& name, Callback callback);
  void Forget(const void* owner) { waiting_.erase(owner); }

  // Reads the system's resolver configuration anew (once nothing is under way).
  void Reload();

 private:
  struct Request;

  void Start();
  void Watch(ares_socket_t fd, bool read, bool write);
  void Process(ares_socket_t read, ares_socket_t write);
  void Ask(const void* owner, std::uint64_t serial, const std::string& name);
  void Answered(const void* owner, std::uint64_t serial, int status, ares_addrinfo* result);
  void KeepTicking();

  EventLoop& loop_;
  const int try_timeout_ms_;
  const std::string name_servers_;
  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, PollHandle> sockets_;
  struct Waiting {
    std::uint64_t serial = 0;
    Callback callback;
    std::string name;
  };
  std::map<const void*, Waiting> waiting_;
  std::uint64_t next_serial_ = 1;
  int under_way_ = 0;
  bool reload_ = false;
  MonoUs started_ = 0;
  TimerHandle tick_;
};

}  // namespace pg_status
