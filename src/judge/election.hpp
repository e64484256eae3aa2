// Who is the primary. Several servers may claim to be it: somebody promoted the wrong standby, an
// old primary came back, a standby was started without standby.signal, two were promoted at once.
// A number does not decide that; evidence does. Private to judge/.
//
// A claimant is a host in sight that is out of recovery, of this cluster, and not forced out by an
// operator. Its tree is itself and the standbys in sight whose upstreams lead to it. A tree may be
// headless: standbys that prove a timeline whose primary is not in sight now. The incumbent is who
// was named last, for as long as it has not been seen as a standby since.
//
// A node that cannot ask itself (its pg_hba.conf does not let it in, or it is not in its own list)
// lacks at least one server in what it sees: it names whom most of the others name, if they name
// somebody that it sees to claim.
//
// Of two trees one wins, by the first of these rules that tells them apart:
//
//   1. a claimant that a majority of the voting nodes reaches, over one that it does not
//   2. the incumbent's tree, over a claimant that was refused: that was proved to claim while the
//      incumbent lived, was not named, and has no follower. Neither of them has changed, if the
//      incumbent or its follower restarts for a moment. It holds for as long as the incumbent
//      lives, and for kRestartUs after it was last heard of, or was first found to be silent.
//   3. of a newer and an older timeline:
//      a claimant on the newer one, over an older tree that has lost its primary: the usual
//      failover (not, when a majority reaches that primary and only we do not); the newer, when at
//      least as many are with it; the incumbent's; the older
//   4. on the same timeline, a claimant, over a tree that has lost its primary for longer than a
//      restart takes, and has nothing that the claimant lacks: the same data were started
//      elsewhere; of siblings, or on the same timeline: the bigger, the incumbent's, the first in
//      the list
//
// A standby of which it is not known whom it follows counts for the only claimant on its timeline;
// for nobody, where there are several, or where that one was refused on the incumbent's own
// timeline.
//
// If the winner is headless, nobody is named. Nor is one that is on an older timeline than the
// incumbent's: it was superseded, whatever else is down.
//
// Why not "the newest timeline": pg_ctl promote on the wrong standby would take the name from the
// primary that all others follow. Why not "who has most": an old primary that comes back with a
// standby that was never pointed elsewhere would take it back from its successor. Why the incumbent
// comes last where numbers are equal or newer: each node has its own memory, and what all of them
// see has to lead all of them to the same answer. A server that does not run pg_status counts as
// much as one that does: it follows, or is followed, all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/lsn.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/lineage.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// How long a server that was heard of a moment ago may be away because it restarts.
inline constexpr std::int64_t kRestartUs = 10 * kUsPerSecond;

struct Tree {
  std::optional<std::size_t> claimant;  // index of the host; nullopt: it is headless
  std::optional<std::size_t> root;      // the claimant, or the lost primary, where that is known
  Branch branch;
  std::size_t size = 0;                // servers that are with it, the claimant included
  std::vector<std::size_t> followers;  // hosts, without the claimant
  std::size_t place = 0;               // in the list: of the claimant, else of the first follower
  Lsn position = kNoLsn;  // written by the claimant, or the newest replayed by the followers
  bool incumbent = false;
  bool refused = false;  // the claimant was, or all followers are servers that were; while that
                         // still counts
  bool cut_off = false;  // of a claimant: a majority cannot reach it
  bool failing = false;  // of a claimant: it has failed twice, or more often
  MonoUs heard = 0;      // of a claimant: its last success
  MonoUs since = 0;      // of a claimant: when it was first seen to claim
  bool gone = false;     // of a headless tree: its primary has been away for longer than a restart
  bool elsewhere = false;  // of a headless tree: a majority reaches its primary, only we do not
};

// By which rule a tree won.
enum class Ground : std::uint8_t {
  kAlone,      // there is no other
  kTold,       // the other nodes name it, and this one cannot ask itself
  kReached,    // rule 1
  kSteady,     // rule 2
  kSucceeded,  // rule 3, in its order
  kNewer,
  kIncumbent,
  kOlderBigger,
  kBigger,  // rule 4, in its order; then kIncumbent
  kFirst,
};

struct Duel {
  bool first_wins = true;
  Ground ground = Ground::kAlone;
};

// Which of two trees wins. It is the same whichever comes first.
Duel Decide(const Tree& a, const Tree& b);

struct Election {
  std::optional<std::size_t> winner;  // index into the trees; nullopt: there are none
  Ground ground = Ground::kAlone;     // against the strongest of the others
  std::optional<std::size_t> rival;   // that one
};

// The tree that wins against all others. Where each loses to some other one, which may happen
// among three, it is the one that is left when they are tried in their order.
Election Elect(const std::vector<Tree>& trees);

// The trees there are. A server under two entries counts once, under the first of
// them at which it is in sight.
std::vector<Tree> FindTrees(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                            const Limits& limits, MonoUs now);

// Names the primary, or nobody: sets cluster.primary, primary_reason, live_primaries, split_brain
// and incumbent, and of every host chosen_primary, superseded and refused. Needs roles, upstreams,
// votes and voices. `entries` and cluster.hosts have the same size and order.
void JudgePrimary(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                  const Limits& limits, MonoUs now);

}  // namespace pg_status
