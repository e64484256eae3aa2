// A line for the server's log, as data: the core never logs, it hands lines back to be reported.
#pragma once

#include <cstdint>
#include <string>

#include "base/cpp_only.hpp"

namespace pg_status {

// One line of log for people. kInfo becomes LOG, kWarning WARNING.
struct LogLine {
  enum class Level : std::uint8_t { kInfo, kWarning };
  Level level = Level::kInfo;
  std::string message;  // short, lower case, no period; names the host in double quotes
  std::string detail;   // full sentences, or ""
  std::string hint;     // full sentences, or ""
};

}  // namespace pg_status
