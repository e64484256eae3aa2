// Fuzzes the parsers of src/config: whatever is written into pg_status.hosts, listen_addresses,
// allow, dc and geo, or into the file of operators' orders, what is accepted keeps the promises of
// the headers and can be written down and read again, and what is refused gives one short, harmless
// line of log. The first byte chooses max_hosts.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/fixed_text.hpp"
#include "base/ip_address.hpp"
#include "config/hosts.hpp"
#include "config/networks.hpp"
#include "config/orders.hpp"

namespace pg_status {
namespace {

constexpr std::uint16_t kDefaultPort = 5432;
constexpr std::size_t kMaxErrorBytes = 400;

void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

bool IsShownAsItIs(std::string_view text) {
  std::vector<char> shown(text.size() + 1);
  CopyFixedText(shown.data(), shown.size(), text);
  return text == shown.data();
}

bool IsWord(std::string_view text, std::size_t max_bytes) {
  return text.size() <= max_bytes && IsShownAsItIs(text) &&
         text.find_first_of(" ,") == std::string_view::npos;
}

void CheckError(const std::string& error) {
  Require(!error.empty() && error.size() <= kMaxErrorBytes, "an error is a bounded sentence");
  Require(IsShownAsItIs(error), "an error is one line of valid UTF-8");
}

void CheckEntry(const HostEntry& entry) {
  Require(!entry.name.empty() && IsWord(entry.name, kMaxNameBytes), "a name is a word");
  Require(!entry.hostname.empty() && IsWord(entry.hostname, kMaxHostnameBytes),
          "a hostname is a word");
  Require(entry.port != 0, "a port is known");
  Require(IsWord(entry.dc, kMaxLabelBytes), "dc is a word");
  Require(IsWord(entry.geo, kMaxLabelBytes), "geo is a word");
  Require(IsWord(entry.application_name, kMaxLabelBytes), "application_name is a word");
  Require(entry.weight >= 0 && entry.weight <= 1000, "a weight is from 0 to 1000");
  const bool is_address = ParseIpAddress(entry.hostname).has_value();
  Require(is_address == (entry.kind == PlaceKind::kAddress), "only addresses are addresses");
  Require((entry.hostname.front() == '/') == (entry.kind == PlaceKind::kSocket),
          "only directories are directories");
}

// The entry with all that can be said about it but its weight, which not every notation keeps.
std::string Written(const HostEntry& entry) {
  const bool bracketed =
      entry.hostname.find(':') != std::string::npos && entry.kind == PlaceKind::kAddress;
  std::string text = fmt::format(bracketed ? "[{}]:{} name={}" : "{}:{} name={}", entry.hostname,
                                 entry.port, entry.name);
  const std::pair<const char*, const std::string&> optional[] = {
      {"dc", entry.dc}, {"geo", entry.geo}, {"application_name", entry.application_name}};
  for (const auto& [key, value] : optional) {
    if (!value.empty()) text += fmt::format(" {}={}", key, value);
  }
  return text;
}

void FuzzHosts(std::string_view text, std::size_t max_hosts) {
  const auto hosts = ParseHosts(text, kDefaultPort, max_hosts);
  if (!hosts) return CheckError(hosts.error());
  Require(hosts->size() <= max_hosts, "no more hosts than allowed");

  std::set<std::string> names;
  std::set<std::pair<std::string, std::uint16_t>> places;
  std::string written;
  for (const HostEntry& entry : *hosts) {
    CheckEntry(entry);
    Require(names.insert(entry.name).second, "names are unique");
    Require(places.emplace(entry.hostname, entry.port).second, "places are unique");
    if (!written.empty()) written += ",\n";
    written += Written(entry);
  }
  auto expected = *hosts;
  for (HostEntry& entry : expected) entry.weight = 1;
  const auto again = ParseHosts(written, 1, max_hosts);
  Require(again.ok() && *again == expected, "hosts can be written down and read again");
}

void FuzzListenAddresses(std::string_view text) {
  const auto addresses = ParseListenAddresses(text);
  if (!addresses) return CheckError(addresses.error());
  Require(addresses->size() <= kMaxListenAddresses, "listening addresses are bounded");

  std::set<std::string> unique;
  std::string written;
  for (const IpAddress& address : *addresses) {
    Require(unique.insert(FormatIpAddress(address)).second, "listening addresses are unique");
    if (!written.empty()) written += ',';
    written += FormatIpAddress(address);
  }
  const auto again = ParseListenAddresses(written);
  Require(again.ok() && *again == *addresses, "addresses can be written down and read again");
}

void FuzzNetworks(std::string_view text) {
  const auto networks = ParseNetworks(text);
  if (!networks) return CheckError(networks.error());
  Require(networks->size() <= kMaxNetworks, "networks are bounded");

  for (const Network& network : *networks) {
    Require(network.bits <= (network.address.family == IpFamily::kV4 ? 32 : 128),
            "a prefix is no longer than its address");
    Require(IsAllowed(*networks, network.address), "the first address of a network is in it");
    const auto again =
        ParseNetworks(fmt::format("{}/{}", FormatIpAddress(network.address), network.bits));
    Require(again.ok() && again->size() == 1 && again->front().address == network.address &&
                again->front().bits == network.bits,
            "a network can be written down and read again");
  }
}

void FuzzLabel(std::string_view text) {
  const auto label = ParseLabel(text);
  if (!label) return CheckError(label.error());
  Require(*label == text && IsWord(text, kMaxLabelBytes), "a label is a word, as written");
}

// What is read is what would be written.
void FuzzOrders(std::string_view text, std::size_t max) {
  const auto orders = ParseOrders(text, max);
  if (!orders) return CheckError(orders.error());
  Require(orders->size() <= max, "no more orders than allowed");
  std::string written;
  for (const PgstOrder& order : *orders) {
    const std::string_view host = FixedText(order.host);
    Require(!host.empty() && host.find(' ') == std::string_view::npos && IsShownAsItIs(host),
            "the host of an order has no blanks");
    Require(IsFor(order, host, "", 0) && order.port >= 0 && order.port <= 65535,
            "an order is for its host");
    Require(IsShownAsItIs(FixedText(order.reason)), "a reason is one line of valid UTF-8");
    written += WriteOrder(order);
  }
  const auto again = ParseOrders(written, max);
  Require(again.ok() && again->size() == orders->size(), "orders can be written and read again");
  std::string once_more;
  for (const PgstOrder& order : *again) once_more += WriteOrder(order);
  Require(once_more == written, "and are the same then");
}

}  // namespace
}  // namespace pg_status

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of exactly that size, so that reading past the end is seen.
  const std::vector<char> bytes(data + 1, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  pg_status::FuzzHosts(text, data[0] % 9);
  pg_status::FuzzListenAddresses(text);
  pg_status::FuzzNetworks(text);
  pg_status::FuzzLabel(text);
  pg_status::FuzzOrders(text, data[0] % 9);
  return 0;
}
