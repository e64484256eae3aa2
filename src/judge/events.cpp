// Two beliefs -> events; see events.hpp. Decides nothing and remembers nothing.
#include "judge/events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "base/fixed_text.hpp"
#include "config/orders.hpp"
#include "judge/why.hpp"

namespace pg_status {
namespace {

// In the order of EventKind.
constexpr std::string_view kKindWords[] = {
    "state", "unreachable_here", "role",        "foreign", "diverged", "maintenance",
    "hosts", "primary",          "split_brain", "quorum"};
static_assert(std::size(kKindWords) == static_cast<std::size_t>(EventKind::kQuorum) + 1);

// In the order of Liveness.
constexpr std::string_view kStateWords[] = {"unknown", "up", "suspect", "down"};

constexpr std::size_t kMaxNamedHosts = 8;  // in one detail

std::string StateWord(Liveness liveness) {
  return std::string(kStateWords[static_cast<std::size_t>(liveness)]);
}

std::string Truth(bool value) { return value ? "true" : "false"; }

std::string TruthIfKnown(std::optional<bool> value) { return value ? Truth(*value) : ""; }

std::optional<bool> SeesMajority(const ClusterVerdict& cluster) {
  if (!cluster.ready || !cluster.quorum.possible()) return std::nullopt;
  if (cluster.quorum.in_majority()) return true;
  if (MissesMajority(cluster)) return false;
  return std::nullopt;
}

std::string WhyThisState(const HostVerdict& host) {
  switch (host.liveness) {
    case Liveness::kUnknown:
      break;
    case Liveness::kUp:
      return RoleText(host);
    case Liveness::kSuspect:
      return host.last_error;
    case Liveness::kDown:
      return WithReason("after " + Failures(host.fails), host.last_error);
  }
  return "";
}

std::string TimelineOf(const HostVerdict& host) {
  if (host.role != Role::kPrimary || host.facts->timeline == 0) return "";
  return fmt::format("timeline {}", host.facts->timeline);
}

void CompareHosts(const Belief::Host& before, const HostVerdict& now, const ClusterVerdict& cluster,
                  std::vector<Event>& events) {
  if (before.liveness != now.liveness) {
    events.push_back({before.name, EventKind::kState, StateWord(before.liveness),
                      StateWord(now.liveness), WhyThisState(now)});
  }
  if (before.unreachable_here != now.unreachable_here) {
    events.push_back({before.name, EventKind::kUnreachableHere, Truth(before.unreachable_here),
                      Truth(now.unreachable_here),
                      now.unreachable_here ? WhyUnreachableHere(now, cluster.quorum) : ""});
  }
  if (before.role != now.role) {
    events.push_back({before.name, EventKind::kRole, std::string(RoleWord(before.role)),
                      std::string(RoleWord(now.role)), TimelineOf(now)});
  }
  if (before.foreign != now.foreign) {
    events.push_back({before.name, EventKind::kForeign, Truth(before.foreign), Truth(now.foreign),
                      now.foreign ? WhyForeign(now, cluster.system_identifier) : ""});
  }
  if (before.diverged != now.diverged) {
    events.push_back({before.name, EventKind::kDiverged, Truth(before.diverged),
                      Truth(now.diverged), now.divergence.why});
  }
}

std::string WhyThisPrimary(const ClusterVerdict& cluster) {
  return cluster.live_primaries > (cluster.primary ? 1U : 0U) ? cluster.primary_reason : "";
}

std::string OrderWord(const PgstOrder& order) {
  std::string word(MaintenanceWord(order.maintenance));
  if (!word.empty() && order.forced != 0) word += ", forced";
  return word;
}

// Of an order that takes nobody out nothing else matters.
bool SameMaintenance(const PgstOrder& a, const PgstOrder& b) {
  if (a.maintenance != b.maintenance) return false;
  return a.maintenance == PGST_IN_SERVICE ||
         (a.forced == b.forced && FixedText(a.reason) == FixedText(b.reason));
}

const PgstOrder& OrderOf(const std::vector<PgstOrder>& orders, std::size_t index) {
  static constexpr PgstOrder none{};
  return index < orders.size() ? orders[index] : none;
}

void CompareOrders(const Belief::Host& before, const PgstOrder& now, std::vector<Event>& events) {
  if (SameMaintenance(before.order, now)) return;
  const bool out = now.maintenance != PGST_IN_SERVICE;
  events.push_back({before.name, EventKind::kMaintenance, OrderWord(before.order), OrderWord(now),
                    out ? std::string(FixedText(now.reason)) : ""});
}

// What is kept of a host is compared with its place in the list as it was, as most of the time
// nothing has moved.
const Belief::Host* FindHost(const Belief& belief, const std::string& name, std::size_t likely) {
  if (likely < belief.hosts.size() && belief.hosts[likely].name == name) {
    return &belief.hosts[likely];
  }
  for (const Belief::Host& host : belief.hosts) {
    if (host.name == name) return &host;
  }
  return nullptr;
}

std::optional<std::size_t> IndexOf(const std::vector<HostEntry>& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const HostEntry& entry) { return entry.name == name; });
  if (found == entries.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries.begin());
}

