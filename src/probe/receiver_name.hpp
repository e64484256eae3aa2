// The application_name of a WAL receiver, from what PostgreSQL keeps of its connection. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// PostgreSQL cuts an application_name there (NAMEDATALEN - 1).
inline constexpr std::size_t kMaxApplicationName = 63;

// `conninfo`: of the receiver's connection, as PostgreSQL shows it in pg_stat_wal_receiver: all
// options that are in force as keyword=value, in libpq's order, with blanks between them, secrets
// replaced, nothing quoted. `fallback`: the fallback_application_name that PostgreSQL gives a
// receiver. nullopt when the name cannot be told for certain: the text was cut short, or a value
// looks like an option.
std::optional<std::string> ReceiverName(std::string_view conninfo, std::string_view fallback);

}  // namespace pg_status
