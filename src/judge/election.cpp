// Who is the primary; see election.hpp for the rules. Goes by what is recorded of each host; knows
// nothing of lag, nor of how anything was found out.
#include "judge/election.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "judge/age.hpp"
#include "judge/judge.hpp"
#include "judge/quorum.hpp"
#include "judge/topology.hpp"

namespace pg_status {
namespace {

// ---- rules --------------------------------------------------------------------------------------

// Rules 1 and 2 from the side of `a`: whether it wins by one of them.
std::optional<Ground> WinsOutright(const Tree& a, const Tree& b) {
  const bool both_claim = a.claimant && b.claimant;
  if (both_claim && b.cut_off && !a.cut_off) return Ground::kReached;
  if (a.incumbent && b.refused && (b.followers.empty() || !b.claimant)) return Ground::kSteady;
  return std::nullopt;
}

// Rule 3.
Duel DecideByAge(const Tree& newer, const Tree& older) {
  const bool silent = older.claimant && older.failing && newer.since > older.heard;
  const bool lost_its_primary = silent || (!older.claimant && !older.elsewhere);
  if (newer.claimant && lost_its_primary && !newer.refused) return {true, Ground::kSucceeded};
  if (newer.size >= older.size) return {true, Ground::kNewer};
  if (newer.incumbent != older.incumbent) return {newer.incumbent, Ground::kIncumbent};
  return {false, Ground::kOlderBigger};
}

// Whether `a` is the same history as `b` that has lost its primary for good, and lacks nothing of
// it: the same data were started elsewhere.
bool TakesOver(const Tree& a, const Tree& b) {
  return a.claimant && !a.refused && b.gone && a.position >= b.position &&
         Compare(a.branch, b.branch) == Descent::kSame;
}

// Rule 4.
Duel DecideAmongEquals(const Tree& a, const Tree& b) {
  if (TakesOver(a, b)) return {true, Ground::kSucceeded};
  if (TakesOver(b, a)) return {false, Ground::kSucceeded};
  if (a.size != b.size) return {a.size > b.size, Ground::kBigger};
  if (a.incumbent != b.incumbent) return {a.incumbent, Ground::kIncumbent};
  return {a.place < b.place, Ground::kFirst};
}

Duel Reversed(Duel duel) { return {!duel.first_wins, duel.ground}; }

}  // namespace

Duel Decide(const Tree& a, const Tree& b) {
  // Rule 1 goes first, for whichever side it speaks.
  const std::optional<Ground> for_a = WinsOutright(a, b);
  const std::optional<Ground> for_b = WinsOutright(b, a);
  if (for_a && (!for_b || *for_a < *for_b)) return {true, *for_a};
  if (for_b) return {false, *for_b};
  switch (Compare(a.branch, b.branch)) {
    case Descent::kNewer:
      return DecideByAge(a, b);
    case Descent::kOlder:
      return Reversed(DecideByAge(b, a));
    case Descent::kUnknown:
    case Descent::kSame:
    case Descent::kSiblings:
      break;
  }
  return DecideAmongEquals(a, b);
}

Election Elect(const std::vector<Tree>& trees) {
  Election election;
  for (std::size_t i = 0; i < trees.size(); ++i) {
    if (!election.winner || !Decide(trees[*election.winner], trees[i]).first_wins) {
      election.winner = i;
    }
  }
  // The strongest of the others: one that claims, the one with most, the newest.
  for (std::size_t i = 0; i < trees.size(); ++i) {
    if (i == election.winner) continue;
    const auto strength = [&](std::size_t index) {
      return std::make_tuple(trees[index].claimant.has_value(), trees[index].size,
                             trees[index].branch.timeline);
    };
    if (!election.rival || strength(i) > strength(*election.rival)) election.rival = i;
  }
  if (election.rival) {
    election.ground = Decide(trees[*election.winner], trees[*election.rival]).ground;
  }
  return election;
}

namespace {

// ---- trees --------------------------------------------------------------------------------------

// Nobody has a longer chain of standbys; a circle of them ends here, too.
constexpr int kMaxHops = 32;

constexpr std::size_t kMaxHeadless = 64;

class Forest {
 public:
  Forest(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries, const Limits& limits,
         MonoUs now, std::optional<std::size_t> incumbent)
      : hosts_(cluster.hosts),
        cluster_(cluster),
        entries_(entries),
        limits_(limits),
        now_(now),
        incumbent_(incumbent) {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      by_name_.emplace(entries_[i].name, i);
      first_.push_back(i);
    }
    // Of the entries of one server, one at which it is in sight.
    for (const bool in_sight : {true, false}) {
      for (std::size_t i = 0; i < hosts_.size(); ++i) {
        const ServerRun run = hosts_[i].facts ? RunOf(*hosts_[i].facts) : ServerRun();
        if ((hosts_[i].role != Role::kUnknown) != in_sight || !run.known()) continue;
        first_[i] = by_run_.emplace(run, i).first->second;
      }
    }
  }

