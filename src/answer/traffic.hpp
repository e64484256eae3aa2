// What clients asked for and what became of it, counted for /metrics since the listener started.
// Knows nothing of sockets, HTTP or text formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "answer/port.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Traffic {
 public:
  // Answers of one kind.
  struct Requests {
    Port port;
    std::string_view path;  // "" on a port without paths
    std::string_view code;  // an HTTP status, or the raw port's word
    std::uint64_t count;
  };
  struct Connections {
    std::uint64_t open = 0;            // now
    std::uint64_t rejected = 0;        // not allowed, or too many
    std::uint64_t write_failures = 0;  // gone before their answer was
  };

  // The label of every path that is not served. What a client calls its path is never a label: then
  // it could make any number of them.
  static constexpr std::string_view kOtherPath = "other";

  // One more answer. Both texts must be of a fixed set, and stay where they are for good. May throw
  // std::bad_alloc, the first times.
  void Count(Port port, std::string_view path, std::string_view code);

  // The same for an HTTP status.
  void Count(Port port, std::string_view path, int status);

  const std::vector<Requests>& requests() const { return requests_; }

  Connections& of(Port port) { return connections_[static_cast<std::size_t>(port)]; }
  const Connections& of(Port port) const { return connections_[static_cast<std::size_t>(port)]; }

 private:
  std::vector<Requests> requests_;
  std::array<Connections, kPorts> connections_{};
};

}  // namespace pg_status
