// The question every host is asked, and its answer turned into facts. Pure.
#pragma once

#include <string>

#include "base/result.hpp"
#include "probe/link.hpp"
#include "probe/observation.hpp"
#include "probe/rights.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// One statement, one round trip; runs on PostgreSQL 12 to 19, on primaries and standbys, for any
// role that can log in, without the parts that it has no right to. Every function and view is
// qualified with pg_catalog, so that no search_path can redirect it; it sets nothing.
//
// asks_recovery: with what pg_stat_recovery tells of a standby, which is there from
// kRecoveryViewFrom on.
std::string ProbeQuery(bool asks_recovery = false, const Rights& rights = {});

inline constexpr int kRecoveryViewFrom = 190000;

// Facts from the rows of ProbeQuery's answer with these rights, or what is wrong with them. Text
// from the peer is hostile: numbers are checked, texts are cut, more rows than kMaxSenders are left
// out.
Result<Facts> ParseReply(const Rows& rows, int server_version, const Rights& rights = {});

// The session of the peer that gave the answer, as Link::session() tells that of a connection; ""
// when it is none of ours.
std::string AnsweringSession(const Rows& rows);

inline constexpr std::size_t kMaxSenders = 1000;

}  // namespace pg_status
