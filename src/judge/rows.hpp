// Whose row of the primary's pg_stat_replication is whose. Private to judge/.
//
// A row does not say which host it belongs to, and to give a standby the row of another one is to
// call it synchronous when it is not: who promotes it then loses what was acknowledged. So a row is
// a standby's only by evidence, the strongest first:
//   1. the slot that its WAL receiver uses
//   2. the application_name that its receiver uses, and its machine
//   3. where it does not tell that name: one that the list gives it, or its cluster_name, and its
//      machine
//   4. the name that its receiver uses, from a machine that is not known as anybody's; but then it
//      has to stream from the primary for certain, or that name has to be nobody else's
//   5. such a name of the list, or its cluster_name when nobody else has it, from such a machine
//   6. its machine, where it does not tell the name
// Rows from a machine that is known as that of other hosts are not its own, whatever they are
// called. Of two that fit equally well, and of one that fits two standbys, nothing is known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "judge/machines.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Listing : std::uint8_t {
  kUnknown,  // which row is its own cannot be told
  kAbsent,   // the primary does not list it: it has no receiver, or another sender
  kListed
};

struct RowVerdict {
  Listing listing = Listing::kUnknown;
  const Sender* row = nullptr;  // with kListed
  std::string doubt;  // which rows may be its own, a sentence; "" unless that is what is not known
};

// One for each host, in order; kUnknown for those that are no standbys of this cluster. The
// upstreams have been judged; cluster.primary is set, and what it told is young enough to be
// believed. The rows are owned by the primary's facts.
std::vector<RowVerdict> AssignRows(const ClusterVerdict& cluster,
                                   const std::vector<HostEntry>& entries, const Machines& machines,
                                   const Limits& limits, MonoUs now);

}  // namespace pg_status
