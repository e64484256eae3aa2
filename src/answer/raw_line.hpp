// The raw status port's words: this node's own state in one line. The client sends nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// The state of this server, read live for each answer (never from a poll); only whether a primary
// is fenced goes by what the poller saw.
enum class NodeState : std::uint8_t {
  kStarting,  // crash recovery, recovery before the consistent point, or hot_standby = off
  kPrimary,   // recovery is over
  kStandby,   // a hot standby that accepts connections
  kStopping,  // a smart shutdown was requested: no new sessions
  kFenced,    // recovery is over, but another may be the primary, and such a one is to keep away
};

// "MASTER\n", "STANDBY\n", "STARTING\n", "STOPPING\n" or "FENCED\n"; "MAINT\n" in maintenance,
// whatever the state. No word contains another: load balancers match substrings.
std::string_view RawLine(NodeState state);

// What a server in maintenance says, whatever its state.
inline constexpr std::string_view kMaintLine = "MAINT\n";

}  // namespace pg_status
