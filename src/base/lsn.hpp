// WAL positions. An LSN is a byte position in the WAL, written as two hexadecimal halves,
// "16/B374D848" (PostgreSQL manual, "pg_lsn Type"). 0/0 is not a position; it stands for "none".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

using Lsn = std::uint64_t;

inline constexpr Lsn kNoLsn = 0;

// HEX/HEX, each half 1 to 8 digits, any case, nothing before or after. nullopt for anything else.
std::optional<Lsn> ParseLsn(std::string_view text);

// Upper case, no leading zeros: "0/3000060".
std::string FormatLsn(Lsn lsn);

}  // namespace pg_status
