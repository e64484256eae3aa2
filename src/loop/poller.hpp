// The poller: drives one PeerProbe per host on the event loop, has their observations judged, and
// keeps the snapshot, the events and the log lines that result. It decides nothing about hosts
// itself: when to ask is judge's NextProbe, what to believe is JudgeCluster.
//
// Timers and sockets only put a host in line; the line is served for a short time in each step. So
// however many hosts have something to say at once, and however little of a processor there is, the
// one who calls Step() gets back to its other duties.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/events.hpp"
#include "judge/judge.hpp"
#include "loop/event_loop.hpp"
#include "loop/resolver.hpp"
#include "probe/libpq_link.hpp"
#include "probe/peer_probe.hpp"
#include "probe/session_trial.hpp"
#include "publish/build_event.hpp"
#include "publish/build_snapshot.hpp"
#include "publish/event.h"

#include "base/cpp_only.hpp"

namespace pg_status {

struct PollerSettings {
  std::vector<HostEntry> hosts;
  ConnectionOptions connection;
  Limits limits;
  LocalNode local;
  std::uint32_t max_hosts = 1;
  bool fence = false;  // a primary that sees no majority says FENCED; here for what is logged only
};

class Poller {
 public:
  explicit Poller(PollerSettings settings);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Hosts that stay (same name and place) keep what is known of them, and their connection unless
  // the connection's settings changed. After std::bad_alloc the poller is of no use any more.
  void Configure(PollerSettings settings);

  // New settings came that do not fit together; those there are stay in force.
  void RefuseSettings();

  // What the poller before this one has published: the first events tell what is different from
  // that, as soon as each host was asked once. To be called before the first Step().
  void Inherit(const PgstSnapshot& published);

  // Asks every host now, whatever its turn; or the one of this index, if there is one. Of a host
  // that is being asked the answer may be older than this call: it is asked once more.
  void ProbeNow();
  void ProbeNow(std::size_t index);

  // While a library is called for a host, its name stands here (PGST_NAME_SIZE bytes), else "":
  // for who wants to know why this process does not come back from a call. nullptr: nowhere.
  void TellServing(char* name) { serving_ = name; }

  // Leaves this host alone until then: a process like this one did not come back from a call for
  // it. Its probes fail at once, without a call.
  void Spare(std::string_view name, MonoUs until);

  // Counts the probes of this host anew.
  void ResetTally(std::size_t index);

  // What operators have ordered from now on, all of it; `number` is the snapshot's `orders` as soon
  // as that shows it. A host that comes back into service is asked first, and stays in maintenance
  // until it has answered or is down. Orders for hosts that are not in the list wait for them.
  void SetOrders(std::vector<PgstOrder> orders, std::uint64_t number);

  // Does what is due, without waiting, and not for long: what is left over makes timeout_ms() 0.
  // After std::bad_alloc it may be called again.
  void Step();
  int fd() const { return loop_.fd(); }
  int timeout_ms() { return first_in_line_ != nullptr ? 0 : loop_.timeout_ms(); }

  // A new snapshot since the last call, or nullptr.
  const PgstSnapshot* TakeSnapshot();

  // The next event, the oldest first; false when there is none. The snapshot that TakeSnapshot()
  // gave last shows what it tells of, if that was taken first. Of more than are kept the oldest are
  // lost; how many of them went before this one stands in place of its number.
  bool TakeEvent(PgstEvent& event);

  // The next log line; false when there is none.
  bool TakeLogLine(LogLine& line);

 private:
  void Apply(PollerSettings settings);

  static constexpr MonoUs kNotArmed = -1;

