// Numbers from text, strictly: the whole text or nothing. No blanks, no '+', no locale, no
// overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// Decimal digits only, 0 .. 2^64-1. nullopt for empty text, a sign, other characters or overflow.
std::optional<std::uint64_t> ParseUint64(std::string_view text);

// Digits with at most one point and at least one digit ("1", "0.5", ".5", "2."), no sign, no
// exponent, at most 15 significant digits. nullopt otherwise.
std::optional<double> ParseDecimal(std::string_view text);

}  // namespace pg_status
