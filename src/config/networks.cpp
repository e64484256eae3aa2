// pg_status.listen_addresses and pg_status.allow. Knows no sockets and asks no resolver.
#include "config/networks.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/number.hpp"
#include "config/list.hpp"

namespace pg_status {
namespace {

constexpr int kMappedBits = 96;  // of ::ffff:0:0/96, where IPv4 lies mapped within IPv6

int FamilyBits(IpFamily family) { return family == IpFamily::kV4 ? 32 : 128; }

IpAddress AnyAddress(IpFamily family) {
  IpAddress any;
  any.family = family;
  return any;
}

IpAddress Masked(const IpAddress& address, int bits) {
  IpAddress masked = address;
  int left = bits;
  for (std::uint8_t& byte : masked.bytes) {
    const int kept = std::clamp(left, 0, 8);
    byte = static_cast<std::uint8_t>(byte & (0xFF00 >> kept));
    left -= kept;
  }
  return masked;
}

// Words that stand for addresses.
struct ListenWord {
  std::string_view word;
  std::string_view addresses[2];
};

constexpr ListenWord kListenWords[] = {
    {"localhost", {"127.0.0.1", "::1"}},
    {"*", {"0.0.0.0", "::"}},
};

std::optional<IpAddress> ParseListenLiteral(std::string_view entry) {
  const bool bracketed = entry.size() >= 2 && entry.front() == '[' && entry.back() == ']';
  if (bracketed) entry = entry.substr(1, entry.size() - 2);
  const std::optional<IpAddress> address = ParseIpAddress(entry);
  if (!address || (bracketed && address->family != IpFamily::kV6)) return std::nullopt;
  // An IPv6 socket that is kept to IPv6 cannot be bound to a mapped address.
  return Unmapped(*address);
}

std::vector<IpAddress> ParseListenEntry(std::string_view entry) {
  std::vector<IpAddress> found;
  for (const ListenWord& row : kListenWords) {
    if (entry != row.word) continue;
    for (const std::string_view address : row.addresses) found.push_back(*ParseIpAddress(address));
    return found;
  }
  if (const std::optional<IpAddress> address = ParseListenLiteral(entry)) found.push_back(*address);
  return found;
}

bool Contains(const std::vector<IpAddress>& addresses, const IpAddress& wanted) {
  return std::find(addresses.begin(), addresses.end(), wanted) != addresses.end();
}

// The any-address of a family takes the port on all addresses: one more bind would be refused.
void DropSwallowed(std::vector<IpAddress>& addresses) {
  for (const IpFamily family : {IpFamily::kV4, IpFamily::kV6}) {
    const IpAddress any = AnyAddress(family);
    if (!Contains(addresses, any)) continue;
    const auto swallowed = [&](const IpAddress& a) { return a.family == family && !(a == any); };
    addresses.erase(std::remove_if(addresses.begin(), addresses.end(), swallowed), addresses.end());
  }
}

// A network of IPv4 addresses mapped into IPv6 as the IPv4 network it is, because clients are
// judged so. bits is never less than kMappedBits for such an address: the mask would have cut its
// prefix.
Network Normalized(const IpAddress& address, int bits) {
  const IpAddress unmapped = Unmapped(address);
  const bool was_mapped = unmapped.family != address.family;
  return Network{unmapped, static_cast<std::uint8_t>(was_mapped ? bits - kMappedBits : bits)};
}

Result<Network> ParseNetwork(std::string_view entry) {
  const std::size_t slash = entry.find('/');
  const std::optional<IpAddress> address = ParseIpAddress(entry.substr(0, slash));
  if (!address) return EntryError(entry, "is not an IP address or a network such as 10.0.0.0/8");
  if (!address->zone.empty()) {
    return EntryError(entry, "has a zone; clients are told apart by their addresses only");
  }

  const int max_bits = FamilyBits(address->family);
  int bits = max_bits;
  if (slash != std::string_view::npos) {
    const std::string_view length = entry.substr(slash + 1);
    if (length.empty()) return EntryError(entry, "has no prefix length after the slash");
    const std::optional<std::uint64_t> parsed = ParseUint64(length);
    if (!parsed || *parsed > static_cast<std::uint64_t>(max_bits)) {
      return EntryError(entry, fmt::format("must have a prefix length from 0 to {}", max_bits));
    }
    bits = static_cast<int>(*parsed);
  }

  const IpAddress masked = Masked(*address, bits);
  if (!(masked == *address)) {
    return EntryError(entry,
                      fmt::format("has bits set to the right of the mask; the network is {}/{}",
                                  FormatIpAddress(masked), bits));
  }
  return Normalized(*address, bits);
}

}  // namespace

Result<std::vector<IpAddress>> ParseListenAddresses(std::string_view text) {
  std::vector<IpAddress> addresses;
  for (ListReader list(text); list.Next();) {
    if (list.entry().empty()) return EmptyEntryError(list.position());
    const std::vector<IpAddress> found = ParseListenEntry(list.entry());
    if (found.empty()) {
      return EntryError(list.entry(), "is not an IP address, \"localhost\" or \"*\"");
    }
    for (const IpAddress& address : found) {
      if (!Contains(addresses, address)) addresses.push_back(address);
    }
    if (addresses.size() > kMaxListenAddresses) {
      return EntryError(list.entry(), fmt::format("is one too many: the most is {} addresses",
                                                  kMaxListenAddresses));
    }
  }
  DropSwallowed(addresses);
  return addresses;
}

Result<std::vector<Network>> ParseNetworks(std::string_view text) {
  std::vector<Network> networks;
  for (ListReader list(text); list.Next();) {
    if (list.entry().empty()) return EmptyEntryError(list.position());
    if (networks.size() == kMaxNetworks) {
      return EntryError(list.entry(),
                        fmt::format("is one too many: the most is {} networks", kMaxNetworks));
    }
    const Result<Network> network = ParseNetwork(list.entry());
    if (!network) return Error{network.error()};
    networks.push_back(*network);
  }
  return networks;
}

bool IsAllowed(const std::vector<Network>& allowed, const IpAddress& client) {
  if (allowed.empty()) return true;
  const IpAddress judged = Unmapped(client);
  return std::any_of(allowed.begin(), allowed.end(), [&](const Network& network) {
    return Masked(judged, network.bits) == network.address;
  });
}

}  // namespace pg_status
