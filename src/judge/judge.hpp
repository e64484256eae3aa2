// Observations -> verdicts. Pure functions: the last verdict and `now` are arguments, nothing is
// kept here.
//
// Two steps, because probes of different hosts end at different times:
//   RecordObservation  one host: liveness and last known facts   (liveness.cpp)
//   JudgeCluster       all hosts, in this order:
//                        roles, split brain                       (topology.cpp),
//                        who streams from whom                    (replication.cpp),
//                        what the other nodes say of them         (quorum.cpp),
//                        who is the primary                       (election.cpp),
//                        who has another history than the primary (divergence.cpp),
//                        lag                                      (lag.cpp),
//                        whether this server is to keep away      (fence.cpp)
// What is too old to be believed is in age.hpp, how timelines descend from each other in
// lineage.hpp. DescribeChanges compares two verdicts and says in words what changed (changes.cpp);
// as values that is told by DescribeEvents of events.hpp. NextProbe says when a host is to be asked
// again (cadence.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/log_line.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/verdict.hpp"
#include "probe/observation.hpp"
#include "probe/session_trial.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Liveness of one host after one probe: unknown -> up -> suspect (1..max_fails-1 failures in a row)
// -> down; one success = up. A host that never answered stays unknown until max_fails. Facts of the
// last success are kept through failures. kTerminated, kCancelled and kFull count as at most one
// failure: `fails` is never raised above 1 by another one of them.
void RecordObservation(HostVerdict& host, const Observation& observation, const Limits& limits);

// What came of trying a new session beside the one that answers. A host that stays silent there, or
// hangs up max_fails times in a row, is suspect for that, however well the other session answers.
// One that is full, or ends the session on request, runs and takes sessions. True: it refuses, so
// the session that hides that is to be given up, and the usual rules decide.
bool RecordTrial(HostVerdict& host, const SessionTry& trial, const Limits& limits);

// The last moment up to `now` at which a new session with host `index` of so many `hosts` was to be
// tried: each 9 s, with more than 90 hosts a tenth of a second for each; spread over that time.
MonoUs SessionTurn(std::size_t index, std::size_t hosts, MonoUs now);

// Judges all hosts anew from what is recorded of each. own: this server, as far as known. Updates
// cluster.clock with the chosen primary's report. `entries` and cluster.hosts have the same size
// and order.
void JudgeCluster(ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                  const Limits& limits, const ServerRun& own, MonoUs now);

// When the next probe of host `index` should start, given when its last one started and ended (0 =
// never probed: now). `news`: when something happened last that may lead to more (LastNews, new
// settings, a promotion here).
//
//   the host is suspect   fast_poll_interval after the start of the last probe; at once after the
//                         first kTerminated or kCancelled of a row (but not right after a success:
//                         a server that ends every session must not be asked without a pause)
//   cluster in doubt      no primary is known, or it is suspect, or several hosts claim the role:
//                         each fast_poll_interval (of more hosts than it has half milliseconds:
//                         each so many half milliseconds)
//   otherwise, or full    each poll_interval
//   lets nobody in        once it is down for that: each poll_interval, then ever more rarely,
//                         up to LongestPause
//
// A server that lets nobody in writes a line into its log for each attempt, and a name server is
// asked for each lookup. One that starts, or has no name yet, may be there any moment: it is asked
// after an eighth of the time that went by since something last pointed to a change, so a recovery
// of a minute is noticed 8 s after its end. Who says no for another reason (its pg_hba.conf, our
// role, our password), or does not speak our language, is asked after half of that time. Such a
// point is: it fails in another way than before; another node says that it reaches it; the last
// news of any host; somebody has asked to check it.
//
// Hosts that live are asked fast for as long as the doubt lasts: one of them may be promoted at any
// moment. For hosts that do not answer the fast intervals hold for a minute after the news (of a
// suspect host: after it became so). In longer silence they are doubled for as long as they are no
// longer than a 600th of it, up to poll_interval: hosts that have been down for hours are asked at
// leisure, and their return is noticed with a delay that is small against the time that went
// before.
//
// Where all hosts are asked in the same interval they take turns, evenly spread over it. The first
// turn after another rhythm comes sooner than the interval, never later; from then on it is start
// to start. Never before `ended`; overruns do not accumulate.
MonoUs NextProbe(const ClusterVerdict& cluster, std::size_t index, const Limits& limits,
                 MonoUs started, MonoUs ended, MonoUs news);

// How long a host that lets nobody in is left alone at most: a minute, or poll_interval.
std::int64_t LongestPause(const Limits& limits);

// At what age a kept connection to host `index` of so many `hosts` is renewed: between a half and
// the whole of conn_max_age, another one for each host. Connections that were made at once are not
// renewed at once.
std::int64_t ConnectionAge(std::size_t index, std::size_t hosts, const Limits& limits);

// The last time that liveness or role of any host changed; 0 never.
MonoUs LastNews(const ClusterVerdict& cluster);

// One line per change of verdict: host, from, to, why. Nothing when nothing changed. A repeated
// failure is counted and told when it ends. Where three nodes or more have a vote, a host that this
// node does not reach is called down only when most of them say so. Who is the primary is told from
// when every host was asked once: until then, before.primary is to be empty. `before` and `after`
// must be of the same entries. fence: whether a primary without a majority is to say FENCED.
std::vector<LogLine> DescribeChanges(const ClusterVerdict& before, const ClusterVerdict& after,
                                     const std::vector<HostEntry>& entries, bool fence);

}  // namespace pg_status
