// The words of the raw status port. Knows nothing of sockets, nor of how the state was found out.
#include "answer/raw_line.hpp"

#include <cstddef>
#include <iterator>

namespace pg_status {
namespace {

// In the order of NodeState.
constexpr std::string_view kLines[] = {
    "STARTING\n", "MASTER\n", "STANDBY\n", "STOPPING\n", "FENCED\n",
};

}  // namespace

std::string_view RawLine(NodeState state) {
  const auto index = static_cast<std::size_t>(state);
  // A value that no enumerator has could only come from a broken caller; the load balancer must not
  // be told that such a node is good for anything.
  return index < std::size(kLines) ? kLines[index] : kLines[0];
}

}  // namespace pg_status