  std::vector<Tree> Grow() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (first_[i] == i && IsClaimant(hosts_[i])) AddClaimant(i);
    }
    claimants_ = trees_.size();
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (first_[i] == i && IsFollower(hosts_[i])) AddFollower(i);
    }
    AddLostIncumbent();
    // Unless its incumbent is there, or may come back in a moment, nobody is to stand back for it.
    const bool steady = IncumbentMayComeBack() || IncumbentClaims();
    for (Tree& tree : trees_) tree.refused = tree.refused && steady;
    return std::move(trees_);
  }

 private:
  static bool IsFollower(const HostVerdict& host) {
    return host.role == Role::kStandby && !host.foreign;
  }

  static bool IsRefused(const HostVerdict& host) {
    return host.refused_timeline != 0 && host.refused_timeline == host.facts->timeline;
  }

  void AddClaimant(std::size_t index) {
    const HostVerdict& host = hosts_[index];
    Tree tree;
    tree.claimant = tree.root = index;
    tree.branch = BranchOf(host);
    tree.place = index;
    tree.incumbent = incumbent_ && first_[*incumbent_] == index;
    tree.refused = IsRefused(host);
    tree.position = host.facts->write_lsn.value_or(kNoLsn);
    tree.cut_off = IsCutOff(host, limits_, now_);
    tree.failing = host.fails >= 2;
    tree.heard = host.last_success;
    tree.since = host.primary_since;
    tree.size = 1;
    trees_.push_back(std::move(tree));
  }

  // The server that a chain of upstreams leads to: one that claims, or one that was lost.
  std::optional<std::size_t> RootOf(std::size_t index) const {
    std::size_t at = index;
    for (int hops = 0; hops < kMaxHops; ++hops) {
      std::optional<std::size_t> next = hosts_[at].upstream_index;
      if (!next && !hosts_[at].followed.empty()) {
        const auto found = by_name_.find(hosts_[at].followed);
        if (found != by_name_.end()) next = found->second;
      }
      if (!next) return std::nullopt;
      const HostVerdict& host = hosts_[*next];
      if (host.foreign) return std::nullopt;
      if (host.role == Role::kPrimary) return first_[*next];
      const bool standby = host.facts && host.facts->in_recovery;
      if (!standby || (host.role == Role::kUnknown && host.followed.empty())) return first_[*next];
      at = *next;
    }
    return std::nullopt;
  }

  // Whether a standby can belong to this branch: on its way there, and not past where it has left.
  bool Fits(const HostVerdict& standby, const Branch& branch) const {
    const Descent descent = Compare(BranchOf(standby), branch);
    if (descent == Descent::kNewer || descent == Descent::kSiblings) return false;
    if (descent != Descent::kOlder || !standby.facts->timeline_exact) return true;
    const std::optional<Lsn> left = LeftAt(branch, standby.facts->timeline);
    return !left || !standby.facts->replay_lsn || *standby.facts->replay_lsn <= *left;
  }

  void AddFollower(std::size_t index) {
    const HostVerdict& host = hosts_[index];
    const std::optional<std::size_t> root = RootOf(index);
    if (root && hosts_[*root].forced_out) return;
    Tree* const tree = TreeFor(host, root);
    if (tree == nullptr) return;
    if (!tree->claimant) {
      const bool refused = IsRefused(host);
      tree->refused = refused && (tree->followers.empty() || tree->refused);
      tree->position = std::max(tree->position, host.facts->replay_lsn.value_or(kNoLsn));
    }
    tree->followers.push_back(index);
    ++tree->size;
  }

  // nullptr: it is with nobody.
  Tree* TreeFor(const HostVerdict& host, std::optional<std::size_t> root) {
    Tree* only = nullptr;  // of the claimants that it may be with, for all that its timeline tells
    bool several = false;
    for (std::size_t i = 0; i < claimants_; ++i) {
      Tree& tree = trees_[i];
      if (root && tree.claimant == root && Fits(host, tree.branch)) return &tree;
      const Descent descent = Compare(BranchOf(host), tree.branch);
      const bool may_be = descent == Descent::kSame || descent == Descent::kUnknown ||
                          (descent == Descent::kOlder && !host.facts->timeline_exact);
      if (!may_be) continue;
      several = only != nullptr;
      only = &tree;
    }
    const bool lost = root && hosts_[*root].role != Role::kPrimary;
    // Of whom nothing but the timeline is known, it proves nothing where several have that.
    const bool guessed = !root || !host.facts->timeline_exact;
    if (!lost && guessed && only != nullptr && (several || IsOnIncumbentsTimeline(*only))) {
      return nullptr;
    }
    if (!lost && only != nullptr && !several) return only;
    return HeadlessTree(host, lost ? root : std::nullopt);
  }

  // A claim that was refused, on what is or may be the timeline of an incumbent that may come back.
  // (Of one that this node was only told of, the timeline is not known.)
  bool IsOnIncumbentsTimeline(const Tree& tree) const {
    if (!tree.refused || tree.incumbent || !cluster_.incumbent) return false;
    if (!IncumbentMayComeBack() && !IncumbentClaims()) return false;
    const Descent descent = Compare(tree.branch, BranchOf(*cluster_.incumbent));
    return descent == Descent::kSame || descent == Descent::kUnknown;
  }

  Tree* HeadlessTree(const HostVerdict& host, std::optional<std::size_t> root) {
    const Branch branch = BranchOf(host);
    for (std::size_t i = claimants_; i < trees_.size(); ++i) {
      Tree& tree = trees_[i];
      const bool same =
          root ? tree.root == root : !tree.root && Compare(branch, tree.branch) == Descent::kSame;
      if (!same) continue;
      if (Compare(branch, tree.branch) == Descent::kNewer) tree.branch = branch;
      return &tree;
    }
    // (more histories than this nobody has; whoever tells them all is not worth a search each)
    if (trees_.size() - claimants_ >= kMaxHeadless) return nullptr;
    Tree tree;
    tree.root = root;
    tree.branch = branch;
    tree.place = static_cast<std::size_t>(&host - hosts_.data());
    tree.incumbent = root && incumbent_ && first_[*incumbent_] == *root;
    tree.elsewhere = root && hosts_[*root].unreachable_here;
    tree.gone = root && !MayComeBack(hosts_[*root]);
    trees_.push_back(std::move(tree));
    return &trees_.back();
  }

  bool IncumbentClaims() const { return incumbent_ && IsClaimant(hosts_[*incumbent_]); }

  bool IncumbentMayComeBack() const {
    return incumbent_ && !IncumbentClaims() && MayComeBack(hosts_[*incumbent_]);
  }

  // Whether a server that is not in sight was there so lately that it may just restart.
  bool MayComeBack(const HostVerdict& host) const {
    // (our own poller stood still: it was not asked since)
    if (IsLive(host) && host.failing_since == 0) return true;
    // (where hosts are asked rarely, its end may have been noticed long after its last answer)
    const MonoUs last = std::max(host.last_answer, host.failing_since);
    // (whoever lets nobody in is there until asked again, and is asked ever more rarely)
    const bool says_no = host.last_answer != 0 && host.last_answer == host.last_check;
    const std::int64_t asked_within = says_no ? LongestPause(limits_) : 0;
    return host.unreachable_here || (last != 0 && now_ - last <= kRestartUs + asked_within);
  }

  // That nobody follows it now does not end its rank at once.
  void AddLostIncumbent() {
    if (!IncumbentMayComeBack()) return;
    const std::size_t index = first_[*incumbent_];
    const bool there = std::any_of(trees_.begin(), trees_.end(),
                                   [index](const Tree& tree) { return tree.root == index; });
    if (there) return;
    Tree tree;
    tree.root = index;
    tree.branch = BranchOf(hosts_[index]);
    if (cluster_.incumbent && cluster_.incumbent->name == entries_[*incumbent_].name) {
      tree.branch = BranchOf(*cluster_.incumbent);
    }
    tree.place = index;
    tree.incumbent = true;
    tree.elsewhere = hosts_[index].unreachable_here;
    trees_.push_back(std::move(tree));
  }

  const std::vector<HostVerdict>& hosts_;
  const ClusterVerdict& cluster_;
  const std::vector<HostEntry>& entries_;
  const Limits& limits_;
  const MonoUs now_;
  const std::optional<std::size_t> incumbent_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::unordered_map<ServerRun, std::size_t, RunHash> by_run_;
  std::vector<std::size_t> first_;  // of each host: the entry that stands for the same server
  std::vector<Tree> trees_;         // claimants' first
  std::size_t claimants_ = 0;
};

