// The size that a lag limit is given as: "10485760", "10MB", "1.5 GB". Knows the grammar, not what
// is limited.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// Bytes, from a whole number of them or from a number with a unit: B, kB, MB, GB or TB, in steps of
// 1024 and in this very spelling, as PostgreSQL writes its settings. With a unit the number may
// have a fraction (the result is rounded to whole bytes). Blanks may stand around the number and
// the unit. nullopt for anything else: a sign, an exponent, more than 2^64-1.
std::optional<std::uint64_t> ParseLagSize(std::string_view text);

}  // namespace pg_status
