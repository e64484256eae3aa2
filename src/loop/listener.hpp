// The listening side: answers whoever connects, never waits for anybody. It puts together the
// doors, the ports' services, the conversations and the drain; what is said stands in answer/.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "answer/check.hpp"
#include "answer/discovery.hpp"
#include "answer/raw_line.hpp"
#include "answer/traffic.hpp"
#include "answer/world.hpp"
#include "base/ip_address.hpp"
#include "base/log_line.hpp"
#include "config/networks.hpp"
#include "loop/conversations.hpp"
#include "loop/doors.hpp"
#include "loop/drain.hpp"
#include "loop/event_loop.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

struct ListenerSettings {
  std::vector<IpAddress> addresses;
  std::vector<Network> allowed;               // empty: everyone
  std::array<std::uint16_t, kPorts> ports{};  // by Port; 0: closed
  std::size_t max_clients = 512;
  std::int64_t client_timeout_us = 5 * kUsPerSecond;
  bool fence = false;  // a primary that sees no majority is to keep away
};

// What the listener asks of the server. None of these may fail, wait or throw.
struct Server {
  std::function<NodeState()> node_state;  // now
  std::function<NodeFacts()> node_facts;  // now
  Chooser choose;                         // with the shared cursor
  PageSources page;                       // as they are now
};

class Listener {
 public:
  Listener(Server server, std::string_view version);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Opens, moves and closes doors to match; clients that are connected stay.
  void Configure(ListenerSettings settings);

  // What answers look at until the next call; the snapshot must stay where it is. poller_alive: its
  // last sign of life.
  void SetSnapshot(const PgstSnapshot* snapshot, MonoUs poller_alive);

  // The number of the newest event that the snapshot shows: clients that wait for a change know it.
  void SetGeneration(std::uint64_t generation);

  // What operators have ordered, likewise.
  void SetOrders(const PgstOrder* orders, std::uint32_t count);

  // Runs what is due, without waiting. After std::bad_alloc it may be called again.
  void Step();
  int fd() const { return loop_.fd(); }
  int timeout_ms() { return conversations_.has_due() ? 0 : loop_.timeout_ms(); }

  // The next log line; false when there is none.
  bool TakeLogLine(LogLine& line);

  // Clients that are open at this moment.
  std::size_t clients() const { return draining_.size() + conversations_.size(); }

 private:
  void Visited(Port port, OwnedFd fd, const IpAddress& from, MonoUs now);
  void AnswerRaw(OwnedFd fd, MonoUs now);
  void AttendRaw(MonoUs now);
  void Drained();
  void Refused(Port port, const IpAddress& from, MonoUs now);
  void Refresh(const IpAddress& from);
  void ScheduleLook();
  void WatchFence();
  void Log(LogLine line);

  EventLoop loop_;
  const Server server_;
  ListenerSettings settings_;
  World world_;
  Traffic traffic_;
  Discovery discovery_;
  Check check_;
  DrainQueue draining_;
  Conversations conversations_;
  Doors doors_;
  TimerHandle look_timer_;
  bool look_armed_ = false;
  MonoUs raw_attended_ = 0;
  bool told_fenced_ = false;
  std::uint64_t refused_ = 0;  // not yet told
  MonoUs refused_told_ = 0;
  std::deque<LogLine> log_;
};

}  // namespace pg_status
