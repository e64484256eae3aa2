// This node's opinions; see own_opinions.hpp.
#include "publish/own_opinions.hpp"

#include <algorithm>
#include <string>

#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

// A line takes some 40 bytes at least.
constexpr std::size_t kMostThatFit = kMaxOpinionsBytes / 32;

}  // namespace

Opinions OpinionsOf(const PgstSnapshot& snapshot, MonoUs now) {
  Opinions opinions;
  const PgstHost* const hosts = snapshot.hosts;
  const std::int64_t age = std::max<std::int64_t>(now - snapshot.made_mono, 0);
  for (std::uint32_t i = 0; i < std::min(snapshot.host_count, snapshot.max_hosts); ++i) {
    const PgstHost& host = hosts[i];
    const bool incumbent = snapshot.incumbent == static_cast<std::int32_t>(i);
    if (host.foreign != 0 || (host.state == PGST_STATE_UNKNOWN && !incumbent)) continue;
    if (opinions.size() == kMostThatFit) break;
    Opinion opinion;
    opinion.host = std::string(FixedText(host.name));
    opinion.reachable = host.state != PGST_STATE_DOWN;
    // Both are of one snapshot, so their difference is one of the monotonic clock.
    if (host.last_success_wall != 0) {
      opinion.success_age_us = age + (snapshot.made_wall - host.last_success_wall);
    }
    opinion.system_identifier = host.system_identifier;
    opinion.postmaster_start = host.postmaster_start_wall;
    opinion.rank = snapshot.primary == static_cast<std::int32_t>(i) ? Rank::kPrimary
                   : incumbent                                      ? Rank::kIncumbent
                                                                    : Rank::kNone;
    opinions.push_back(std::move(opinion));
  }
  return opinions;
}

}  // namespace pg_status
