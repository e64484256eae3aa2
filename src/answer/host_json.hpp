// Hosts as JSON: the name of one, all that is known of one, and the whole list. Knows the keys and
// when a value is null; nothing of HTTP, paths or how a host was chosen.
//
// last_error is never written: it may show addresses, and these ports answer to anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// How many of snapshot.hosts may be looked at.
std::uint32_t HostCount(const PgstSnapshot& snapshot);

// The name as configured; never reads beyond the array, even if nothing ends the text.
std::string_view HostName(const PgstHost& host);

// "primary", "standby" or "unknown", for a PgstRole.
std::string_view RoleWord(std::uint8_t role);

// "up", "suspect", "down" or "unknown", for a PgstState.
std::string_view LivenessWord(std::uint8_t state);

// Whether it is a live standby whose history is not the primary's.
bool IsDiverged(const PgstHost& host);

// The same for a host; "maintenance" where an operator wants it so, whatever was found out, and
// "diverged" instead of "up" and "suspect" where it is.
std::string_view StateWord(const PgstHost& host);

// How long ago, in milliseconds; nullopt: it never happened, or the time is not known. The wall
// clock may have been set back in between; nothing is younger than new.
std::optional<std::uint64_t> AgeMs(WallUs then, WallUs now);

// Appends {"host":"a","dc":"x","geo":null}, where null is what was not configured.
void AppendNamedHost(const PgstHost& host, std::string& out);

// The same for when there is no host to name.
inline constexpr std::string_view kNobodyJson = R"({"host":null,"dc":null,"geo":null})";

// Appends the object of one host without its name. `answer_wall`: the moment that ages are counted
// up to, on the clock of the snapshot (AnswerWall() of standing.hpp); 0 unknown.
void AppendHostStatus(const PgstHost& host, WallUs answer_wall, std::string& out);

// Appends the array of all hosts in configured order, each with its name as the first key.
void AppendHostList(const PgstSnapshot& snapshot, WallUs answer_wall, std::string& out);

}  // namespace pg_status
