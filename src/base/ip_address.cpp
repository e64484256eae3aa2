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

}  // namespace

std::optional<IpAddress> ParseIpAddress(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  // inet_pton stops at a NUL: what comes behind one would be taken in unseen.
  if (text.size() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::copy(text.begin(), text.end(), terminated);

  IpAddress address;
  if (inet_pton(AF_INET, terminated, address.bytes.data()) == 1) {
    address.family = IpFamily::kV4;
    return address;
  }
  if (inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) {
    address.family = IpFamily::kV6;
    return address;
  }
  return std::nullopt;
}

std::string FormatIpAddress(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const int family = address.family == IpFamily::kV4 ? AF_INET : AF_INET6;
  // Cannot fail: the family is known and the buffer has room for the longest address.
  inet_ntop(family, address.bytes.data(), text, sizeof(text));
  return text;
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
