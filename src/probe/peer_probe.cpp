// The state machine of one host being asked; see peer_probe.hpp.

#include "probe/peer_probe.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "probe/reply.hpp"

namespace pg_status {
namespace {

// A session that does not answer is waited for, because each new one would wait beside it. But
// nobody tells us of a peer that has forgotten it, so another one is tried after this long, and
// after twice as long each time.
constexpr std::int64_t kFirstPatienceUs = 60 * kUsPerSecond;
constexpr std::int64_t kMaxPatienceUs = 3600 * kUsPerSecond;

// Where there are other addresses, one of which may serve by now, they have their turn sooner.
constexpr std::int64_t kFirstPatienceOfManyUs = 10 * kUsPerSecond;
constexpr std::int64_t kMaxPatienceOfManyUs = 60 * kUsPerSecond;

// Of a probe's time, what an address is given at least; those for which nothing is left come first
// the next time.
constexpr std::int64_t kLeastShare = 4;

// A kept session holds up a smart shutdown of the peer until the next probe reads that it is
// stopping.
constexpr std::int64_t kKeepUpToUs = 10 * kUsPerSecond;

// Between two probes a server has next to nothing to say.
constexpr int kMaxRestingWakes = 100;

// Whoever cancels our query more often than this within one probe means it.
constexpr int kMaxRepeats = 5;

// How much a failure to connect to one of several addresses tells of the host. That nothing listens
// at one of them does not prove that nothing does, so silence goes before it.
int Weight(Outcome failed) {
  switch (failed) {
    case Outcome::kFull:
    case Outcome::kTerminated:
      return 4;
    case Outcome::kStarting:
    case Outcome::kRejected:
    case Outcome::kGarbled:
      return 3;
    case Outcome::kTimeout:
      return 2;
    case Outcome::kRefused:
      return 0;
    default:
      return 1;
  }
}

// Whether the session that answered is the one that we have opened, and nobody else's.
bool IsOurs(const Rows& answer, const std::string& session) {
  return !session.empty() && AnsweringSession(answer) == session;
}

}  // namespace

PeerProbe::PeerProbe(const HostEntry& entry, std::unique_ptr<Link> link)
    : kind_(entry.kind), hostname_(entry.hostname), port_(entry.port), link_(std::move(link)) {
  if (kind_ == PlaceKind::kAddress) book_.Found({hostname_});
}

// Makes a move of the state machine. (The text of the failure is short enough to need no memory.)
template <typename Move>
void PeerProbe::WithMemory(MonoUs now, Move move) {
  try {
    move();
  } catch (const std::bad_alloc&) {
    stalled_ = State::kResting;
    if (deadline_ != 0) {
      Fail(now, Outcome::kClosed, "out of memory");
    } else {
      link_->Close();
      lost_connection_ = true;
    }
  }
}

void PeerProbe::Begin(MonoUs now, const Limits& limits) {
  current_ = Observation{};
  current_.started = now;
  probe_deadline_ = now + limits.poll_timeout_us;
  deadline_ = probe_deadline_;
  lost_connection_ = false;
  resting_wakes_ = 0;
  repeats_ = 0;
  asked_rights_ = false;
  began_anew_ = false;
  keep_ = limits.poll_interval_us <= kKeepUpToUs;
  max_fails_ = std::max(limits.max_fails, 1);
  least_share_us_ = limits.poll_timeout_us / kLeastShare;
  WithMemory(now, [&] { Proceed(now, limits); });
}

// With the session that did not answer the probe before, with the kept connection, or with a new
// one.
void PeerProbe::Proceed(MonoUs now, const Limits& limits) {
  if (std::exchange(give_up_, false)) {
    stalled_ = State::kResting;
    link_->Close();
  }
  if (Resume(now)) return;
  const bool too_old = now - connected_ >= limits.conn_max_age_us;
  if (!link_->is_open()) {
    Connect(now);
  } else if (too_old || moved_) {
    Renew(now);
  } else {
    kept_connection_ = true;
    StartAsking(now);
  }
}

// Makes a new connection while the old one is kept.
void PeerProbe::Renew(MonoUs now) {
  former_ = std::exchange(link_, link_->Another());
  Connect(now);
}

// Whether an attempt to renew the connection that ended so says nothing against the old one: the
// server runs, or may be slow. Whose name has moved is not asked at the old address for ever.
bool PeerProbe::MayFallBack(Outcome failed) {
  if (moved_) return ++move_fails_ < max_fails_;
  return failed == Outcome::kFull || failed == Outcome::kTerminated || failed == Outcome::kTimeout;
}

// Goes back to the connection that was to be renewed. False when there is none.
bool PeerProbe::FallBack(MonoUs now) {
  if (!former_) return false;
  link_->Close();
  link_ = std::move(former_);
  connected_ = now;  // so it is not tried again at once
  kept_connection_ = true;
  current_.new_connection = false;
  deadline_ = probe_deadline_;
  StartAsking(now);
  return true;
}

// Goes on with a session that did not answer the probe before. False when there is none, or
// patience has run out.
bool PeerProbe::Resume(MonoUs now) {
  const State stalled = std::exchange(stalled_, State::kResting);
  if (stalled == State::kResting) return false;
  if (now - stalled_since_ >= stall_patience_us_) {
    const std::int64_t most = HasSeveralAddresses() ? kMaxPatienceOfManyUs : kMaxPatienceUs;
    stall_patience_us_ = std::min(2 * stall_patience_us_, most);
    stalled_since_ = 0;
    link_->Close();
    book_.GoOn();  // another one has its turn
    return false;
  }
  kept_connection_ = false;
  tells_ = false;
  state_ = stalled;
  step_ = stalled_step_;
  // What the answer tells is only known to be newer than the question.
  current_.asked = stalled_asked_;
  current_.peer_address = link_->peer_address();
  return true;
}

// From no connection to one: the resolver first, when the host is a name.
void PeerProbe::Connect(MonoUs now) {
  link_->Close();
  kept_connection_ = false;
  // Of a kept connection that has just turned out to be dead.
  current_.asked = 0;
  current_.peer_address.clear();
  if (kind_ != PlaceKind::kName) {
    Open(now);
    return;
  }
  state_ = State::kResolving;
  // A resolver that says nothing is given a quarter of the time when an older answer can be used
  // instead.
  if (!book_.empty()) {
    deadline_ = std::min(probe_deadline_, now + (probe_deadline_ - now) / 4);
  }
}

void PeerProbe::OnResolved(MonoUs now, std::vector<std::string> addresses,
                           const std::string& error) {
  WithMemory(now, [&] {
    book_.Found(std::move(addresses));
    const std::string connected = former_ ? "" : link_->peer_address();
    const bool kept = state_ == State::kResting || kept_connection_;
    if (!book_.empty() && kept && !connected.empty()) moved_ = !book_.Has(connected);
    // (nobody waits there for an answer)
    if (moved_ && stalled_ != State::kResting) give_up_ = true;
    if (state_ != State::kResolving) return;
    if (book_.empty()) {
      Fail(now, Outcome::kUnresolved, error);
    } else {
      Open(now);
    }
  });
}

void PeerProbe::OnNoSuchName(MonoUs now, const std::string& error) {
  if (book_.DoesNotExist(max_fails_)) GiveUpSession();
  OnResolved(now, {}, error);
}

void PeerProbe::GiveUpSession() {
  if (state_ == State::kResting && stalled_ == State::kResting && link_->is_open()) {
    link_->Close();
    lost_connection_ = true;
  } else {
    give_up_ = true;
  }
}

// Tries one address after the other, each for its share of the time.
void PeerProbe::Open(MonoUs now) {
  state_ = State::kConnecting;
  tells_ = false;
  // What is left of the time is for the old connection.
  walk_deadline_ = former_ ? now + (probe_deadline_ - now) / 2 : probe_deadline_;
  book_.BeginWalk();
  OpenCurrent(now);
}

void PeerProbe::OpenCurrent(MonoUs now) {
  current_.new_connection = true;
  Endpoint endpoint;
  endpoint.host = hostname_;
  endpoint.port = port_;
  if (kind_ != PlaceKind::kSocket) endpoint.addresses = {book_.current()};
  const auto left = static_cast<std::int64_t>(std::max<std::size_t>(book_.left(), 1));
  const std::int64_t share = std::max((walk_deadline_ - now) / left, least_share_us_);
  deadline_ = std::min(walk_deadline_, now + share);
  const LinkStep step = link_->Open(endpoint);
  // What fails before anything was sent (no descriptor is left, say) tells nothing of the peer.
  const bool of_our_own = step == LinkStep::kFailed && link_->failure().outcome == Outcome::kClosed;
  if (of_our_own && FallBack(now)) return;
  AdvanceConnecting(now, step);
}

// False when all addresses were tried, or time is up.
bool PeerProbe::GoOnToNextAddress(MonoUs now, const LinkFailure& failure) {
  if (!tells_ || Weight(failure.outcome) > Weight(telling_.outcome)) telling_ = failure;
  tells_ = true;
  if (!book_.GoOn() || now >= walk_deadline_) return false;
  link_->Close();
  OpenCurrent(now);
  return true;
}

// At none of the addresses.
void PeerProbe::CannotConnect(MonoUs now, const LinkFailure& failure) {
  if (former_ && MayFallBack(failure.outcome) && FallBack(now)) return;
  Fail(now, failure.outcome, failure.error);
}

void PeerProbe::OnSocket(MonoUs now) {
  WithMemory(now, [&] { GoOn(now); });
}

void PeerProbe::GoOn(MonoUs now) {
  switch (state_) {
    case State::kResting:
      if (stalled_ != State::kResting || !link_->is_open()) break;
      if (++resting_wakes_ > kMaxRestingWakes || !link_->StillThere()) {
        link_->Close();
        lost_connection_ = true;
      }
      break;
    case State::kResolving:
      break;
    case State::kConnecting:
      AdvanceConnecting(now, link_->Connect());
      break;
    case State::kSending:
      AdvanceAsking(now, link_->Flush());
      // A turn of sending takes in what came meanwhile; if that was the whole answer, the socket
      // has nothing more to tell.
      if (state_ == State::kReading) AdvanceAsking(now, link_->Read());
      break;
    case State::kReading:
      AdvanceAsking(now, link_->Read());
      break;
  }
}

void PeerProbe::AdvanceConnecting(MonoUs now, LinkStep step) {
  step_ = step;
  if (step == LinkStep::kFailed) {
    const LinkFailure failure = link_->failure();
    if (!GoOnToNextAddress(now, failure)) CannotConnect(now, LinkFailure(telling_));
  } else if (step == LinkStep::kDone) {
    if (!former_ && !let_go_) ++connections_;
    let_go_ = false;
    asks_rights_ = rights_.missing.any();
    rights_ = Rights{};
    LetFormerGo();
    book_.Served();
    moved_ = false;
    connected_ = now;
    StartAsking(now);
  }
}

void PeerProbe::StartAsking(MonoUs now) {
  state_ = State::kSending;
  // Taken before the query goes out: what the host tells is at least as new as this.
  current_.asked = now;
  current_.peer_address = link_->peer_address();
  AdvanceAsking(now, link_->Ask(asks_rights_ ? RightsQuery(AsksRecovery())
                                             : ProbeQuery(AsksRecovery(), rights_)));
}

// After a question that failed for a right: the rights are asked for, or done without. False when
// there is nothing left to leave out.
bool PeerProbe::DoWithout(const LinkFailure& failure) {
  if (!failure.denied && !(asks_rights_ && failure.absent)) return false;
  if (!std::exchange(asked_rights_, true)) {
    asks_rights_ = true;
    return true;
  }
  if (rights_.missing.all()) return false;
  asks_rights_ = false;
  rights_ = NoRights(failure.error);
  return true;
}

// A pooler may tell the version of another server than the one that answers.
bool PeerProbe::AsksRecovery() const {
  const int version = link_->server_version();
  return version >= kRecoveryViewFrom && version != version_without_view_;
}

void PeerProbe::AdvanceAsking(MonoUs now, LinkStep step) {
  step_ = step;
  if (step == LinkStep::kFailed) {
    const LinkFailure failure = link_->failure();
    if (failure.outcome == Outcome::kCancelled && repeats_ < kMaxRepeats) {
      ++repeats_;
      StartAsking(now);
      return;
    }
    if (failure.absent && AsksRecovery()) {
      version_without_view_ = link_->server_version();
      StartAsking(now);
      return;
    }
    if (DoWithout(failure)) {
      StartAsking(now);
      return;
    }
    // A server may end sessions that rest (idle_session_timeout) sooner than our question arrives.
    // Once its version is known we say that this is not for us, so a new one may do better.
    const bool terminated = failure.outcome == Outcome::kTerminated;
    const bool dead = failure.outcome == Outcome::kClosed && kept_connection_;
    if ((terminated || dead) && !std::exchange(began_anew_, true)) {
      Connect(now);
      return;
    }
    Fail(now, failure.outcome, failure.error);
    return;
  }
  if (step != LinkStep::kDone) return;
  if (state_ == State::kSending) {
    state_ = State::kReading;
    step_ = LinkStep::kWantRead;
    return;
  }
  FinishReading(now);
}

void PeerProbe::FinishReading(MonoUs now) {
  if (asks_rights_) {
    rights_ = ReadRights(link_->Answer());
    asks_rights_ = false;
    asked_rights_ = true;
    StartAsking(now);
    return;
  }
  Result<Facts> facts = ParseReply(link_->Answer(), link_->server_version(), rights_);
  if (!facts) {
    Fail(now, Outcome::kGarbled, facts.error());
    return;
  }
  current_.outcome = Outcome::kOk;
  current_.facts = std::move(facts.value());
  current_.facts.warnings = link_->warnings();
  current_.facts.connection = connections_;
  const bool ours = IsOurs(link_->Answer(), link_->session());
  if (!ours) current_.facts.asker.reset();
  // A smart shutdown waits until the last session has ended. Ours must not be the one.
  const bool is_kept = keep_ && !current_.facts.stopping && !give_up_;
  let_go_ = !keep_;
  if (!is_kept) {
    link_->Close();
  } else if (ours) {
    link_->Prepare();
  }
  lost_connection_ = current_.facts.stopping || give_up_;
  give_up_ = false;
  stalled_since_ = 0;
  stall_patience_us_ = 0;
  Finish(now);
}

void PeerProbe::OnDeadline(MonoUs now) {
  WithMemory(now, [&] { TimeIsUp(now); });
}

void PeerProbe::TimeIsUp(MonoUs now) {
  switch (state_) {
    case State::kResting:
      return;
    case State::kResolving:
      if (!book_.empty() && now < probe_deadline_) {
        Open(now);
        return;
      }
      Fail(now, Outcome::kUnresolved, "the resolver does not answer");
      return;
    case State::kConnecting: {
      const LinkFailure silence = {Outcome::kTimeout, "no connection within the time allowed"};
      if (GoOnToNextAddress(now, silence)) return;
      // (an answer from another address tells more, and there is nothing to wait for then)
      if (former_ || telling_.outcome != Outcome::kTimeout) {
        CannotConnect(now, LinkFailure(telling_));
      } else {
        GiveUpWaiting(now, silence.error);
      }
      return;
    }
    case State::kSending:
    case State::kReading:
      GiveUpWaiting(now, "no answer within the time allowed");
      return;
  }
}

// Time is up. A connection whose other end does not even take in what we send is given up, and the
// next probe makes a new one.
void PeerProbe::GiveUpWaiting(MonoUs now, const std::string& error) {
  if (!link_->HoldsSession()) {
    Fail(now, Outcome::kTimeout, error);
    return;
  }
  stalled_ = state_;
  stalled_step_ = step_;
  stalled_asked_ = current_.asked;
  if (stalled_since_ == 0) stalled_since_ = now;
  if (stall_patience_us_ == 0) {
    stall_patience_us_ = HasSeveralAddresses() ? kFirstPatienceOfManyUs : kFirstPatienceUs;
  }
  current_.outcome = Outcome::kTimeout;
  current_.error = error;
  Finish(now);
}

// Every other failure ends the connection too: the next probe starts from a clean one.
void PeerProbe::Fail(MonoUs now, Outcome outcome, const std::string& error) {
  current_.outcome = outcome;
  current_.error = error;
  stalled_since_ = 0;
  let_go_ = false;
  LetFormerGo();
  link_->Close();
  Finish(now);
}

std::unique_ptr<Link> PeerProbe::LinkForTrial(Endpoint& where) const {
  if (!link_->is_open() || !keep_ || former_ || stalled_ != State::kResting) return nullptr;
  where.host = hostname_;
  where.port = port_;
  const std::string address = link_->peer_address();
  if (kind_ != PlaceKind::kSocket && address.empty()) return nullptr;
  if (kind_ != PlaceKind::kSocket) where.addresses = {address};
  return link_->Another();
}

void PeerProbe::LetFormerGo() {
  if (former_) former_->Close();
  former_.reset();
  move_fails_ = 0;
}

void PeerProbe::Finish(MonoUs now) {
  current_.finished = now;
  current_.addresses = book_.all();
  finished_ = std::move(current_);
  current_ = Observation{};
  state_ = State::kResting;
  step_ = LinkStep::kDone;
  deadline_ = 0;
}

PeerProbe::Wants PeerProbe::wants() const {
  Wants wants;
  if (state_ == State::kResolving || !link_->is_open()) return wants;
  if (stalled_ != State::kResting) return wants;  // the next probe looks at it
  wants.fd = link_->socket();
  if (state_ == State::kResting) {
    wants.read = true;  // the connection's end, and what the server says unasked
  } else {
    // While sending, the server may speak first (an error); libpq wants that read.
    wants.write = step_ == LinkStep::kWantWrite;
    wants.read = step_ == LinkStep::kWantRead || state_ == State::kSending;
  }
  return wants;
}

std::optional<Observation> PeerProbe::TakeObservation() {
  std::optional<Observation> taken = std::move(finished_);
  finished_.reset();
  return taken;
}

}  // namespace pg_status
