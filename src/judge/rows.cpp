// Whose row is whose; see rows.hpp.
//
// All texts that tell rows apart get small numbers first, so that hosts and rows are compared by
// numbers: there may be a thousand of each. Then the claims of all standbys on all rows are looked
// at, strength by strength.
#include "judge/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "judge/age.hpp"
#include "probe/receiver_name.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMaxNamedRows = 4;  // in one line of log
constexpr int kNamesInHex = 160000;       // from this version on

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), Lower);
  return text;
}

// An application_name as a server of that version shows it: printable ASCII only, and cut.
std::string AsShown(std::string_view name, int server_version) {
  std::string shown;
  for (const char c : name.substr(0, kMaxApplicationName)) {
    if (c >= 0x20 && c < 0x7F) {
      shown += c;
    } else if (server_version >= kNamesInHex) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      shown += '?';
    }
  }
  return shown.substr(0, kMaxApplicationName);
}

// Texts of rows, numbered as they come.
class Numbers {
 public:
  std::size_t Add(std::string text) {
    return numbers_.emplace(std::move(text), size()).first->second;
  }
  // kNone: no row has it.
  std::size_t Find(const std::string& text) const {
    const auto found = numbers_.find(text);
    return found == numbers_.end() ? kNone : found->second;
  }
  std::size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
};

struct Row {
  const Sender* sender = nullptr;
  std::size_t name = 0;     // as it is
  std::size_t lowered = 0;  // where case does not count
  std::size_t machine = 0;
  bool open = true;    // nobody has claimed it so far
  bool taken = false;  // it is known whose it is
};

// Servers, not entries: two entries may lead to one.
struct Server {
  std::vector<std::size_t> entries;
  const HostVerdict* host = nullptr;  // by the entry that was heard of last
  bool open = false;                  // a standby that has a row to be found
  bool names_itself = false;          // it tells the name that its receiver uses
  bool follows_primary = false;       // for certain
  bool settled = false;               // it did so already when the primary told its rows
  bool name_is_its_own = false;       // nobody else in the list goes by the name that it tells
  bool cluster_name_is_its_own = false;
  std::size_t own_name = kNone;       // Row::name
  std::size_t cluster_name = kNone;   // Row::name
  std::vector<std::size_t> given;     // Row::lowered: names that the list gives it
  bool is_given_name = false;         // by application_name=: then no other name counts
  std::optional<std::string> slot;    // "" none; nullopt unknown
  std::vector<std::size_t> machines;  // Row::machine
};

enum class Strength : std::uint8_t {
  kNo,       // it is not its own
  kMaybe,    // it may be, and that is all
  kMachine,  // as listed in rows.hpp, from the weakest to the strongest
  kGivenName,
  kOwnName,
  kGivenNameAndMachine,
  kOwnNameAndMachine,
  kSlot
};

struct Claim {
  std::size_t server;
  std::size_t row;
  Strength strength;
};

