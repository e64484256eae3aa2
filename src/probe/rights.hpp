// What a role may not read of a server, asked once there is a reason to: a hardened server takes
// SELECT on its views, or EXECUTE on its functions, from PUBLIC. Pure.
//
// A right stands for all that one part of the probe's question takes. A part that may not be asked
// is left out of it; only whether the server is in recovery, and a position, cannot be done
// without.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>

#include "probe/link.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class Right : std::uint8_t {
  kControlSystem,      // pg_control_system()
  kControlCheckpoint,  // pg_control_checkpoint()
  kControlRecovery,    // pg_control_recovery()
  kWalFile,            // pg_walfile_name()
  kReceiveLsn,         // pg_last_wal_receive_lsn()
  kReplayTime,         // pg_last_xact_replay_timestamp()
  kReplayPause,        // pg_is_wal_replay_paused()
  kStart,              // pg_postmaster_start_time()
  kClock,              // clock_timestamp()
  kSeconds,            // date_part(), of all times
  kSetting,            // current_setting()
  kProcess,            // pg_backend_pid()
  kAsker,              // inet_client_addr()
  kReceiver,           // pg_stat_wal_receiver
  kSenders,            // pg_stat_replication
  kSlots,              // pg_replication_slots, for the walsenders'
  kRecovery,           // pg_stat_recovery, of a server that has it
};
inline constexpr std::size_t kRights = static_cast<std::size_t>(Right::kRecovery) + 1;

struct Rights {
  std::bitset<kRights> missing;
  std::string grants;  // the statements that would help; "" when nothing is missing

  bool Lacks(Right right) const { return missing[static_cast<std::size_t>(right)]; }
};

// One statement that asks which of them the role has, in any database of any supported version.
// asks_recovery: of the last one, too.
std::string RightsQuery(bool asks_recovery = false);

// From its answer. What makes no sense there is a right that is missing.
Rights ReadRights(const Rows& rows);

// Of a role that may not even ask, or of which this denial cannot be explained: nothing that can be
// done without. error: what the server says.
Rights NoRights(const std::string& error);

}  // namespace pg_status
