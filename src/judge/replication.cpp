// Who streams from whom: finds each standby's row in the primary's pg_stat_replication, and the
// host that a standby's WAL receiver is connected to. Only names things; decides nothing about
// health.
//
// A row does not say which host it belongs to, so it is found by the first of these that fits:
//   1. the application_name given with the host entry; when one is given, nothing else counts
//   2. a row whose application_name is the entry's name
//   3. a row whose application_name is the standby's cluster_name (the default of a walreceiver)
//   4. a row whose client_addr is the address at which we reach the standby
// 3 and 4 are guesses, so they hold only when exactly one standby and one row have that text.
#include "judge/replication.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "judge/age.hpp"

namespace pg_status {
namespace {

// All rows and hosts that have one text.
struct Match {
  const Sender* row = nullptr;
  std::size_t rows = 0;
  std::size_t hosts = 0;

  const Sender* Unique() const { return rows == 1 && hosts == 1 ? row : nullptr; }
};

// The texts are owned by the rows, which outlive the index.
using MatchByText = std::unordered_map<std::string_view, Match>;

void AddRow(MatchByText& matches, std::string_view text, const Sender& row) {
  if (text.empty()) return;
  Match& match = matches[text];
  ++match.rows;
  // A name can have two rows for a while, after a connection broke or while a backup is taken; then
  // the one that streams is meant.
  const bool better =
      match.row == nullptr || (row.state == "streaming" && match.row->state != "streaming");
  if (better) match.row = &row;
}

void CountHost(MatchByText& matches, const std::string& text) {
  const auto found = matches.find(text);
  if (found != matches.end()) ++found->second.hosts;
}

const Match* Find(const MatchByText& matches, const std::string& text) {
  const auto found = matches.find(text);
  return found == matches.end() ? nullptr : &found->second;
}

// The chosen primary's rows, by what may tell whose they are.
class SenderIndex {
 public:
  // heard: what the chosen primary tells of them is young enough to be believed.
  SenderIndex(const ClusterVerdict& cluster, bool heard) {
    if (!heard) return;
    for (const Sender& row : cluster.hosts[*cluster.primary].facts->senders) {
      AddRow(by_name_, row.application_name, row);
      AddRow(by_address_, row.client_addr, row);
    }
    for (const HostVerdict& host : cluster.hosts) {
      CountHost(by_address_, host.peer_address);
      if (host.role == Role::kStandby) CountHost(by_name_, host.facts->cluster_name);
    }
  }

  const Sender* RowOf(const HostEntry& entry, const HostVerdict& host) const {
    if (!entry.application_name.empty()) return AnyRow(entry.application_name);
    if (const Sender* row = AnyRow(entry.name)) return row;
    if (const Sender* row = UniqueRow(by_name_, host.facts->cluster_name)) return row;
    return UniqueRow(by_address_, host.peer_address);
  }

 private:
  const Sender* AnyRow(const std::string& name) const {
    const Match* match = Find(by_name_, name);
    return match != nullptr ? match->row : nullptr;
  }

  static const Sender* UniqueRow(const MatchByText& matches, const std::string& text) {
    const Match* match = Find(matches, text);
    return match != nullptr ? match->Unique() : nullptr;
  }

  MatchByText by_name_;
  MatchByText by_address_;
};

void SetReplication(HostVerdict& host, const Sender* row) {
  host.replication_state.clear();
  host.sync_state.clear();
  host.sync_priority.reset();
  if (row == nullptr) return;
  host.replication_state = row->state;
  host.sync_state = row->sync_state;
  // A role without pg_monitor sees the row but not its contents; then the 0 is not a priority.
  if (!row->sync_state.empty()) host.sync_priority = row->sync_priority;
}

struct Place {
  std::string_view host;
  int port = 0;

  bool operator==(const Place& other) const { return host == other.host && port == other.port; }
};

struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<std::string_view>()(place.host) * 31 + static_cast<std::size_t>(place.port);
  }
};

// The place a standby streams from, as it says; nullopt when it does not stream or may not say.
std::optional<Place> UpstreamPlace(const HostVerdict& host) {
  if (host.role != Role::kStandby || !host.facts->receiver) return std::nullopt;
  const WalReceiver& receiver = *host.facts->receiver;
  if (!receiver.details_known || receiver.sender_host.empty()) return std::nullopt;
  return Place{receiver.sender_host, receiver.sender_port};
}

std::string PlaceText(const Place& place) {
  const bool ipv6 = place.host.front() != '/' && place.host.find(':') != std::string_view::npos;
  std::string text = ipv6 ? "[" : "";
  text += place.host;
  if (ipv6) text += ']';
  return text + ':' + std::to_string(place.port);
}

// The first entry at each of the places that standbys stream from. Those places are few, the hosts
// may be a thousand: so the places are collected first and the hosts are held against them.
using EntryByPlace = std::unordered_map<Place, std::optional<std::size_t>, PlaceHash>;

EntryByPlace FindUpstreams(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  EntryByPlace upstreams;
  for (const HostVerdict& host : cluster.hosts) {
    if (const std::optional<Place> place = UpstreamPlace(host)) upstreams[*place];
  }
  if (upstreams.empty()) return upstreams;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (const std::string* host : {&entries[i].hostname, &cluster.hosts[i].peer_address}) {
      const auto found = upstreams.find(Place{*host, entries[i].port});
      if (found != upstreams.end() && !found->second) found->second = i;
    }
  }
  return upstreams;
}

}  // namespace

void JudgeUpstreams(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  const EntryByPlace upstreams = FindUpstreams(cluster, entries);
  for (HostVerdict& host : cluster.hosts) {
    host.upstream.clear();
    host.upstream_index.reset();
    const std::optional<Place> place = UpstreamPlace(host);
    if (!place) continue;
    host.upstream_index = upstreams.at(*place);
    host.upstream = host.upstream_index ? entries[*host.upstream_index].name : PlaceText(*place);
    // (who only tries to connect has not moved yet)
    if (!host.facts->receiver->streaming) continue;
    host.followed = host.upstream_index ? host.upstream : std::string();
  }
}

void JudgeReplication(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                      const Limits& limits, MonoUs now) {
  const bool heard = cluster.primary && !IsOutOfDate(cluster.hosts[*cluster.primary], limits, now);
  const SenderIndex senders(cluster, heard);
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    HostVerdict& host = cluster.hosts[i];
    const bool ours = host.role == Role::kStandby && !host.foreign;
    SetReplication(host, ours ? senders.RowOf(entries[i], host) : nullptr);
  }
}

}  // namespace pg_status
