// Loads a port whose server speaks first and then ends the connection, as health checks do, only
// more of them: connect, read to the end, compare, close, again. Knows nothing of which server it
// is, and leaves the server's CPU time to whoever started it.
//
//   raw_load PORT CONCURRENCY SECONDS TEXT     on 127.0.0.1; the answer must be TEXT, byte by byte
//
// Writes one line with seven numbers:
//
//   good per_second p50 p99 max late failed
//
// good: connections that brought the whole text and an orderly end. p50, p99, max: how long the
// good ones took, in microseconds, from before connect() to the end of the stream. late: those of
// the good ones that took longer than 200 ms, and those that had waited for longer than that in
// vain at the end. failed: refused, reset, ended without the text. The exit status is 1 when none
// was good.
//
// An answer that is late on loopback comes from a backlog that overflowed: the client sends its SYN
// again after a second, or, with SYN cookies, believes itself connected and waits for ever. Such
// connections lower the concurrency that is left, which flatters the other figures.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr std::int64_t kNsPerUs = 1000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kLateNs = kNsPerSecond / 5;
constexpr int kTickMs = 20;
constexpr std::uint32_t kFirstSource = 0x7f000101;  // 127.0.1.1
constexpr std::uint32_t kSources = 16;

std::int64_t NowNs() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in Loopback(std::uint32_t address, std::uint16_t port) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(address);
  return place;
}

// One connection at a time, again and again.
struct Slot {
  int fd = -1;  // -1: the last try failed; the next comes with the tick
  std::int64_t since = 0;
  std::size_t got = 0;
  char answer[64] = {};
};

class Load {
 public:
  Load(std::uint16_t port, std::size_t concurrency, std::string answer)
      : target_(Loopback(INADDR_LOOPBACK, port)),
        answer_(std::move(answer)),
        slots_(concurrency),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) Die("epoll_create1");
  }

  void Run(std::int64_t seconds) {
    const std::int64_t start = NowNs();
    const std::int64_t stop = start + seconds * kNsPerSecond;
    std::vector<epoll_event> events(slots_.size());
    std::int64_t next_tick = start;
    std::int64_t now = start;
    while (now < stop) {
      if (now >= next_tick) {
        OpenAll();
        next_tick = now + kTickMs * kNsPerSecond / 1000;
      }
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kTickMs);
      for (int i = 0; i < count; ++i) {
        Read(slots_[events[static_cast<std::size_t>(i)].data.u64]);
      }
      now = NowNs();
    }
    elapsed_ns_ = now - start;
    for (const Slot& slot : slots_) {
      if (slot.fd >= 0 && now - slot.since > kLateNs) ++late_;
    }
  }

  // False when there is nothing to tell.
  bool Report() {
    if (took_ns_.empty()) return false;
    std::sort(took_ns_.begin(), took_ns_.end());
    const double per_second = static_cast<double>(took_ns_.size()) *
                              static_cast<double>(kNsPerSecond) / static_cast<double>(elapsed_ns_);
    std::printf("%zu %.0f %lld %lld %lld %lld %lld\n", took_ns_.size(), per_second, Us(50), Us(99),
                Us(100), late_, failed_);
    return true;
  }

 private:
  // Of the sorted times.
  long long Us(std::size_t percent) const {
    return took_ns_[(took_ns_.size() - 1) * percent / 100] / kNsPerUs;
  }

  void OpenAll() {
    for (Slot& slot : slots_) {
      if (slot.fd < 0) Open(slot);
    }
  }

  // From one of several addresses: the server, which ends the connection first, remembers each pair
  // of address and port for a minute, and one address has too few ports for that.
  void Open(Slot& slot) {
    slot.got = 0;
    slot.since = NowNs();
    slot.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (slot.fd < 0) Die("socket");
    const int on = 1;
    setsockopt(slot.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in source = Loopback(kFirstSource + next_source_++ % kSources, 0);
    if (bind(slot.fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) Die("bind");
    if (connect(slot.fd, reinterpret_cast<const sockaddr*>(&target_), sizeof target_) != 0 &&
        errno != EINPROGRESS) {
      Fail(slot);
      return;
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.u64 = static_cast<std::uint64_t>(&slot - slots_.data());
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.fd, &event) != 0) Die("epoll_ctl");
  }

  void Read(Slot& slot) {
    while (slot.got < sizeof slot.answer) {
      const ssize_t got = recv(slot.fd, slot.answer + slot.got, sizeof slot.answer - slot.got, 0);
      if (got > 0) {
        slot.got += static_cast<std::size_t>(got);
        continue;
      }
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0 || std::string_view(slot.answer, slot.got) != answer_) break;
      Finish(slot);
      return;
    }
    Fail(slot);
  }

  void Finish(Slot& slot) {
    const std::int64_t took = NowNs() - slot.since;
    took_ns_.push_back(took);
    if (took > kLateNs) ++late_;
    close(slot.fd);
    Open(slot);
  }

  // Not opened again at once: a server that is down is not hammered.
  void Fail(Slot& slot) {
    ++failed_;
    close(slot.fd);
    slot.fd = -1;
  }

  const sockaddr_in target_;
  const std::string answer_;
  std::vector<Slot> slots_;
  const int epoll_;
  std::uint32_t next_source_ = 0;
  std::int64_t elapsed_ns_ = 0;
  std::vector<std::int64_t> took_ns_;  // of the good ones
  long long late_ = 0;
  long long failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const int concurrency = argc == 5 ? std::atoi(argv[2]) : 0;
  const int seconds = argc == 5 ? std::atoi(argv[3]) : 0;
  if (concurrency < 1 || seconds < 1) {
    std::fputs("usage: raw_load PORT CONCURRENCY SECONDS TEXT\n", stderr);
    return 64;
  }
  Load load(static_cast<std::uint16_t>(std::atoi(argv[1])), static_cast<std::size_t>(concurrency),
            argv[4]);
  load.Run(seconds);
  return load.Report() ? 0 : 1;
}
