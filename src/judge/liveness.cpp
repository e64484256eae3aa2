// Liveness of one host, and what its last good probe said. Knows nothing of the other hosts: roles,
// the primary and lag are judged elsewhere, from what is recorded here.
//
//   state     good probe   failure, fails < max_fails   failure, fails >= max_fails
//   unknown   up           unknown                      down
//   up        up           suspect                      down
//   suspect   up           suspect                      down
//   down      up           down                         down
//
// A host that answers on the session we have, and lets no other in, is suspect instead of up; so is
// one where several servers answer in turn, of which nothing is known then.
//
// A failure that a running server causes on request, or by being full, is no evidence: it makes a
// host suspect, and never down.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/ip_address.hpp"
#include "judge/judge.hpp"

namespace pg_status {
namespace {

void SetLiveness(HostVerdict& host, Liveness liveness, MonoUs when) {
  if (host.liveness == liveness) return;
  host.liveness = liveness;
  host.last_change = when;
  ++host.tally.changes;
}

// SQL tells a standby's timeline from its control file, which is written at restart points only, or
// from a WAL receiver, which may be gone by the next probe. Within one run of the server the
// timeline it replays never goes back, so the newest one told is right. What its own pg_status
// tells needs no memory. A primary that may not tell it any more has the one that it had.
std::uint32_t RememberedTimeline(const HostVerdict& host, const Facts& told) {
  if (told.inside && told.inside->timeline != 0) return told.timeline;
  const bool same_primary = host.facts && !host.facts->in_recovery && !told.in_recovery &&
                            RunOf(told).known() && RunOf(*host.facts) == RunOf(told);
  if (same_primary && told.timeline == 0) return host.facts->timeline;
  const bool same_standby = host.facts && host.facts->in_recovery && told.in_recovery &&
                            RunOf(*host.facts) == RunOf(told);
  return same_standby ? std::max(host.facts->timeline, told.timeline) : told.timeline;
}

// A server that does not tell its identifier any more is still the one that began at that moment.
std::uint64_t RememberedSystem(const HostVerdict& host, const Facts& told) {
  const bool same_start = host.facts && told.postmaster_start != 0 &&
                          host.facts->postmaster_start == told.postmaster_start;
  return told.system_identifier == 0 && same_start ? host.facts->system_identifier
                                                   : told.system_identifier;
}

// A running primary can become a standby only by a restart, so two good probes of the same run
// prove that it was a primary all the time between them, whatever happened to the probes in
// between.
MonoUs PrimarySince(const HostVerdict& host, const Facts& told, MonoUs finished) {
  if (told.in_recovery) return 0;
  const bool goes_on = host.primary_since != 0 && host.facts && RunOf(*host.facts) == RunOf(told) &&
                       host.facts->timeline == told.timeline;
  return goes_on ? host.primary_since : finished;
}

// A receiver that begins anew has another process, or another place to stream from.
MonoUs StreamingSince(const HostVerdict& host, const Facts& told, MonoUs finished) {
  if (!told.receiver || !told.receiver->streaming) return 0;
  if (host.streaming_since == 0 || !host.facts || !host.facts->receiver) return finished;
  const WalReceiver& before = *host.facts->receiver;
  const WalReceiver& now = *told.receiver;
  const bool same = RunOf(*host.facts) == RunOf(told) && before.pid == now.pid &&
                    before.sender_host == now.sender_host && before.sender_port == now.sender_port;
  return same ? host.streaming_since : finished;
}

// What a host is known by outlasts its failures: a row of that address is still its own.
void RecordAddresses(HostVerdict& host, const Observation& observation) {
  if (observation.addresses.empty() && observation.peer_address.empty()) return;
  host.addresses.clear();
  const auto add = [&host](const std::string& text) {
    std::string address = CanonicalAddress(text);
    const bool known =
        std::find(host.addresses.begin(), host.addresses.end(), address) != host.addresses.end();
    if (!address.empty() && !known) host.addresses.push_back(std::move(address));
  };
  for (const std::string& text : observation.addresses) add(text);
  add(observation.peer_address);
}

// The reason for which a host that answers is suspect; "" there is none.
std::string WhySuspect(const HostVerdict& host) {
  return host.answerers.mixed_at != 0
             ? "several servers answer here in turn: a pooler or a balancer must lead to one only"
             : host.no_sessions_why;
}

void SetAnswering(HostVerdict& host, MonoUs when) {
  host.last_error = WhySuspect(host);
  SetLiveness(host, host.last_error.empty() ? Liveness::kUp : Liveness::kSuspect, when);
}

// What it told is of whichever server has told it.
void ForgetFacts(HostVerdict& host) {
  host.facts.reset();
  host.primary_since = 0;
  host.streaming_since = 0;
  host.timeline_since = 0;
}

void RecordFacts(HostVerdict& host, const Observation& observation) {
  Facts told = observation.facts;
  told.system_identifier = RememberedSystem(host, told);
  told.timeline = RememberedTimeline(host, told);
  const bool same_timeline =
      host.facts && host.facts->timeline == told.timeline && told.timeline != 0;
  if (!same_timeline) host.timeline_since = observation.finished;
  host.primary_since = PrimarySince(host, told, observation.finished);
  host.streaming_since = StreamingSince(host, told, observation.finished);
  host.facts = std::move(told);
  host.facts_asked = observation.asked;
  host.facts_finished = observation.finished;
}

void RecordSuccess(HostVerdict& host, const Observation& observation, const Limits& limits) {
  if (NoteAnswerer(host.answerers, RunOf(observation.facts), observation.finished,
                   limits.poll_interval_us)) {
    ForgetFacts(host);
  } else {
    RecordFacts(host, observation);
  }
  host.peer_address = observation.peer_address;
  host.last_success = observation.finished;
  host.last_sign = observation.finished;
  host.fails = 0;
  host.failing_since = 0;
  if (observation.new_connection) {
    host.takes_sessions = true;
    host.no_sessions_why.clear();
    host.sessions_closed = 0;
  }
  SetAnswering(host, observation.finished);
}

// Of a host that is down it is known only if it says so.
void RecordDownSessions(HostVerdict& host, const Observation& observation) {
  const bool says_no =
      observation.outcome == Outcome::kRejected || observation.outcome == Outcome::kStarting;
  host.takes_sessions.reset();
  if (says_no) host.takes_sessions = observation.asked != 0;
  host.no_sessions_why.clear();
  host.sessions_closed = 0;
}

void RecordFailure(HostVerdict& host, const Observation& observation, const Limits& limits) {
  host.last_error = observation.error;
  if (host.failing_since == 0) host.failing_since = observation.finished;
  const bool evidence = IsEvidence(observation.outcome);
  if (!evidence) {
    host.last_sign = observation.finished;
    host.fails = std::max(host.fails, 1);
  } else if (host.fails < std::numeric_limits<int>::max()) {
    ++host.fails;
  }
  if (evidence && host.fails >= limits.max_fails) {
    host.primary_since = 0;
    RecordDownSessions(host, observation);
    SetLiveness(host, Liveness::kDown, observation.finished);
  } else if (host.liveness == Liveness::kUp) {
    SetLiveness(host, Liveness::kSuspect, observation.finished);
  }
}

}  // namespace

void RecordObservation(HostVerdict& host, const Observation& observation, const Limits& limits) {
  const bool retry = host.fails > 0 && host.liveness != Liveness::kDown;
  CountProbe(observation, retry, host.tally);
  if (!host.checked || observation.outcome != host.last_outcome ||
      observation.error != host.last_error) {
    host.answers_so_since = observation.finished;
  }
  host.checked = true;
  host.last_outcome = observation.outcome;
  if (IsAnswer(observation.outcome)) host.last_answer = observation.finished;
  host.last_begun = observation.started;
  host.last_check = observation.finished;
  RecordAddresses(host, observation);
  if (observation.outcome == Outcome::kOk) {
    RecordSuccess(host, observation, limits);
  } else {
    RecordFailure(host, observation, limits);
  }
}

bool RecordTrial(HostVerdict& host, const SessionTry& trial, const Limits& limits) {
  if (host.liveness == Liveness::kDown) return false;
  switch (trial.outcome) {
    case Outcome::kTimeout:
      host.no_sessions_why = "takes no new sessions: " + trial.error;
      break;
    case Outcome::kClosed:
      if (++host.sessions_closed < limits.max_fails) return false;
      host.no_sessions_why = "takes no new sessions: " + trial.error;
      break;
    case Outcome::kOk:
    case Outcome::kFull:
    case Outcome::kTerminated:
    case Outcome::kCancelled:
      host.no_sessions_why.clear();
      host.sessions_closed = 0;
      break;
    default:
      return true;
  }
  host.takes_sessions = host.no_sessions_why.empty();
  if (host.last_outcome != Outcome::kOk) return false;  // the probes have their own reason
  SetAnswering(host, trial.finished);
  return false;
}

}  // namespace pg_status
