// The poller's loop; see poller.hpp.

#include "loop/poller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/fixed_text.hpp"
#include "config/orders.hpp"

namespace pg_status {
namespace {

// However eager the reasons to ask again are (a server that ends our session each time), a host is
// not asked more often.
constexpr std::int64_t kMinProbeGapUs = 20 * kUsPerMs;

// Descriptors that are no host's: the resolver's, the loop's own, the server's.
constexpr std::size_t kOtherFds = 128 + 64;

// Judging looks at all hosts; with many of them, observations are gathered for a moment first. And
// when the machine is so busy that judging takes long, more of the time there is goes to asking.
constexpr std::int64_t kGatherUsPerHost = 50;
constexpr std::int64_t kGatherPerJudging = 4;
constexpr std::int64_t kMaxGatherUs = 1 * kUsPerSecond;
constexpr std::size_t kGatherFromHosts = 32;

// How long a step may serve hosts before others have their turn: what a thousand connections need
// at once is more than that, and on a busy machine it takes many times longer still.
constexpr std::int64_t kServeUs = 20 * kUsPerMs;

// How wrong the wall-clock times that are shown may be.
constexpr std::int64_t kMaxWallErrorUs = 100 * kUsPerMs;

// After there was no memory to judge with: what is missing now is missing a moment later, too.
constexpr std::int64_t kMemoryPauseUs = 100 * kUsPerMs;

// A name that has come to mean another address is noticed within a minute, name servers that take
// their time included.
constexpr std::int64_t kNameCheckUs = 30 * kUsPerSecond;

// Lines of log at once: more than a failover of a large cluster makes.
constexpr std::int64_t kLogBurst = 500;

// The order for this host: its own before one for this server, and of each one in force before one
// that has ended; nullptr when there is none. self: it is this server.
const PgstOrder* FindOrder(const std::vector<PgstOrder>& orders, const HostEntry& entry,
                           bool self) {
  const PgstOrder* best = nullptr;
  int best_rank = 0;
  for (const PgstOrder& order : orders) {
    const bool named = IsFor(order, entry.name, entry.hostname, entry.port);
    if (!named && !(self && order.self != 0)) continue;
    const int rank = (order.maintenance != PGST_IN_SERVICE ? 2 : 0) + (named ? 1 : 0);
    if (best == nullptr || rank > best_rank) {
      best = &order;
      best_rank = rank;
    }
  }
  return best;
}

// Says for whom a library is called, for as long as this lives.
class Serving {
 public:
  Serving(char* place, const std::string& name) : place_(place) {
    if (place_ != nullptr) CopyFixedText(place_, PGST_NAME_SIZE, name);
  }
  ~Serving() {
    if (place_ != nullptr) *place_ = '\0';
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

 private:
  char* const place_;
};

bool SamePlace(const HostEntry& a, const HostEntry& b) {
  return a.name == b.name && a.kind == b.kind && a.hostname == b.hostname && a.port == b.port;
}

// Trials of new sessions that are under way, and how long a server that is full is spared another.
constexpr std::ptrdiff_t kMaxTrials = 64;
constexpr std::int64_t kFullPauseUs = 60 * kUsPerSecond;

}  // namespace

Poller::Peer::Peer(Poller& owner, HostEntry host, std::unique_ptr<Link> link)
    : poller(owner),
      entry(std::move(host)),
      probe(entry, std::move(link)),
      timer(owner.loop_.NewTimer(this)) {}

Poller::Poller(PollerSettings settings) {
  judge_timer_ = loop_.NewTimer(this);
  // the first list of hosts is no news
  for (const HostEntry& entry : settings.hosts) believed_.hosts.push_back({entry.name});
  Apply(std::move(settings));
}

// Watchers go before the connections they watch: libuv must not find a descriptor closed behind its
// back.
Poller::~Poller() {
  for (const auto& peer : peers_) {
    StopWatching(*peer);
    peer->trial_watch.reset();
  }
  peers_.clear();
}

void Poller::Configure(PollerSettings settings) {
  ++reloads_;
  reload_refused_ = false;
  Apply(std::move(settings));
}

void Poller::Inherit(const PgstSnapshot& published) {
  // Who copies snapshots knows them by their numbers, whoever made them.
  reinterpret_cast<PgstSnapshot*>(snapshot_memory_.data())->generation += published.generation;
  events_.clear();
  believed_ = BeliefIn(published);
  cluster_.incumbent = IncumbentIn(published);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    cluster_.hosts[i].refused_timeline = RefusedIn(published, peers_[i]->entry.name);
  }
  inherited_ = true;
}

void Poller::RefuseSettings() {
  ++reloads_;
  reload_refused_ = true;
  Judge();  // (what is published is as old as the judgement)
}

void Poller::Apply(PollerSettings settings) {
  if (!settings.connection.wants_gss) ShutOutKerberos();
  loop_.Reserve(settings.max_hosts + kOtherFds);
  news_ = EventLoop::Now();
  ReplacePeers(settings.hosts, settings.connection, settings.connection == settings_.connection);
  const bool same_timeout = settings.limits.poll_timeout_us == settings_.limits.poll_timeout_us;
  settings.local.orders = std::move(settings_.local.orders);
  settings.local.orders_number = settings_.local.orders_number;
  settings_ = std::move(settings);
  RenewResolver(same_timeout);

  if (snapshot_memory_.empty()) {
    const std::size_t bytes = pgst_snapshot_size(settings_.max_hosts);
    snapshot_memory_.assign((bytes + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t), 0);
    reinterpret_cast<PgstSnapshot*>(snapshot_memory_.data())->max_hosts = settings_.max_hosts;
  }
  WarnOfLocality();
  // Judged anew, because hosts came, went or moved; what that changes is the administrator's doing
  // and no news for the log.
  const MonoUs now = EventLoop::Now();
  JudgeCluster(cluster_, settings_.hosts, settings_.limits, settings_.local.own, now);
  told_ = cluster_;
  if (!cluster_.ready) told_.primary.reset();
  ApplyOrders();  // (which has to know which of the hosts is this server now)
  NoteEvents(now);
  Publish(now);
  // Who waited for a resolver that was replaced asks the new one.
  for (const auto& peer : peers_) AfterMove(*peer);
}

void Poller::ReplacePeers(const std::vector<HostEntry>& hosts, const ConnectionOptions& connection,
                          bool same_connection) {
  const auto shared_connection = std::make_shared<const ConnectionOptions>(connection);
  std::vector<std::unique_ptr<Peer>> former = std::move(peers_);
  std::vector<HostVerdict> verdicts = std::move(cluster_.hosts);
  peers_.clear();
  cluster_.hosts.clear();

  for (const HostEntry& entry : hosts) {
    const auto known = std::find_if(former.begin(), former.end(), [&](const auto& peer) {
      return peer && SamePlace(peer->entry, entry);
    });
    std::unique_ptr<Peer> peer;
    HostVerdict verdict;
    if (known != former.end()) {
      verdict = std::move(verdicts[(*known)->index]);
      if (same_connection) peer = std::move(*known);
    }
    if (!peer) peer = std::make_unique<Peer>(*this, entry, MakeLibpqLink(shared_connection));
    peer->entry = entry;
    peer->index = peers_.size();
    cluster_.hosts.push_back(std::move(verdict));
    peers_.push_back(std::move(peer));
  }
  for (const auto& peer : former) {
    if (!peer) continue;
    StopWatching(*peer);
    peer->trial_watch.reset();
    if (resolver_) resolver_->Forget(peer.get());
  }
  LineUpAnew();
}

// The system's resolver settings may be what has changed, so they are read anew with ours.
void Poller::RenewResolver(bool same_timeout) {
  if (resolver_ && same_timeout) {
    resolver_->Reload();
    return;
  }
  resolver_.reset();
  for (const auto& peer : peers_) peer->looking_up = false;
  // Half of a probe's time for one name server leaves the other half for a second one.
  const std::int64_t try_ms = settings_.limits.poll_timeout_us / kUsPerMs / 2;
  resolver_ =
      std::make_unique<Resolver>(loop_, static_cast<int>(std::max<std::int64_t>(100, try_ms)));
}

void Poller::WarnOfLocality() {
  const bool dc = DcLocality(settings_.local.dc, settings_.hosts).partial;
  const bool geo = GeoLocality(settings_.local.geo, settings_.hosts).partial;
  const std::string which = dc && geo ? "dc and geo" : dc ? "dc" : geo ? "geo" : "";
  if (which != locality_warning_ && !which.empty()) {
    Log({LogLine::Level::kWarning, fmt::format("near hosts are not preferred by {}", which),
         "It counts only when this node and every host have one.",
         "Set pg_status." + std::string(dc ? "dc" : "geo") +
             ", and give each entry of pg_status.hosts one."});
  }
  locality_warning_ = which;
}

// Whether a majority can be had is known for certain once every host was asked.
void Poller::WarnOfFence() {
  const Quorum& quorum = cluster_.quorum;
  const bool in_vain = settings_.fence && cluster_.ready && !quorum.possible();
  if (in_vain == fence_warned_) return;
  fence_warned_ = in_vain;
  if (!in_vain) {
    if (settings_.fence) {
      Log({LogLine::Level::kInfo,
           fmt::format("pg_status.fence can work now: {} nodes have a vote", quorum.voters), "",
           ""});
    }
    return;
  }
  std::string without;
  for (std::size_t i = 0; i < cluster_.hosts.size(); ++i) {
    const HostVerdict& host = cluster_.hosts[i];
    if (!host.facts || host.facts->gives_opinions || host.foreign) continue;
    without += fmt::format(" \"{}\" does not run pg_status.", settings_.hosts[i].name);
  }
  Log({LogLine::Level::kWarning, "pg_status.fence cannot work: there are too few nodes with a vote",
       fmt::format("A majority takes at least 3 nodes that run pg_status, and there {} {}.{}",
                   quorum.voters == 1 ? "is" : "are", quorum.voters, without),
       "Load pg_status on every node of pg_status.hosts, add a node, or turn pg_status.fence off. "
       "Until then this server is never fenced."});
}

void Poller::ProbeNow() {
  news_ = EventLoop::Now();
  for (std::size_t i = 0; i < peers_.size(); ++i) ProbeNow(i);
}

void Poller::ProbeNow(std::size_t index) {
  if (index >= peers_.size()) return;
  Peer& peer = *peers_[index];
  cluster_.hosts[index].answers_so_since = EventLoop::Now();  // whoever asks expects another answer
  if (peer.probe.state() != PeerProbe::State::kResting) {
    peer.ask_again = true;
    return;
  }
  if (peer.timer_fired) return;
  peer.due = EventLoop::Now();
  peer.timer_fired = true;
  Queue(peer);
}

void Poller::ResetTally(std::size_t index) {
  if (index >= cluster_.hosts.size()) return;
  pg_status::ResetTally(cluster_.hosts[index].tally);
  ++resets_;
  ScheduleJudgement();
}

// ---------------------------------------------------------------- orders

void Poller::SetOrders(std::vector<PgstOrder> orders, std::uint64_t number) {
  orders_ = std::move(orders);
  ApplyOrders();
  settings_.local.orders_number = number;
  // (who is taken out, and who is not any more, may change who is the primary)
  Judge();
}

// Gives each host its order. One that goes back into service keeps the old one for a moment: what
// was learned of it before may be as old as the reason why it was taken out.
void Poller::ApplyOrders() {
  std::vector<PgstOrder> former;
  for (const PgstOrder& order : settings_.local.orders) {
    if (order.since_wall != 0) former.push_back(order);
  }
  std::vector<PgstOrder> given(peers_.size());
  ordered_self_ = cluster_.self;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = *peers_[i];
    PgstOrder& order = given[i];
    const bool self = cluster_.self == i;
    const PgstOrder* const ordered = FindOrder(orders_, peer.entry, self);
    if (ordered != nullptr) order = *ordered;
    const PgstOrder* const was = FindOrder(former, peer.entry, self);
    if (order.maintenance != PGST_IN_SERVICE || was == nullptr) {
      peer.attached = 0;
      continue;
    }
    const PgstOrder weight = order;
    order = *was;
    order.has_weight = weight.has_weight;
    order.weight = weight.weight;
    if (was->maintenance == PGST_IN_SERVICE || peer.attached != 0) continue;
    peer.attached = EventLoop::Now();
    ProbeNow(i);
  }
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    cluster_.hosts[i].forced_out = given[i].maintenance != PGST_IN_SERVICE && given[i].forced != 0;
  }
  settings_.local.orders = std::move(given);
}

