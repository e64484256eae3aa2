// The state machine of one host being asked; see peer_probe.hpp.

#include "probe/peer_probe.hpp"

#include <algorithm>
#include <utility>

#include "probe/reply.hpp"

namespace pg_status {

PeerProbe::PeerProbe(const HostEntry& entry, std::unique_ptr<Link> link)
    : kind_(entry.kind), hostname_(entry.hostname), port_(entry.port), link_(std::move(link)) {
  if (kind_ == PlaceKind::kAddress) addresses_.push_back(hostname_);
}

void PeerProbe::Begin(MonoUs now, const Limits& limits) {
  current_ = Observation{};
  current_.started = now;
  probe_deadline_ = now + limits.poll_timeout_us;
  deadline_ = probe_deadline_;
  lost_connection_ = false;

  const bool too_old = now - connected_ >= limits.conn_max_age_us;
  if (link_->is_open() && !too_old) {
    kept_connection_ = true;
    StartAsking(now);
    return;
  }
  Connect(now);
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
  if (!addresses_.empty()) {
    deadline_ = std::min(probe_deadline_, now + (probe_deadline_ - now) / 4);
  }
}

void PeerProbe::OnResolved(MonoUs now, std::vector<std::string> addresses,
                           const std::string& error) {
  // The same addresses in another order are no news: resolvers shuffle them, and a silent one would
  // get in front again.
  const bool same = addresses.size() == addresses_.size() &&
                    std::is_permutation(addresses.begin(), addresses.end(), addresses_.begin());
  if (!addresses.empty() && !same) {
    addresses_ = std::move(addresses);
    first_address_ = 0;
  }
  if (state_ != State::kResolving) return;
  if (addresses_.empty()) {
    Fail(now, Outcome::kUnresolved, error);
    return;
  }
  Open(now);
}

std::vector<std::string> PeerProbe::RotatedAddresses() const {
  std::vector<std::string> rotated = addresses_;
  if (!rotated.empty()) {
    const auto first = static_cast<std::ptrdiff_t>(first_address_ % rotated.size());
    std::rotate(rotated.begin(), rotated.begin() + first, rotated.end());
  }
  return rotated;
}

void PeerProbe::Open(MonoUs now) {
  state_ = State::kConnecting;
  deadline_ = probe_deadline_;
  current_.new_connection = true;
  Endpoint endpoint;
  endpoint.host = hostname_;
  endpoint.port = port_;
  if (kind_ != PlaceKind::kSocket) endpoint.addresses = RotatedAddresses();
  AdvanceConnecting(now, link_->Open(endpoint));
}

void PeerProbe::OnSocket(MonoUs now) {
  switch (state_) {
    case State::kResting:
      if (link_->is_open() && !link_->StillThere()) {
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
    Fail(now, link_->failure().outcome, link_->failure().error);
  } else if (step == LinkStep::kDone) {
    connected_ = now;
    StartAsking(now);
  }
}

void PeerProbe::StartAsking(MonoUs now) {
  state_ = State::kSending;
  // Taken before the query goes out: what the host tells is at least as new as this.
  current_.asked = now;
  current_.peer_address = link_->peer_address();
  AdvanceAsking(now, link_->Ask(ProbeQuery()));
}

void PeerProbe::AdvanceAsking(MonoUs now, LinkStep step) {
  step_ = step;
  if (step == LinkStep::kFailed) {
    const LinkFailure failure = link_->failure();
    const bool connection_ended =
        failure.outcome == Outcome::kClosed || failure.outcome == Outcome::kTerminated;
    if (kept_connection_ && connection_ended) {
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
  Result<Facts> facts = ParseReply(link_->Answer(), link_->server_version());
  if (!facts) {
    Fail(now, Outcome::kGarbled, facts.error());
    return;
  }
  current_.outcome = Outcome::kOk;
  current_.facts = std::move(facts.value());
  // A smart shutdown waits until the last session has ended. Ours must not be the one.
  if (current_.facts.stopping) {
    link_->Close();
    lost_connection_ = true;
  }
  Finish(now);
}

void PeerProbe::OnDeadline(MonoUs now) {
  switch (state_) {
    case State::kResting:
      return;
    case State::kResolving:
      if (!addresses_.empty() && now < probe_deadline_) {
        Open(now);
        return;
      }
      Fail(now, Outcome::kUnresolved, "the resolver does not answer");
      return;
    case State::kConnecting:
      ++first_address_;
      Fail(now, Outcome::kTimeout, "no connection within the time allowed");
      return;
    case State::kSending:
    case State::kReading:
      Fail(now, Outcome::kTimeout, "no answer within the time allowed");
      return;
  }
}

// Every failure ends the connection too: the next probe starts from a clean one.
void PeerProbe::Fail(MonoUs now, Outcome outcome, const std::string& error) {
  current_.outcome = outcome;
  current_.error = error;
  link_->Close();
  Finish(now);
}

void PeerProbe::Finish(MonoUs now) {
  current_.finished = now;
  finished_ = std::move(current_);
  current_ = Observation{};
  state_ = State::kResting;
  step_ = LinkStep::kDone;
  deadline_ = 0;
}

PeerProbe::Wants PeerProbe::wants() const {
  Wants wants;
  if (state_ == State::kResolving || !link_->is_open()) return wants;
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