bool Has(const std::vector<std::size_t>& numbers, std::size_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

class Assignment {
 public:
  Assignment(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
             const Machines& machines, const Limits& limits, MonoUs now)
      : cluster_(cluster),
        entries_(entries),
        machines_(machines),
        limits_(limits),
        now_(now),
        primary_(cluster.hosts[*cluster.primary]),
        verdicts_(cluster.hosts.size()) {}

  std::vector<RowVerdict> Make() {
    NumberRows();
    GroupHosts();
    const bool any_open = Open();
    if (any_open && !rows_.empty()) {
      for (std::size_t i = 0; i < servers_.size(); ++i) Describe(servers_[i], i);
      FindWhoseNames();
      MakeClaims();
      Settle();
    }
    for (Server& server : servers_) {
      if (server.open) Close(server, Leftover(server));
    }
    return std::move(verdicts_);
  }

 private:
  void NumberRows() {
    for (const Sender& sender : primary_.facts->senders) {
      if (sender.kind == SenderKind::kOther) continue;
      Row row;
      row.sender = &sender;
      row.name = names_.Add(sender.application_name);
      row.lowered = lowered_.Add(Lowered(sender.application_name));
      row.machine = row_machines_.Add(machines_.OfRow(sender));
      rows_.push_back(row);
    }
    machine_is_known_.resize(row_machines_.size());
  }

  void GroupHosts() {
    std::unordered_map<ServerRun, std::size_t, RunHash> known;
    server_of_.resize(cluster_.hosts.size());
    for (std::size_t i = 0; i < cluster_.hosts.size(); ++i) {
      const HostVerdict& host = cluster_.hosts[i];
      const ServerRun run = host.facts ? RunOf(*host.facts) : ServerRun{};
      std::size_t at = servers_.size();
      if (run.known()) at = known.emplace(run, at).first->second;
      if (at == servers_.size()) servers_.emplace_back();
      Server& server = servers_[at];
      server.entries.push_back(i);
      server_of_[i] = at;
      if (server.host == nullptr || host.facts_asked > server.host->facts_asked)
        server.host = &host;
    }
  }

  // Sorts out those that have no row for certain. Whether any is left.
  bool Open() {
    bool any = false;
    for (Server& server : servers_) {
      const HostVerdict& host = *server.host;
      if (host.role != Role::kStandby || host.foreign) continue;
      if (HasNoReceiver(host) || FollowsAnother(host)) {
        Close(server, {Listing::kAbsent, nullptr, ""});
        continue;
      }
      server.open = any = true;
    }
    return any;
  }

  // What it told long ago (its sessions are used up, say) is no proof of that now.
  bool HasNoReceiver(const HostVerdict& host) const {
    if (IsOutOfDate(host, limits_, now_)) return false;
    const auto& receiver = host.facts->receiver;
    return !receiver || (receiver->details_known && !receiver->streaming);
  }

  bool FollowsAnother(const HostVerdict& host) const {
    if (!host.upstream_index || IsOutOfDate(host, limits_, now_)) return false;
    const HostVerdict& upstream = cluster_.hosts[*host.upstream_index];
    return server_of_[*host.upstream_index] != server_of_[*cluster_.primary] &&
           upstream.role != Role::kUnknown;
  }

  // What a host goes by, in terms of the rows; of those that are not asked for a row, too, because
  // their names and machines are not somebody else's.
  void Describe(Server& server, std::size_t index) {
    const HostVerdict& host = *server.host;
    for (const std::size_t i : server.entries) {
      AddGivenNames(entries_[i], server);
      for (const std::string& machine : machines_.OfHost(i)) {
        const std::size_t number = row_machines_.Find(machine);
        if (number != kNone && !Has(server.machines, number)) server.machines.push_back(number);
      }
    }
    // (of two standbys on the primary's machine one may be unlisted; the primary itself has no row)
    if (index != server_of_[*cluster_.primary]) {
      for (const std::size_t machine : server.machines) machine_is_known_[machine] = true;
    }
    if (!host.facts) return;
    const int version = primary_.facts->server_version;
    server.cluster_name = names_.Find(AsShown(host.facts->cluster_name, version));
    if (!host.facts->receiver) return;
    const WalReceiver& receiver = *host.facts->receiver;
    server.names_itself = !receiver.name.empty();
    if (server.names_itself) server.own_name = names_.Find(AsShown(receiver.name, version));
    server.slot = receiver.slot;
    server.follows_primary = host.upstream_index && receiver.streaming &&
                             server_of_[*host.upstream_index] == server_of_[*cluster_.primary];
    server.settled = server.follows_primary && host.streaming_since != 0 &&
                     host.streaming_since <= primary_.facts_asked;
  }

  void AddGivenNames(const HostEntry& entry, Server& server) {
    const auto add = [&](const std::string& name) {
      const int version = primary_.facts->server_version;
      const std::size_t number = lowered_.Find(Lowered(AsShown(name, version)));
      if (number != kNone && !Has(server.given, number)) server.given.push_back(number);
    };
    if (!entry.application_name.empty()) {
      server.is_given_name = true;
      add(entry.application_name);
      return;
    }
    add(entry.name);
    if (entry.kind == PlaceKind::kName) add(entry.hostname);
  }

  // Which of the rows' names are of one server only, whatever makes it go by that name.
  void FindWhoseNames() {
    std::unordered_map<std::size_t, std::size_t> lowered_of_name;
    for (const Row& row : rows_) lowered_of_name[row.name] = row.lowered;
    const auto lowered = [&](std::size_t name) {
      return name == kNone ? kNone : lowered_of_name.at(name);
    };
    std::vector<std::size_t> servers_with(lowered_.size());
    const auto names_of = [&](const Server& server) {
      std::vector<std::size_t> all = server.given;
      for (const std::size_t name : {lowered(server.own_name), lowered(server.cluster_name)}) {
        if (name != kNone && !Has(all, name)) all.push_back(name);
      }
      return all;
    };
    for (const Server& server : servers_) {
      for (const std::size_t name : names_of(server)) ++servers_with[name];
    }
    const auto is_its_own = [&](std::size_t name) {
      return name != kNone && servers_with[lowered(name)] == 1;
    };
    for (Server& server : servers_) {
      // the list, or the standby's settings, have to give it that name: PostgreSQL's default names
      // nobody
      const std::size_t own = server.own_name;
      const bool was_given =
          own != kNone && (Has(server.given, lowered(own)) || own == server.cluster_name);
      server.name_is_its_own = was_given && is_its_own(own);
      server.cluster_name_is_its_own = is_its_own(server.cluster_name);
    }
  }

  Strength StrengthOf(const Server& server, const Row& row) const {
    const Sender& sender = *row.sender;
    if (server.names_itself && row.name != server.own_name) return Strength::kNo;
    if (server.slot && sender.slot && *server.slot != *sender.slot) return Strength::kNo;
    // (an archiver that calls itself like a standby, on its machine, while that one streams from
    // somewhere else)
    if (sender.kind == SenderKind::kReceiver && !server.follows_primary) return Strength::kNo;
    const bool here = Has(server.machines, row.machine);
    if (!here && machine_is_known_[row.machine]) return Strength::kNo;
    if (server.slot && sender.slot && !server.slot->empty()) return Strength::kSlot;
    if (server.names_itself) {
      if (here) return Strength::kOwnNameAndMachine;
      return server.settled || server.name_is_its_own ? Strength::kOwnName : Strength::kMaybe;
    }
    if (Has(server.given, row.lowered)) {
      return here ? Strength::kGivenNameAndMachine : Strength::kGivenName;
    }
    if (server.is_given_name) return Strength::kNo;
    if (server.cluster_name == row.name) {
      if (here) return Strength::kGivenNameAndMachine;
      return server.cluster_name_is_its_own ? Strength::kGivenName : Strength::kMaybe;
    }
    return here ? Strength::kMachine : Strength::kMaybe;
  }

  void MakeClaims() {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (!servers_[i].open) continue;
      for (std::size_t j = 0; j < rows_.size(); ++j) {
        const Strength strength = StrengthOf(servers_[i], rows_[j]);
        if (strength != Strength::kNo) claims_.push_back({i, j, strength});
      }
    }
    std::stable_sort(claims_.begin(), claims_.end(),
                     [](const Claim& a, const Claim& b) { return a.strength > b.strength; });
  }

  void Settle() {
    for (auto begin = claims_.begin(); begin != claims_.end();) {
      const Strength strength = begin->strength;
      if (strength == Strength::kMaybe) return;
      const auto end = std::find_if(begin, claims_.end(), [strength](const Claim& claim) {
        return claim.strength != strength;
      });
      SettleEqual(begin, end);
      begin = end;
    }
  }

  // Claims of one strength, those of one standby next to each other. Each of them ends here: it has
  // its row, or cannot be told; and so does each row.
  void SettleEqual(std::vector<Claim>::const_iterator begin,
                   std::vector<Claim>::const_iterator end) {
    std::unordered_map<std::size_t, std::vector<std::size_t>> rows_of;
    std::unordered_map<std::size_t, std::size_t> claimants;  // of rows
    std::vector<std::size_t> in_order;
    for (auto claim = begin; claim != end; ++claim) {
      if (!servers_[claim->server].open || !rows_[claim->row].open) continue;
      std::vector<std::size_t>& rows = rows_of[claim->server];
      if (rows.empty()) in_order.push_back(claim->server);
      rows.push_back(claim->row);
      ++claimants[claim->row];
    }
    for (const std::size_t index : in_order) {
      const std::vector<std::size_t>& rows = rows_of[index];
      const std::optional<std::size_t> row = TheOneThatReplays(rows);
      if (row && claimants[*row] == 1) {
        // (the others are called like it, on its machine: they are not somebody else's)
        for (const std::size_t claimed : rows) rows_[claimed].taken = true;
        Close(servers_[index], {Listing::kListed, rows_[*row].sender, ""});
      } else {
        Close(servers_[index], {Listing::kUnknown, nullptr, DoubtAbout(rows)});
      }
    }
    for (const auto& claimed : claimants) rows_[claimed.first].open = false;
  }

  // Of several rows that are called alike the one of a standby that streams: beside it there may be
  // a connection that has only begun, or somebody who takes WAL and does not replay it.
  std::optional<std::size_t> TheOneThatReplays(const std::vector<std::size_t>& rows) const {
    if (rows.size() == 1) return rows.front();
    std::optional<std::size_t> found;
    for (const std::size_t row : rows) {
      const Sender& sender = *rows_[row].sender;
      if (sender.kind != SenderKind::kStandby || sender.state == "startup") continue;
      if (found) return std::nullopt;
      found = row;
    }
    return found;
  }

  // Of one that has no good claim: there may be a row of its own among those that are nobody's so
  // far, or there is none.
  RowVerdict Leftover(const Server& server) const {
    if (primary_.facts->senders_missing) return {};
    std::vector<std::size_t> may_be;
    for (std::size_t j = 0; j < rows_.size(); ++j) {
      if (rows_[j].taken) continue;
      // What it is called, and streams from the primary for certain: then there is a reason why
      // this row is not known as its own.
      const bool namesake =
          server.settled && server.names_itself && rows_[j].name == server.own_name;
      if (namesake || StrengthOf(server, rows_[j]) != Strength::kNo) may_be.push_back(j);
    }
    if (may_be.empty()) return {Listing::kAbsent, nullptr, ""};
    return {Listing::kUnknown, nullptr, DoubtAbout(may_be)};
  }

  std::string DoubtAbout(const std::vector<std::size_t>& rows) const {
    std::string names;
    for (std::size_t i = 0; i < rows.size() && i < kMaxNamedRows; ++i) {
      const Sender& sender = *rows_[rows[i]].sender;
      names += fmt::format(
          "{}\"{}\" from {}", i == 0 ? "" : ", ", AsShown(sender.application_name, 0),
          sender.client_addr.empty() ? "its own machine" : AsShown(sender.client_addr, 0));
    }
    if (rows.size() > kMaxNamedRows)
      names += fmt::format(" and {} more", rows.size() - kMaxNamedRows);
    return rows.size() == 1
               ? fmt::format("This row of the primary may be its own, or another's: {}.", names)
               : fmt::format("Each of these rows of the primary may be its own: {}.", names);
  }

  void Close(Server& server, const RowVerdict& verdict) {
    for (const std::size_t i : server.entries) verdicts_[i] = verdict;
    server.open = false;
  }

  const ClusterVerdict& cluster_;
  const std::vector<HostEntry>& entries_;
  const Machines& machines_;
  const Limits& limits_;
  const MonoUs now_;
  const HostVerdict& primary_;
  std::vector<RowVerdict> verdicts_;

  Numbers names_;
  Numbers lowered_;
  Numbers row_machines_;
  std::vector<bool> machine_is_known_;  // as that of a host of the list, but for the primary
  std::vector<Row> rows_;
  std::vector<Server> servers_;
  std::vector<std::size_t> server_of_;  // by entry
  std::vector<Claim> claims_;
};

}  // namespace

std::vector<RowVerdict> AssignRows(const ClusterVerdict& cluster,
                                   const std::vector<HostEntry>& entries, const Machines& machines,
                                   const Limits& limits, MonoUs now) {
  return Assignment(cluster, entries, machines, limits, now).Make();
}

}  // namespace pg_status
