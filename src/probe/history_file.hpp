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
// than kMaxForks the newest are kept. nullopt when it is not the whole and sound history of
// `timeline`: a file may be damaged, or be cut short in the middle of a line.
std::optional<TimelineHistory> ReadHistoryFile(std::string_view text, std::uint32_t timeline);

}  // namespace pg_status
