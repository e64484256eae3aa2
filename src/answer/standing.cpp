// Where this node stands. Pure arithmetic on World; a snapshot that is too old counts as silence.
#include "answer/standing.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "answer/host_json.hpp"
#include "base/fixed_text.hpp"
#include "choose/choose.hpp"
#include "config/orders.hpp"
#include "judge/verdict.hpp"

namespace pg_status {
namespace {

struct SyncWord {
  std::string_view word;
  SyncState state;
};

// sync_state of pg_stat_replication. A potential standby may become a synchronous one; until then
// nobody waits for it.
constexpr SyncWord kSyncWords[] = {
    {"sync", SyncState::kSync},
    {"quorum", SyncState::kQuorum},
    {"async", SyncState::kAsync},
    {"potential", SyncState::kAsync},
};

// In the order of PgstFenceCause.
constexpr std::string_view kFenceWords[] = {"", "no_majority", "unreachable", "successor",
                                            "outvoted"};
static_assert(std::size(kFenceWords) == std::size_t{PGST_FENCE_OUTVOTED} + 1);

// A successor is seen, or it is not; what a majority sees or says takes one that can be.
bool Counts(PgstFenceCause cause, const MajorityView& view) {
  return cause == PGST_FENCE_SUCCESSOR || (cause != PGST_FENCE_NONE && view.possible);
}

// Two of the same node's answers must not contradict each other: whoever names another primary of
// its own cluster is none. (It need not have found itself among the hosts for that.)
bool NamesAnother(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  const std::optional<std::uint32_t> named = NamedPrimary(snapshot);
  if (!named || snapshot.system_identifier != world.node.system_identifier) return false;
  const PgstHost& host = snapshot.hosts[*named];
  // (one that lets nobody read which server it is may be this very one)
  const bool known = host.system_identifier != 0 || host.postmaster_start_wall != 0;
  return host.self == 0 && known;
}

// Whether this server, which has just started, is still to be found among the hosts: what the
// poller makes of the others was judged without it.
bool IsYetToBeFound(const World& world) {
  return SelfHost(world) == nullptr && world.snapshot->undecided != 0;
}

// Positions of another timeline cannot be compared: one of an older timeline is of a history that
// this node has left, and of a newer one this node has nothing yet.
Lsn PolledLeaderLsn(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsFresh(world) || snapshot.newest_timeline < world.node.timeline) return kNoLsn;
  return snapshot.newest_lsn;
}

bool IsLeftBehind(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  return IsFresh(world) && world.node.timeline != 0 &&
         snapshot.newest_timeline > world.node.timeline;
}

// Whether this order is about this very server: as the order says, or because the entry that it is
// about leads here, which of an alias is so for a while.
bool IsOwn(const PgstOrder& order, const World& world) {
  if (order.self != 0) return true;
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsPublished(snapshot)) return false;
  const PgstHost* const end = snapshot.hosts + HostCount(snapshot);
  return std::any_of(snapshot.hosts, end, [&order](const PgstHost& host) {
    return host.self != 0 && IsFor(order, HostName(host), FixedText(host.hostname), host.port);
  });
}

}  // namespace

bool IsPublished(const PgstSnapshot& snapshot) { return snapshot.layout == PGST_SNAPSHOT_LAYOUT; }

bool IsFresh(const World& world) { return IsFresh(*world.snapshot, world.poller_alive, world.now); }

WallUs MadeWall(const World& world) {
  return world.wall_now == 0 ? 0 : world.wall_now - (world.now - world.snapshot->made_mono);
}

WallUs AnswerWall(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  return snapshot.made_wall == 0 ? 0 : snapshot.made_wall + (world.now - snapshot.made_mono);
}

const PgstHost* SelfHost(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsPublished(snapshot)) return nullptr;
  const PgstHost* const hosts = snapshot.hosts;
  const PgstHost* const end = hosts + HostCount(snapshot);
  const PgstHost* const self =
      std::find_if(hosts, end, [](const PgstHost& host) { return host.self != 0; });
  return self == end ? nullptr : self;
}

const PgstHost* ChosenPrimary(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsFresh(world) || snapshot.primary < 0) return nullptr;
  const auto index = static_cast<std::uint32_t>(snapshot.primary);
  if (index >= HostCount(snapshot) || snapshot.hosts[index].superseded != 0) return nullptr;
  return snapshot.hosts + index;
}

std::string_view PrimaryReason(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  if (!IsFresh(world) || snapshot.ready == 0) return {};
  return FixedText(snapshot.primary_reason);
}

// By the age of the judgement, not by the poller's sign of life: a poller that is being started
// anew is no reason to call a majority lost that was there a second ago.
MajorityView MajorityOf(const World& world) {
  const PgstSnapshot& snapshot = *world.snapshot;
  MajorityView view;
  view.known = IsPublished(snapshot) && world.now - snapshot.made_mono <= snapshot.stale_after;
  if (!view.known) return view;
  Quorum quorum;
  quorum.voters = static_cast<int>(snapshot.voters);
  quorum.in_sight = static_cast<int>(snapshot.voters_in_sight);
  quorum.unasked = static_cast<int>(snapshot.voters_unasked);
  view.possible = quorum.possible();
  view.in_sight = quorum.in_majority();
  view.voters = snapshot.voters;
  view.voters_in_sight = snapshot.voters_in_sight;
  view.majority = static_cast<std::uint32_t>(quorum.majority());
  return view;
}

