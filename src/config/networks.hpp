// pg_status.listen_addresses and pg_status.allow: text -> addresses and networks, or an error
// naming the entry. Pure: host names are refused, because resolving one could block. ("localhost"
// has a fixed meaning; it may be listened on.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "base/result.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

inline constexpr std::size_t kMaxListenAddresses = 64;  // each is a socket per port
inline constexpr std::size_t kMaxNetworks = 1024;       // looked through for every client

// Comma list of IPv4/IPv6 literals (brackets allowed around IPv6), "localhost" (127.0.0.1 and ::1)
// or "*" (0.0.0.0 and ::). Blank text gives an empty list: no port is opened. Repeated addresses
// are dropped; "*", 0.0.0.0 and :: swallow the others of their family. An IPv4 address mapped into
// IPv6 counts as IPv4. Errors: an empty entry, not an address, more than kMaxListenAddresses.
Result<std::vector<IpAddress>> ParseListenAddresses(std::string_view text);

struct Network {
  IpAddress address;      // host bits are zero
  std::uint8_t bits = 0;  // prefix length, 0..32 or 0..128
};

// Comma list of CIDR networks ("10.0.0.0/8", "2001:db8::/32"); a bare address is a network of one.
// Blank text gives an empty list. A network of IPv4 addresses mapped into IPv6 becomes IPv4.
// Errors: an empty entry, not an address, prefix length missing or out of range, bits set to the
// right of the mask, more than kMaxNetworks.
Result<std::vector<Network>> ParseNetworks(std::string_view text);

// Whether a client may ask. An empty list allows everyone. An IPv4 client that arrives mapped into
// IPv6 is judged as IPv4.
bool IsAllowed(const std::vector<Network>& allowed, const IpAddress& client);

}  // namespace pg_status