void Poller::Step() {
  // After a few rounds of serving and looking again, the world outside of this loop has its turn.
  constexpr int kRounds = 4;
  const MonoUs until = EventLoop::Now() + kServeUs;
  try {
    for (int round = 0; round < kRounds && EventLoop::Now() < until; ++round) {
      loop_.Run();
      if (first_in_line_ == nullptr) break;
      ServeLine(until);
    }
  } catch (...) {
    // A callback was cut short, perhaps before it set its host's timer: no host may drop out of the
    // round for that.
    for (const auto& peer : peers_) Schedule(*peer);
    judgement_due_ = false;
    ScheduleJudgement(EventLoop::Now() + kMemoryPauseUs);
    throw;
  }
}

// ---------------------------------------------------------------- the line

void Poller::Queue(Peer& peer) {
  if (peer.in_line) return;
  peer.in_line = true;
  peer.next_in_line = nullptr;
  (last_in_line_ != nullptr ? last_in_line_->next_in_line : first_in_line_) = &peer;
  last_in_line_ = &peer;
}

Poller::Peer* Poller::TakeFirst() {
  Peer* const peer = first_in_line_;
  if (peer == nullptr) return nullptr;
  first_in_line_ = peer->next_in_line;
  if (first_in_line_ == nullptr) last_in_line_ = nullptr;
  peer->in_line = false;
  return peer;
}

