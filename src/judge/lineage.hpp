// Timelines and how they descend from each other. Private to judge/.
//
// A timeline's number alone says little: whoever is promoted takes the next number that he knows to
// be free, so two servers promoted from one have the same number and different histories. Where a
// server tells its history (pg_status runs there), that is what counts; elsewhere the number has to
// do, and a higher one is taken for a descendant.
#pragma once

#include <cstdint>
#include <optional>

#include "base/lsn.hpp"
#include "judge/verdict.hpp"
#include "probe/server_facts.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// A timeline with its history; plain pointers into a verdict, which must outlive it.
struct Branch {
  std::uint32_t timeline = 0;                // 0 unknown
  const TimelineHistory* history = nullptr;  // nullptr unknown
};

// What the server told last; unknown when it never answered.
Branch BranchOf(const HostVerdict& host);
Branch BranchOf(const Incumbent& incumbent);

enum class Descent : std::uint8_t {
  kUnknown,   // one of the timelines is not known
  kSame,      // the same number, and the same history as far as both are told
  kNewer,     // the first descends from the second
  kOlder,     // the second descends from the first
  kSiblings,  // neither from the other
};

Descent Compare(const Branch& a, const Branch& b);

// Where this history has left that timeline: positions from there on are not part of it. nullopt:
// it has not, or is not told.
std::optional<Lsn> LeftAt(const Branch& branch, std::uint32_t timeline);

}  // namespace pg_status
