// HAProxy agent replies: one line, at most 255 bytes, with exactly one word of health. A reply
// that says "up" also says "ready", because only the agent can undo a "drain" or "maint" that it
// gave before; and it gives a weight for the same reason. Text from the client is never repeated.
// Knows nothing of how lag is measured.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "answer/check.hpp"
#include "answer/health.hpp"
#include "answer/lag_size.hpp"
#include "answer/standing.hpp"
#include "base/fixed_text.hpp"
#include "base/number.hpp"
#include "config/orders.hpp"

namespace pg_status {
namespace {

enum class Wanted : std::uint8_t { kPrimary, kReplica, kAny };

// How to say no: as a failure, or as the will of an operator.
enum class Refusal : std::uint8_t { kDown, kDrain, kMaint };

template <typename T>
struct Word {
  std::string_view word;
  T value;
};

constexpr Word<Wanted> kRoles[] = {
    {"primary", Wanted::kPrimary}, {"replica", Wanted::kReplica}, {"any", Wanted::kAny}};
constexpr Word<Refusal> kRefusals[] = {
    {"down", Refusal::kDown}, {"drain", Refusal::kDrain}, {"maint", Refusal::kMaint}};

// What an agent command asks for. Sending writes to a standby is worse than sending reads to the
// primary, so who does not say which role means the primary.
struct AgentWish {
  Wanted role = Wanted::kPrimary;
  Refusal refusal = Refusal::kDown;
  std::optional<std::uint64_t> limit_bytes;
  std::optional<std::uint64_t> soft_bytes;  // up to here the full weight; nullopt: limit / 10
  std::optional<std::uint64_t> primary_weight;
};

// ---- the command ------------------------------------------------------------------------------

// Each reader is true when the parameter is absent or right.
template <typename T, std::size_t N>
bool ReadWord(const Request& command, std::string_view name, const Word<T> (&words)[N], T& to) {
  const std::optional<std::string_view> text = command.Parameter(name);
  if (!text) return true;
  const auto* const found = std::find_if(std::begin(words), std::end(words),
                                         [&](const Word<T>& known) { return known.word == *text; });
  if (found == std::end(words)) return false;
  to = found->value;
  return true;
}

bool ReadSize(const Request& command, std::string_view name, std::optional<std::uint64_t>& to) {
  const std::optional<std::string_view> text = command.Parameter(name);
  if (text) to = ParseLagSize(*text);
  return !text || to.has_value();
}

bool ReadWeight(const Request& command, std::string_view name, std::optional<std::uint64_t>& to) {
  const std::optional<std::string_view> text = command.Parameter(name);
  if (text) to = ParseUint64(*text);
  return !text || (to && *to >= 1 && *to <= 100);
}

// "" or the first parameter that is wrong.
std::string_view ReadWish(const Request& command, AgentWish& wish) {
  if (!ReadWord(command, "role", kRoles, wish.role)) return "role";
  if (!ReadSize(command, "lag", wish.limit_bytes)) return "lag";
  if (!ReadSize(command, "soft", wish.soft_bytes)) return "soft";
  if (!ReadWord(command, "down", kRefusals, wish.refusal)) return "down";
  if (!ReadWeight(command, "primary_weight", wish.primary_weight)) return "primary_weight";
  return {};
}

// ---- the reply --------------------------------------------------------------------------------

std::string Ready(std::uint64_t percent) { return fmt::format("up ready {}%\n", percent); }

std::string Refuse(Refusal refusal, std::string_view why) {
  switch (refusal) {
    case Refusal::kDrain:
      return "up drain\n";
    case Refusal::kMaint:
      return fmt::format("up maint # {}\n", why);
    case Refusal::kDown:
      break;
  }
  return fmt::format("down # {}\n", why);
}

std::string LagText(std::uint64_t lag_bytes, std::uint64_t limit_bytes) {
  return fmt::format("lag {} > {}", lag_bytes, limit_bytes);
}

// Falls from 100 at `soft` to the least at the limit; in steps, because each change makes HAProxy
// set its weights anew. Never 0, which would drain a server that is within its limit.
std::uint64_t WeightAt(std::uint64_t lag, std::uint64_t soft, std::uint64_t limit) {
  constexpr std::uint64_t kStep = 5;
  constexpr double kSteps = 100.0 / kStep;
  if (lag <= soft) return 100;
  const double share = static_cast<double>(limit - lag) / static_cast<double>(limit - soft);
  return std::max(kStep, kStep * static_cast<std::uint64_t>(std::lround(share * kSteps)));
}

std::string ReplyOfPrimary(const AgentWish& wish) {
  if (wish.role == Wanted::kPrimary) return Ready(100);
  if (wish.primary_weight) return Ready(*wish.primary_weight);
  return wish.role == Wanted::kAny ? Ready(100) : Refuse(wish.refusal, "primary");
}

std::string ReplyOfReplica(const World& world, const AgentWish& wish) {
  if (wish.role == Wanted::kPrimary) return Refuse(wish.refusal, "replica");
  if (HasDiverged(world)) return Refuse(wish.refusal, TextOf(Complaint::kDiverged));
  if (!wish.limit_bytes) return Ready(100);
  const std::uint64_t limit = *wish.limit_bytes;
  const std::optional<std::uint64_t> lag = LagBehindLeader(world, world.node.replayed);
  if (!lag) return Refuse(wish.refusal, "lag unknown");
  if (*lag > limit) return Refuse(wish.refusal, LagText(*lag, limit));
  return Ready(WeightAt(*lag, wish.soft_bytes.value_or(limit / 10), limit));
}

// In the operator's own words. HAProxy takes "maint" and "drain" back only when it is told "ready",
// which every other reply that says "up" does.
std::string ReplyInMaintenance(const PgstOrder& order) {
  const std::string_view reason = FixedText(order.reason);
  return fmt::format("up {} # {}\n", MaintenanceWord(order.maintenance),
                     reason.empty() ? "maintenance" : reason);
}

std::string ReplyToAgent(const World& world, const Request& command) {
  AgentWish wish;
  const std::string_view wrong = ReadWish(command, wish);
  if (!wrong.empty()) return fmt::format("fail # Invalid {}\n", wrong);
  const PgstOrder* const order = OwnMaintenance(world);
  switch (world.node.state) {
    case NodeState::kPrimary:
      // Its writes it keeps, unless somebody has insisted; reads can go elsewhere.
      if (order != nullptr && (order->forced != 0 || wish.role != Wanted::kPrimary)) {
        return ReplyInMaintenance(*order);
      }
      return ReplyOfPrimary(wish);
    case NodeState::kStandby:
      if (order != nullptr && wish.role != Wanted::kPrimary) return ReplyInMaintenance(*order);
      return ReplyOfReplica(world, wish);
    case NodeState::kStopping:
      return "stopped # shutting down\n";
    case NodeState::kFenced:
      return Refuse(wish.refusal, "fenced");
    case NodeState::kStarting:
      break;
  }
  return "down # starting\n";
}

// Any other path: yes or no as its code says, and why not.
std::string ReplyToPath(const World& world, const Request& command) {
  const Finding finding = Examine(world, command);
  if (finding.code() == 200) return Ready(100);
  if (finding.code() != 503) return fmt::format("fail # {}\n", TextOf(finding.complaint));
  if (finding.complaint == Complaint::kLagging) {
    return Refuse(Refusal::kDown, LagText(finding.lag_bytes, finding.limit_bytes));
  }
  const PgstOrder* const order = OwnMaintenance(world);
  if (finding.complaint == Complaint::kMaintenance && order != nullptr) {
    return ReplyInMaintenance(*order);
  }
  const bool stopping = finding.complaint == Complaint::kStopping;
  return fmt::format("{} # {}\n", stopping ? "stopped" : "down", TextOf(finding.complaint));
}

}  // namespace

std::string AgentLine(const World& world, const Request& command) {
  const bool is_agent = command.path_ok && command.path == "/agent";
  return is_agent ? ReplyToAgent(world, command) : ReplyToPath(world, command);
}

}  // namespace pg_status
