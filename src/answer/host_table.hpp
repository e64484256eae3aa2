// The hosts as a table for people at a terminal: aligned columns, one line for each host. Not for
// programs, which have JSON; knows nothing of HTTP.
#pragma once

#include <string>

#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// Appends a line of headings and one for each host. What is not known is "?", what there is none of
// is "-". fresh: whether the snapshot may be believed; if not, only names and what operators
// ordered are told.
void AppendHostTable(const PgstSnapshot& snapshot, bool fresh, std::string& out);

}  // namespace pg_status
