// Votes and the majority; see quorum.hpp. Reads liveness and facts, knows nothing of roles.
#include "judge/quorum.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "judge/age.hpp"
#include "judge/judge.hpp"
#include "probe/opinions.hpp"

namespace pg_status {
namespace {

ServerRun RunSeen(const HostVerdict& host) { return host.facts ? RunOf(*host.facts) : ServerRun(); }

// One server, under one entry of the list or several.
struct Server {
  std::vector<std::size_t> entries;
  bool self = false;
  bool votes = false;
  bool in_sight = false;
  bool undecided = false;
  bool unasked = false;
  const HostVerdict* speaker = nullptr;  // the entry with the newest opinions, if it is live
};

// Gathers the votes of one judgement.
class Ballot {
 public:
  Ballot(ClusterVerdict& cluster, const std::vector<HostEntry>& entries, const Limits& limits,
         const ServerRun& own, MonoUs now)
      : cluster_(cluster),
        entries_(entries),
        limits_(limits),
        own_(own),
        now_(now),
        former_downs_(entries.size(), 0),
        proved_(entries.size(), false) {}

  void Count() {
    FindServers();
    CountVoters();
    ClearVotes();
    if (this_node_votes_) VoteOwn();
    for (const Server& server : servers_) {
      if (server.votes && !server.self && server.speaker != nullptr) VoteOf(server);
    }
    VoteForThemselves();
    WeighDown();
  }

 private:
  void FindServers();
  void AddEntry(Server& server, std::size_t index);
  void CountVoters();
  void ClearVotes();
  void VoteOwn();
  void VoteOf(const Server& voter);
  void VoteForThemselves();
  void WeighDown();
  const std::vector<std::size_t>& Meant(const Opinion& opinion);
  void Add(std::size_t index, bool up) {
    ++(up ? cluster_.hosts[index].votes_up : cluster_.hosts[index].votes_down);
  }

