// HAProxy agent replies: one line, at most 255 bytes, with exactly one word of health.
//
// HAProxy's operator is master of HAProxy: what he sets there (maint, drain, a weight) is not
// undone. So "ready", which would, is said only to take back an order that was given from here, by
// an operator of this server or because the command asks for it (down=drain, down=maint); and a
// weight only where the command asks for one. There each yes has one, as HAProxy keeps the last.
//
// Text from the client is never repeated. Knows nothing of how lag is measured.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "answer/agent_memory.hpp"
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
  std::optional<std::uint64_t> weight;      // the full one, in percent; nullopt: 100
  std::optional<std::uint64_t> primary_weight;

  // Once some replies have a weight, each yes must have one: HAProxy keeps the last it was given.
  bool wants_weight() const { return weight || soft_bytes || primary_weight; }
  std::uint64_t full_weight() const { return weight.value_or(100); }
};

// What is to be said: a yes, to which "ready" and a weight may be added, or a whole line.
struct Reply {
  bool yes = false;
  std::optional<std::uint64_t> weight;  // of a yes, in percent
  bool orders = false;                  // it says "drain" or "maint"
  std::string line;
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
  if (!ReadWeight(command, "weight", wish.weight)) return "weight";
  if (!ReadWeight(command, "primary_weight", wish.primary_weight)) return "primary_weight";
  return {};
}

// ---- the reply --------------------------------------------------------------------------------

Reply Yes() {
  Reply reply;
  reply.yes = true;
  return reply;
}

Reply Yes(const AgentWish& wish, std::uint64_t percent) {
  Reply reply = Yes();
  if (wish.wants_weight()) reply.weight = percent;
  return reply;
}

Reply Line(std::string line) {
  Reply reply;
  reply.line = std::move(line);
  return reply;
}

Reply Order(std::string line) {
  Reply reply = Line(std::move(line));
  reply.orders = true;
  return reply;
}

Reply Refuse(Refusal refusal, std::string_view why) {
  switch (refusal) {
    case Refusal::kDrain:
      return Order("up drain\n");
    case Refusal::kMaint:
      return Order(fmt::format("up maint # {}\n", why));
    case Refusal::kDown:
      break;
  }
  return Line(fmt::format("down # {}\n", why));
}

// Without a ">", which HAProxy's log prints as "<3E>".
std::string LagText(std::uint64_t lag_bytes, std::uint64_t limit_bytes) {
  return fmt::format("lag {} over {}", lag_bytes, limit_bytes);
}

// Falls from `full` at `soft` to the least at the limit; in steps, because each change makes
// HAProxy set its weights anew. Never 0, which would drain a server that is within its limit.
std::uint64_t WeightAt(std::uint64_t lag, std::uint64_t soft, std::uint64_t limit,
                       std::uint64_t full) {
  constexpr std::uint64_t kStep = 5;
  if (lag <= soft) return full;
  const double share = static_cast<double>(limit - lag) / static_cast<double>(limit - soft);
  const double steps = share * static_cast<double>(full) / kStep;
  return std::clamp(kStep * static_cast<std::uint64_t>(std::lround(steps)), std::min(kStep, full),
                    full);
}

Reply ReplyOfPrimary(const AgentWish& wish) {
  if (wish.role == Wanted::kPrimary) return Yes(wish, wish.full_weight());
  if (wish.primary_weight) return Yes(wish, *wish.primary_weight);
  return wish.role == Wanted::kAny ? Yes(wish, wish.full_weight())
                                   : Refuse(wish.refusal, "primary");
}

Reply ReplyOfReplica(const World& world, const AgentWish& wish) {
  if (wish.role == Wanted::kPrimary) return Refuse(wish.refusal, "replica");
  if (HasDiverged(world)) return Refuse(wish.refusal, TextOf(Complaint::kDiverged));
  if (!wish.limit_bytes) return Yes(wish, wish.full_weight());
  const std::uint64_t limit = *wish.limit_bytes;
  const std::optional<std::uint64_t> lag = LagBehindLeader(world, world.node.replayed);
  if (!lag) return Refuse(wish.refusal, "lag unknown");
  if (*lag > limit) return Refuse(wish.refusal, LagText(*lag, limit));
  const std::uint64_t soft = wish.soft_bytes.value_or(limit / 10);
  return Yes(wish, WeightAt(*lag, soft, limit, wish.full_weight()));
}

// In the operator's own words.
Reply ReplyInMaintenance(const PgstOrder& order) {
  const std::string_view reason = FixedText(order.reason);
  return Order(fmt::format("up {} # {}\n", MaintenanceWord(order.maintenance),
                           reason.empty() ? "maintenance" : reason));
}

Reply ReplyToAgent(const World& world, const AgentWish& wish) {
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
      return Line("stopped # shutting down\n");
    case NodeState::kFenced:
      return Refuse(wish.refusal, "fenced");
    case NodeState::kStarting:
      break;
  }
  return Line("down # starting\n");
}

// Any other path: yes or no as its code says, and why not.
Reply ReplyToPath(const World& world, const Request& command) {
  const Finding finding = Examine(world, command);
  if (finding.code() == 200) return Yes();
  if (finding.code() != 503) return Line(fmt::format("fail # {}\n", TextOf(finding.complaint)));
  if (finding.complaint == Complaint::kLagging) {
    return Refuse(Refusal::kDown, LagText(finding.lag_bytes, finding.limit_bytes));
  }
  const PgstOrder* const order = OwnMaintenance(world);
  if (finding.complaint == Complaint::kMaintenance && order != nullptr) {
    return ReplyInMaintenance(*order);
  }
  const bool stopping = finding.complaint == Complaint::kStopping;
  return Line(fmt::format("{} # {}\n", stopping ? "stopped" : "down", TextOf(finding.complaint)));
}

std::string LineOfYes(const Reply& reply, bool takes_back) {
  std::string line = takes_back ? "up ready" : "up";
  if (reply.weight) line += fmt::format(" {}%", *reply.weight);
  line += '\n';
  return line;
}

}  // namespace

std::string AgentLine(const World& world, const Request& command, AgentMemory& memory) {
  AgentWish wish;
  Reply reply;
  if (!command.path_ok || command.path != "/agent") {
    reply = ReplyToPath(world, command);
  } else if (const std::string_view wrong = ReadWish(command, wish); !wrong.empty()) {
    reply = Line(fmt::format("fail # Invalid {}\n", wrong));
  } else {
    reply = ReplyToAgent(world, wish);
  }
  if (reply.orders) memory.Ordered(world.asker, command, world.now);
  if (!reply.yes) return reply.line;
  // Of an order of before a restart its end may be known, or that there may have been one.
  const std::optional<std::int64_t> since = SinceOwnMaintenance(world);
  const bool may_order =
      wish.refusal != Refusal::kDown || (since && *since < AgentMemory::kUncertainUs);
  const bool remembered = memory.TakesBack(world.asker, command, may_order, world.now);
  return LineOfYes(reply, remembered || (since && *since < AgentMemory::kTakeBackUs));
}

}  // namespace pg_status