// A primary that knows nothing yet sees no majority: it may have been started on the wrong side.
PgstFenceCause FenceCauseOf(const World& world) {
  const MajorityView view = MajorityOf(world);
  if (!view.known || (view.possible && IsYetToBeFound(world))) return PGST_FENCE_NO_MAJORITY;
  const std::uint8_t told = world.snapshot->fence_cause;
  const auto cause =
      static_cast<PgstFenceCause>(std::min<std::uint8_t>(told, std::uint8_t{PGST_FENCE_OUTVOTED}));
  if (Counts(cause, view)) return cause;
  if (view.possible && !view.in_sight) return PGST_FENCE_NO_MAJORITY;
  return NamesAnother(world) ? PGST_FENCE_SUCCESSOR : PGST_FENCE_NONE;
}

PgstFenceCause OwnFenceCause(const World& world) {
  return world.node.state == NodeState::kFenced ? FenceCauseOf(world) : PGST_FENCE_NONE;
}

std::string_view FenceCauseWord(PgstFenceCause cause) { return kFenceWords[cause]; }

NodeState Fenced(NodeState state, const World& world) {
  if (state != NodeState::kPrimary || !world.fence) return state;
  return FenceCauseOf(world) == PGST_FENCE_NONE ? state : NodeState::kFenced;
}

const PgstOrder* OwnMaintenance(const World& world) {
  const PgstOrder* const end = world.orders + world.order_count;
  const PgstOrder* const own = std::find_if(world.orders, end, [&](const PgstOrder& order) {
    return order.maintenance != PGST_IN_SERVICE && IsOwn(order, world);
  });
  return own == end ? nullptr : own;
}

std::optional<std::int64_t> SinceOwnMaintenance(const World& world) {
  std::optional<std::int64_t> since;
  for (std::uint32_t i = 0; i < world.order_count; ++i) {
    const PgstOrder& order = world.orders[i];
    // (an end that is still to come is one before the clock was set back)
    if (order.ended == PGST_IN_SERVICE || order.since_wall > world.wall_now) continue;
    if (!IsOwn(order, world)) continue;
    const std::int64_t ago = world.wall_now - order.since_wall;
    since = std::min(since.value_or(ago), ago);
  }
  return since;
}

PgstRole OwnRole(const NodeFacts& node) {
  switch (node.state) {
    case NodeState::kPrimary:
    case NodeState::kFenced:
      return PGST_ROLE_PRIMARY;
    case NodeState::kStandby:
      return PGST_ROLE_STANDBY;
    case NodeState::kStopping:
      if (node.written != kNoLsn) return PGST_ROLE_PRIMARY;
      if (node.replayed != kNoLsn) return PGST_ROLE_STANDBY;
      break;
    case NodeState::kStarting:
      break;
  }
  return PGST_ROLE_UNKNOWN;
}

SyncState OwnSyncState(const World& world) {
  const PgstHost* const self = IsFresh(world) ? SelfHost(world) : nullptr;
  if (self == nullptr) return SyncState::kUnknown;
  const std::string_view word = FixedText(self->sync_state);
  const SyncWord* const end = std::end(kSyncWords);
  const SyncWord* const told = std::find_if(
      std::begin(kSyncWords), end, [word](const SyncWord& known) { return known.word == word; });
  if (told == end) return SyncState::kUnknown;
  // (it may have lost its receiver a moment ago)
  return world.node.streaming ? told->state : SyncState::kAsync;
}

bool HasDiverged(const World& world) {
  const PgstHost* const self = IsFresh(world) ? SelfHost(world) : nullptr;
  return self != nullptr && self->diverged != 0 && OwnRole(world.node) == PGST_ROLE_STANDBY;
}

bool TakesNoSessions(const World& world) {
  const PgstHost* const self = IsFresh(world) ? SelfHost(world) : nullptr;
  return self != nullptr && self->has_takes_sessions != 0 && self->takes_sessions == 0;
}

std::string_view ReplicationState(const NodeFacts& node) {
  if (OwnRole(node) != PGST_ROLE_STANDBY) return {};
  return node.streaming ? "streaming" : "in archive recovery";
}

std::optional<std::uint64_t> LagBehindLeader(const World& world, Lsn position) {
  const NodeFacts& node = world.node;
  const Lsn told = std::max(PolledLeaderLsn(world), node.latest_end);
  if (position == kNoLsn || IsLeftBehind(world) || HasDiverged(world)) return std::nullopt;
  // Before a WAL receiver has received anything its position is the one it asked to start from,
  // which says nothing of a leader.
  if (told == kNoLsn && node.received <= position) return std::nullopt;
  const Lsn leader = std::max(told, node.received);
  return leader > position ? leader - position : 0;
}

}  // namespace pg_status
