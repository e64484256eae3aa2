// This node, and the cluster as it sees it, as JSON in the shape that Patroni's consumers read.
// Knows the keys and when one is left out; nothing of HTTP, paths or codes.
#pragma once

#include <string>
#include <string_view>

#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Appends the object of /patroni and of every health path.
void AppendNode(const World& world, std::string_view version, std::string& out);

// Appends the object of /cluster.
void AppendCluster(const World& world, std::string& out);

}  // namespace pg_status
