// Lag sizes. Knows numbers and units; nothing of paths or of what happens to a limit that is wrong.
#include "answer/lag_size.hpp"

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/number.hpp"

namespace pg_status {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};

constexpr Unit kUnits[] = {
    {"B", 1},
    {"kB", std::uint64_t{1} << 10},
    {"MB", std::uint64_t{1} << 20},
    {"GB", std::uint64_t{1} << 30},
    {"TB", std::uint64_t{1} << 40},
};

// 2^64: the first value that does not fit.
constexpr double kTooMany = 18446744073709551616.0;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<std::uint64_t> BytesOf(std::string_view unit) {
  for (const Unit& known : kUnits) {
    if (known.name == unit) return known.bytes;
  }
  return std::nullopt;
}

// Whole numbers do not go through a double, which is exact only up to 2^53.
std::optional<std::uint64_t> Multiply(std::string_view number, std::uint64_t unit) {
  if (const std::optional<std::uint64_t> whole = ParseUint64(number)) {
    if (*whole > std::numeric_limits<std::uint64_t>::max() / unit) return std::nullopt;
    return *whole * unit;
  }
  const std::optional<double> decimal = ParseDecimal(number);
  if (!decimal) return std::nullopt;
  const double bytes = std::round(*decimal * static_cast<double>(unit));
  if (!(bytes < kTooMany)) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace

std::optional<std::uint64_t> ParseLagSize(std::string_view text) {
  text = Trim(text);
  const std::size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return ParseUint64(text);
  const std::optional<std::uint64_t> unit = BytesOf(Trim(text.substr(end)));
  if (!unit) return std::nullopt;
  return Multiply(text.substr(0, end), *unit);
}

}  // namespace pg_status
