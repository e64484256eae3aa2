// What is known of this node and of the hosts, in Prometheus' text format 0.0.4. Knows families,
// labels and when a sample is left out; nothing of HTTP.
#pragma once

#include <string>
#include <string_view>

#include "answer/traffic.hpp"
#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Appends the families of this server, of its clients and of the cluster as a whole, as far as they
// have a sample.
void AppendNodeMetrics(const World& world, std::string_view version, const Traffic& traffic,
                       std::string& out);

// Appends the families with a sample for each host. They are the same for as long as the snapshot
// is (see kept.hpp).
void AppendHostMetrics(const World& world, std::string& out);

}  // namespace pg_status
