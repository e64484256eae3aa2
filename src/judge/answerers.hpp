// Whether one server answers at an address, or several in turn: a pooler or a balancer that leads
// each session, or each question, to another one. What such a place says of its role, position or
// timeline is of whichever answered last, so none of it is believed.
//
// An address may move from one server to another, and a server may start anew: that shows a run
// that was not seen there before. One that comes back while another has answered meanwhile proves
// that both are behind it.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.hpp"
#include "judge/server_run.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

struct Answerers {
  struct Seen {
    ServerRun run;
    MonoUs last = 0;  // when it answered last; 0: this place is free
  };
  std::array<Seen, 4> seen;  // the newest answerer first
  MonoUs mixed_at = 0;       // when another than before answered last, once several are proved
};

// Takes one more answer into account: of this run, read at `at`. Returns whether several servers
// are behind the address: from the proof on, until one of them alone has answered for a minute, or
// for ten polls where that is longer. A run whose start is not known tells nothing.
bool NoteAnswerer(Answerers& answerers, const ServerRun& run, MonoUs at,
                  std::int64_t poll_interval_us);

}  // namespace pg_status
