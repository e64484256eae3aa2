// Events: each is one thing that is believed now and was not before, as values. The lines of the
// log (changes.cpp) tell the same for people, and leave out what goes without saying.
//
// clang-format off
//   kind              host   old and new value ("" not known, or none)    detail: why
//   state             yes    unknown, up, suspect, down                   its role; the last error
//   unreachable_here  yes    false, true                                  who reaches it all the same
//   role              yes    unknown, primary, standby                    the timeline of a primary
//   foreign           yes    false, true                                  both system identifiers
//   diverged          yes    false, true                                  the proof
//   maintenance       yes    maint, drain, with ", forced" ("" in service) the operator's reason
//   hosts             no     how many hosts there are                     who was added and removed
//   primary           no     the name of the chosen primary               why the old one is none,
//                                                                         why this one, or nobody
//   split_brain       no     false, true                                  who, and who is chosen
//   quorum            no     false, true: this node sees a majority       how many nodes it sees
// clang-format on
//
// Who is the primary is told from when every host was asked once: before that it is a guess.
//
// A host that is added begins as unknown, without an event of its own, and one that is removed ends
// without one: "hosts" tells of both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/hosts.hpp"
#include "config/order.h"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class EventKind : std::uint8_t {
  kState,
  kUnreachableHere,
  kRole,
  kForeign,
  kDiverged,
  kMaintenance,
  kHosts,
  kPrimary,
  kSplitBrain,
  kQuorum
};

// The word of the table above.
std::string_view KindWord(EventKind kind);

struct Event {
  std::string host;  // "" when it is about the cluster
  EventKind kind = EventKind::kState;
  std::string old_value;
  std::string new_value;
  std::string detail;
};

// All that an event may be about, by the names of the hosts: so it can be compared with what is
// believed under other settings, or was by the poller before this one.
struct Belief {
  struct Host {
    std::string name;
    Liveness liveness = Liveness::kUnknown;
    Role role = Role::kUnknown;
    bool unreachable_here = false;
    bool foreign = false;
    bool diverged = false;
    PgstOrder order{};  // of it the maintenance only
  };
  std::vector<Host> hosts;  // in configured order
  std::string primary;      // "" none
  bool split_brain = false;
  std::optional<bool> quorum;  // nullopt: not known so far, or there is none to have
};

// `entries` and cluster.hosts have the same size and order, and so has `orders`, or it is empty.
Belief BeliefOf(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                const std::vector<PgstOrder>& orders);

// The events that lead from `before` to what is believed now, in the order of the table: first
// those of each host, then those of the cluster. Nothing when nothing changed.
std::vector<Event> DescribeEvents(const Belief& before, const ClusterVerdict& now,
                                  const std::vector<HostEntry>& entries,
                                  const std::vector<PgstOrder>& orders);

}  // namespace pg_status
