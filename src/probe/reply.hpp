// The question every host is asked, and its answer turned into facts. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "probe/link.hpp"
#include "probe/observation.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// One statement, one round trip; runs on PostgreSQL 13 to 18, on primaries and standbys, for any
// role that can log in. Every function and view is qualified with pg_catalog, so that no
// search_path can redirect it; it sets nothing.
std::string_view ProbeQuery();

// Facts from the rows of ProbeQuery's answer, or what is wrong with them. Text from the peer is
// hostile: numbers are checked, texts are cut, more rows than kMaxSenders are left out.
Result<Facts> ParseReply(const Rows& rows, int server_version);

// The process of the peer that gave the answer; nullopt when it does not say.
std::optional<int> AnsweringProcess(const Rows& rows);

inline constexpr std::size_t kMaxSenders = 1000;

}  // namespace pg_status
