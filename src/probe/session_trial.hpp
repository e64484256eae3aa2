// Whether a host still takes new sessions, tried beside the session that is kept: a connection, the
// login, and the end of it. A state machine over a Link, like PeerProbe; it asks nothing.
//
// A host that says no is told of at once. One that says nothing is told of when patience has run
// out, and is waited for all the same: a frozen server finds each connection that was made
// meanwhile when it goes on, so there is to be one of ours and not hundreds, and the moment when it
// is let in is the moment when the server goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "config/limits.hpp"
#include "probe/link.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What came of a trial. kOk: it was let in.
struct SessionTry {
  Outcome outcome = Outcome::kOk;
  std::string error;  // "" when let in
  MonoUs finished = 0;
};

class SessionTrial {
 public:
  struct Wants {
    int fd = -1;
    bool read = false;
    bool write = false;
  };

  bool running() const { return link_ != nullptr; }

  // Starts one; only while none runs.
  void Begin(MonoUs now, std::unique_ptr<Link> link, const Endpoint& where);

  // The socket is readable or writable, as Wants() asked.
  void OnSocket(MonoUs now);

  // To be called about each poll_interval. How long silence is borne depends on the host: one whose
  // kept session answers quickly (`answer_us`) has no excuse that it is slow. Time in which nobody
  // called does not count: then it was us who did not look.
  void OnLook(MonoUs now, const Limits& limits, std::int64_t answer_us);

  void Stop() { link_.reset(); }
  Wants wants() const;

  // What came of it, once; a trial that is told to be silent may be told to be let in later.
  std::optional<SessionTry> Take();

 private:
  void Advance(MonoUs now, LinkStep step);
  void End(MonoUs now, Outcome outcome, const std::string& error);

  std::unique_ptr<Link> link_;
  LinkStep step_ = LinkStep::kDone;
  MonoUs looked_ = 0;
  std::int64_t waited_us_ = 0;
  bool told_silent_ = false;
  std::optional<SessionTry> result_;
};

}  // namespace pg_status
