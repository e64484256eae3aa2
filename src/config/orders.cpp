// Operators' orders as text; see orders.hpp. Knows nothing of files, nor of which hosts there are.
#include "config/orders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/fixed_text.hpp"
#include "base/number.hpp"
#include "config/hosts.hpp"

namespace pg_status {
namespace {

static_assert(PGST_ORDER_NAME_SIZE == kMaxNameBytes + 1);
static_assert(PGST_ORDER_HOSTNAME_SIZE == kMaxHostnameBytes + 1);

constexpr std::string_view kMaint = "maint";
constexpr std::string_view kDrain = "drain";
constexpr std::string_view kHere = "here";
constexpr std::string_view kThere = "there";
constexpr std::string_view kForced = "forced";
constexpr std::string_view kPlain = "plain";

// Takes off the text what stands before the first `end`, and that itself; all of it where there is
// none.
std::string_view TakeUntil(char end, std::string_view& text) {
  const std::size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

// True or false for the first and the second word; nullopt for any other.
std::optional<bool> EitherWord(std::string_view word, std::string_view yes, std::string_view no) {
  if (word == yes) return true;
  if (word == no) return false;
  return std::nullopt;
}

// What is kept is what was written: a text that would be cut or changed was not written by us.
template <std::size_t N>
bool CopyWhole(std::string_view text, char (&to)[N]) {
  CopyFixedText(to, text);
  return FixedText(to) == text;
}

std::optional<PgstOrder> ParseOrder(std::string_view line) {
  PgstOrder order{};
  const std::optional<bool> drain = EitherWord(TakeUntil(' ', line), kDrain, kMaint);
  const std::optional<bool> here = EitherWord(TakeUntil(' ', line), kHere, kThere);
  const std::optional<bool> forced = EitherWord(TakeUntil(' ', line), kForced, kPlain);
  const std::optional<std::uint64_t> since = ParseUint64(TakeUntil(' ', line));
  const std::string_view host = TakeUntil(' ', line);
  const std::string_view hostname = TakeUntil(' ', line);
  const std::optional<std::uint64_t> port = ParseUint64(TakeUntil(' ', line));
  constexpr auto kLatest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!drain || !here || !forced || !since || *since > kLatest || host.empty()) return std::nullopt;
  if (hostname.empty() || !port || *port > 65535) return std::nullopt;
  if (!CopyWhole(host, order.host) || !CopyWhole(hostname, order.hostname) ||
      !CopyWhole(line, order.reason)) {
    return std::nullopt;
  }
  order.port = static_cast<std::int32_t>(*port);
  order.maintenance = *drain ? PGST_DRAIN : PGST_MAINT;
  order.self = *here ? 1 : 0;
  order.forced = *forced ? 1 : 0;
  order.since_wall = static_cast<std::int64_t>(*since);
  return order;
}

}  // namespace

std::string_view MaintenanceWord(std::uint8_t maintenance) {
  if (maintenance == PGST_IN_SERVICE) return {};
  return maintenance == PGST_DRAIN ? kDrain : kMaint;
}

std::string WriteOrder(const PgstOrder& order) {
  if (order.maintenance == PGST_IN_SERVICE) return {};
  const std::string_view reason = FixedText(order.reason);
  return fmt::format("{} {} {} {} {} {} {}{}{}\n", MaintenanceWord(order.maintenance),
                     order.self != 0 ? kHere : kThere, order.forced != 0 ? kForced : kPlain,
                     std::max<std::int64_t>(order.since_wall, 0), FixedText(order.host),
                     FixedText(order.hostname), order.port, reason.empty() ? "" : " ", reason);
}

bool IsFor(const PgstOrder& order, std::string_view name, std::string_view hostname, int port) {
  return FixedText(order.host) == name ||
         (FixedText(order.hostname) == hostname && order.port == port);
}

Result<std::vector<PgstOrder>> ParseOrders(std::string_view text, std::size_t max) {
  std::vector<PgstOrder> orders;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    if (text.find('\n') == std::string_view::npos) {
      return Error{fmt::format("line {} does not end", number)};
    }
    const std::optional<PgstOrder> order = ParseOrder(TakeUntil('\n', text));
    if (!order) return Error{fmt::format("line {} is no order", number)};
    const bool again = std::any_of(orders.begin(), orders.end(), [&](const PgstOrder& known) {
      return FixedText(known.host) == FixedText(order->host);
    });
    if (again) return Error{fmt::format("line {} is about the same host as another one", number)};
    if (orders.size() == max) return Error{fmt::format("there are more than {} orders", max)};
    orders.push_back(*order);
  }
  return orders;
}

}  // namespace pg_status