  ClusterVerdict& cluster_;
  const std::vector<HostEntry>& entries_;
  const Limits& limits_;
  const ServerRun& own_;
  const MonoUs now_;
  std::vector<Server> servers_;
  std::unordered_map<ServerRun, std::size_t, RunHash> by_run_;  // index into servers_
  std::unordered_map<std::string_view, std::size_t> by_name_;   // index into entries_
  std::vector<std::size_t> named_;                              // what Meant() returns for a name
  std::vector<int> former_downs_;  // votes that a former run of it cannot be reached
  std::vector<bool> proved_;       // somebody reached it between two failures of ours
  bool this_node_votes_ = false;
};

// What one more entry tells of a server.
void Ballot::AddEntry(Server& server, std::size_t index) {
  const HostVerdict& host = cluster_.hosts[index];
  server.entries.push_back(index);
  if (!host.facts) {
    server.votes = server.votes || host.checked || !cluster_.ready;
    server.unasked = !host.checked && cluster_.ready;
    server.undecided = server.undecided || (host.liveness == Liveness::kUnknown &&
                                            (!host.checked || IsEvidence(host.last_outcome)));
    return;
  }
  server.votes = server.votes || host.facts->gives_opinions;
  if (!IsInSight(host, limits_, now_)) return;
  server.in_sight = true;
  const bool newer = server.speaker == nullptr || host.facts_asked > server.speaker->facts_asked;
  if (host.facts->opinions && newer && !IsOutOfDate(host, limits_, now_)) server.speaker = &host;
}

void Ballot::FindServers() {
  for (std::size_t i = 0; i < cluster_.hosts.size(); ++i) {
    const HostVerdict& host = cluster_.hosts[i];
    if (host.foreign) continue;
    const ServerRun run = RunSeen(host);
    std::size_t index = servers_.size();
    if (run.known()) index = by_run_.emplace(run, index).first->second;
    if (index == servers_.size()) servers_.emplace_back();
    servers_[index].self = run.known() && run == own_;
    AddEntry(servers_[index], i);
  }
}

// This node votes also when it has not found itself in its list, but not in the affairs of another
// cluster.
void Ballot::CountVoters() {
  this_node_votes_ = own_.system_identifier == 0 || cluster_.system_identifier == 0 ||
                     own_.system_identifier == cluster_.system_identifier;
  Quorum quorum;
  if (this_node_votes_) quorum = {1, 1, 0, 0};
  int unknown = 0;
  cluster_.self.reset();
  for (Server& server : servers_) {
    if (server.self) {
      cluster_.self = server.entries.front();
      server.votes = this_node_votes_;
      continue;
    }
    if (server.unasked) ++quorum.unasked;
    if (!server.votes) continue;
    const bool known = RunSeen(cluster_.hosts[server.entries.front()]).known();
    if (this_node_votes_ && !known && !server.in_sight) ++unknown;
    ++quorum.voters;
    if (server.in_sight) ++quorum.in_sight;
    if (server.undecided) ++quorum.undecided;
  }
  // One of those that have never answered is this server itself, as long as it was not found.
  if (!cluster_.self && unknown > 0) --quorum.voters;
  cluster_.quorum = quorum;
}

void Ballot::ClearVotes() {
  cluster_.voices.clear();
  for (HostVerdict& host : cluster_.hosts) host.votes_up = host.votes_down = 0;
}

void Ballot::VoteOwn() {
  for (std::size_t i = 0; i < cluster_.hosts.size(); ++i) {
    const HostVerdict& host = cluster_.hosts[i];
    if (host.foreign) continue;
    if (IsInSight(host, limits_, now_)) Add(i, true);
    if (host.liveness == Liveness::kDown) Add(i, false);
  }
}

// The entries that an opinion is about. The run of a server is a better name than what a list calls
// it ("localhost" is another server on each node); but who cannot reach a server knows at best one
// of its former runs.
const std::vector<std::size_t>& Ballot::Meant(const Opinion& opinion) {
  const ServerRun run = {opinion.system_identifier, opinion.postmaster_start};
  if (run.known()) {
    const auto server = by_run_.find(run);
    if (server != by_run_.end()) return servers_[server->second].entries;
  }
  if (by_name_.empty()) {
    for (std::size_t i = 0; i < entries_.size(); ++i) by_name_.emplace(entries_[i].name, i);
  }
  named_.clear();
  const auto entry = by_name_.find(opinion.host);
  if (entry == by_name_.end()) return named_;
  const HostVerdict& host = cluster_.hosts[entry->second];
  const bool another = opinion.reachable && run.known() && IsLive(host) && RunSeen(host).known();
  if (!another && !host.foreign) named_.push_back(entry->second);
  return named_;
}

// An opinion is as old as the answer that it came with, and the success that it tells of was
// earlier than we asked by its age at most. 0: it tells of none.
MonoUs ReachedAt(const Server& voter, const Opinion& opinion) {
  if (!opinion.success_age_us) return 0;
  return std::max<MonoUs>(voter.speaker->facts_asked - *opinion.success_age_us, 0);
}

void Ballot::VoteOf(const Server& voter) {
  std::vector<bool> voted(entries_.size(), false);
  for (const std::size_t own_entry : voter.entries) voted[own_entry] = true;
  std::optional<Voice> voice;
  for (const Opinion& opinion : *voter.speaker->facts->opinions) {
    const std::vector<std::size_t>& meant = Meant(opinion);
    const bool named = opinion.rank == Rank::kPrimary;
    // one voter has one voice, whatever it says; whom it names goes before whom it would name
    if (named ? !voice || !voice->named : opinion.rank == Rank::kIncumbent && !voice) {
      const ServerRun run = {opinion.system_identifier, opinion.postmaster_start};
      voice = Voice{meant.empty() ? std::nullopt : std::make_optional(meant.front()),
                    own_.known() && run == own_, named, ReachedAt(voter, opinion)};
    }
    for (const std::size_t index : meant) {
      if (voted[index]) continue;
      voted[index] = true;
      Add(index, opinion.reachable);
      const HostVerdict& host = cluster_.hosts[index];
      const ServerRun run = {opinion.system_identifier, opinion.postmaster_start};
      const bool former = run.known() && RunSeen(host).known() && !(run == RunSeen(host));
      if (!opinion.reachable && former) ++former_downs_[index];
      if (!opinion.reachable || !opinion.success_age_us || host.failing_since == 0) continue;
      const MonoUs reached = ReachedAt(voter, opinion);
      const bool failed_since = reached < host.last_check || host.unreachable_here;
      if (reached > host.failing_since && failed_since) proved_[index] = true;
    }
  }
  if (voice) cluster_.voices.push_back(*voice);
}

void Ballot::VoteForThemselves() {
  for (const Server& server : servers_) {
    if (!server.votes || server.self) continue;
    for (const std::size_t index : server.entries) {
      if (cluster_.hosts[index].votes_up > 0) Add(index, true);
    }
  }
}

// A host that has just died is still up in the opinion of those who have not noticed. So it takes
// proof that it lived after we had begun to fail; and that we have failed once more since then, or
// it may have come back for all. This very server, which takes no new sessions when it stops, is
// not unreachable from itself.
void Ballot::WeighDown() {
  const Quorum& quorum = cluster_.quorum;
  for (std::size_t i = 0; i < cluster_.hosts.size(); ++i) {
    HostVerdict& host = cluster_.hosts[i];
    const bool down = host.liveness == Liveness::kDown;
    const bool self = own_.known() && RunSeen(host) == own_;
    const bool vouched = down && host.votes_up > 0;
    if (!vouched) host.vouched_since = 0;
    if (vouched && host.vouched_since == 0) host.vouched_since = now_;
    host.unreachable_here =
        down && !self && quorum.possible() && proved_[i] && host.votes_up >= quorum.majority();
    const bool cut_off = quorum.possible() && host.votes_down >= quorum.majority() &&
                         (self || IsInSight(host, limits_, now_));
    if (!cut_off) host.cut_off_since = 0;
    if (cut_off && host.cut_off_since == 0) host.cut_off_since = now_;
    host.cut_off_before = cut_off && host.votes_down - former_downs_[i] < quorum.majority();
    const bool said = !quorum.possible() || host.foreign || host.votes_down >= quorum.majority();
    host.down_for_all = down && !host.unreachable_here && (said || host.down_for_all);
  }
}

}  // namespace

void JudgeQuorum(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                 const Limits& limits, const ServerRun& own, MonoUs now) {
  Ballot(cluster, entries, limits, own, now).Count();
}

bool IsCutOff(const HostVerdict& host, const Limits& limits, MonoUs now) {
  const std::int64_t patience = limits.poll_interval_us +
                                limits.max_fails * limits.fast_poll_interval_us +
                                (host.cut_off_before ? StaleAfter(limits) : 0);
  return host.cut_off_since != 0 && now - host.cut_off_since >= patience;
}

}  // namespace pg_status
