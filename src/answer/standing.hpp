// Where this node stands in its cluster: its role, whether it is a synchronous standby, how far it
// is behind. The one place that puts what the server says of itself (live) and what the poller
// found out (the snapshot) together; knows nothing of paths, codes or texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "answer/world.hpp"
#include "base/lsn.hpp"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// Whether there is a snapshot at all.
bool IsPublished(const PgstSnapshot& snapshot);

// Whether the snapshot may be believed. If not, nothing of it but names and settings is used.
bool IsFresh(const World& world);

// When the snapshot was made, on the wall clock as it is now; 0 when the time is not known.
WallUs MadeWall(const World& world);

// The moment of this answer, on the wall clock as it was when the snapshot was made: ages of what
// the snapshot has times of are counted up to here, and no step of the clock since then changes
// them. 0 when the snapshot has no time.
WallUs AnswerWall(const World& world);

// The entry of this server among the hosts; nullptr when it is not among them, or not yet found.
// Who it is stays true when the snapshot is old.
const PgstHost* SelfHost(const World& world);

// The primary of the whole cluster as the poller chose it; nullptr when none is in sight.
const PgstHost* ChosenPrimary(const World& world);

// Why it is that one, or why it is nobody: a sentence; "" when that is not known.
std::string_view PrimaryReason(const World& world);

// What this node sees of the voting nodes (judge/quorum.hpp has who they are).
struct MajorityView {
  bool known = false;        // false: nothing was published yet, or it is too old
  bool possible = false;     // there are enough nodes for a majority to mean something
  bool in_sight = false;     // this node sees one
  std::uint32_t voters = 0;  // this one included, as in the next
  std::uint32_t voters_in_sight = 0;
  std::uint32_t majority = 0;  // how many it takes
};
MajorityView MajorityOf(const World& world);

// Why this server would have to keep away from load balancers, were it a primary and
// pg_status.fence on; PGST_FENCE_NONE when nothing speaks against it. That nothing is known of the
// others lately is the same as to see no majority.
PgstFenceCause FenceCauseOf(const World& world);

// The same of a primary that is fenced; PGST_FENCE_NONE of any other server. And its word, such as
// "no_majority"; "" for PGST_FENCE_NONE.
PgstFenceCause OwnFenceCause(const World& world);
std::string_view FenceCauseWord(PgstFenceCause cause);

// kFenced for a primary that is to keep away; else `state`.
NodeState Fenced(NodeState state, const World& world);

// The order that has this server in maintenance; nullptr when it is in service. Whether it is this
// server is known from the order itself, or from the poller.
const PgstOrder* OwnMaintenance(const World& world);

// How long ago such an order has ended, in microseconds; nullopt when none has lately.
std::optional<std::int64_t> SinceOwnMaintenance(const World& world);

// Of a server that shuts down, what it was. Unknown while it starts.
PgstRole OwnRole(const NodeFacts& node);

// What the primary says of this standby. One that it does not list, or that does not stream now, is
// asynchronous.
enum class SyncState : std::uint8_t { kUnknown, kSync, kQuorum, kAsync };
SyncState OwnSyncState(const World& world);

// Whether this server is a standby whose history is not the primary's, as far as is known lately.
bool HasDiverged(const World& world);

// Whether this server let no new session in when its own poller tried that last; false, too, when
// that is not known.
bool TakesNoSessions(const World& world);

// As Patroni has it; "" on a primary and while nothing is known.
std::string_view ReplicationState(const NodeFacts& node);

// How far `position` of this standby is behind the newest position known of its leader; nullopt
// when one of the two is not known, or they are of two histories.
std::optional<std::uint64_t> LagBehindLeader(const World& world, Lsn position);

}  // namespace pg_status
