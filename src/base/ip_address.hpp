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
  std::string zone;  // of a link-local address: the interface, by name or number; "" not given

  bool operator==(const IpAddress& other) const {
    return family == other.family && bytes == other.bytes && zone == other.zone;
  }
};

// "192.0.2.1", "2001:db8::1" or "fe80::1%eth0", without brackets or mask. nullopt for anything else
// (a host name too, and a zone of an address that needs none).
std::optional<IpAddress> ParseIpAddress(std::string_view text);

std::string FormatIpAddress(const IpAddress& address);

// The one spelling that an address has, to compare it by: lower case, shortened, not mapped, and
// without its zone, which means something only on one machine. "" for what is no address.
std::string CanonicalAddress(std::string_view text);

// An address of this machine itself, which means another machine elsewhere: 127.0.0.0/8 and ::1.
bool IsLoopback(const IpAddress& address);

// An IPv4 address that arrived mapped into IPv6 (::ffff:192.0.2.1) as the IPv4 address it is;
// others unchanged.
IpAddress Unmapped(const IpAddress& address);

}  // namespace pg_status
