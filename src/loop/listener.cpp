// Putting the listening side together; see listener.hpp.

#include "loop/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "answer/standing.hpp"

namespace pg_status {
namespace {

constexpr std::int64_t kDrainPatienceUs = 200 * kUsPerMs;
constexpr std::int64_t kIdleUs = 60 * kUsPerSecond;  // between two requests on a kept connection
constexpr std::int64_t kTellRefusalsUs = 60 * kUsPerSecond;
constexpr std::int64_t kAttendRawUs = 1 * kUsPerMs;
constexpr std::int64_t kLookUs = 20 * kUsPerMs;
constexpr std::size_t kMaxLogLines = 200;
constexpr std::size_t kOtherFds = 128;  // listening sockets, the loop's own, the server's

// Answers look at this until the first snapshot has come: nothing is known.
const PgstSnapshot kNothingKnown{};

}  // namespace

Listener::Listener(Server server, std::string_view version)
    : server_(std::move(server)),
      discovery_(world_, server_.choose, version, traffic_),
      check_(world_, server_.page, version, traffic_, EventLoop::Now()),
      conversations_(
          loop_, draining_, traffic_, [this](MonoUs now) { AttendRaw(now); },
          [this](const IpAddress& from) { Refresh(from); }, [this] { Drained(); }),
      doors_(
          loop_,
          [this](Port port, OwnedFd fd, const IpAddress& from, MonoUs now) {
            Visited(port, std::move(fd), from, now);
          },
          [this](LogLine line) { Log(std::move(line)); }),
      look_timer_(loop_.NewTimer(this)) {
  world_.snapshot = &kNothingKnown;
}

Listener::~Listener() = default;

void Listener::Configure(ListenerSettings settings) {
  settings_ = std::move(settings);
  world_.fence = settings_.fence;
  loop_.Reserve(settings_.max_clients * kPorts + kOtherFds);
  ClientLimits limits;
  limits.head_us = settings_.client_timeout_us;
  limits.idle_us = std::max(settings_.client_timeout_us, kIdleUs);
  conversations_.Configure(settings_.max_clients, limits,
                           std::min(kDrainPatienceUs, settings_.client_timeout_us));
  doors_.Configure(settings_.addresses, settings_.ports);
  // Who would not be let in any more has to go.
  conversations_.DropIf([this](Port port, const IpAddress& from) {
    return settings_.ports[static_cast<std::size_t>(port)] == 0 ||
           !IsAllowed(settings_.allowed, from);
  });
}

void Listener::SetSnapshot(const PgstSnapshot* snapshot, MonoUs poller_alive) {
  world_.snapshot = snapshot;
  world_.poller_alive = poller_alive;
}

void Listener::SetGeneration(std::uint64_t generation) {
  world_.generation = generation;
  conversations_.SetGeneration(generation);
}

void Listener::SetOrders(const PgstOrder* orders, std::uint32_t count) {
  world_.orders = orders;
  world_.order_count = count;
}

// What an answer looks at beside the snapshot is read at the moment of the answer.
void Listener::Refresh(const IpAddress& from) {
  world_.asker = from;
  world_.now = EventLoop::Now();
  world_.wall_now = EventLoop::WallNow();
  world_.node = server_.node_facts();
  world_.node.state = Fenced(world_.node.state, world_);
}

void Listener::Visited(Port port, OwnedFd fd, const IpAddress& from, MonoUs now) {
  if (!IsAllowed(settings_.allowed, from)) {
    fd.Close();
    Refused(port, from, now);
    return;
  }
  switch (port) {
    case Port::kRaw:
      AnswerRaw(std::move(fd), now);
      break;
    case Port::kDiscovery:
      conversations_.Add(std::move(fd), discovery_, from, now);
      break;
    case Port::kCheck:
      conversations_.Add(std::move(fd), check_, from, now);
      break;
  }
}

void Listener::Refused(Port port, const IpAddress& from, MonoUs now) {
  ++refused_;
  ++traffic_.of(port).rejected;
  if (refused_told_ != 0 && now - refused_told_ < kTellRefusalsUs) return;
  refused_told_ = now;
  Log({LogLine::Level::kInfo,
       fmt::format("refused {} connections from outside pg_status.allow, the last from {}",
                   std::exchange(refused_, 0), FormatIpAddress(Unmapped(from))),
       "", ""});
}

// The state is read for each client at the moment of its answer. One word always fits into a new
// socket's buffer; if the client has gone in the meantime there is nobody to tell.
void Listener::AnswerRaw(OwnedFd fd, MonoUs now) {
  world_.now = now;
  const bool maintenance = OwnMaintenance(world_) != nullptr;
  const std::string_view line =
      maintenance ? kMaintLine : RawLine(Fenced(server_.node_state(), world_));
  int flags = 0;
#ifdef MSG_NOSIGNAL
  flags |= MSG_NOSIGNAL;
#endif
#ifdef MSG_MORE
  flags |= MSG_MORE;  // leaves together with the end of the stream
#endif
  if (send(fd.get(), line.data(), line.size(), flags) < 0 || shutdown(fd.get(), SHUT_WR) != 0) {
    ++traffic_.of(Port::kRaw).write_failures;
    return;
  }
  // (after the answer, which is not to depend on there being memory)
  traffic_.Count(Port::kRaw, "", line.substr(0, line.size() - 1));
  draining_.Add(std::move(fd), now, std::min(kDrainPatienceUs, settings_.client_timeout_us));
  Drained();
}

// Somebody was answered; whichever port they came to, they are not more than may be.
void Listener::Drained() {
  while (draining_.size() > settings_.max_clients) draining_.DropOldest();
  ScheduleLook();
}

// Many busy conversations make a round of the loop long; the raw port does not wait for its end.
void Listener::AttendRaw(MonoUs now) {
  if (now - raw_attended_ < kAttendRawUs) return;
  raw_attended_ = now;
  doors_.Attend(Port::kRaw);
}

// The timer is for when nothing else happens: while clients come and go, each step takes a look. A
// timer for the moment of each look would cost more than the look itself.
void Listener::ScheduleLook() {
  if (look_armed_ || draining_.next_look() == 0) return;
  look_armed_ = true;
  ArmTimer(look_timer_.get(), EventLoop::Now() + kLookUs, [](uv_timer_t* timer) {
    auto* self = static_cast<Listener*>(timer->data);
    self->look_armed_ = false;
    self->draining_.Look(EventLoop::Now());
    self->ScheduleLook();
  });
}

// What load balancers are told is told to the log, too, whatever the reason is; the poller's own
// lines tell what it sees, but not that it has fallen silent.
void Listener::WatchFence() {
  if (!world_.fence && !told_fenced_) return;
  world_.now = EventLoop::Now();
  const NodeState state = Fenced(server_.node_state(), world_);
  const bool fenced = state == NodeState::kFenced;
  if (fenced == told_fenced_) return;
  told_fenced_ = fenced;
  if (!fenced) {
    const bool primary = state == NodeState::kPrimary;
    Log({LogLine::Level::kInfo,
         primary ? "this primary says MASTER again" : "this server is no fenced primary any more",
         "", ""});
    return;
  }
  const MajorityView view = MajorityOf(world_);
  Log({LogLine::Level::kWarning, "this primary says FENCED, and its checks fail",
       view.known ? fmt::format("It sees {} of {} voting nodes.", view.voters_in_sight, view.voters)
                  : "Nothing is known of the other nodes: the poller has just started, or does not "
                    "get on.",
       "pg_status.fence is on."});
}

void Listener::Step() {
  try {
    WatchFence();
    loop_.Run();
    conversations_.ServeDue();
    if (draining_.next_look() != 0) draining_.Look(EventLoop::Now());
  } catch (...) {
    // A callback was cut short: nobody may be left waiting for that.
    look_armed_ = false;
    ScheduleLook();
    doors_.Pause(ENOMEM);
    throw;
  }
}

void Listener::Log(LogLine line) {
  if (log_.size() < kMaxLogLines) log_.push_back(std::move(line));
}

bool Listener::TakeLogLine(LogLine& line) {
  if (log_.empty()) return false;
  line = std::move(log_.front());
  log_.pop_front();
  return true;
}

}  // namespace pg_status
