// New sessions, tried; see session_trial.hpp.

#include "probe/session_trial.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace pg_status {
namespace {

// A login that takes longer than this, while the session beside it answers quickly, is none. A
// server that is slow in all is given three times as long.
constexpr std::int64_t kPatienceUs = 5 * kUsPerSecond;
constexpr std::int64_t kSlowFactor = 3;
constexpr std::int64_t kQuickPart = 10;  // of poll_timeout

// Nobody tells us of a peer that has forgotten our connection.
constexpr std::int64_t kAnewUs = 120 * kUsPerSecond;

std::int64_t Patience(const Limits& limits, std::int64_t answer_us) {
  const std::int64_t patience = std::max(kPatienceUs, 5 * limits.poll_timeout_us);
  const bool quick = answer_us <= limits.poll_timeout_us / kQuickPart;
  return quick ? patience : kSlowFactor * patience;
}

}  // namespace

void SessionTrial::Begin(MonoUs now, std::unique_ptr<Link> link, const Endpoint& where) {
  link_ = std::move(link);
  looked_ = now;
  waited_us_ = 0;
  told_silent_ = false;
  try {
    const LinkStep step = link_->Open(where);
    // What fails before anything was sent (no descriptor is left, say) tells nothing of the peer.
    if (step == LinkStep::kFailed && link_->failure().outcome == Outcome::kClosed) {
      link_.reset();
      return;
    }
    Advance(now, step);
  } catch (const std::bad_alloc&) {
    link_.reset();
  }
}

void SessionTrial::OnSocket(MonoUs now) {
  if (!link_) return;
  try {
    Advance(now, link_->Connect());
  } catch (const std::bad_alloc&) {
    link_.reset();
  }
}

void SessionTrial::Advance(MonoUs now, LinkStep step) {
  step_ = step;
  if (step == LinkStep::kDone) End(now, Outcome::kOk, "");
  if (step != LinkStep::kFailed) return;
  const LinkFailure failure = link_->failure();
  End(now, failure.outcome, failure.error);
}

void SessionTrial::End(MonoUs now, Outcome outcome, const std::string& error) {
  result_ = SessionTry{outcome, error, now};
  link_.reset();
}

void SessionTrial::OnLook(MonoUs now, const Limits& limits, std::int64_t answer_us) {
  if (!link_) return;
  const std::int64_t most = limits.poll_interval_us + limits.poll_timeout_us;
  waited_us_ += std::min(now - std::exchange(looked_, now), most);
  if (waited_us_ < Patience(limits, answer_us)) return;
  if (!std::exchange(told_silent_, true)) {
    result_ = SessionTry{Outcome::kTimeout, "no login within the time allowed", now};
  }
  if (waited_us_ >= kAnewUs || !link_->HoldsSession()) link_.reset();
}

SessionTrial::Wants SessionTrial::wants() const {
  Wants wants;
  if (!link_ || !link_->is_open()) return wants;
  wants.fd = link_->socket();
  wants.read = step_ == LinkStep::kWantRead;
  wants.write = step_ == LinkStep::kWantWrite;
  return wants;
}

std::optional<SessionTry> SessionTrial::Take() { return std::exchange(result_, std::nullopt); }

}  // namespace pg_status
