// The ports that clients come to, and what they are called wherever one is named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Port : std::uint8_t { kRaw, kDiscovery, kCheck };
inline constexpr std::size_t kPorts = 3;

// In the order of Port.
inline constexpr std::string_view kPortWords[kPorts] = {"raw", "discovery", "check"};

constexpr std::string_view PortWord(Port port) {
  return kPortWords[static_cast<std::size_t>(port)];
}

}  // namespace pg_status