// ---- the incumbent ------------------------------------------------------------------------------

std::optional<std::size_t> IndexOf(const std::string& name, const std::vector<HostEntry>& entries) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const HostEntry& entry) { return entry.name == name; });
  if (found == entries.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries.begin());
}

// The entry of the incumbent: where its run is in sight, else the one of its name. (A name may move
// to another server, and a server may get another name.)
std::optional<std::size_t> EntryOf(const Incumbent& incumbent, const ClusterVerdict& cluster,
                                   const std::vector<HostEntry>& entries) {
  const std::optional<std::size_t> named = IndexOf(incumbent.name, entries);
  const auto is_run = [&](const HostVerdict& host) {
    return host.role != Role::kUnknown && incumbent.run.known() &&
           RunOf(*host.facts) == incumbent.run;
  };
  if (named && is_run(cluster.hosts[*named])) return named;
  const auto found = std::find_if(cluster.hosts.begin(), cluster.hosts.end(), is_run);
  if (found == cluster.hosts.end()) return named;
  return static_cast<std::size_t>(found - cluster.hosts.begin());
}

// Whether a host can be the incumbent: it has not stepped down, and is not taken out.
bool MayBeIncumbent(const HostVerdict& host) {
  return host.role != Role::kStandby && !host.foreign && !host.forced_out;
}