// `"a:5432", "b:5432" and 4 more`
std::string Named(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxNamedHosts); ++i) {
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > kMaxNamedHosts) {
    text += fmt::format(" and {} more", names.size() - kMaxNamedHosts);
  }
  return text;
}

// Whether the same names stand in the same order, which is so all the time but after a reload.
bool SameHosts(const Belief& before, const std::vector<HostEntry>& entries) {
  return std::equal(
      before.hosts.begin(), before.hosts.end(), entries.begin(), entries.end(),
      [](const Belief::Host& host, const HostEntry& entry) { return host.name == entry.name; });
}

void CompareLists(const Belief& before, const std::vector<HostEntry>& entries,
                  std::vector<Event>& events) {
  if (SameHosts(before, entries)) return;
  std::vector<std::string> added;
  std::vector<std::string> removed;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (FindHost(before, entries[i].name, i) == nullptr) added.push_back(entries[i].name);
  }
  for (const Belief::Host& host : before.hosts) {
    if (!IndexOf(entries, host.name)) removed.push_back(host.name);
  }
  std::string detail;
  if (!added.empty()) detail = fmt::format("Added: {}.", Named(added));
  if (!removed.empty()) {
    detail += fmt::format("{}Removed: {}.", detail.empty() ? "" : " ", Named(removed));
  }
  if (detail.empty()) detail = "In another order.";
  events.push_back({"", EventKind::kHosts, std::to_string(before.hosts.size()),
                    std::to_string(entries.size()), std::move(detail)});
}

void ComparePrimary(const Belief& before, const ClusterVerdict& now,
                    const std::vector<HostEntry>& entries, std::vector<Event>& events) {
  if (!now.ready) return;
  std::string primary = now.primary ? entries[*now.primary].name : std::string();
  if (before.primary == primary) return;
  std::string why;
  if (!before.primary.empty()) {
    const std::optional<std::size_t> was = IndexOf(entries, before.primary);
    why = was ? WhyNotPrimary(now, *was, entries)
              : fmt::format("\"{}\" is in pg_status.hosts no more.", before.primary);
  }
  const std::string chosen = WhyThisPrimary(now);
  if (!chosen.empty() && why != chosen) why += (why.empty() ? "" : " ") + chosen;
  events.push_back({"", EventKind::kPrimary, before.primary, std::move(primary), std::move(why)});
}

std::string WhyNoSplitBrain(const Belief& before, const ClusterVerdict& now,
                            const std::vector<HostEntry>& entries) {
  std::vector<bool> claimed;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Belief::Host* const was = FindHost(before, entries[i].name, i);
    claimed.push_back(was != nullptr && was->role == Role::kPrimary && !was->foreign);
  }
  std::string lost = WhatIsOutOfSight(claimed, now, entries);
  return lost.empty() ? WhoIsPrimary(now, entries) : lost;
}

void CompareSplitBrain(const Belief& before, const ClusterVerdict& now,
                       const std::vector<HostEntry>& entries, std::vector<Event>& events) {
  if (before.split_brain == now.split_brain) return;
  std::string why = now.split_brain
                        ? fmt::format("{}. {}", ClaimantNames(now, entries), now.primary_reason)
                        : WhyNoSplitBrain(before, now, entries);
  events.push_back({"", EventKind::kSplitBrain, Truth(before.split_brain), Truth(now.split_brain),
                    std::move(why)});
}

void CompareQuorum(const Belief& before, const ClusterVerdict& now, std::vector<Event>& events) {
  const std::optional<bool> sees = SeesMajority(now);
  if (before.quorum == sees) return;
  events.push_back({"", EventKind::kQuorum, TruthIfKnown(before.quorum), TruthIfKnown(sees),
                    now.quorum.possible() ? VotersInSight(now.quorum) : ""});
}

}  // namespace

std::string_view KindWord(EventKind kind) { return kKindWords[static_cast<std::size_t>(kind)]; }

Belief BeliefOf(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries,
                const std::vector<PgstOrder>& orders) {
  Belief belief;
  belief.hosts.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const HostVerdict& host = cluster.hosts[i];
    belief.hosts.push_back({entries[i].name, host.liveness, host.role, host.unreachable_here,
                            host.foreign, host.diverged, OrderOf(orders, i)});
  }
  if (cluster.primary && cluster.ready) belief.primary = entries[*cluster.primary].name;
  belief.split_brain = cluster.split_brain;
  belief.quorum = SeesMajority(cluster);
  return belief;
}

std::vector<Event> DescribeEvents(const Belief& before, const ClusterVerdict& now,
                                  const std::vector<HostEntry>& entries,
                                  const std::vector<PgstOrder>& orders) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Belief::Host* const was = FindHost(before, entries[i].name, i);
    const Belief::Host added{entries[i].name};
    CompareHosts(was != nullptr ? *was : added, now.hosts[i], now, events);
    CompareOrders(was != nullptr ? *was : added, OrderOf(orders, i), events);
  }
  CompareLists(before, entries, events);
  ComparePrimary(before, now, entries, events);
  CompareSplitBrain(before, now, entries, events);
  CompareQuorum(before, now, events);
  return events;
}

}  // namespace pg_status
