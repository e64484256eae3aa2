// Who streams from whom: what the primary's pg_stat_replication says of each standby (whose row is
// whose stands in rows.hpp), and the host that a standby's WAL receiver is connected to. Only names
// things; decides nothing about health.
#include "judge/replication.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/ip_address.hpp"
#include "judge/age.hpp"
#include "judge/machines.hpp"
#include "judge/rows.hpp"

namespace pg_status {
namespace {

// How long it has to last that a row cannot be told before anybody is told of it: a connection that
// broke may leave a second row for a while, and the reports of two servers are not of one moment.
constexpr std::int64_t kDoubtUs = 5 * kUsPerSecond;

void SetRow(HostVerdict& host, const RowVerdict& verdict) {
  host.replication_state.clear();
  host.sync_state.clear();
  host.sync_priority.reset();
  // Whom the primary does not know it does not wait for.
  if (verdict.listing == Listing::kAbsent) host.sync_state = "async";
  if (verdict.listing != Listing::kListed) return;
  host.replication_state = verdict.row->state;
  host.sync_state = verdict.row->sync_state;
  host.sync_priority = verdict.row->sync_priority;
}

// What was told is over when a row is found, and not when there is none to be found for a moment.
void SetDoubt(HostVerdict& host, const RowVerdict& verdict, MonoUs now) {
  if (verdict.listing == Listing::kListed) host.row_in_doubt.clear();
  if (verdict.doubt.empty()) {
    host.row_in_doubt_since = 0;
    return;
  }
  if (host.row_in_doubt_since == 0) host.row_in_doubt_since = now;
  if (now - host.row_in_doubt_since >= kDoubtUs && host.row_in_doubt.empty()) {
    host.row_in_doubt = verdict.doubt;
  }
}

// A host in its one spelling, and a port.
struct Place {
  std::string host;
  int port = 0;

  bool operator==(const Place& other) const { return host == other.host && port == other.port; }
};

struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<std::string>()(place.host) * 31 + static_cast<std::size_t>(place.port);
  }
};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Of a name, an address or a socket directory.
std::string OneSpelling(const std::string& host) {
  if (!host.empty() && host.front() == '/') return host;
  std::string address = CanonicalAddress(host);
  if (!address.empty()) return address;
  std::string name = host;
  std::transform(name.begin(), name.end(), name.begin(), Lower);
  return name == "localhost" ? "127.0.0.1" : name;
}

// Whether it means another machine on each machine.
bool IsLocal(const std::string& spelled) {
  if (!spelled.empty() && spelled.front() == '/') return true;
  const std::optional<IpAddress> address = ParseIpAddress(spelled);
  return address && IsLoopback(*address);
}

// Whether that host is on the machine of this very server.
bool IsHere(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
            std::size_t index) {
  const HostVerdict& host = cluster.hosts[index];
  return cluster.self == index || entries[index].kind == PlaceKind::kSocket ||
         std::any_of(host.addresses.begin(), host.addresses.end(), IsLocal);
}

// What its WAL receiver says that it streams from; nullptr when it does not stream or may not say.
const WalReceiver* Receiver(const HostVerdict& host) {
  if (host.role != Role::kStandby || !host.facts->receiver) return nullptr;
  const WalReceiver& receiver = *host.facts->receiver;
  return receiver.details_known && !receiver.sender_host.empty() ? &receiver : nullptr;
}

// The place a standby streams from, as it looks from here.
std::optional<Place> UpstreamPlace(const ClusterVerdict& cluster,
                                   const std::vector<HostEntry>& entries, std::size_t index) {
  const WalReceiver* const receiver = Receiver(cluster.hosts[index]);
  if (receiver == nullptr) return std::nullopt;
  Place place{OneSpelling(receiver->sender_host), receiver->sender_port};
  if (IsLocal(place.host) && !IsHere(cluster, entries, index)) {
    place.host = CanonicalAddress(cluster.hosts[index].peer_address);
  }
  return place;
}

// As the standby says it.
std::string PlaceText(const WalReceiver& receiver) {
  const std::string& host = receiver.sender_host;
  const bool ipv6 = host.front() != '/' && host.find(':') != std::string::npos;
  std::string text = ipv6 ? "[" : "";
  text += host;
  if (ipv6) text += ']';
  return text + ':' + std::to_string(receiver.sender_port);
}

// The first entry at each of the places that standbys stream from. Those places are few, the hosts
// may be a thousand: so the places are collected first and the hosts are held against them.
using EntryByPlace = std::unordered_map<Place, std::optional<std::size_t>, PlaceHash>;

// Entries are tried by where they lead to, then by what they are called (an address with the name
// of its machine), then as others see the machine that this server is on.
void MatchEntries(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                  EntryByPlace& upstreams) {
  const auto offer = [&](std::string host, std::size_t i) {
    const auto found = upstreams.find(Place{std::move(host), entries[i].port});
    if (found != upstreams.end() && !found->second) found->second = i;
  };
  for (std::size_t i = 0; i < entries.size(); ++i) {
    offer(OneSpelling(entries[i].hostname), i);
    for (const std::string& address : cluster.hosts[i].addresses) offer(address, i);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) offer(OneSpelling(entries[i].name), i);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!IsHere(cluster, entries, i)) continue;
    for (const HostVerdict& host : cluster.hosts) {
      if (host.facts && host.facts->asker) offer(CanonicalAddress(*host.facts->asker), i);
    }
  }
}

EntryByPlace FindUpstreams(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  EntryByPlace upstreams;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (const std::optional<Place> place = UpstreamPlace(cluster, entries, i)) upstreams[*place];
  }
  if (!upstreams.empty()) MatchEntries(cluster, entries, upstreams);
  return upstreams;
}

}  // namespace

void JudgeUpstreams(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  const EntryByPlace upstreams = FindUpstreams(cluster, entries);
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    HostVerdict& host = cluster.hosts[i];
    host.upstream.clear();
    host.upstream_index.reset();
    // (whom it followed when that could be read last may be long ago)
    const bool hidden =
        host.role == Role::kStandby && host.facts->receiver && !host.facts->receiver->details_known;
    if (hidden) host.followed.clear();
    const std::optional<Place> place = UpstreamPlace(cluster, entries, i);
    if (!place) continue;
    host.upstream_index = upstreams.at(*place);
    // Nobody streams from itself: there is more than one server at that place, and this one is not
    // in the list.
    if (host.upstream_index == i) host.upstream_index.reset();
    host.upstream =
        host.upstream_index ? entries[*host.upstream_index].name : PlaceText(*host.facts->receiver);
    // (who only tries to connect has not moved yet)
    if (!host.facts->receiver->streaming) continue;
    host.followed = host.upstream_index ? host.upstream : std::string();
  }
}

void JudgeReplication(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                      const Limits& limits, MonoUs now) {
  const bool heard = cluster.primary && !IsOutOfDate(cluster.hosts[*cluster.primary], limits, now);
  std::vector<RowVerdict> verdicts(cluster.hosts.size());
  cluster.address.clear();
  if (heard) {
    const Machines machines(cluster, entries);
    cluster.address = machines.own_address();
    verdicts = AssignRows(cluster, entries, machines, limits, now);
  }
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    SetRow(cluster.hosts[i], verdicts[i]);
    SetDoubt(cluster.hosts[i], verdicts[i], now);
  }
}

}  // namespace pg_status
