// Operators' orders as text, to be kept in a file over a restart. Pure: no I/O, no clock.
//
//   line = ("maint" / "drain") SP ("here" / "there") SP ("plain" / "forced") SP since SP host SP
//          hostname SP port [SP reason] LF
//
// "here" is this very server; since is in microseconds since 1970. Neither names nor places have
// blanks; the reason is the rest of the line. Weights are not kept: they hold until the server is
// restarted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/order.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// "maint" or "drain", for a PgstMaintenance; "" in service.
std::string_view MaintenanceWord(std::uint8_t maintenance);

// The line of an order of maintenance; "" for one of weight alone.
std::string WriteOrder(const PgstOrder& order);

// The orders of a whole text. An error (one sentence) names the first line that is none, or says
// that there are more than `max`. Of two orders for one host the text is damaged, too.
Result<std::vector<PgstOrder>> ParseOrders(std::string_view text, std::size_t max);

// Whether the order is meant for this entry: the one of its name, or of its place, for who writes
// the list anew may call a host by another name.
bool IsFor(const PgstOrder& order, std::string_view name, std::string_view hostname, int port);

}  // namespace pg_status
