// Reading parameters; see parameters.hpp.
#include "answer/parameters.hpp"

#include "base/clock.hpp"
#include "base/number.hpp"

namespace pg_status {
namespace {

constexpr double kMaxWaitSeconds = 300;

// False: there is such a parameter, and it is not within its range, or no number.
bool ReadSeconds(const Request& request, std::string_view name, std::optional<double>& to) {
  const std::optional<std::string_view> text = request.Parameter(name);
  if (!text) return true;
  to = ParseDecimal(*text);
  return to && *to <= kMaxWaitSeconds;
}

}  // namespace

bool ReadNumber(const Request& request, std::string_view name, std::optional<std::uint64_t>& to) {
  const std::optional<std::string_view> text = request.Parameter(name);
  if (!text) return true;
  to = ParseUint64(*text);
  return to.has_value();
}

Waiting ReadWaiting(const Request& request, std::uint64_t generation) {
  Waiting waiting;
  std::optional<double> wait;
  if (!ReadSeconds(request, "wait", wait)) {
    waiting.fault = Waiting::Fault::kWait;
    return waiting;
  }
  const bool is_number = ReadNumber(request, "generation", waiting.generation);
  if (!is_number || (wait && !waiting.generation)) {
    waiting.fault = Waiting::Fault::kGeneration;
    return waiting;
  }
  if (!wait || *waiting.generation != generation) return waiting;
  const auto wait_us = static_cast<std::int64_t>(*wait * static_cast<double>(kUsPerSecond));
  if (wait_us > 0) waiting.patience = Patience{generation, wait_us};
  return waiting;
}

}  // namespace pg_status
