// Snapshot + Wish -> Choice. Knows nothing of HTTP, SQL or sockets, nor of how hosts were judged;
// keeps nothing between calls and allocates nothing, for it runs once per request.
//
//   1. Who is eligible: live standbys of this cluster and of its history that are in service, may
//      take reads and fulfil the wish.
//   2. Which of them come first: health beats locality, so up before suspect, and within each the
//      same dc, then the same geo, then the rest. Only the first group that has anyone is used.
//   3. Whose turn it is: round robin, by weights where they differ.
//   4. Nobody: the primary, which is by definition fresh.
//
// A position that is wished for with its timeline is held against the primary's history first: one
// that is not in it nobody has, however far the numbers have come.
#include "choose/choose.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pg_status {
namespace {

// What a route asks for. A dimension that a route does not look at has no limit.
struct RouteRule {
  bool by_time;        // lag_ms counts
  bool by_bytes;       // lag_bytes counts
  bool either;         // one of the two is enough
  bool has_defaults;   // a limit that was not given is that of the settings; else there is none
  bool freshest_only;  // the smallest lag_bytes wins instead of the turn
};

// In the order of Route.
constexpr RouteRule kRules[] = {
    /* kMaster              */ {false, false, false, false, false},
    /* kReplica             */ {true, true, false, false, false},
    /* kSyncByTime          */ {true, false, false, true, false},
    /* kSyncByBytes         */ {false, true, false, true, false},
    /* kSyncByTimeOrBytes   */ {true, true, true, true, false},
    /* kSyncByTimeAndBytes  */ {true, true, false, true, false},
    /* kMostSyncByBytes     */ {false, true, false, true, true},
};

// A wish with the snapshot's defaults filled in: what a standby has to fulfil.
struct Terms {
  std::optional<std::uint64_t> max_lag_ms;     // nullopt: no limit
  std::optional<std::uint64_t> max_lag_bytes;  // nullopt: no limit
  bool either = false;
  Lsn min_lsn = kNoLsn;
  std::uint32_t timeline = 0;  // the one that min_lsn is a position of; 0 unknown
  // It is one of the primary's history, and min_lsn a position that the primary has.
  bool in_history = false;
};

// Two things in one word, so that one compare-and-swap moves both: where the scan starts (the index
// after the host that was returned last; thus 0, the fresh cursor, starts with the first host) and
// how many turns were taken.
struct Turn {
  std::uint32_t start;
  std::uint32_t count;

