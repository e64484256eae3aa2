// Moving bytes for clients that ask; see conversations.hpp.

#include "loop/conversations.hpp"

#include <sys/socket.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace pg_status {
namespace {

constexpr std::size_t kReadBytes = 16384;
constexpr int kSendsPerTurn = 2;  // then the others have their turn

// Answers that wait to be taken, of all clients together. One answer may be some megabytes long
// where there are thousands of hosts, and a client that asks for it need not read it.
constexpr std::size_t kMaxUnsent = std::size_t{32} * 1024 * 1024;

constexpr std::size_t kCrowd = 32;
constexpr std::int64_t kBusyForLongUs = 1 * kUsPerSecond;
constexpr std::int64_t kTickUs = 100 * kUsPerMs;

// Of those who are due, so many are answered before others have their turn, and for no longer than
// that: most answers take a few microseconds, but some are as long as the list of hosts.
constexpr std::size_t kDuePerStep = 64;
constexpr std::int64_t kDueUs = 2 * kUsPerMs;

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif

bool TryAgain(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

bool HasInput(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool IsBroken(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && !TryAgain(errno);
}

}  // namespace

Conversations::Conversations(EventLoop& loop, DrainQueue& drain, Traffic& traffic,
                             std::function<void(MonoUs now)> between_turns,
                             std::function<void(const IpAddress& from)> before_answers,
                             std::function<void()> drained)
    : loop_(loop),
      drain_(drain),
      traffic_(traffic),
      between_turns_(std::move(between_turns)),
      before_answers_(std::move(before_answers)),
      drained_(std::move(drained)),
      tick_(loop.NewTimer(this)) {}

Conversations::~Conversations() {
  for (Talks* talks : {&talks_, &held_, &due_}) {
    while (!talks->empty()) Drop(talks->front());
  }
}

void Conversations::Configure(std::size_t most, const ClientLimits& limits,
                              std::int64_t drain_patience_us) {
  most_ = most;
  limits_ = limits;
  drain_patience_us_ = drain_patience_us;
}

void Conversations::Add(OwnedFd fd, Service& service, const IpAddress& from, MonoUs now) {
  const Port port = service.port();
  if (traffic_.of(port).open >= most_ && !MakeRoom(port, now)) {
    Refuse(std::move(fd), service, now);
    return;
  }
  talks_.emplace_back(*this, std::move(fd), service, from, limits_, now);
  Talk& talk = talks_.back();
  talk.place = &talks_;
  talk.self = std::prev(talks_.end());
  ++traffic_.of(port).open;
  crowd_ = std::max(crowd_, size());
  ArmTick();
  // Most clients have sent their request by the time they are accepted.
  Ready(talk, UV_READABLE);
}

// Who is busy for long is slow, or worse; who came a moment ago may have a request on its way.
bool Conversations::MakeRoom(Port port, MonoUs now) {
  Talk* busiest = nullptr;
  for (Talk& talk : talks_) {
    if (talk.port != port) continue;
    if (talk.busy_since == 0) {
      // A request that has come already deserves its answer.
      if (HasInput(talk.fd.get())) continue;
      Drop(talk);
      return true;
    }
    if (busiest == nullptr || talk.busy_since < busiest->busy_since) busiest = &talk;
  }
  for (Talk* const found : {busiest, LongestHeld(port)}) {
    if (found == nullptr || now - found->busy_since < kBusyForLongUs) continue;
    Drop(*found);
    return true;
  }
  return false;
}

// They stand in the order in which they came to be held back.
Conversations::Talk* Conversations::LongestHeld(Port port) {
  for (Talk& talk : held_) {
    if (talk.port == port) return &talk;
  }
  return nullptr;
}

void Conversations::Refuse(OwnedFd fd, Service& service, MonoUs now) {
  ++traffic_.of(service.port()).rejected;
  std::string answer;
  service.AnswerBad(503, "too many clients", answer);
  // What does not fit is not worth waiting for.
  if (send(fd.get(), answer.data(), answer.size(), kSendFlags) < 0 ||
      shutdown(fd.get(), SHUT_WR) != 0) {
    return;
  }
  drain_.Add(std::move(fd), now, drain_patience_us_);
  drained_();
}

void Conversations::DropIf(const std::function<bool(Port port, const IpAddress& from)>& unwelcome) {
  for (Talks* talks : {&talks_, &held_, &due_}) {
    for (auto it = talks->begin(); it != talks->end();) {
      Talk& talk = *it++;
      if (unwelcome(talk.port, talk.from)) Drop(talk);
    }
  }
}

void Conversations::Move(Talk& talk, Talks& to) {
  to.splice(to.end(), *talk.place, talk.self);
  talk.place = &to;
}

// ---------------------------------------------------------------- who waits for a change

// All who are held back know the same generation: that of now, or else they would have been
// answered.
void Conversations::SetGeneration(std::uint64_t generation) {
  if (generation == generation_) return;
  generation_ = generation;
  for (Talk& talk : held_) talk.place = &due_;
  due_.splice(due_.end(), held_);
}

// Not those who become due meanwhile.
void Conversations::ServeDue() {
  const std::size_t most = std::min<std::size_t>(due_.size(), kDuePerStep);
  const MonoUs until = EventLoop::Now() + kDueUs;
  for (std::size_t i = 0; i < most && !due_.empty(); ++i) {
    Ready(due_.front(), 0);
    if (EventLoop::Now() >= until) break;
  }
}

bool Conversations::IsOver(const Talk& talk, MonoUs now) const {
  return talk.client.held()->generation != generation_ || now >= talk.client.held()->until;
}

// Without memory for a timer it cannot wait: it is let go by whoever gets the exception.
void Conversations::HoldBack(Talk& talk) {
  if (!talk.patience) talk.patience = loop_.NewTimer(&talk);
  Move(talk, held_);
  ArmTimer(talk.patience.get(), talk.client.held()->until, [](uv_timer_t* timer) {
    auto* waited = static_cast<Talk*>(timer->data);
    if (waited->place != &waited->conversations.held_) return;
    waited->conversations.Move(*waited, waited->conversations.due_);
  });
}

// It has ended its side, or the connection broke. False: it is gone.
bool Conversations::LookWhoLeaves(Talk& talk, MonoUs now) {
  if (!talk.client.held()) return true;
  if (IsBroken(talk.fd.get())) {
    Drop(talk);
    return false;
  }
  talk.left = true;
  talk.client.Leaves(now);
  return true;
}

// ---------------------------------------------------------------- turns

void Conversations::Ready(Talk& talk, int ready) {
  const MonoUs now = EventLoop::Now();
  bool goes_on = false;
  try {
    goes_on = Turn(talk, ready, now);
  } catch (...) {
    // Half an answer is worse than none.
    Drop(talk);
    throw;
  }
  if (goes_on && talk.client.finished()) Finish(talk, now);
}

// False when the talk is gone.
bool Conversations::Turn(Talk& talk, int ready, MonoUs now) {
  between_turns_(now);
  before_answers_(talk.from);
  Move(talk, talks_);
  if (talk.patience) uv_timer_stop(talk.patience.get());
  if ((ready & UV_DISCONNECT) != 0 && !LookWhoLeaves(talk, now)) return false;
  if (talk.client.held() && IsOver(talk, now)) talk.client.EndHold(now);
  if ((ready & UV_READABLE) != 0 && !Receive(talk, now)) return false;
  if (!Send(talk, now)) return false;
  if (talk.client.idle()) {
    talk.busy_since = 0;
  } else if (talk.busy_since == 0) {
    talk.busy_since = now;
  }
  CountUnsent(talk);
  LimitUnsent(talk);
  if (talk.client.finished()) return true;
  if (!Watch(talk)) return false;
  // While there is something to send it is a client like any other.
  if (talk.client.held() && talk.client.output().empty()) {
    HoldBack(talk);
  } else {
    ArmTick();
  }
  return true;
}

// False when the connection is gone, and the talk with it. Reads once: what is left is there at the
// next turn.
bool Conversations::Receive(Talk& talk, MonoUs now) {
  if (!talk.client.wants_input()) return true;
  char bytes[kReadBytes];
  const ssize_t got = recv(talk.fd.get(), bytes, sizeof bytes, 0);
  if (got < 0 && TryAgain(errno)) return true;
  if (got < 0) {
    Drop(talk);
    return false;
  }
  if (got == 0) {
    talk.client.EndOfInput(now);
  } else {
    talk.client.Receive(std::string_view(bytes, static_cast<std::size_t>(got)), now);
  }
  return true;
}

bool Conversations::Send(Talk& talk, MonoUs now) {
  for (int i = 0; i < kSendsPerTurn && !talk.client.output().empty(); ++i) {
    const std::string_view output = talk.client.output();
    const ssize_t sent = send(talk.fd.get(), output.data(), output.size(), kSendFlags);
    if (sent < 0 && TryAgain(errno)) return true;
    if (sent < 0) {
      ++traffic_.of(talk.port).write_failures;
      Drop(talk);
      return false;
    }
    talk.client.Sent(static_cast<std::size_t>(sent), now);
  }
  return true;
}

void Conversations::CountUnsent(Talk& talk) {
  const std::size_t unsent = talk.client.output().size();
  unsent_ += unsent - talk.unsent;
  talk.unsent = unsent;
}

// Whoever has not taken any of its answer for longest goes first.
void Conversations::LimitUnsent(const Talk& current) {
  for (auto it = talks_.begin(); unsent_ > kMaxUnsent && it != talks_.end();) {
    Talk& talk = *it++;
    if (talk.unsent == 0 || &talk == &current) continue;
    ++traffic_.of(talk.port).write_failures;
    Drop(talk);
  }
}

// False when that is not possible, and the talk is gone. That a side has ended is told for ever, so
// it is heard once.
bool Conversations::Watch(Talk& talk) {
  const int events = (talk.client.wants_input() ? UV_READABLE : 0) |
                     (talk.client.output().empty() ? 0 : UV_WRITABLE) |
                     (talk.client.held() && !talk.left ? UV_DISCONNECT : 0);
  if (events == talk.events) return true;
  if (!talk.watch) talk.watch = loop_.NewPoll(talk.fd.get(), &talk);
  if (talk.watch && events == 0) {
    talk.events = events;
    uv_poll_stop(talk.watch.get());
    return true;
  }
  const auto on_ready = [](uv_poll_t* handle, int status, int ready) {
    auto* woken = static_cast<Talk*>(handle->data);
    // An error condition is found by reading, like everything else.
    const int what = status < 0 ? UV_READABLE | UV_WRITABLE | UV_DISCONNECT : ready;
    woken->conversations.loop_.Guard([&] { woken->conversations.Ready(*woken, what); });
  };
  if (!talk.watch || !loop_.Watch(talk.watch.get(), events, on_ready)) {
    Drop(talk);
    return false;
  }
  talk.events = events;
  return true;
}

void Conversations::Finish(Talk& talk, MonoUs now) {
  talk.watch.reset();
  OwnedFd fd = std::move(talk.fd);
  Drop(talk);
  if (shutdown(fd.get(), SHUT_WR) != 0) return;
  drain_.Add(std::move(fd), now, drain_patience_us_);
  drained_();
}

void Conversations::Drop(Talk& talk) {
  --traffic_.of(talk.port).open;
  unsent_ -= talk.unsent;
  talk.watch.reset();  // before its descriptor is closed
  talk.place->erase(talk.self);
}

// One timer for all but those who are held back: deadlines are seconds, nobody minds a tenth of
// one.
void Conversations::ArmTick() {
  if (ticking_ || talks_.empty()) return;
  ticking_ = true;
  ArmTimer(tick_.get(), EventLoop::Now() + kTickUs, [](uv_timer_t* timer) {
    auto* self = static_cast<Conversations*>(timer->data);
    self->loop_.Guard([&] { self->Tick(); });
  });
}

void Conversations::Tick() {
  ticking_ = false;
  const MonoUs now = EventLoop::Now();
  for (auto it = talks_.begin(); it != talks_.end();) {
    Talk& talk = *it++;
    if (now < talk.client.deadline()) continue;
    if (talk.busy_since == 0 && HasInput(talk.fd.get())) continue;
    Drop(talk);
  }
  GiveMemoryBack();
  ArmTick();
}

// What a crowd has used lies between what is still in use, and the C library keeps it: dozens of
// megabytes.
void Conversations::GiveMemoryBack() {
  if (crowd_ < kCrowd || size() > crowd_ / 2) return;
  crowd_ = size();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace pg_status
