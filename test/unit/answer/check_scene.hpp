// A node and what its poller has published, for the tests of the check port: a primary `a` and two
// standbys `b` and `c`, all well, seen from any one of them. Knows nothing of what is answered.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "answer/page_data.hpp"
#include "answer/request.hpp"
#include "answer/standing.hpp"
#include "answer/world.hpp"
#include "base/fixed_text.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {

// No event, no history.
inline const PageSources kNoPageSources = {[](PgstEvent*, int) { return 0; },
                                           [](PgstLagHistory*, std::uint32_t) { return false; }};

class CheckScene {
 public:
  static constexpr MonoUs kNow = 1000 * kUsPerSecond;
  static constexpr WallUs kWallNow = 1784883600 * kUsPerSecond;  // 2026-07-24 09:00:00 UTC
  static constexpr std::int64_t kStaleAfter = 6 * kUsPerSecond;
  static constexpr Lsn kNewest = 1000000;
  static constexpr std::uint64_t kSystem = 7300000000000000001;

  // On the primary, host a.
  static CheckScene OnPrimary() {
    CheckScene scene;
    scene.BecomePrimary();
    return scene;
  }
  // On the standby b: caught up, streaming and async.
  static CheckScene OnReplica() {
    CheckScene scene;
    scene.BecomeReplica();
    return scene;
  }
  static CheckScene Starting() {
    CheckScene scene;
    scene.snapshot().hosts[0].self = 1;
    scene.node().state = NodeState::kStarting;
    return scene;
  }

  World& world() {
    world_.snapshot = &storage_.get();
    world_.orders = &order_;
    return world_;
  }
  NodeFacts& node() { return world_.node; }
  PgstSnapshot& snapshot() { return storage_.get(); }
  PgstHost& host(std::uint32_t index) { return snapshot().hosts[index]; }

  // Of the self host on a replica.
  void SetSyncState(std::string_view state) { CopyFixedText(host(1).sync_state, state); }
  // Replay of the replica, this many bytes behind all that is known.
  void SetLag(std::uint64_t bytes) { node().replayed = kNewest - bytes; }
  // Nothing is known of the primary's position any more.
  void ForgetLeader() {
    snapshot().newest_lsn = 0;
    snapshot().newest_timeline = 0;
    node().latest_end = kNoLsn;
    node().received = kNoLsn;
  }
  // What this node sees of those that have a vote, and whether a primary is to keep away when it
  // sees too few. The state is as the loop and the wall make it.
  void SeeVoters(std::uint32_t in_sight, std::uint32_t voters, bool fence) {
    snapshot().voters = voters;
    snapshot().voters_in_sight = in_sight;
    world_.fence = fence;
    node().state = Fenced(node().state, world());
  }
  // An operator has taken this very server out of service. `self`: as the order itself says so;
  // else only its name does.
  PgstOrder& Detach(std::string_view name, std::string_view reason, bool self = true) {
    CopyFixedText(order_.host, name);
    CopyFixedText(order_.reason, reason);
    order_.maintenance = PGST_MAINT;
    order_.self = self ? 1 : 0;
    world_.order_count = 1;
    return order_;
  }
  void MakeStale() { world_.poller_alive = kNow - kStaleAfter - 1; }
  void Unpublish() {
    const std::uint32_t room = snapshot().max_hosts;
    storage_ = SnapshotStorage(room);
    world_.poller_alive = 0;
  }

 private:
  CheckScene() : storage_(4) {
    PgstSnapshot& snapshot = storage_.get();
    snapshot.layout = PGST_SNAPSHOT_LAYOUT;
    snapshot.ready = 1;
    snapshot.stale_after = kStaleAfter;
    snapshot.system_identifier = kSystem;
    snapshot.made_mono = kNow - 250 * kUsPerMs;
    snapshot.made_wall = kWallNow - 250 * kUsPerMs;
    snapshot.live_primaries = 1;
    snapshot.sync_max_lag_bytes = 1000;
    snapshot.newest_lsn = kNewest;
    snapshot.newest_timeline = 3;
    AddHost("a", PGST_ROLE_PRIMARY);
    AddHost("b", PGST_ROLE_STANDBY);
    AddHost("c", PGST_ROLE_STANDBY);
    host(0).primary = 1;
    world_.poller_alive = kNow - 250 * kUsPerMs;
    world_.now = kNow;
    world_.wall_now = kWallNow;
    NodeFacts& node = world_.node;
    node.timeline = 3;
    node.server_version = 150007;
    node.postmaster_start = 1784797200 * kUsPerSecond + 123456;  // a day before
    node.system_identifier = kSystem;
    CopyFixedText(node.cluster_name, "main");
  }

  void AddHost(std::string_view name, PgstRole role) {
    PgstHost& added = snapshot().hosts[snapshot().host_count++];
    added = PgstHost{};
    CopyFixedText(added.name, name);
    CopyFixedText(added.hostname, "10.0.0." + std::to_string(snapshot().host_count));
    added.port = 5432;
    added.weight = 1;
    added.role = static_cast<std::uint8_t>(role);
    added.state = PGST_STATE_UP;
    added.checked = 1;
    added.timeline = 3;
    added.system_identifier = kSystem;
    added.has_lag_ms = added.has_lag_bytes = added.has_lsn = 1;
    added.lsn = kNewest;
    added.last_success_wall = kWallNow - snapshot().host_count * kUsPerSecond;
    if (role != PGST_ROLE_STANDBY) return;
    added.has_streaming = added.streaming = 1;
    CopyFixedText(added.sync_state, "async");
  }

  void BecomePrimary() {
    host(0).self = 1;
    node().state = NodeState::kPrimary;
    node().written = kNewest;
  }

  void BecomeReplica() {
    host(1).self = 1;
    node().state = NodeState::kStandby;
    node().received = kNewest;
    node().replayed = kNewest;
    node().latest_end = kNewest;
    node().has_receiver = true;
    node().streaming = true;
  }

  SnapshotStorage storage_;
  PgstOrder order_{};
  World world_;
};

// A line command as the client's bytes would be read.
inline Request ReadLine(std::string_view line) {
  RequestReader reader;
  reader.Feed(std::string(line) + "\n");
  reader.Next();
  return reader.request();
}

}  // namespace pg_status