  static Turn Of(Cursor cursor) {
    return {static_cast<std::uint32_t>(cursor), static_cast<std::uint32_t>(cursor >> 32)};
  }
  Cursor After(std::uint32_t returned) const {
    return static_cast<Cursor>(count + 1) << 32 | (returned + 1);
  }
};

std::uint32_t HostCount(const PgstSnapshot& snapshot) {
  return std::min(snapshot.host_count, snapshot.max_hosts);
}

bool IsLive(const PgstHost& host) {
  return host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT;
}

// Where a timeline of the primary's history ends; nullptr when it is not known to be one.
const PgstFork* ForkOf(const PgstSnapshot& snapshot, std::uint32_t timeline) {
  if (snapshot.has_history == 0) return nullptr;
  const PgstFork* const forks = snapshot.forks;
  const PgstFork* const end = forks + std::min<std::uint32_t>(snapshot.fork_count, PGST_MAX_FORKS);
  const PgstFork* const fork = std::find_if(
      forks, end, [timeline](const PgstFork& known) { return known.timeline == timeline; });
  return fork == end ? nullptr : fork;
}

// A server of this cluster that was seen on this timeline, and whose history is not the primary's.
bool HasLostTimeline(const PgstSnapshot& snapshot, std::uint32_t timeline) {
  const PgstHost* const hosts = snapshot.hosts;
  return std::any_of(hosts, hosts + HostCount(snapshot), [timeline](const PgstHost& host) {
    return host.timeline == timeline && host.foreign == 0 &&
           (host.superseded != 0 || host.diverged != 0);
  });
}

// Whether a position that is given with its timeline is one of the primary's history: kFound, kLost
// or, where that cannot be told, kNone.
Reason PlaceOf(const Wish& wish, const PgstSnapshot& snapshot,
               std::optional<std::uint32_t> primary) {
  if (wish.min_lsn == kNoLsn || !wish.min_lsn_timeline) return Reason::kFound;
  const std::uint32_t newest = primary ? snapshot.hosts[*primary].timeline : 0;
  if (newest == 0) return Reason::kNone;
  const std::uint32_t timeline = *wish.min_lsn_timeline;
  if (timeline == newest) return Reason::kFound;
  // The numbers of timelines rise, so it is not in the history. But a promotion that was not
  // noticed here so far looks the same, and of that one nothing is lost.
  if (timeline > newest) {
    return HasLostTimeline(snapshot, timeline) ? Reason::kLost : Reason::kNone;
  }
  if (snapshot.has_history == 0) return Reason::kNone;
  const PgstFork* const fork = ForkOf(snapshot, timeline);
  if (fork != nullptr) return wish.min_lsn <= fork->end ? Reason::kFound : Reason::kLost;
  return snapshot.history_from <= timeline ? Reason::kLost : Reason::kNone;
}

Terms TermsOf(const Wish& wish, const RouteRule& rule, const PgstSnapshot& snapshot,
              std::optional<std::uint32_t> primary) {
  Terms terms;
  if (rule.by_time) {
    terms.max_lag_ms = wish.lag_ms;
    if (!terms.max_lag_ms && rule.has_defaults) terms.max_lag_ms = snapshot.sync_max_lag_ms;
  }
  if (rule.by_bytes) {
    terms.max_lag_bytes = wish.lag_bytes;
    if (!terms.max_lag_bytes && rule.has_defaults) {
      terms.max_lag_bytes = snapshot.sync_max_lag_bytes;
    }
  }
  terms.either = rule.either;
  terms.min_lsn = wish.min_lsn;
  terms.timeline = primary ? snapshot.hosts[*primary].timeline : snapshot.newest_timeline;
  terms.in_history = wish.min_lsn_timeline && *wish.min_lsn_timeline != terms.timeline;
  if (terms.in_history) terms.timeline = *wish.min_lsn_timeline;
  return terms;
}

// Unknown lag is never within a limit; where there is no limit, it does not matter.
bool Within(std::optional<std::uint64_t> limit, std::uint8_t known, std::uint64_t lag) {
  return !limit || (known != 0 && lag <= *limit);
}

// Whether the timeline is the primary's or one that led to it, and not older than the one that the
// position is of.
bool FollowsFrom(const PgstHost& host, const Terms& terms, const PgstSnapshot& snapshot) {
  if (host.timeline == 0 || host.timeline < terms.timeline) return false;
  if (host.timeline == snapshot.hosts[snapshot.primary].timeline) return true;
  // Who has replayed more of an old timeline than the primary took over has something else.
  const PgstFork* const fork = ForkOf(snapshot, host.timeline);
  return fork != nullptr && host.lsn <= fork->end;
}

// A higher number on another timeline is another history, not a later position.
bool HasReached(const PgstHost& host, const Terms& terms, const PgstSnapshot& snapshot) {
  if (terms.min_lsn == kNoLsn) return true;
  if (host.has_lsn == 0 || host.lsn < terms.min_lsn) return false;
  if (terms.in_history) return FollowsFrom(host, terms, snapshot);
  return host.timeline == 0 || terms.timeline == 0 || host.timeline == terms.timeline;
}

// A second primary, the loser of a split brain, is not a standby: its reads are of a history that
// will be thrown away, as are those of a standby that has diverged.
bool IsEligible(const PgstHost& host, const Terms& terms, const PgstSnapshot& snapshot) {
  if (!IsLive(host) || host.role != PGST_ROLE_STANDBY) return false;
  if (host.foreign != 0 || host.diverged != 0) return false;
  if (host.maintenance != PGST_IN_SERVICE || !(host.weight > 0)) return false;
  if (host.has_takes_sessions != 0 && host.takes_sessions == 0) return false;
  const bool by_time = Within(terms.max_lag_ms, host.has_lag_ms, host.lag_ms);
  const bool by_bytes = Within(terms.max_lag_bytes, host.has_lag_bytes, host.lag_bytes);
  return (terms.either ? by_time || by_bytes : by_time && by_bytes) &&
         HasReached(host, terms, snapshot);
}

bool SameLabel(const char (&a)[PGST_LABEL_SIZE], const char (&b)[PGST_LABEL_SIZE]) {
  return std::strncmp(a, b, PGST_LABEL_SIZE) == 0;
}

// The smaller rank goes first.
int RankOf(const PgstHost& host, const PgstSnapshot& snapshot) {
  const int health = host.state == PGST_STATE_UP ? 0 : 3;
  if (snapshot.dc_counts != 0 && SameLabel(host.dc, snapshot.dc)) return health;
  if (snapshot.geo_counts != 0 && SameLabel(host.geo, snapshot.geo)) return health + 1;
  return health + 2;
}

// The best group found so far, as far as taking a turn in it needs.
struct Group {
  int rank = 0;
  std::uint32_t first = 0;             // its first host in configured order
  std::optional<std::uint32_t> after;  // its first host at or after the start of the scan
  double total_weight = 0;
  bool equal_weights = true;
};

// One pass: a host of a better rank starts the group anew.
std::optional<Group> BestGroup(const PgstSnapshot& snapshot, const Terms& terms,
                               std::uint32_t start) {
  std::optional<Group> best;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    const PgstHost& host = snapshot.hosts[i];
    if (!IsEligible(host, terms, snapshot)) continue;
    const int rank = RankOf(host, snapshot);
    if (best && rank > best->rank) continue;
    if (!best || rank < best->rank) {
      best.emplace();
      best->rank = rank;
      best->first = i;
    }
    if (!best->after && i >= start) best->after = i;
    best->total_weight += host.weight;
    best->equal_weights &= host.weight == snapshot.hosts[best->first].weight;
  }
  return best;
}

