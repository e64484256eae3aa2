// Our sessions' own settings; see session_settings.hpp.

#include "probe/session_settings.hpp"

#include <cstddef>

namespace pg_status {
namespace {

struct Setting {
  std::string_view name;
  std::string_view value;  // "" is the time that one question may take
  int since = 0;           // the first version that has it, as far as some supported one has not
};

// The isolation level is not among them: by itself it has another name for a single question.
constexpr std::string_view kIsolation = "default_transaction_isolation";

// What a probe's answer, or its end, depends on. Text comes as it is stored: client_encoding goes
// with the startup packet, where every pooler takes it. Times are floating-point seconds, of which
// all digits are wanted. Nothing else of the answer depends on how a session prints.
constexpr Setting kSettings[] = {
    {"statement_timeout", "", 0},
    {"lock_timeout", "0", 0},
    {"idle_in_transaction_session_timeout", "0", 0},
    {"idle_session_timeout", "0", 140000},
    {"transaction_timeout", "0", kHasTransactionTimeout},
    {"extra_float_digits", "1", 0},
    {"jit", "off", 0},
    {"max_parallel_workers_per_gather", "0", 0},
    {"exit_on_error", "off", 0},
    {"client_min_messages", "warning", 0},  // of what a server warns at the login is told
};

// What only a new transaction or a resting session looks at.
bool MattersForOneQuestion(const Setting& setting) { return setting.name.rfind("idle_", 0) != 0; }

std::string ValueOf(const Setting& setting, std::int64_t statement_timeout_ms) {
  return setting.value.empty() ? std::to_string(statement_timeout_ms) : std::string(setting.value);
}

bool Knows(int server_version, const Setting& setting) { return server_version >= setting.since; }

void Add(Statements& statements, std::string_view text) {
  statements.text.append(text).append("; ");
  ++statements.count;
}

}  // namespace

std::string SessionOptions(std::string_view theirs, std::int64_t statement_timeout_ms,
                           int server_version, std::string_view mark) {
  std::string options(theirs);
  const auto add = [&options](std::string_view name, std::string_view value) {
    options.append(options.empty() ? "-c " : " -c ").append(name).append("=").append(value);
  };
  add(kIsolation, "read\\ committed");
  add("default_transaction_read_only", "off");
  add("default_transaction_deferrable", "off");
  for (const Setting& setting : kSettings) {
    if (Knows(server_version, setting)) add(setting.name, ValueOf(setting, statement_timeout_ms));
  }
  add(kMarkSetting, mark);
  return options;
}

Statements QuestionSettings(std::int64_t statement_timeout_ms, int server_version) {
  Statements statements;
  Add(statements, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE");
  for (const Setting& setting : kSettings) {
    if (!Knows(server_version, setting) || !MattersForOneQuestion(setting)) continue;
    Add(statements,
        "SET LOCAL " + std::string(setting.name) + " = " + ValueOf(setting, statement_timeout_ms));
  }
  return statements;
}

Statements LateSettings(int told_version, int server_version) {
  Statements statements;
  for (const Setting& setting : kSettings) {
    if (!Knows(server_version, setting) || Knows(told_version, setting)) continue;
    Add(statements, "SET " + std::string(setting.name) + " = " + std::string(setting.value));
  }
  return statements;
}

}  // namespace pg_status
