// What the page shows, as JSON: this node's view of the cluster, the history of lag and the newest
// events. Knows the keys and when a value is null; nothing of HTTP.
//
// Like every answer of this port it is for anybody who is let in: what a peer's errors say is not
// told, as they may show addresses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "answer/world.hpp"
#include "publish/event.h"
#include "publish/lag_history.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// What it looks at beside World. Neither may fail, wait or throw.
struct PageSources {
  // The newest events, the oldest of them first, at most so many: how many they are. -1: they
  // cannot be had right now.
  std::function<int(PgstEvent* copy, int most)> events;
  // The histories of the first `count` hosts of the list. False: they cannot be had right now.
  std::function<bool(PgstLagHistory* copy, std::uint32_t count)> lags;
};

// What somebody who asks has already.
struct PageReader {
  std::optional<std::uint64_t> generation;  // the events up to this one
  std::optional<std::uint64_t> since;       // the columns before this one
};

// Appends the list of hosts: the part that is long, and the same for everybody who asks at the same
// moment.
void AppendPageHosts(const World& world, std::string& out);

// Appends the object; `hosts` is that list. What cannot be had right now is null, and the
// generation that is told is then one at which the reader will ask again.
void AppendPageData(const World& world, const PageSources& sources, const PageReader& reader,
                    std::string_view version, std::string_view hosts, std::string& out);

}  // namespace pg_status
