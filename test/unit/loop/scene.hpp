// What the tests of the loop share: something with an event loop in it as a part that is polled
// with others, and a client on 127.0.0.1. It knows nothing of what is said.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probe/drive.hpp"
#include "probe/scripted_server.hpp"

namespace pg_status {

// EventLoop, Listener or Poller. run: how it is told to run what is due.
template <typename Loop>
class Running : public Part {
 public:
  Running(Loop& loop, void (Loop::*run)()) : loop_(loop), run_(run) {}
  void Watch(std::vector<pollfd>& fds) override { fds.push_back({loop_.fd(), POLLIN, 0}); }
  void Step() override { (loop_.*run_)(); }
  int timeout_ms() override { return loop_.timeout_ms(); }

 private:
  Loop& loop_;
  void (Loop::*run_)();
};

// A number that was free a moment ago.
inline std::uint16_t FreePort() { return RefusedPort().port(); }

// A client that sends what it is told to, as far as that is taken, and reads what comes.
class Visitor final : public Part {
 public:
  // The connection is made at once: the kernel accepts it, whatever the server does.
  explicit Visitor(std::uint16_t port, std::string_view says = "")
      : fd_(socket(AF_INET, SOCK_STREAM, 0)), out_(says) {
    sockaddr_in place = Loopback(port);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&place), sizeof place) != 0) {
      End(errno == ECONNREFUSED ? "refused" : "not connected");
      return;
    }
    SetNonBlocking(fd_);
    Step();
  }
  ~Visitor() override { Leave(); }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  void Say(std::string_view text) {
    out_ += text;
    Step();
  }
  void SayNoMore() const { shutdown(fd_, SHUT_WR); }
  void Leave() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

  // Leaves without a word: what is on its way to us is answered with a reset.
  void BreakOff() {
    const linger at_once{1, 0};
    MustBe(setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0, "setsockopt");
    Leave();
  }

  const std::string& heard() const { return heard_; }
  // "" while it is connected; "closed" after an orderly end, else how it went.
  const std::string& end() const { return end_; }
  bool deaf = false;  // reads nothing

  void Watch(std::vector<pollfd>& fds) override {
    if (!end_.empty() || fd_ < 0) return;
    const int events = (deaf ? 0 : POLLIN) | (out_.empty() ? 0 : POLLOUT);
    fds.push_back({fd_, static_cast<short>(events), 0});
  }
  void Step() override {
    while (Open() && !out_.empty()) {
      const ssize_t sent = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN && deaf) End("cut");
        break;  // a broken connection is found by reading
      }
      out_.erase(0, static_cast<std::size_t>(sent));
    }
    char bytes[4096];
    while (Open() && !deaf) {
      const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) {
        End(got == 0 ? "closed" : errno == ECONNRESET ? "reset" : "broken");
      } else {
        heard_.append(bytes, static_cast<std::size_t>(got));
      }
    }
  }

 private:
  bool Open() const { return end_.empty() && fd_ >= 0; }
  void End(const char* how) { end_ = how; }

  int fd_;
  std::string out_;
  std::string heard_;
  std::string end_;
};

}  // namespace pg_status
