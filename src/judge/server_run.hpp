// One start of one server.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// 0 unknown.
struct ServerRun {
  std::uint64_t system_identifier = 0;
  WallUs postmaster_start = 0;

  bool operator==(const ServerRun& other) const {
    return system_identifier == other.system_identifier &&
           postmaster_start == other.postmaster_start;
  }
  bool known() const { return system_identifier != 0 && postmaster_start != 0; }
};

struct RunHash {
  std::size_t operator()(const ServerRun& run) const {
    return std::hash<std::uint64_t>()(run.system_identifier ^
                                      static_cast<std::uint64_t>(run.postmaster_start) << 1);
  }
};

}  // namespace pg_status
