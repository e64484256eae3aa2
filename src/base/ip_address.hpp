// An IPv4 or IPv6 address as a value. No names, no resolver, no ports.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

enum class IpFamily : std::uint8_t { kV4, kV6 };

struct IpAddress {
  IpFamily family = IpFamily::kV4;
  std::array<std::uint8_t, 16> bytes{};  // network order; an IPv4 address uses the first four

  bool operator==(const IpAddress& other) const {
    return family == other.family && bytes == other.bytes;
  }
};

// "192.0.2.1" or "2001:db8::1", without brackets, zone or mask. nullopt for anything else (a host
// name too).
std::optional<IpAddress> ParseIpAddress(std::string_view text);

std::string FormatIpAddress(const IpAddress& address);

// An IPv4 address that arrived mapped into IPv6 (::ffff:192.0.2.1) as the IPv4 address it is;
// others unchanged.
IpAddress Unmapped(const IpAddress& address);

}  // namespace pg_status
