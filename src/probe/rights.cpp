// Rights of the role that asks; see rights.hpp.

#include "probe/rights.hpp"

#include <iterator>
#include <string_view>

namespace pg_status {
namespace {

struct Object {
  Right right;
  bool is_function;
  std::string_view name;  // in pg_catalog
};

// The functions of a view are called in the name of who asks the view.
constexpr Object kObjects[] = {
    {Right::kControlSystem, true, "pg_control_system()"},
    {Right::kControlCheckpoint, true, "pg_control_checkpoint()"},
    {Right::kControlRecovery, true, "pg_control_recovery()"},
    {Right::kWalFile, true, "pg_walfile_name(pg_catalog.pg_lsn)"},
    {Right::kReceiveLsn, true, "pg_last_wal_receive_lsn()"},
    {Right::kReplayTime, true, "pg_last_xact_replay_timestamp()"},
    {Right::kReplayPause, true, "pg_is_wal_replay_paused()"},
    {Right::kStart, true, "pg_postmaster_start_time()"},
    {Right::kClock, true, "clock_timestamp()"},
    {Right::kSeconds, true, "date_part(pg_catalog.text, timestamp with time zone)"},
    {Right::kSetting, true, "current_setting(pg_catalog.text, boolean)"},
    {Right::kProcess, true, "pg_backend_pid()"},
    {Right::kAsker, true, "inet_client_addr()"},
    {Right::kReceiver, false, "pg_stat_wal_receiver"},
    {Right::kReceiver, true, "pg_stat_get_wal_receiver()"},
    {Right::kSenders, false, "pg_stat_replication"},
    {Right::kSenders, true, "pg_stat_get_wal_senders()"},
    {Right::kSenders, true, "pg_stat_get_activity(integer)"},
    {Right::kSenders, true, "row_number()"},
    {Right::kSlots, false, "pg_replication_slots"},
    {Right::kSlots, true, "pg_get_replication_slots()"},
    {Right::kRecovery, false, "pg_stat_recovery"},  // the last one, as not everybody has it
};
constexpr std::size_t kObjectCount = std::size(kObjects);

// A role's name as SQL wants it.
std::string Identifier(std::string_view name) {
  const bool plain =
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos &&
      !name.empty() && (name.front() < '0' || name.front() > '9');
  if (plain) return std::string(name);
  std::string quoted = "\"";
  for (const char letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool shown = byte >= 0x20 && byte != 0x7F;  // it becomes a line of our log
    quoted.append(letter == '"' ? 2 : 1, shown ? letter : '?');
  }
  return quoted + '"';
}

// One statement for those that are missing, of a kind; "" when none is.
std::string Grant(const bool (&missing)[kObjectCount], bool functions, const std::string& role) {
  std::string names;
  for (std::size_t i = 0; i < kObjectCount; ++i) {
    if (!missing[i] || kObjects[i].is_function != functions) continue;
    if (!names.empty()) names += ", ";
    names.append("pg_catalog.").append(kObjects[i].name);
  }
  if (names.empty()) return "";
  return (functions ? "GRANT EXECUTE ON FUNCTION " : "GRANT SELECT ON ") + names + " TO " + role +
         ";";
}

}  // namespace

std::string RightsQuery(bool asks_recovery) {
  std::string query = "SELECT current_user";
  for (const Object& object : kObjects) {
    if (object.right == Right::kRecovery && !asks_recovery) continue;
    query.append(object.is_function ? ",pg_catalog.has_function_privilege('pg_catalog."
                                    : ",pg_catalog.has_table_privilege('pg_catalog.");
    query.append(object.name).append(object.is_function ? "','EXECUTE')" : "','SELECT')");
  }
  return query;
}

Rights ReadRights(const Rows& rows) {
  Rights rights;
  bool missing[kObjectCount] = {};
  for (std::size_t i = 0; i < kObjectCount; ++i) {
    const bool asked = kObjects[i].right != Right::kRecovery || rows.columns() > kObjectCount;
    missing[i] = asked && rows.Cell(0, i + 1) != "t";
    if (missing[i]) rights.missing.set(static_cast<std::size_t>(kObjects[i].right));
  }
  constexpr std::size_t kLongestName = 63;
  const std::string role = Identifier(rows.Cell(0, 0).value_or("").substr(0, kLongestName));
  rights.grants = Grant(missing, true, role);
  const std::string views = Grant(missing, false, role);
  if (!views.empty()) rights.grants.append(rights.grants.empty() ? "" : " ").append(views);
  return rights;
}

Rights NoRights(const std::string& error) {
  Rights rights;
  rights.missing.set();
  rights.grants = "GRANT what this takes to the role that pg_status connects as: " + error;
  return rights;
}

}  // namespace pg_status