Incumbent IncumbentFrom(const HostVerdict& host, const HostEntry& entry) {
  Incumbent incumbent;
  incumbent.name = entry.name;
  if (!host.facts) return incumbent;
  incumbent.run = RunOf(*host.facts);
  incumbent.timeline = host.facts->timeline;
  if (const TimelineHistory* const history = HistoryOf(host)) incumbent.history = *history;
  return incumbent;
}

// Whom the others hold to be the primary, with this node's own voice: of each host how many do.
std::vector<std::size_t> CountVoices(const ClusterVerdict& cluster,
                                     std::optional<std::size_t> own) {
  std::vector<std::size_t> count(cluster.hosts.size());
  for (const Voice& voice : cluster.voices) {
    if (voice.host && MayBeIncumbent(cluster.hosts[*voice.host])) ++count[*voice.host];
  }
  if (own) ++count[*own];
  return count;
}

// The one that more hold to be the primary than any other; nullopt when there is no such one.
std::optional<std::size_t> MostHeld(const std::vector<std::size_t>& count) {
  std::optional<std::size_t> most;
  bool tie = false;
  for (std::size_t i = 0; i < count.size(); ++i) {
    if (count[i] == 0) continue;
    tie = most && count[i] == count[*most];
    if (!most || count[i] > count[*most]) most = i;
  }
  return tie ? std::nullopt : most;
}

// Forgets an incumbent that is none any more; takes the others' where this node has none.
void RenewIncumbent(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  if (cluster.incumbent) {
    const std::optional<std::size_t> index = EntryOf(*cluster.incumbent, cluster, entries);
    if (!index || !MayBeIncumbent(cluster.hosts[*index])) {
      cluster.incumbent.reset();
    } else {
      cluster.incumbent->name = entries[*index].name;
    }
  }
  if (cluster.incumbent || !cluster.ready) return;
  const std::optional<std::size_t> most = MostHeld(CountVoices(cluster, std::nullopt));
  if (!most) return;
  cluster.incumbent = IncumbentFrom(cluster.hosts[*most], entries[*most]);
  // They know of whoever else claims now, and have refused it, be it that they name nobody.
  for (std::size_t i = 0; i < cluster.hosts.size(); ++i) {
    HostVerdict& host = cluster.hosts[i];
    if (i != *most && IsClaimant(host)) host.refused_timeline = host.facts->timeline;
  }
}

