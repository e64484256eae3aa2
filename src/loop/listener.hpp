// The listening side: owns the listening sockets, answers whoever connects, never waits for
// anybody.
//
// Today there is one port, on which the server speaks first: the state of this node in one word.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "answer/raw_line.hpp"
#include "base/ip_address.hpp"
#include "base/log_line.hpp"
#include "config/networks.hpp"
#include "loop/drain.hpp"
#include "loop/event_loop.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

struct ListenerSettings {
  std::vector<IpAddress> addresses;
  std::vector<Network> allowed;  // empty: everyone
  std::uint16_t port = 0;        // 0: closed
  std::size_t max_clients = 512;
  std::int64_t client_timeout_us = 5 * kUsPerSecond;
};

// Reads this node's state now. Must not fail, wait or throw.
using NodeStateReader = std::function<NodeState()>;

class Listener {
 public:
  explicit Listener(NodeStateReader node_state);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Opens, moves and closes doors to match. An address that stays is not disturbed; one whose new
  // port cannot be opened yet goes on answering on the old one. Failures are logged and tried
  // again, from 1 to 30 seconds apart.
  void Configure(ListenerSettings settings);

  // Runs what is due, without waiting.
  void Step();
  int fd() const { return loop_.fd(); }
  int timeout_ms() { return loop_.timeout_ms(); }

  // The next log line; false when there is none.
  bool TakeLogLine(LogLine& line);

  // Clients that are open at this moment.
  std::size_t clients() const { return draining_.size(); }

 private:
  // One address we listen on.
  struct Door {
    Door(Listener& owner, const IpAddress& where);
    ~Door();
    Listener& listener;
    IpAddress address;
    std::uint16_t open_port = 0;  // 0: not open
    int fd = -1;
    PollHandle watch;
    TimerHandle retry;
    std::int64_t retry_after_us = 0;
    int last_error = 0;
  };
  // Something that happens too often to log each time.
  struct Tally {
    std::uint64_t count = 0;
    MonoUs told = 0;
  };

  // The door on this address, a new one if there is none.
  Door& DoorAt(const IpAddress& address);
  void Open(Door& door);
  void OpenFailed(Door& door, int error);
  void Close(Door& door);
  void Watch(Door& door);
  void PauseAccepting(int error);
  void ResumeAccepting();
  // Answers one client that waits; false when there is none, or none can be accepted now.
  bool AcceptOne(Door& door, MonoUs now);
  void AcceptAll(Door& door);
  void AcceptSome(Door& door);
  void Answer(int fd, const IpAddress& client, MonoUs now);
  void ScheduleLook();
  // True when it is time for a line: the first time, then once a minute.
  static bool Due(Tally& tally, MonoUs now);
  void Log(LogLine::Level level, std::string message, std::string hint = "");

  EventLoop loop_;
  const NodeStateReader node_state_;
  ListenerSettings settings_;
  DrainQueue draining_;
  TimerHandle look_timer_;
  MonoUs look_armed_for_ = 0;
  TimerHandle resume_timer_;
  bool paused_ = false;
  std::vector<std::unique_ptr<Door>> doors_;
  Tally refused_;
  Tally exhausted_;
  std::deque<LogLine> log_;
};

}  // namespace pg_status
