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
#include "judge/answerers.hpp"
#include "judge/server_run.hpp"
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

inline ServerRun RunOf(const Facts& facts) {
  return {facts.system_identifier, facts.postmaster_start};
}

// Why a standby is believed to have another history than the primary. It stays so for as long as
// the standby runs and the primary is the same one: what proves it may be out of sight a moment
// later.
struct Divergence {
  std::string why;             // a sentence; "" there is none
  std::string from;            // the name of the primary that it has diverged from
  ServerRun run;               // of the standby
  std::uint32_t timeline = 0;  // of the standby
};

// Who was named as the primary last, for as long as nothing has ended that. Its rank among those
// who claim to be primary outlasts a restart, and its own death.
struct Incumbent {
  std::string name;  // of its entry
  ServerRun run;
  std::uint32_t timeline = 0;
  std::optional<TimelineHistory> history;
};

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
  std::vector<std::string> addresses;  // all that it is known to have, whether it answers or not;
                                       // each in its one spelling
  MonoUs streaming_since =
      0;  // end of the first of the unbroken row of good probes that saw its WAL receiver stream,
          // the same one from the same place; 0 = it does not
  Answerers answerers;     // whether several servers answer in its place: then there are no facts
  std::string last_error;  // of the last failure, "" after a success
  Outcome last_outcome = Outcome::kOk;  // only meaningful when checked
  MonoUs last_begun = 0;                // start of the last probe that has ended
  MonoUs last_check = 0;                // end of the last probe
  MonoUs last_success = 0;
  MonoUs last_sign = 0;  // when an answer proved last that the server runs: a success, or a failure
                         // that is no evidence against it
  MonoUs last_answer = 0;       // when a server answered last, be it that it lets nobody in
  MonoUs answers_so_since = 0;  // since when its probes end in the same way, with the same error,
                                // or somebody has asked to check it
  MonoUs failing_since = 0;     // end of the first of the unbroken row of failures; 0 = none
  std::optional<bool> takes_sessions;  // as last tried; nullopt: not known
  std::string no_sessions_why;         // of a host that answers on the session we have, and has let
                                       // no other in when that was tried; "" it has
  int sessions_closed = 0;             // trials in a row that it ended without a word
  MonoUs last_change = 0;              // liveness or role changed
  MonoUs primary_since = 0;  // end of the first of the unbroken row of good probes that saw this
                             // server as a primary; 0 = none
  MonoUs timeline_since =
      0;  // end of the first of the good probes that saw this timeline; 0 = none
  Tally tally;

  Role role = Role::kUnknown;          // kUnknown unless up or suspect
  bool chosen_primary = false;         // the one that "primary" means
  bool foreign = false;                // another system identifier: shown, never chosen
  bool forced_out = false;             // an operator has taken it out, also as the primary
  bool superseded = false;             // claims to be the primary, and is not the one that is named
  std::uint32_t refused_timeline = 0;  // of a claim that was seen while the named primary lived,
                                       // and was not followed; 0 none
  std::string same_as;    // the name of the first entry that led to the same server, when both were
                          // up last; "" none
  bool diverged = false;  // a standby of another history than the primary's: never chosen
  Divergence divergence;  // the proof of that, while it holds
  Lag lag;
  bool sync_by_time = false;
  bool sync_by_bytes = false;
  std::string replication_state;  // from the primary's pg_stat_replication; "" unknown or none
  std::string sync_state;  // likewise; "async" of one that the primary does not list; "" unknown
  std::optional<int> sync_priority;
  MonoUs row_in_doubt_since = 0;  // which row is its own cannot be told since then; 0 = it can be
  std::string row_in_doubt;       // why, once that has lasted; a sentence; "" until it is found
  std::string
      upstream;  // name of the host it streams from, or "host:port" as it says; "" unknown or none
  std::optional<std::size_t> upstream_index;  // of that host, when it is in the list
  std::string followed;                       // name of the host it streamed from last; "" unknown
  int votes_up = 0;                           // voting nodes that reach it, itself included
  int votes_down = 0;                         // voting nodes that do not
  MonoUs vouched_since = 0;  // of a host that is down: since when another node says that it reaches
                             // it; 0 = nobody does
  bool unreachable_here = false;  // down for this node, while a majority reaches it
  MonoUs cut_off_since = 0;  // since when a majority says that it cannot reach it, although it runs
                             // in our sight, or is this server; 0 = it does not say so
  bool cut_off_before =
      false;  // that takes votes on a former run of it: it may be of before its start
  bool down_for_all = false;  // down, and a majority said so, or there is none to contradict; stays
                              // so until it is up or unreachable_here
};