void Poller::ServeLine(MonoUs until) {
  while (Peer* const peer = TakeFirst()) {
    const Serving serving(serving_, peer->entry.name);
    const bool rested = peer->probe.state() == PeerProbe::State::kResting;
    const bool fired = std::exchange(peer->timer_fired, false);
    const bool ready = std::exchange(peer->socket_ready, false);
    if (std::exchange(peer->trial_ready, false)) {
      peer->trial_watch.reset();
      peer->trial.OnSocket(EventLoop::Now());
      CollectTrial(*peer);
    }
    if (ready) SocketReady(*peer);
    // A start that is due is due, whatever the socket had to say.
    const bool rests = peer->probe.state() == PeerProbe::State::kResting;
    if (fired && (!ready || (rested && rests))) Fired(*peer);
    if (EventLoop::Now() >= until) return;
  }
}

// Hosts have gone, perhaps out of the middle of the line.
void Poller::LineUpAnew() {
  first_in_line_ = last_in_line_ = nullptr;
  for (const auto& peer : peers_) {
    peer->in_line = false;
    if (peer->timer_fired || peer->socket_ready || peer->trial_ready) Queue(*peer);
  }
}

// ---------------------------------------------------------------- one host

void Poller::Fired(Peer& peer) {
  const MonoUs now = EventLoop::Now();
  // It moved on while it stood in line: that time is not up any more.
  if (now < peer.probe.deadline()) {
    Schedule(peer);
    return;
  }
  if (peer.probe.state() == PeerProbe::State::kResting) {
    CountLateness(now - peer.due, now, lateness_);
    Begin(peer, now);
    return;
  }
  StopWatching(peer);
  peer.probe.OnDeadline(now);
  AfterMove(peer);
}

