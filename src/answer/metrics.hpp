// What is known of this node and of the hosts, in Prometheus' text format 0.0.4. Knows families,
// labels and when a sample is left out; nothing of HTTP.
#pragma once

#include <string>
#include <string_view>

#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// All families that have a sample, its last line ended.
std::string RenderMetrics(const World& world, std::string_view version);

}  // namespace pg_status
