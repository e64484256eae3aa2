// How timelines descend from each other; see lineage.hpp.
#include "judge/lineage.hpp"

#include <algorithm>
#include <vector>

namespace pg_status {
namespace {

const Fork* Find(const TimelineHistory& history, std::uint32_t timeline) {
  const auto found =
      std::find_if(history.forks.begin(), history.forks.end(),
                   [timeline](const Fork& fork) { return fork.timeline == timeline; });
  return found == history.forks.end() ? nullptr : &*found;
}

using Forks = std::vector<Fork>::const_iterator;

// The first fork of timeline `from` or a newer one; they rise.
Forks NotBefore(const TimelineHistory& history, std::uint32_t from) {
  return std::lower_bound(
      history.forks.begin(), history.forks.end(), from,
      [](const Fork& fork, std::uint32_t timeline) { return fork.timeline < timeline; });
}

// Whether the two have the same past up to timeline `before`, as far as both tell it.
bool SamePast(const TimelineHistory* a, const TimelineHistory* b, std::uint32_t before) {
  if (a == nullptr || b == nullptr) return true;
  const std::uint32_t from = std::max(a->from, b->from);
  if (from >= before) return true;
  return std::equal(NotBefore(*a, from), NotBefore(*a, before), NotBefore(*b, from),
                    NotBefore(*b, before));
}

// Whether the one with the higher number descends from the other one.
bool DescendsFrom(const Branch& later, const Branch& earlier) {
  if (later.history == nullptr || later.history->from > earlier.timeline) return true;
  return Find(*later.history, earlier.timeline) != nullptr &&
         SamePast(later.history, earlier.history, earlier.timeline);
}

}  // namespace

Branch BranchOf(const HostVerdict& host) {
  if (!host.facts) return {};
  return {host.facts->timeline, HistoryOf(host)};
}

Branch BranchOf(const Incumbent& incumbent) {
  return {incumbent.timeline, incumbent.history ? &*incumbent.history : nullptr};
}

Descent Compare(const Branch& a, const Branch& b) {
  if (a.timeline == 0 || b.timeline == 0) return Descent::kUnknown;
  if (a.timeline == b.timeline) {
    return SamePast(a.history, b.history, a.timeline) ? Descent::kSame : Descent::kSiblings;
  }
  if (a.timeline > b.timeline) return DescendsFrom(a, b) ? Descent::kNewer : Descent::kSiblings;
  return DescendsFrom(b, a) ? Descent::kOlder : Descent::kSiblings;
}

std::optional<Lsn> LeftAt(const Branch& branch, std::uint32_t timeline) {
  if (branch.history == nullptr || timeline == 0 || timeline >= branch.timeline) {
    return std::nullopt;
  }
  const Fork* const fork = Find(*branch.history, timeline);
  if (fork == nullptr) return std::nullopt;
  return fork->end;
}

}  // namespace pg_status