// An answer that lay there before we looked counts, however late we are; but a host that says a
// little now and then does not get more time for that.
void Poller::SocketReady(Peer& peer) {
  const MonoUs now = EventLoop::Now();
  StopWatching(peer);
  peer.probe.OnSocket(now);
  const bool resting = peer.probe.state() == PeerProbe::State::kResting;
  if (!resting && now >= peer.probe.deadline()) peer.probe.OnDeadline(now);
  AfterMove(peer);
}

void Poller::Begin(Peer& peer, MonoUs now) {
  peer.started = now;
  peer.ask_again = false;
  StopWatching(peer);
  if (now < peer.spared_until) {
    FailSpared(peer, now);
    return;
  }
  Limits limits = settings_.limits;
  limits.conn_max_age_us = ConnectionAge(peer.index, peers_.size(), limits);
  peer.probe.Begin(now, limits);
  AfterMove(peer);
}

// The probe has moved: look up what it needs, take its result, watch what it waits for, be there
// when its time is up.
void Poller::AfterMove(Peer& peer) {
  if (peer.probe.needs_addresses() && !peer.looking_up) LookUp(peer);
  Collect(peer);
  WatchSocket(peer);
  Schedule(peer);
}

// A lookup may outlast the probe that wanted it: its answer then serves the next one.
void Poller::LookUp(Peer& peer) {
  peer.looking_up = true;
  peer.looked_up = EventLoop::Now();
  resolver_->Lookup(&peer, peer.entry.hostname, [this, &peer](Resolver::Found found) {
    const MonoUs now = EventLoop::Now();
    peer.looking_up = false;
    const Serving serving(serving_, peer.entry.name);
    // a deadline of the lookup is over with it
    if (peer.probe.state() != PeerProbe::State::kResting) peer.timer_fired = false;
    StopWatching(peer);
    if (found.no_such_name) {
      peer.probe.OnNoSuchName(now, found.error);
    } else {
      peer.probe.OnResolved(now, std::move(found.addresses), found.error);
    }
    AfterMove(peer);
  });
}

