// IP addresses from and to text. Asks no resolver: inet_pton and inet_ntop only convert.
#include "base/ip_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace pg_status {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

// Interfaces have names of up to 15 bytes (IF_NAMESIZE - 1).
constexpr std::size_t kMaxZoneBytes = 15;

// fe80::/10
bool IsLinkLocal(const IpAddress& address) {
  return address.family == IpFamily::kV6 && address.bytes[0] == 0xFE &&
         (address.bytes[1] & 0xC0) == 0x80;
}

// Without what ends a zone wherever addresses are written.
bool IsZone(std::string_view text) {
  return !text.empty() && text.size() <= kMaxZoneBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7F &&
                  std::string_view(",/%[]\"'\\").find(c) == std::string_view::npos;
         });
}

}  // namespace

// (inet_pton stops at a NUL: what comes behind one would be taken in unseen.)
std::optional<IpAddress> ParseIpAddress(std::string_view text) {
  const std::size_t percent = std::min(text.find('%'), text.size());
  const std::string_view literal = text.substr(0, percent);
  char terminated[INET6_ADDRSTRLEN] = {};
  if (literal.size() >= sizeof(terminated) || literal.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::copy(literal.begin(), literal.end(), terminated);

  IpAddress address;
  if (inet_pton(AF_INET, terminated, address.bytes.data()) == 1) {
    address.family = IpFamily::kV4;
  } else if (inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) {
    address.family = IpFamily::kV6;
  } else {
    return std::nullopt;
  }
  if (percent == text.size()) return address;
  const std::string_view zone = text.substr(percent + 1);
  if (!IsLinkLocal(address) || !IsZone(zone)) return std::nullopt;
  address.zone = zone;
  return address;
}

std::string FormatIpAddress(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const int family = address.family == IpFamily::kV4 ? AF_INET : AF_INET6;
  // Cannot fail: the family is known and the buffer has room for the longest address.
  inet_ntop(family, address.bytes.data(), text, sizeof(text));
  return address.zone.empty() ? text : std::string(text) + '%' + address.zone;
}

std::string CanonicalAddress(std::string_view text) {
  std::optional<IpAddress> address = ParseIpAddress(text);
  if (!address) return "";
  address->zone.clear();
  return FormatIpAddress(Unmapped(*address));
}

bool IsLoopback(const IpAddress& address) {
  const IpAddress unmapped = Unmapped(address);
  if (unmapped.family == IpFamily::kV4) return unmapped.bytes[0] == 127;
  constexpr std::array<std::uint8_t, 16> kV6Loopback = {0, 0, 0, 0, 0, 0, 0, 0,
                                                        0, 0, 0, 0, 0, 0, 0, 1};
  return unmapped.bytes == kV6Loopback;
}

IpAddress Unmapped(const IpAddress& address) {
  const bool mapped = address.family == IpFamily::kV6 &&
                      std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin());
  if (!mapped) return address;
  IpAddress v4;
  std::copy(address.bytes.begin() + kMappedPrefix.size(), address.bytes.end(), v4.bytes.begin());
  return v4;
}

}  // namespace pg_status