// Whether a failure speaks against the server. One that ends our session, cancels our query or has
// no place for another session is running: that alone must never make it look down.
inline bool IsEvidence(Outcome outcome) {
  return outcome != Outcome::kTerminated && outcome != Outcome::kCancelled &&
         outcome != Outcome::kFull;
}

// Whether a server was there to answer, whatever it said: one that starts or stops is on its way.
inline bool IsAnswer(Outcome outcome) {
  return outcome == Outcome::kOk || outcome == Outcome::kRejected ||
         outcome == Outcome::kStarting || !IsEvidence(outcome);
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

// The LSN clock: the primary's own reports, oldest first, of one timeline of one primary. `at`
// rises, `lsn` and `known` never fall. An idle primary repeats its LSN: of such a row of reports
// the first and the newest are kept, since the first says from when on a standby can be behind it,
// and the newest says until when a standby that has it was not.
struct PrimaryClock {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;  // 0: no primary was known yet
  ServerRun run;               // the primary's, when it reported last
  std::string name;            // of its entry
  std::deque<PrimaryReport> reports;
  // Primary's wall clock minus our monotonic clock, microseconds, never too small: the wall clock
  // was read after the query was sent.
  std::optional<std::int64_t> offset;
  // Commits that are stamped up to this moment may be of a clock that was ahead by so much more: of
  // the primary's own, before it was set back, or of the primary before this one. 0: there is none.
  WallUs other_clock_until = 0;
  std::int64_t other_offset = 0;
};

// Why a primary is to keep away from load balancers, where it is asked to. In the order of
// PgstFenceCause.
enum class FenceCause : std::uint8_t { kNone, kNoMajority, kUnreachable, kSuccessor, kOutvoted };

// The history of the timeline that the server told last; nullptr when it tells none.
inline const TimelineHistory* HistoryOf(const HostVerdict& host) {
  const bool told = host.facts && host.facts->inside && host.facts->inside->history &&
                    host.facts->inside->timeline == host.facts->timeline;
  return told ? &*host.facts->inside->history : nullptr;
}

// Whom one of the other voting nodes holds to be the primary.
struct Voice {
  std::optional<std::size_t> host;  // index; nullopt: one that is not in this list
  bool self = false;                // it is this very server, found in the list or not
  bool named = false;  // it is the one that it names; else the one it would name, were that alive
  MonoUs reached = 0;  // when that voter last reached it, at the earliest; 0 unknown
};

struct ClusterVerdict {
  std::vector<HostVerdict> hosts;      // in configured order
  std::optional<std::size_t> primary;  // index of the chosen primary
  std::string primary_reason;          // why that one, or why nobody; a sentence
  std::optional<Incumbent> incumbent;
  FenceCause fence_cause = FenceCause::kNone;  // of this node, were it a primary that may be fenced
  std::size_t live_primaries =
      0;  // distinct servers of this system that are up or suspect and say they are primary
  bool split_brain =
      false;  // two of them were primary at the same time, proved by overlapping observations
  std::uint64_t system_identifier = 0;  // the one that counts as ours; 0 unknown
  PrimaryClock clock;
  std::optional<std::size_t> self;  // index of this server, when it was found in the list
  Quorum quorum;
  std::vector<Voice> voices;  // of the voting nodes that hold somebody to be the primary
  std::string address;        // as which the primary sees this server; "" unknown
  bool ready = false;         // every host's first probe has finished; never goes back
};

}  // namespace pg_status