// Whether a name still means the address that we are connected to.
void Poller::CheckName(Peer& peer, MonoUs now) {
  if (peer.entry.kind != PlaceKind::kName || peer.looking_up) return;
  if (peer.probe.doubts_name() || now - peer.looked_up >= kNameCheckUs) LookUp(peer);
}

void Poller::StopWatching(Peer& peer) { peer.watch.reset(); }

void Poller::WatchSocket(Peer& peer) {
  const PeerProbe::Wants wants = peer.probe.wants();
  const int events = (wants.read ? UV_READABLE : 0) | (wants.write ? UV_WRITABLE : 0);
  StopWatching(peer);
  if (wants.fd < 0 || events == 0) return;
  peer.watch = loop_.NewPoll(wants.fd, &peer);
  // libpq may close its socket, or replace it by another one of the same number, in almost any
  // call. So the watcher goes before the call, always, and is made anew for what the probe waits
  // for afterwards.
  const auto on_ready = [](uv_poll_t* handle, int /*status*/, int /*ready*/) {
    auto* ready = static_cast<Peer*>(handle->data);
    ready->poller.StopWatching(*ready);
    ready->socket_ready = true;
    ready->poller.Queue(*ready);
  };
  // (without a watcher the deadline ends this probe)
  if (peer.watch && !loop_.Watch(peer.watch.get(), events, on_ready)) StopWatching(peer);
}

void Poller::Collect(Peer& peer) {
  const std::optional<Observation> observation = peer.probe.TakeObservation();
  if (!observation) return;
  Record(peer, *observation);
  // (a new connection has just looked)
  const bool looked = observation->new_connection || observation->outcome == Outcome::kUnresolved;
  if (!looked) CheckName(peer, observation->finished);
  TryNewSession(peer, *observation);
}

void Poller::FailSpared(Peer& peer, MonoUs now) {
  Observation observation;
  observation.outcome = Outcome::kTimeout;
  observation.started = observation.finished = now;
  observation.error = fmt::format(
      "left alone for {} s more, because the poller did not come back from a call for this host",
      (peer.spared_until - now + kUsPerSecond - 1) / kUsPerSecond);
  Record(peer, observation);
  Schedule(peer);
}

void Poller::Spare(std::string_view name, MonoUs until) {
  for (const auto& peer : peers_) {
    if (peer->entry.name == name) peer->spared_until = until;
  }
}

void Poller::Record(Peer& peer, const Observation& observation) {
  peer.ended = observation.finished;
  HostVerdict& host = cluster_.hosts[peer.index];
  RecordObservation(host, observation, settings_.limits);
  const bool answered = host.liveness == Liveness::kUp && observation.started >= peer.attached;
  if (peer.attached != 0 && (answered || host.liveness == Liveness::kDown)) {
    peer.attached = 0;
    host.forced_out = false;
    settings_.local.orders[peer.index].maintenance = PGST_IN_SERVICE;
    settings_.local.orders[peer.index].since_wall = WallTime(EventLoop::Now());
  }
  ScheduleJudgement();
}

