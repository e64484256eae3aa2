// Numbers from text. Knows nothing of units and ranges: what a number means is the caller's matter.
#include "base/number.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace pg_status {
namespace {

// As many as a double holds for certain.
constexpr int kMaxSignificantDigits = 15;

// 10^places. Exact up to 10^22, so that the usual quotient is the nearest double; infinite beyond
// the range of a double, which makes the quotient the 0 that it nearly is.
double PowerOfTen(std::size_t places) {
  constexpr std::size_t kBeyondDouble = 400;
  double power = 1;
  for (std::size_t i = 0; i < std::min(places, kBeyondDouble); ++i) power *= 10;
  return power;
}

}  // namespace

std::optional<std::uint64_t> ParseUint64(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return value;
}

// Not std::from_chars: the oldest compilers we support do not have it for double; and strtod would
// follow the locale.
std::optional<double> ParseDecimal(std::string_view text) {
  std::uint64_t digits = 0;
  int significant = 0;
  std::size_t places = 0;
  bool has_digit = false;
  bool has_point = false;
  for (const char c : text) {
    if (c == '.' && !has_point) {
      has_point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    has_digit = true;
    if (has_point) ++places;
    if (significant == 0 && c == '0') continue;  // a leading zero signifies nothing
    if (++significant > kMaxSignificantDigits) return std::nullopt;
    digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (!has_digit) return std::nullopt;
  return static_cast<double>(digits) / PowerOfTen(places);
}

}  // namespace pg_status
