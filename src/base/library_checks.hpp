// What the checks of header-only libraries do when they fail: they throw, and the wall catches it.
// As delivered they end the process, and with a worker ends the server. The build includes this
// before everything else (Makefile).
#pragma once

#include <stdexcept>

#include "base/cpp_only.hpp"

namespace pg_status {

[[noreturn]] inline void FailLibraryCheck(const char* what) { throw std::logic_error(what); }

}  // namespace pg_status

#define RAPIDJSON_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : pg_status::FailLibraryCheck("RapidJSON: " #condition))
#define FMT_ASSERT(condition, message) \
  ((condition) ? static_cast<void>(0) : pg_status::FailLibraryCheck("fmt: " #condition))
