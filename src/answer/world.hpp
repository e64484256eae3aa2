// What an answer may look at: the snapshot and this node, as of one request. Filled by the loop;
// the services only read it.
#pragma once

#include <cstdint>
#include <optional>

#include "answer/raw_line.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/lsn.hpp"
#include "config/order.h"
#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// This server, read live. kNoLsn and 0 are "unknown" or "none".
struct NodeFacts {
  NodeState state = NodeState::kStarting;
  std::uint32_t timeline = 0;
  int server_version = 0;  // 150020
  WallUs postmaster_start = 0;
  std::uint64_t system_identifier = 0;
  Lsn written = kNoLsn;           // primary
  Lsn received = kNoLsn;          // standby: flushed by the WAL receiver
  Lsn replayed = kNoLsn;          // standby
  Lsn latest_end = kNoLsn;        // standby: newest position its sender told of
  WallUs replay_commit = 0;       // standby: time of the last replayed commit
  bool has_receiver = false;      // standby: a WAL receiver runs
  bool streaming = false;         // standby: and it streams
  bool replay_paused = false;     // standby
  std::optional<bool> read_only;  // default_transaction_read_only, as new sessions get it
  char cluster_name[PGST_LABEL_SIZE] = "";
};

struct World {
  const PgstSnapshot* snapshot = nullptr;  // never NULL while serving
  MonoUs poller_alive = 0;                 // the poller's last sign of life, 0 none
  std::uint64_t generation = 0;            // of changes: the newest event that the snapshot shows
  MonoUs now = 0;
  WallUs wall_now = 0;
  bool fence = false;                 // pg_status.fence is on
  const PgstOrder* orders = nullptr;  // of operators, `order_count` of them
  std::uint32_t order_count = 0;
  IpAddress asker;  // whom the answer is for
  NodeFacts node;   // its state goes through Fenced() of standing.hpp
};

}  // namespace pg_status