// After a good probe: whether a new session would have been let in, too. At most kMaxTrials of them
// are under way, most of them at hosts that hang.
void Poller::TryNewSession(Peer& peer, const Observation& observation) {
  const MonoUs now = observation.finished;
  if (peer.trial.running()) {
    const bool answered = observation.outcome == Outcome::kOk;
    if (!answered) {
      // (the host has worse troubles)
      peer.trial_watch.reset();
      peer.trial.Stop();
      return;
    }
    peer.trial_watch.reset();
    peer.trial.OnLook(now, settings_.limits, observation.finished - observation.asked);
    CollectTrial(peer);
    return;
  }
  if (observation.outcome != Outcome::kOk) return;
  const MonoUs last = std::max(peer.tried, peer.probe.connected());
  const bool again = cluster_.hosts[peer.index].sessions_closed > 0;
  if (!again && SessionTurn(peer.index, peers_.size(), now) <= last) return;
  const auto running = std::count_if(peers_.begin(), peers_.end(),
                                     [](const auto& other) { return other->trial.running(); });
  if (running >= kMaxTrials) return;
  Endpoint where;
  std::unique_ptr<Link> link = peer.probe.LinkForTrial(where);
  if (!link) return;
  peer.tried = now;
  peer.trial.Begin(now, std::move(link), where);
  CollectTrial(peer);
}

void Poller::CollectTrial(Peer& peer) {
  const std::optional<SessionTry> tried = peer.trial.Take();
  WatchTrial(peer);
  if (!tried) return;
  // to be told again and again that there is no place takes what places there are
  if (tried->outcome == Outcome::kFull) peer.tried = tried->finished + kFullPauseUs;
  HostVerdict& host = cluster_.hosts[peer.index];
  if (RecordTrial(host, *tried, settings_.limits)) {
    StopWatching(peer);
    peer.probe.GiveUpSession();
    WatchSocket(peer);
    Schedule(peer);
  }
  ScheduleJudgement();
}

void Poller::WatchTrial(Peer& peer) {
  const SessionTrial::Wants wants = peer.trial.wants();
  const int events = (wants.read ? UV_READABLE : 0) | (wants.write ? UV_WRITABLE : 0);
  peer.trial_watch.reset();
  if (wants.fd < 0 || events == 0) return;
  peer.trial_watch = loop_.NewPoll(wants.fd, &peer);
  const auto on_ready = [](uv_poll_t* handle, int /*status*/, int /*ready*/) {
    auto* ready = static_cast<Peer*>(handle->data);
    ready->trial_watch.reset();
    ready->trial_ready = true;
    ready->poller.Queue(*ready);
  };
  if (peer.trial_watch && !loop_.Watch(peer.trial_watch.get(), events, on_ready)) {
    peer.trial_watch.reset();
  }
}

void Poller::Schedule(Peer& peer) {
  if (peer.timer_fired) return;  // it stands in line
  if (peer.probe.state() != PeerProbe::State::kResting) {
    Arm(peer, peer.probe.deadline());
    return;
  }
  MonoUs next = NextProbe(cluster_, peer.index, settings_.limits, peer.started, peer.ended, news_);
  // The end of a kept connection is news: ask at once, but not in a circle.
  if (peer.probe.lost_connection()) {
    next = std::min(next, peer.started + settings_.limits.fast_poll_interval_us);
  }
  if (peer.ask_again) next = EventLoop::Now();
  if (peer.started != 0) next = std::max(next, peer.started + kMinProbeGapUs);
  Arm(peer, next);
}

void Poller::Arm(Peer& peer, MonoUs when) {
  if (when == peer.armed_for) return;
  peer.armed_for = when;
  peer.due = std::max(when, EventLoop::Now());
  ArmTimer(peer.timer.get(), when, [](uv_timer_t* timer) {
    auto* due = static_cast<Peer*>(timer->data);
    due->armed_for = kNotArmed;
    due->timer_fired = true;
    due->poller.Queue(*due);
  });
}

// ---------------------------------------------------------------- all hosts

void Poller::ScheduleJudgement(MonoUs earliest) {
  if (judgement_due_) return;
  judgement_due_ = true;
  MonoUs when = std::max(EventLoop::Now(), earliest);
  if (peers_.size() >= kGatherFromHosts) {
    const auto gather = std::max(static_cast<std::int64_t>(peers_.size()) * kGatherUsPerHost,
                                 kGatherPerJudging * judging_took_);
    when = std::max(when, last_judged_ + std::min(gather, kMaxGatherUs));
  }
  ArmTimer(judge_timer_.get(), when, [](uv_timer_t* timer) {
    auto* self = static_cast<Poller*>(timer->data);
    self->loop_.Guard([&] { self->Judge(); });
  });
}

