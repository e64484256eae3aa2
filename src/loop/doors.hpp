// Listening sockets: opened, moved and closed to match the settings, and whoever connects handed
// on. Knows addresses and ports, nothing of what is said there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "answer/port.hpp"
#include "base/ip_address.hpp"
#include "base/log_line.hpp"
#include "loop/event_loop.hpp"
#include "loop/owned_fd.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Doors {
 public:
  // Gets a non-blocking socket.
  using Visitor = std::function<void(Port port, OwnedFd fd, const IpAddress& from, MonoUs now)>;
  using Logger = std::function<void(LogLine line)>;

  Doors(EventLoop& loop, Visitor visitor, Logger logger);
  ~Doors();
  Doors(const Doors&) = delete;
  Doors& operator=(const Doors&) = delete;

  // Opens, moves and closes. port_numbers: by Port, 0 = closed. An address that stays is not
  // disturbed; one whose new port cannot be opened yet goes on answering on the old one. Failures
  // are logged and tried again, from 1 to 30 seconds apart.
  void Configure(const std::vector<IpAddress>& addresses,
                 const std::array<std::uint16_t, kPorts>& port_numbers);

  // Hands on who waits at this port, out of turn.
  void Attend(Port port);

  // Leaves waiting connections alone for a moment: nothing can be accepted (no descriptors, no
  // memory).
  void Pause(int error);

 private:
  // One port on one address.
  struct Door {
    Door(Doors& owner, Port which, const IpAddress& where);
    ~Door();
    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;
    Doors& doors;
    Port port;
    IpAddress address;
    std::uint16_t wanted_number = 0;
    std::uint16_t open_number = 0;  // 0: not open
    int fd = -1;
    PollHandle watch;
    TimerHandle retry;
    std::int64_t retry_after_us = 0;
    int last_error = 0;
  };

  // The door of this port on this address, a new one if there is none.
  Door& DoorAt(Port port, const IpAddress& address);
  void Open(Door& door);
  void OpenFailed(Door& door, int error);
  void Close(Door& door);
  bool Watch(Door& door);
  void Resume();
  // Hands on one visitor that waits; false when there is none, or none can be accepted now.
  bool AcceptOne(Door& door, MonoUs now);
  void AcceptSome(Door& door, int most);

  EventLoop& loop_;
  const Visitor visitor_;
  const Logger logger_;
  std::vector<std::unique_ptr<Door>> doors_;
  TimerHandle resume_timer_;
  bool paused_ = false;
  std::uint64_t failures_ = 0;  // not yet told
  MonoUs failures_told_ = 0;
};

}  // namespace pg_status