// Where the nodes do not agree on it, it is the one that most of them hold to be it; each node's
// memory is its own, and all have to come to the same answer.
std::optional<std::size_t> AgreedIncumbent(const ClusterVerdict& cluster,
                                           const std::vector<HostEntry>& entries) {
  if (!cluster.incumbent) return std::nullopt;
  return MostHeld(CountVoices(cluster, IndexOf(cluster.incumbent->name, entries)));
}

// ---- reasons ------------------------------------------------------------------------------------

std::string_view Because(Ground ground) {
  switch (ground) {
    case Ground::kAlone:
      break;
    case Ground::kTold:
      return "the other nodes name it, and this one cannot ask itself";
    case Ground::kReached:
      return "a majority of the voting nodes reaches it, and not the other one";
    case Ground::kSteady:
      return "it was the primary while the other one claimed to be already, and nobody follows "
             "that "
             "one";
    case Ground::kSucceeded:
      return "it was promoted when the other timeline had lost its primary";
    case Ground::kNewer:
      return "its timeline is newer, and at least as many are with it";
    case Ground::kIncumbent:
      return "it was the primary before";
    case Ground::kOlderBigger:
      return "more are with it, though its timeline is older";
    case Ground::kBigger:
      return "more are with it";
    case Ground::kFirst:
      return "it comes first in pg_status.hosts";
  }
  return "there is no other";
}

// `"db1" (timeline 1, 2 hosts)`; of a headless tree `"db3" (timeline 2, 1 host, without a primary
// in sight)`.
std::string TreeText(const Tree& tree, const std::vector<HostEntry>& entries) {
  const std::size_t index = tree.claimant            ? *tree.claimant
                            : tree.followers.empty() ? *tree.root
                                                     : tree.followers.front();
  const std::string timeline = tree.branch.timeline == 0
                                   ? "timeline unknown"
                                   : fmt::format("timeline {}", tree.branch.timeline);
  return fmt::format("\"{}\" ({}, {} {}{})", entries[index].name, timeline, tree.size,
                     tree.size == 1 ? "host" : "hosts",
                     tree.claimant ? "" : ", without a primary in sight");
}

std::string WhyNamed(const Election& election, const std::vector<Tree>& trees,
                     const std::vector<HostEntry>& entries) {
  const Tree& winner = trees[*election.winner];
  if (!election.rival) {
    return fmt::format("\"{}\" is the only primary in sight.", entries[*winner.claimant].name);
  }
  return fmt::format("{} goes before {}: {}.", TreeText(winner, entries),
                     TreeText(trees[*election.rival], entries), Because(election.ground));
}

// The claimant that nobody is to be sent to, where one wins but must not be named.
bool IsSuperseded(const ClusterVerdict& cluster, const Tree& tree,
                  const std::vector<HostEntry>& entries) {
  if (!cluster.incumbent || tree.incumbent) return false;
  if (entries[*tree.claimant].name == cluster.incumbent->name) return false;
  return Compare(tree.branch, BranchOf(*cluster.incumbent)) == Descent::kOlder;
}

// Whoever claims to be the primary, if anybody does, is not named.
std::string WhyNobody(const ClusterVerdict& cluster, const Election& election,
                      const std::vector<Tree>& trees, const std::vector<HostEntry>& entries) {
  const Tree* const winner = election.winner ? &trees[*election.winner] : nullptr;
  const Tree* const rival = election.rival ? &trees[*election.rival] : nullptr;
  if (winner != nullptr && winner->claimant && IsSuperseded(cluster, *winner, entries)) {
    return fmt::format(
        "\"{}\" is not named: its timeline {} was left for timeline {} of \"{}\", which was named "
        "last.",
        entries[*winner->claimant].name, winner->branch.timeline, cluster.incumbent->timeline,
        cluster.incumbent->name);
  }
  if (winner != nullptr && winner->claimant) {
    return fmt::format("\"{}\" is not named before every host of the new list was asked.",
                       entries[*winner->claimant].name);
  }
  if (rival != nullptr && rival->claimant) {
    return fmt::format("\"{}\" is not named. {} goes before {}: {}.",
                       entries[*rival->claimant].name, TreeText(*winner, entries),
                       TreeText(*rival, entries), Because(election.ground));
  }
  std::string why = "No host in sight is a primary.";
  if (cluster.incumbent) why += fmt::format(" The last one was \"{}\".", cluster.incumbent->name);
  return why;
}

// ---- what others name ---------------------------------------------------------------------------