  // One host with its connection and its clock.
  struct Peer {
    Peer(Poller& owner, HostEntry host, std::unique_ptr<Link> link);
    Poller& poller;
    HostEntry entry;
    std::size_t index = 0;  // in cluster_.hosts
    PeerProbe probe;
    TimerHandle timer;  // the next probe's start, or the running one's deadline
    MonoUs armed_for = kNotArmed;
    MonoUs due = 0;  // when the timer should fire; later than armed_for if that was past already
    PollHandle watch;
    SessionTrial trial;  // of a new session, beside the one that is kept
    PollHandle trial_watch;
    MonoUs tried = 0;          // when the last one was begun; later when the next one is to wait
    bool trial_ready = false;  // its socket is
    MonoUs started = 0;
    MonoUs ended = 0;
    bool looking_up = false;  // the resolver has its name
    MonoUs looked_up = 0;     // when it was given it last
    bool ask_again = false;   // as soon as the running probe has ended
    MonoUs spared_until = 0;
    MonoUs attached = 0;  // when its maintenance was ordered to end, until it has answered; 0
    // What it stands in line for, and who is behind it.
    bool timer_fired = false;
    bool socket_ready = false;
    bool in_line = false;
    Peer* next_in_line = nullptr;
  };

  void Queue(Peer& peer);
  Peer* TakeFirst();
  void ServeLine(MonoUs until);
  void LineUpAnew();
  void Fired(Peer& peer);
  void SocketReady(Peer& peer);
  void Begin(Peer& peer, MonoUs now);
  void AfterMove(Peer& peer);
  void StopWatching(Peer& peer);
  void WatchSocket(Peer& peer);
  void LookUp(Peer& peer);
  void CheckName(Peer& peer, MonoUs now);
  void Collect(Peer& peer);
  void TryNewSession(Peer& peer, const Observation& observation);
  void WatchTrial(Peer& peer);
  void CollectTrial(Peer& peer);
  void Record(Peer& peer, const Observation& observation);
  void FailSpared(Peer& peer, MonoUs now);
  void Schedule(Peer& peer);
  void Arm(Peer& peer, MonoUs when);
  void ScheduleJudgement(MonoUs earliest = 0);
  void Judge();
  WallUs WallTime(MonoUs now);
  void Publish(MonoUs now);
  void NoteEvents(MonoUs now);
  void ApplyOrders();
  void Log(LogLine line);
  void ReplacePeers(const std::vector<HostEntry>& hosts, const ConnectionOptions& connection,
                    bool same_connection);
  void RenewResolver(bool same_timeout);
  void WarnOfLocality();
  void WarnOfFence();

  EventLoop loop_;
  PollerSettings settings_;
  std::unique_ptr<Resolver> resolver_;
  TimerHandle judge_timer_;
  std::vector<std::unique_ptr<Peer>> peers_;
  char* serving_ = nullptr;
  Peer* first_in_line_ = nullptr;
  Peer* last_in_line_ = nullptr;
  ClusterVerdict cluster_;
  ClusterVerdict told_;             // what the log knows
  Belief believed_;                 // what the events have told
  bool inherited_ = false;          // it is another poller's, and not all hosts were asked since
  std::deque<PgstEvent> events_;    // not yet taken
  std::uint64_t events_lost_ = 0;   // before these
  std::int64_t wall_distance_ = 0;  // wall clock minus monotonic clock
  MonoUs last_judged_ = 0;
  std::int64_t judging_took_ = 0;  // the last time
  MonoUs news_ = 0;                // when something happened last; see NextProbe
  Lateness lateness_;
  bool judgement_due_ = false;

  std::vector<std::uint64_t> snapshot_memory_;  // a PgstSnapshot with room for max_hosts
  bool snapshot_new_ = false;
  std::vector<PgstOrder> orders_;  // all of them; settings_.local has those of the hosts there are
  std::optional<std::size_t> ordered_self_;  // which host was this server when that was made
  std::uint64_t resets_ = 0;
  std::uint64_t reloads_ = 0;
  bool reload_refused_ = false;
  std::deque<LogLine> log_;
  std::uint64_t log_dropped_ = 0;
  std::int64_t log_allowance_ = 0;  // lines that may be logged now
  MonoUs log_counted_from_ = 0;
  std::string locality_warning_;
  bool fence_warned_ = false;
};

}  // namespace pg_status
