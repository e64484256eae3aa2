// WAL positions from and to text. Knows nothing of timelines, hosts or lag.
#include "base/lsn.hpp"

#include <charconv>
#include <system_error>

#include <fmt/format.h>

namespace pg_status {
namespace {

constexpr std::size_t kMaxHalfDigits = 8;

std::optional<std::uint32_t> ParseHalf(std::string_view text) {
  if (text.empty() || text.size() > kMaxHalfDigits) return std::nullopt;
  std::uint32_t half = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, half, 16);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return half;
}

}  // namespace

std::optional<Lsn> ParseLsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint32_t> high = ParseHalf(text.substr(0, slash));
  const std::optional<std::uint32_t> low = ParseHalf(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return (Lsn{*high} << 32) | *low;
}

std::string FormatLsn(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xFFFFFFFFu); }

}  // namespace pg_status