// Weighted turns without memory. Multiples of the golden ratio, modulo 1, spread over [0, 1) as
// evenly as any sequence can, at every length; the host whose share of [0, 1) such a point falls
// into gets the turn. So the shares are right within a few turns, the turns of a host with more
// weight are mixed among those of the others, and there is no state per host that several processes
// would have to share, or that would be wrong when a host joins or leaves.
std::uint32_t WeightedHost(const PgstSnapshot& snapshot, const Terms& terms, const Group& group,
                           std::uint32_t turn) {
  constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;  // (sqrt(5) - 1) / 2, times 2^64
  constexpr double kOne = 9007199254740992.0;                 // 2^53: what a double holds exactly
  const double point = static_cast<double>(turn * kGoldenRatio >> 11) / kOne * group.total_weight;
  double upper = 0;
  std::uint32_t last = group.first;
  for (std::uint32_t i = group.first; i < HostCount(snapshot); ++i) {
    const PgstHost& host = snapshot.hosts[i];
    if (!IsEligible(host, terms, snapshot) || RankOf(host, snapshot) != group.rank) continue;
    upper += host.weight;
    if (point < upper) return i;
    last = i;
  }
  return last;  // rounding put the point at the very end
}

std::optional<std::uint32_t> FreshestStandby(const PgstSnapshot& snapshot, const Terms& terms) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    const PgstHost& host = snapshot.hosts[i];
    if (!IsEligible(host, terms, snapshot)) continue;
    if (best) {
      const PgstHost& leader = snapshot.hosts[*best];
      const bool same_health = host.state == leader.state;
      if (same_health ? host.lag_bytes >= leader.lag_bytes : host.state != PGST_STATE_UP) continue;
    }
    best = i;
  }
  return best;
}

// Fills in a standby and the turn it takes; leaves the choice as it is when there is none.
void ChooseStandby(const PgstSnapshot& snapshot, const Terms& terms, const RouteRule& rule,
                   Choice& choice) {
  if (rule.freshest_only) {
    choice.host = FreshestStandby(snapshot, terms);
    return;
  }
  const Turn turn = Turn::Of(choice.next_cursor);
  const std::optional<Group> group = BestGroup(snapshot, terms, turn.start);
  if (!group) return;
  choice.host = group->equal_weights ? group->after.value_or(group->first)
                                     : WeightedHost(snapshot, terms, *group, turn.count);
  choice.next_cursor = turn.After(*choice.host);
}

// Why this snapshot may not be used at all; kFound when it may.
Reason Usability(const PgstSnapshot& snapshot, MonoUs poller_alive, MonoUs now) {
  if (snapshot.layout != PGST_SNAPSHOT_LAYOUT || snapshot.ready == 0) return Reason::kNotReady;
  return IsFresh(snapshot, poller_alive, now) ? Reason::kFound : Reason::kStale;
}

}  // namespace

bool IsFresh(const PgstSnapshot& snapshot, MonoUs poller_alive, MonoUs now) {
  return snapshot.layout == PGST_SNAPSHOT_LAYOUT && poller_alive > 0 &&
         now - poller_alive <= snapshot.stale_after &&
         now - snapshot.made_mono <= snapshot.stale_after;
}

// Trusts the index no further than the host it points to bears out.
std::optional<std::uint32_t> NamedPrimary(const PgstSnapshot& snapshot) {
  if (snapshot.primary < 0) return std::nullopt;
  const auto index = static_cast<std::uint32_t>(snapshot.primary);
  if (index >= HostCount(snapshot)) return std::nullopt;
  const PgstHost& host = snapshot.hosts[index];
  if (!IsLive(host) || host.role != PGST_ROLE_PRIMARY) return std::nullopt;
  if (host.foreign != 0 || host.superseded != 0) return std::nullopt;
  // There is no other one to send writes to: to take it out, somebody has to insist.
  if (host.maintenance != PGST_IN_SERVICE && host.forced != 0) return std::nullopt;
  return index;
}

Choice Choose(const PgstSnapshot& snapshot, const Wish& wish, Cursor cursor, MonoUs poller_alive,
              MonoUs now) {
  Choice choice;
  choice.next_cursor = cursor;
  choice.reason = Usability(snapshot, poller_alive, now);
  if (choice.reason != Reason::kFound) return choice;

  const std::optional<std::uint32_t> primary = NamedPrimary(snapshot);
  if (wish.route != Route::kMaster) {
    choice.reason = PlaceOf(wish, snapshot, primary);
    if (choice.reason != Reason::kFound) return choice;
    const RouteRule& rule = kRules[static_cast<std::size_t>(wish.route)];
    ChooseStandby(snapshot, TermsOf(wish, rule, snapshot, primary), rule, choice);
    if (choice.host) return choice;
    choice.reason = Reason::kFallback;
  }
  choice.host = primary;
  if (!primary) choice.reason = Reason::kNone;
  return choice;
}

}  // namespace pg_status