void Poller::Judge() {
  judgement_due_ = false;
  const MonoUs now = EventLoop::Now();
  last_judged_ = now;
  JudgeCluster(cluster_, settings_.hosts, settings_.limits, settings_.local.own, now);
  if (cluster_.self != ordered_self_) ApplyOrders();
  news_ = std::max(news_, LastNews(cluster_));
  for (LogLine& line : DescribeChanges(told_, cluster_, settings_.hosts, settings_.fence)) {
    Log(std::move(line));
  }
  told_ = cluster_;
  if (!cluster_.ready) told_.primary.reset();
  WarnOfFence();
  NoteEvents(now);
  Publish(now);
  // What was learned of one host may make another one urgent.
  for (const auto& peer : peers_) Schedule(*peer);
  judging_took_ = EventLoop::Now() - now;
}

// The wall clock and the monotonic one are read a moment apart, and drift. One distance between the
// two is kept until it is off by more than people can see, so that the time of an event does not
// change each time it is shown.
WallUs Poller::WallTime(MonoUs now) {
  const std::int64_t distance = EventLoop::WallNow() - now;
  if (wall_distance_ == 0 || std::abs(distance - wall_distance_) > kMaxWallErrorUs) {
    wall_distance_ = distance;
  }
  return now + wall_distance_;
}

// A new poller knows nothing of any host at first. That is no event while the snapshot of the one
// before it is still there to be seen: what counts is whether the hosts have changed since.
void Poller::NoteEvents(MonoUs now) {
  if (inherited_ && !cluster_.ready) return;
  inherited_ = false;
  const std::vector<Event> events =
      DescribeEvents(believed_, cluster_, settings_.hosts, settings_.local.orders);
  if (events.empty()) return;
  Belief believed = BeliefOf(cluster_, settings_.hosts, settings_.local.orders);
  // More than are kept need not be built, but are counted. Nothing is noted before there is memory
  // for all of it: an event is told once.
  const std::size_t first = events.size() - std::min<std::size_t>(events.size(), PGST_EVENTS);
  std::vector<PgstEvent> built;
  built.reserve(events.size() - first);
  for (std::size_t i = first; i < events.size(); ++i) {
    built.push_back(BuildEvent(events[i], WallTime(now)));
  }
  events_.insert(events_.end(), built.begin(), built.end());
  events_lost_ += first;
  for (; events_.size() > PGST_EVENTS; ++events_lost_) events_.pop_front();
  believed_ = std::move(believed);
}

bool Poller::TakeEvent(PgstEvent& event) {
  if (events_.empty()) return false;
  event = events_.front();
  event.seq = std::exchange(events_lost_, 0);
  events_.pop_front();
  return true;
}

void Poller::Publish(MonoUs now) {
  auto* snapshot = reinterpret_cast<PgstSnapshot*>(snapshot_memory_.data());
  settings_.local.reloads = reloads_;
  settings_.local.resets = resets_;
  settings_.local.reload_refused = reload_refused_;
  settings_.local.lateness = lateness_;
  BuildSnapshot(cluster_, settings_.hosts, settings_.limits, settings_.local, now, WallTime(now),
                *snapshot);
  snapshot_new_ = true;
}

const PgstSnapshot* Poller::TakeSnapshot() {
  if (!std::exchange(snapshot_new_, false)) return nullptr;
  return reinterpret_cast<const PgstSnapshot*>(snapshot_memory_.data());
}

// A host that changes its mind all the time must not fill the server's log: after a burst, a line a
// second.
void Poller::Log(LogLine line) {
  const MonoUs now = EventLoop::Now();
  const std::int64_t earned = (now - log_counted_from_) / kUsPerSecond;
  log_allowance_ = std::min(kLogBurst, log_allowance_ + earned);
  log_counted_from_ += earned * kUsPerSecond;
  if (log_allowance_ == 0) {
    ++log_dropped_;
    return;
  }
  --log_allowance_;
  if (log_dropped_ > 0) {
    log_.push_back({LogLine::Level::kInfo,
                    fmt::format("{} lines were not logged, because there were too many",
                                std::exchange(log_dropped_, 0)),
                    "", ""});
  }
  log_.push_back(std::move(line));
}

bool Poller::TakeLogLine(LogLine& line) {
  if (log_.empty()) return false;
  line = std::move(log_.front());
  log_.pop_front();
  return true;
}

}  // namespace pg_status
