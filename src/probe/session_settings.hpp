// What our sessions set for themselves, so that no default of the server, the database or the role
// changes what a probe is told, or ends it. Pure.
//
// A session that is ours alone gets all of it with the startup packet (`options`), before anything
// is asked. Behind a pooler that keeps `options` away from the server it is said with each question
// and holds for that question only: the session belongs to others, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// The setting that tells one session of ours from all others. No server defines it, and every
// server takes it.
inline constexpr std::string_view kMarkSetting = "pg_status_session.mark";

// The first version that may end a login by a setting that we can set.
inline constexpr int kHasTransactionTimeout = 170000;

// For `options` of the startup packet: `theirs` as it is, then ours, which win. server_version:
// that of the server as far as it is known (PG_VERSION_NUM form); 0: only what every supported one
// knows.
std::string SessionOptions(std::string_view theirs, std::int64_t statement_timeout_ms,
                           int server_version, std::string_view mark);

// Statements that go before a question in the same message, each with its semicolon. They end with
// the message, and so does what they set. `count` of them.
struct Statements {
  std::string text;
  std::size_t count = 0;
};
Statements QuestionSettings(std::int64_t statement_timeout_ms, int server_version);

// Statements for a session that is ours: what SessionOptions left out because it was told another
// version.
Statements LateSettings(int told_version, int server_version);

}  // namespace pg_status
