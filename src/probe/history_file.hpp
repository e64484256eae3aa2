// A timeline history file of this server (pg_wal/00000003.history, PostgreSQL manual,
// "Timelines"), as text. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "probe/server_facts.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Each line names a timeline that was left, where, and why; "#" begins a comment. Of more forks
// than kMaxForks the newest are kept. nullopt when it is not a sound history of `timeline`: a file
// may be damaged, or cut short. (At the end of a line that cannot be seen: a timeline may descend
// from any older one. PostgreSQL writes the file beside, and then gives it its name.)
std::optional<TimelineHistory> ReadHistoryFile(std::string_view text, std::uint32_t timeline);

}  // namespace pg_status
