// Plain events, and beliefs read back; see build_event.hpp.
#include "publish/build_event.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

static_assert(std::is_trivially_copyable_v<PgstEvent> && std::is_standard_layout_v<PgstEvent>);
// no hole that nobody writes
static_assert(sizeof(PgstEvent) == 2 * sizeof(std::uint64_t) + std::size_t{3} * PGST_NAME_SIZE +
                                       PGST_EVENT_KIND_SIZE + PGST_EVENT_DETAIL_SIZE);

Liveness LivenessOf(std::uint8_t state) {
  switch (state) {
    case PGST_STATE_UP:
      return Liveness::kUp;
    case PGST_STATE_SUSPECT:
      return Liveness::kSuspect;
    case PGST_STATE_DOWN:
      return Liveness::kDown;
    default:
      return Liveness::kUnknown;
  }
}

Role RoleOf(std::uint8_t role) {
  switch (role) {
    case PGST_ROLE_PRIMARY:
      return Role::kPrimary;
    case PGST_ROLE_STANDBY:
      return Role::kStandby;
    default:
      return Role::kUnknown;
  }
}

std::optional<bool> QuorumIn(const PgstSnapshot& snapshot) {
  Quorum quorum;
  quorum.voters = static_cast<int>(snapshot.voters);
  quorum.in_sight = static_cast<int>(snapshot.voters_in_sight);
  quorum.unasked = static_cast<int>(snapshot.voters_unasked);
  if (snapshot.ready == 0 || !quorum.possible()) return std::nullopt;
  return quorum.in_majority();
}

}  // namespace

PgstEvent BuildEvent(const Event& event, WallUs at) {
  PgstEvent built{};
  built.at_wall = at;
  CopyFixedText(built.host, event.host);
  CopyFixedText(built.kind, KindWord(event.kind));
  CopyFixedText(built.old_value, event.old_value);
  CopyFixedText(built.new_value, event.new_value);
  CopyFixedText(built.detail, event.detail);
  return built;
}

Belief BeliefIn(const PgstSnapshot& snapshot) {
  Belief belief;
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < std::min(snapshot.host_count, snapshot.max_hosts); ++i) {
    Belief::Host host;
    host.name = std::string(FixedText(hosts[i].name));
    host.liveness = LivenessOf(hosts[i].state);
    host.role = RoleOf(hosts[i].role);
    host.unreachable_here = hosts[i].unreachable_here != 0;
    host.foreign = hosts[i].foreign != 0;
    host.diverged = hosts[i].diverged != 0;
    host.order.maintenance = hosts[i].maintenance;
    host.order.forced = hosts[i].forced;
    CopyFixedText(host.order.reason, FixedText(hosts[i].maintenance_reason));
    if (hosts[i].primary != 0) belief.primary = host.name;
    belief.hosts.push_back(std::move(host));
  }
  belief.split_brain = snapshot.split_brain != 0;
  belief.quorum = QuorumIn(snapshot);
  return belief;
}

std::optional<Incumbent> IncumbentIn(const PgstSnapshot& snapshot) {
  const std::uint32_t count = std::min(snapshot.host_count, snapshot.max_hosts);
  if (snapshot.incumbent < 0 || static_cast<std::uint32_t>(snapshot.incumbent) >= count) {
    return std::nullopt;
  }
  const PgstHost& host = snapshot.hosts[snapshot.incumbent];
  Incumbent incumbent;
  incumbent.name = std::string(FixedText(host.name));
  incumbent.run = {host.system_identifier, host.postmaster_start_wall};
  incumbent.timeline = snapshot.incumbent_timeline;
  if (snapshot.has_history != 0 && snapshot.primary == snapshot.incumbent) {
    TimelineHistory history;
    history.from = snapshot.history_from;
    const std::uint32_t forks = std::min<std::uint32_t>(snapshot.fork_count, PGST_MAX_FORKS);
    for (std::uint32_t i = 0; i < forks; ++i) {
      history.forks.push_back({snapshot.forks[i].timeline, snapshot.forks[i].end});
    }
    incumbent.history = std::move(history);
  }
  return incumbent;
}

std::uint32_t RefusedIn(const PgstSnapshot& snapshot, const std::string& name) {
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < std::min(snapshot.host_count, snapshot.max_hosts); ++i) {
    if (hosts[i].superseded != 0 && FixedText(hosts[i].name) == name) return hosts[i].timeline;
  }
  return 0;
}

}  // namespace pg_status
