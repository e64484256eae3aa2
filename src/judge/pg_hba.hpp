// What is missing in the pg_hba.conf of a server that does not let us in. Private to judge/.
#pragma once

#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// The line to add, from the server's complaint that it has no entry for us; "" when it complains of
// something else, or not in these words. In the peer's text anything may stand: what is no plain
// word is not repeated.
std::string MissingPgHbaLine(std::string_view error);

}  // namespace pg_status