// The tree of the claimant that most of the others name, on a node that cannot ask itself.
std::optional<std::size_t> ToldTree(const ClusterVerdict& cluster, const std::vector<Tree>& trees) {
  if (!cluster.ready || (cluster.self && cluster.hosts[*cluster.self].role != Role::kUnknown)) {
    return std::nullopt;
  }
  std::vector<std::size_t> count(cluster.hosts.size());
  for (const Voice& voice : cluster.voices) {
    if (voice.named && voice.host) ++count[*voice.host];
  }
  const std::optional<std::size_t> named = MostHeld(count);
  const auto found = std::find_if(trees.begin(), trees.end(), [named](const Tree& tree) {
    return named && tree.claimant == named;
  });
  if (found == trees.end()) return std::nullopt;
  return static_cast<std::size_t>(found - trees.begin());
}

// ---- outcome ------------------------------------------------------------------------------------

void MarkRefused(ClusterVerdict& cluster) {
  for (HostVerdict& host : cluster.hosts) {
    host.superseded = IsClaimant(host) && !host.chosen_primary && cluster.ready;
    // As a standby it is still what was refused, unless it has gone back to the primary's timeline.
    const bool mended = host.role == Role::kStandby &&
                        (host.facts->timeline != host.refused_timeline || !cluster.incumbent ||
                         host.refused_timeline <= cluster.incumbent->timeline);
    if (mended || host.chosen_primary) host.refused_timeline = 0;
    if (!host.superseded || !cluster.primary) continue;
    const HostVerdict& primary = cluster.hosts[*cluster.primary];
    const bool same_server =
        RunOf(*primary.facts).known() && RunOf(*primary.facts) == RunOf(*host.facts);
    if (same_server) {
      host.superseded = false;
    } else if (ClaimedTogether(primary, host)) {
      host.refused_timeline = host.facts->timeline;
    }
  }
}

// A primary that an operator has taken out is named nowhere, but as long as nobody else claims to
// be it, lag is measured against it all the same.
void KeepForcedOutPrimary(ClusterVerdict& cluster, const std::vector<HostEntry>& entries) {
  for (std::size_t i = 0; i < cluster.hosts.size() && !cluster.primary; ++i) {
    if (!ClaimsPrimary(cluster.hosts[i]) || !cluster.hosts[i].forced_out) continue;
    cluster.primary = i;
    cluster.primary_reason = fmt::format(
        "\"{}\" is the only primary in sight, and an operator has taken it out of service.",
        entries[i].name);
  }
}

}  // namespace

std::vector<Tree> FindTrees(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                            const Limits& limits, MonoUs now) {
  return Forest(cluster, entries, limits, now, AgreedIncumbent(cluster, entries)).Grow();
}

void JudgePrimary(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                  const Limits& limits, MonoUs now) {
  RenewIncumbent(cluster, entries);
  const std::vector<Tree> trees = FindTrees(cluster, entries, limits, now);
  Election election = Elect(trees);
  const std::optional<std::size_t> told = ToldTree(cluster, trees);
  if (told && told != election.winner) election = {told, Ground::kTold, election.winner};
  const Tree* const winner = election.winner ? &trees[*election.winner] : nullptr;
  // Of a list that has just been changed: whom the others follow may be among those not asked yet.
  const bool complete = std::all_of(cluster.hosts.begin(), cluster.hosts.end(),
                                    [](const HostVerdict& host) { return host.checked; });
  const bool named = winner != nullptr && winner->claimant &&
                     (complete || !cluster.ready || winner->incumbent) &&
                     !IsSuperseded(cluster, *winner, entries);
  cluster.primary = named ? winner->claimant : std::nullopt;
  cluster.primary_reason =
      named ? WhyNamed(election, trees, entries) : WhyNobody(cluster, election, trees, entries);
  if (named && cluster.ready) {
    cluster.incumbent = IncumbentFrom(cluster.hosts[*cluster.primary], entries[*cluster.primary]);
  }
  const bool anybody_claims = std::any_of(
      trees.begin(), trees.end(), [](const Tree& tree) { return tree.claimant.has_value(); });
  if (!anybody_claims) KeepForcedOutPrimary(cluster, entries);
  for (HostVerdict& host : cluster.hosts) host.chosen_primary = false;
  if (cluster.primary) cluster.hosts[*cluster.primary].chosen_primary = true;
  MarkRefused(cluster);
  JudgeSplitBrain(cluster);
}

}  // namespace pg_status
