// What pg_status believes of each host and of the cluster, with what it needs to remember for the
// next judgement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/lsn.hpp"
#include "judge/tally.hpp"
#include "probe/observation.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Liveness : std::uint8_t { kUnknown, kUp, kSuspect, kDown };
enum class Role : std::uint8_t { kUnknown, kPrimary, kStandby };

// How far a standby is behind. nullopt = unknown, which is never "in sync".
struct Lag {
  std::optional<std::uint64_t> ms;
  std::optional<std::uint64_t> bytes;
};

// One start of one server; 0 unknown.
struct ServerRun {
  std::uint64_t system_identifier = 0;
  WallUs postmaster_start = 0;

  bool operator==(const ServerRun& other) const {
    return system_identifier == other.system_identifier &&
           postmaster_start == other.postmaster_start;
  }
  bool known() const { return system_identifier != 0 && postmaster_start != 0; }
};

inline ServerRun RunOf(const Facts& facts) {
  return {facts.system_identifier, facts.postmaster_start};
}

// How many nodes have a vote, this one included, and how many of them it sees. Who the voting nodes
// are stands in quorum.hpp.
struct Quorum {
  int voters = 0;
  int in_sight = 0;
  int undecided = 0;  // of the voters: neither answered nor given up so far
  int unasked = 0;    // not counted as voters, because a reload has just brought them

  // Of one node, or two, none can be outvoted: to lose one is to lose the majority.
  bool possible() const { return voters + unasked >= 3; }
  int majority() const { return voters / 2 + 1; }
  // (one alone is none, also while all others have just come with a reload)
  bool in_majority() const { return possible() && in_sight >= 2 && in_sight >= majority(); }
};

// What one host is believed to be. The first block is written by liveness, the second by the
// judgement of the whole round.
struct HostVerdict {
  Liveness liveness = Liveness::kUnknown;
  int fails = 0;               // consecutive failures
  bool checked = false;        // a first probe has finished, however it ended
  std::optional<Facts> facts;  // of the last good probe; kept while suspect and down
  MonoUs facts_asked = 0;      // when those facts held at the earliest (monotonic, query sent)
  MonoUs facts_finished = 0;   // when they were read
  std::string peer_address;    // of the last good probe
  std::string last_error;      // of the last failure, "" after a success
  Outcome last_outcome = Outcome::kOk;  // only meaningful when checked
  MonoUs last_begun = 0;                // start of the last probe that has ended
  MonoUs last_check = 0;                // end of the last probe
  MonoUs last_success = 0;
  MonoUs failing_since = 0;  // end of the first of the unbroken row of failures; 0 = none
  MonoUs last_change = 0;    // liveness or role changed
  MonoUs primary_since = 0;  // end of the first of the unbroken row of good probes that saw this
                             // server as a primary; 0 = none
  Tally tally;

  Role role = Role::kUnknown;   // kUnknown unless up or suspect
  bool chosen_primary = false;  // the one that "primary" means
  bool foreign = false;         // another system identifier: shown, never chosen
  bool diverged = false;        // a standby of another history than the primary's: never chosen
  bool superseded = false;      // claims to be the primary, and another history has won
  Lag lag;
  bool sync_by_time = false;
  bool sync_by_bytes = false;
  std::string replication_state;  // from the primary's pg_stat_replication; "" unknown or none
  std::string sync_state;
  std::optional<int> sync_priority;
  std::string
      upstream;  // name of the host it streams from, or "host:port" as it says; "" unknown or none
  int votes_up = 0;               // voting nodes that reach it, itself included
  int votes_down = 0;             // voting nodes that do not
  bool unreachable_here = false;  // down for this node, while a majority reaches it
  bool down_for_all = false;  // down, and a majority said so, or there is none to contradict; stays
                              // so until it is up or unreachable_here
};

// Whether a failure speaks against the server. One that ends our session, cancels our query or has
// no place for another session is running: that alone must never make it look down.
inline bool IsEvidence(Outcome outcome) {
  return outcome != Outcome::kTerminated && outcome != Outcome::kCancelled &&
         outcome != Outcome::kFull;
}

// Answers, or did so a moment ago.
inline bool IsLive(const HostVerdict& host) {
  return host.liveness == Liveness::kUp || host.liveness == Liveness::kSuspect;
}

// One report of the primary about itself. At `at` it had not yet written beyond `lsn`, so whoever
// has `lsn` has all that there was at `at`. At `known` it had written that far for certain, so
// whoever is asked later and has less is behind. (The LSN was read somewhere between the two.)
struct PrimaryReport {
  Lsn lsn = kNoLsn;
  MonoUs at = 0;     // the query was sent
  MonoUs known = 0;  // the answer was read
};

// The LSN clock: the primary's own reports, oldest first, of one timeline of one system. `at`
// rises, `lsn` and `known` never fall. An idle primary repeats its LSN: of such a row of reports
// the first and the newest are kept, since the first says from when on a standby can be behind it,
// and the newest says until when a standby that has it was not.
struct PrimaryClock {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;  // 0: no primary was known yet
  std::deque<PrimaryReport> reports;
  std::optional<std::int64_t>
      offset;  // primary's wall clock minus our monotonic clock, microseconds
};

// Why a primary is to keep away from load balancers, where it is asked to. In the order of
// PgstFenceCause.
enum class FenceCause : std::uint8_t { kNone, kNoMajority, kUnreachable, kSuccessor, kOutvoted };

// The timeline history that the server told last; nullptr when it tells none.
inline const TimelineHistory* HistoryOf(const HostVerdict& host) {
  const bool told = host.facts && host.facts->inside && host.facts->inside->history;
  return told ? &*host.facts->inside->history : nullptr;
}

struct ClusterVerdict {
  std::vector<HostVerdict> hosts;              // in configured order
  std::optional<std::size_t> primary;          // index of the chosen primary
  std::string primary_reason;                  // why that one, or why nobody; a sentence
  FenceCause fence_cause = FenceCause::kNone;  // of this node, were it a primary that may be fenced
  std::size_t live_primaries =
      0;  // distinct servers of this system that are up or suspect and say they are primary
  bool split_brain =
      false;  // two of them were primary at the same time, proved by overlapping observations
  std::uint64_t system_identifier = 0;  // the one that counts as ours; 0 unknown
  PrimaryClock clock;
  std::optional<std::size_t> self;  // index of this server, when it was found in the list
  Quorum quorum;
  bool ready = false;  // every host's first probe has finished; never goes back
};

}  // namespace pg_status
