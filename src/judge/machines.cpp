// Machines as the primary sees them; see machines.hpp.
#include "judge/machines.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ip_address.hpp"

namespace pg_status {
namespace {

// What the primary's own machine is called, whatever its addresses are. (No address looks so.)
constexpr std::string_view kPrimarysMachine = ".";

bool IsLoopbackText(std::string_view text) {
  const std::optional<IpAddress> address = ParseIpAddress(text);
  return address && IsLoopback(*address);
}

bool AreOneServer(const HostVerdict& a, const HostVerdict& b) {
  return a.facts && b.facts && RunOf(*a.facts).known() && RunOf(*a.facts) == RunOf(*b.facts);
}

// That this server's poll reached the primary without leaving the machine takes both ends: a proxy
// on either side makes one of them look so.
bool IsReachedWithin(const HostVerdict& primary) {
  const std::string& to = primary.peer_address;
  const std::string& from = *primary.facts->asker;
  const bool to_loopback = to.empty() || IsLoopbackText(to);
  const bool from_loopback = from.empty() || IsLoopbackText(from);
  if (to_loopback || from_loopback) return to_loopback && from_loopback;
  return CanonicalAddress(to) == CanonicalAddress(from);
}

}  // namespace

Machines::Machines(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries)
    : cluster_(cluster), entries_(entries) {
  const HostVerdict& primary = cluster.hosts[*cluster.primary];
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    const HostVerdict& host = cluster.hosts[i];
    if (i != *cluster.primary && !AreOneServer(host, primary)) continue;
    for (const std::string& address : host.addresses) {
      if (!IsLoopbackText(address)) primary_addresses_.push_back(address);
    }
  }
  const bool is_own = cluster.self && AreOneServer(cluster.hosts[*cluster.self], primary);
  if (is_own || (primary.facts->asker && IsReachedWithin(primary))) {
    here_ = kPrimarysMachine;
  } else if (primary.facts->asker && !IsLoopbackText(*primary.facts->asker)) {
    own_address_ = CanonicalAddress(*primary.facts->asker);
    here_ = Named(own_address_);
  }
}

bool Machines::IsPrimarys(std::string_view address) const {
  return std::find(primary_addresses_.begin(), primary_addresses_.end(), address) !=
         primary_addresses_.end();
}

// `address`: canonical, and no loopback.
std::string Machines::Named(const std::string& address) const {
  return IsPrimarys(address) ? std::string(kPrimarysMachine) : address;
}

std::string Machines::OfRow(const Sender& row) const {
  const std::string address = CanonicalAddress(row.client_addr);
  if (address.empty() || IsLoopbackText(address)) return std::string(kPrimarysMachine);
  return Named(address);
}

std::vector<std::string> Machines::OfHost(std::size_t index) const {
  const HostVerdict& host = cluster_.hosts[index];
  std::vector<std::string> machines;
  const auto add = [&machines](std::string machine) {
    const bool known = std::find(machines.begin(), machines.end(), machine) != machines.end();
    if (!machine.empty() && !known) machines.push_back(std::move(machine));
  };
  for (const std::string& address : host.addresses) {
    add(IsLoopbackText(address) ? here_ : Named(address));
  }
  const bool is_here = entries_[index].kind == PlaceKind::kSocket ||
                       (cluster_.self && (index == *cluster_.self ||
                                          AreOneServer(host, cluster_.hosts[*cluster_.self])));
  if (is_here) add(here_);
  if (host.facts && host.facts->inside) {
    const std::string address = CanonicalAddress(host.facts->inside->address);
    if (!address.empty() && !IsLoopbackText(address)) add(Named(address));
  }
  return machines;
}

}  // namespace pg_status
