// What one probe of one host found: facts as the host told them, with the times at which they held.
// No opinions here.
//
// Everything a peer says may be missing (an older version, a role without pg_monitor, a standby
// that never streamed), so facts are optional; "unknown" is never written as 0 or "".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/lsn.hpp"
#include "probe/opinions.hpp"
#include "probe/server_facts.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What a walsender sends to, as far as its row can tell.
enum class SenderKind : std::uint8_t {
  kStandby,   // somebody who replays it, or has not told yet what he does
  kReceiver,  // somebody who has taken WAL and not replayed any: an archiver, most likely
  kOther      // a base backup, or a subscriber of logical replication
};

// One row of the peer's pg_stat_replication (PostgreSQL manual, "pg_stat_replication"): somebody
// streams from it.
struct Sender {
  std::string usename;
  std::string application_name;
  std::string client_addr;  // "" over a Unix-domain socket
  std::string state;        // startup, catchup, streaming, backup, stopping
  std::string sync_state;   // async, potential, sync, quorum
  int sync_priority = 0;
  std::optional<std::string> slot;  // that it streams from; "" none; nullopt unknown
  SenderKind kind = SenderKind::kStandby;
};

// The peer's pg_stat_wal_receiver, or what its pg_status tells of the same. Present = a WAL
// receiver process runs.
struct WalReceiver {
  bool details_known = false;  // false: the role may not see the rest (needs pg_monitor)
  bool streaming = false;      // status = 'streaming', or as its pg_status knows better
  std::string sender_host;     // host name, address or socket directory, as in primary_conninfo
  int sender_port = 0;
  std::uint32_t timeline = 0;         // received_tli; 0 unknown
  std::optional<Lsn> latest_end_lsn;  // the sender's newest position as it told it
  int pid = 0;                        // of the process; 0 unknown
  std::string name;  // the application_name that it uses, at most 63 bytes; "" unknown
  std::optional<std::string> slot;  // that it streams from; "" none; nullopt unknown
};

// What a server said with a WARNING while it let us in, in its own language.
struct LoginWarning {
  std::string text;
  std::string detail;  // "" none
};

struct Facts {
  bool in_recovery = false;
  std::uint64_t system_identifier = 0;  // 0 unknown
  std::uint32_t timeline = 0;    // primary: the one it writes; standby: the one that it replays, as
                                 // its pg_status tells, or the newest that it is known to replay
  bool timeline_exact = false;   // false: a standby may have come to a newer one since
  WallUs postmaster_start = 0;   // with system_identifier: the identity of one run of one server;
                                 // 0 unknown
  int server_version = 0;        // PG_VERSION_NUM form: 150020
  std::string cluster_name;      // the setting of that name; "" when unset
  WallUs clock = 0;              // the peer's clock_timestamp() during the probe; 0 unknown
  std::optional<Lsn> write_lsn;  // primary: pg_current_wal_lsn()
  std::optional<Lsn> receive_lsn;  // standby: pg_last_wal_receive_lsn(), never below replay_lsn
  std::optional<Lsn> replay_lsn;   // standby: pg_last_wal_replay_lsn()
  std::optional<WallUs>
      replay_commit;  // standby: pg_last_xact_replay_timestamp(), stamped by the primary's clock
  std::optional<bool> replay_paused;    // standby: pg_is_wal_replay_paused()
  std::optional<WalReceiver> receiver;  // standby: present while a WAL receiver runs
  bool stopping =
      false;  // a smart shutdown was requested there; known only if pg_status is loaded there
  std::vector<Sender> senders;
  bool senders_missing = false;      // there are, or may be, more of them than are told
  std::optional<std::string> asker;  // the address as which it sees us; "" over a socket; nullopt
                                     // unknown, as somebody stands between
  bool gives_opinions = false;       // pg_status is loaded there, and of a version that tells them
  std::shared_ptr<const Opinions> opinions;   // what it thinks of the hosts; null: nothing just now
  std::shared_ptr<const ServerFacts> inside;  // told by its own pg_status; null: it tells nothing
  bool details_hidden =
      false;  // something above is missing because the role is not a member of pg_monitor
  std::string missing_grants;    // what would give the role the rights that it lacks; "" none. What
                                 // takes them is missing above, or 0 or "" for unknown
  std::uint64_t connection = 0;  // rises with each new one, but for those that take the place of
                                 // one that we have let go ourselves
  std::vector<LoginWarning> warnings;  // of the connection that answered; kMaxLoginWarnings
};

enum class Outcome : std::uint8_t {
  kOk,
  kRefused,     // nothing listens there: evidence
  kTimeout,     // no answer within poll_timeout: silence, not evidence
  kUnresolved,  // the name has no address, or the resolver did not answer
  kClosed,      // the connection ended in mid-probe
  kTerminated,  // the peer ended our session (SQLSTATE 57P01, 57P05; 40001: it stood in the way of
                // recovery), which a running server does on request
  kCancelled,  // it cancelled our query (57014, 40001, 40P01), the session is still there: likewise
  kFull,       // it runs, but has no place or means for one more session (53...)
  kStarting,   // it takes no sessions yet, or no more: it starts, recovers or stops (57P03)
  kRejected,   // the server answered, but did not let us in or could not take the query (any other
               // SQLSTATE)
  kGarbled,    // the answer is not one of ours: wrong protocol, wrong shape, missing facts
};

struct Observation {
  Outcome outcome = Outcome::kTimeout;
  std::string error;   // one line for people, "" when kOk; never holds conninfo
  MonoUs started = 0;  // the probe began
  MonoUs asked = 0;  // the query was sent; the facts are at least as new as this. 0 when never sent
  MonoUs finished = 0;  // the answer was read, or the failure was noticed
  bool new_connection = false;
  std::string peer_address;  // numeric address of the connection ("" for a socket or when unknown)
  std::vector<std::string> addresses;  // all that its name stands for, as far as is known
  Facts facts;                         // only when kOk
};

}  // namespace pg_status
