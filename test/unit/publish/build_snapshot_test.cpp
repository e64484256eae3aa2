// What each column says for a host in each state.
#include "publish/build_snapshot.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "publish/own_opinions.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr MonoUs kNow = 1000 * kUsPerSecond;
constexpr WallUs kWallNow = 1700000000 * kUsPerSecond;
constexpr std::uint64_t kSystem = 7000000000000000001;

HostEntry Entry(const std::string& name, const std::string& dc = "", const std::string& geo = "") {
  HostEntry entry;
  entry.name = name + ":5433";
  entry.hostname = name;
  entry.port = 5433;
  entry.dc = dc;
  entry.geo = geo;
  entry.weight = 2.5;
  return entry;
}

HostVerdict Answered(Liveness liveness, Role role) {
  HostVerdict verdict;
  verdict.liveness = liveness;
  verdict.role = role;
  verdict.checked = true;
  verdict.last_check = kNow - 1 * kUsPerSecond;
  verdict.last_success = kNow - 2 * kUsPerSecond;
  verdict.last_change = kNow - 3 * kUsPerSecond;
  Facts facts;
  facts.system_identifier = kSystem;
  facts.timeline = 4;
  facts.server_version = 150020;
  facts.postmaster_start = 1699999999;
  verdict.facts = facts;
  return verdict;
}

HostVerdict Primary(Liveness liveness = Liveness::kUp) {
  HostVerdict verdict = Answered(liveness, Role::kPrimary);
  verdict.chosen_primary = true;
  verdict.facts->write_lsn = 0x5000;
  return verdict;
}

// A standby of which everything is known; all of it is to vanish or to stay, by its liveness.
HostVerdict Standby(Liveness liveness = Liveness::kUp) {
  HostVerdict verdict = Answered(liveness, Role::kStandby);
  verdict.facts->in_recovery = true;
  verdict.facts->receive_lsn = 0x4800;
  verdict.facts->replay_lsn = 0x4000;
  verdict.facts->replay_paused = true;
  WalReceiver receiver;
  receiver.details_known = true;
  receiver.streaming = true;
  verdict.facts->receiver = receiver;
  ServerFacts inside;
  inside.read_only = true;
  verdict.facts->inside = std::make_shared<const ServerFacts>(inside);
  verdict.lag.ms = 12;
  verdict.lag.bytes = 0x1000;
  verdict.sync_by_time = true;
  verdict.sync_by_bytes = true;
  verdict.replication_state = "streaming";
  verdict.sync_state = "sync";
  verdict.sync_priority = 3;
  verdict.upstream = "a:5433";
  return verdict;
}

struct Input {
  ClusterVerdict cluster;
  std::vector<HostEntry> entries;
  Limits limits;
  LocalNode local;
};

// Hosts a, b, c ... with these verdicts.
Input Cluster(std::vector<HostVerdict> hosts) {
  Input input;
  input.cluster.hosts = std::move(hosts);
  for (std::size_t i = 0; i < input.cluster.hosts.size(); ++i) {
    input.entries.push_back(Entry(std::string(1, static_cast<char>('a' + i))));
    if (input.cluster.hosts[i].chosen_primary) input.cluster.primary = i;
  }
  input.cluster.ready = true;
  return input;
}

SnapshotStorage Build(const Input& input, std::uint32_t max_hosts = 8, int filler = 0) {
  SnapshotStorage storage(max_hosts, filler);
  BuildSnapshot(input.cluster, input.entries, input.limits, input.local, kNow, kWallNow,
                storage.get());
  return storage;
}

PgstHost BuildOne(const HostVerdict& verdict) { return Build(Cluster({verdict})).get().hosts[0]; }

TEST(BuildSnapshot, HostThatWasNeverCheckedHasAnIdentityAndNothingElse) {
  HostVerdict verdict = Standby();  // even if something else were lying around
  verdict.checked = false;
  const PgstHost host = BuildOne(verdict);
  PgstHost expected{};
  std::strcpy(expected.name, "a:5433");
  std::strcpy(expected.hostname, "a");
  expected.weight = 2.5;
  expected.port = 5433;
  // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): there are no holes in it
  EXPECT_EQ(std::memcmp(&host, &expected, sizeof(host)), 0);
}

TEST(BuildSnapshot, HostThatNeverAnsweredShowsItsFailuresOnly) {
  HostVerdict verdict;
  verdict.checked = true;
  verdict.fails = 2;
  verdict.last_check = kNow - 5;
  verdict.last_error = "connection refused";
  const PgstHost host = BuildOne(verdict);
  EXPECT_EQ(host.checked, 1);
  EXPECT_EQ(host.state, PGST_STATE_UNKNOWN);
  EXPECT_EQ(host.role, PGST_ROLE_UNKNOWN);
  EXPECT_EQ(host.fails, 2);
  EXPECT_EQ(host.last_check_wall, kWallNow - 5);
  EXPECT_EQ(host.last_success_wall, 0);
  EXPECT_STREQ(host.last_error, "connection refused");
  EXPECT_EQ(host.has_lag_ms, 0);
  EXPECT_EQ(host.has_lsn, 0);
  EXPECT_EQ(host.has_streaming, 0);
  EXPECT_EQ(host.has_replay_paused, 0);
  EXPECT_EQ(host.timeline, 0u);
}

TEST(BuildSnapshot, StandbyThatIsUpOrSuspectIsDescribedInFull) {
  for (Liveness liveness : {Liveness::kUp, Liveness::kSuspect}) {
    const PgstHost host = BuildOne(Standby(liveness));
    EXPECT_EQ(host.state, liveness == Liveness::kUp ? PGST_STATE_UP : PGST_STATE_SUSPECT);
    EXPECT_EQ(host.role, PGST_ROLE_STANDBY);
    EXPECT_EQ(host.primary, 0);
    EXPECT_EQ(host.has_lag_ms, 1);
    EXPECT_EQ(host.lag_ms, 12u);
    EXPECT_EQ(host.has_lag_bytes, 1);
    EXPECT_EQ(host.lag_bytes, 0x1000u);
    EXPECT_EQ(host.sync_by_time, 1);
    EXPECT_EQ(host.sync_by_bytes, 1);
    EXPECT_EQ(host.has_lsn, 1);
    EXPECT_EQ(host.lsn, 0x4000u);
    EXPECT_EQ(host.has_read_only, 1);
    EXPECT_EQ(host.read_only, 1);
    EXPECT_EQ(host.has_replay_paused, 1);
    EXPECT_EQ(host.replay_paused, 1);
    EXPECT_EQ(host.has_streaming, 1);
    EXPECT_EQ(host.streaming, 1);
    EXPECT_STREQ(host.replication_state, "streaming");
    EXPECT_STREQ(host.sync_state, "sync");
    EXPECT_EQ(host.has_sync_priority, 1);
    EXPECT_EQ(host.sync_priority, 3);
    EXPECT_STREQ(host.upstream, "a:5433");
    EXPECT_EQ(host.last_check_wall, kWallNow - 1 * kUsPerSecond);
    EXPECT_EQ(host.last_success_wall, kWallNow - 2 * kUsPerSecond);
    EXPECT_EQ(host.last_change_wall, kWallNow - 3 * kUsPerSecond);
  }
}

// Full for hours, say: that is an answer, but where it stands and who streams from it was told
// before.
TEST(BuildSnapshot, HostThatLivesAndTellsNothingKeepsItsRoleAndNothingThatAges) {
  HostVerdict standby = Standby(Liveness::kSuspect);
  standby.last_success = kNow - StaleAfter(Limits()) - 1;
  standby.last_sign = kNow;
  standby.last_outcome = Outcome::kFull;
  const PgstHost host = BuildOne(standby);
  EXPECT_EQ(host.state, PGST_STATE_SUSPECT);
  EXPECT_EQ(host.role, PGST_ROLE_STANDBY);
  EXPECT_EQ(host.timeline, 4u);
  EXPECT_EQ(host.has_lsn, 0);
  EXPECT_EQ(host.lsn, 0u);
  EXPECT_EQ(host.has_streaming, 0);
  EXPECT_EQ(host.has_replay_paused, 0);
  EXPECT_EQ(host.has_read_only, 0);
  standby.last_success = kNow - StaleAfter(Limits());
  EXPECT_EQ(BuildOne(standby).has_lsn, 1) << "as long as it is young enough to be believed";

  HostVerdict primary = Primary(Liveness::kSuspect);
  primary.last_success = kNow - StaleAfter(Limits()) - 1;
  primary.facts->senders = {Sender()};
  Input input = Cluster({primary});
  input.local.own = RunOf(*primary.facts);
  const SnapshotStorage storage = Build(input);
  EXPECT_EQ(storage.get().primary, 0) << "it is the primary all the same";
  EXPECT_EQ(storage.get().hosts[0].has_lsn, 0);
  EXPECT_EQ(storage.get().sender_count, 0u);
  input.cluster.hosts[0].last_success = kNow;
  EXPECT_EQ(Build(input).get().sender_count, 1u);
}

TEST(BuildSnapshot, HostThatIsDownKeepsItsIdentityAndNothingThatAges) {
  HostVerdict verdict = Standby(Liveness::kDown);  // as if nobody had cleared anything
  verdict.fails = 3;
  verdict.foreign = true;
  const PgstHost host = BuildOne(verdict);
  EXPECT_EQ(host.state, PGST_STATE_DOWN);
  EXPECT_EQ(host.timeline, 4u);
  EXPECT_EQ(host.system_identifier, kSystem);
  EXPECT_EQ(host.server_version, 150020);
  EXPECT_EQ(host.foreign, 1);
  EXPECT_EQ(host.fails, 3);
  EXPECT_EQ(host.role, PGST_ROLE_UNKNOWN);
  EXPECT_EQ(host.has_lag_ms + host.has_lag_bytes + host.has_lsn, 0);
  EXPECT_EQ(host.lag_ms + host.lag_bytes + host.lsn, 0u);
  EXPECT_EQ(host.sync_by_time + host.sync_by_bytes, 0);
  EXPECT_EQ(host.has_replay_paused + host.has_streaming + host.has_sync_priority, 0);
  EXPECT_EQ(host.has_read_only, 0);
  EXPECT_STREQ(host.replication_state, "");
  EXPECT_STREQ(host.sync_state, "");
  EXPECT_STREQ(host.upstream, "");
}

TEST(BuildSnapshot, ChosenPrimaryIsNeverBehindAndReceivesFromNobody) {
  HostVerdict verdict = Primary();
  verdict.sync_state = "async";
  verdict.upstream = "z:5433";
  const SnapshotStorage storage = Build(Cluster({Standby(), verdict}));
  EXPECT_EQ(storage.get().primary, 1);
  EXPECT_EQ(storage.get().hosts[0].primary, 0);
  const PgstHost& host = storage.get().hosts[1];
  EXPECT_EQ(host.primary, 1);
  EXPECT_EQ(host.role, PGST_ROLE_PRIMARY);
  EXPECT_EQ(host.has_lag_ms, 1);
  EXPECT_EQ(host.lag_ms, 0u);
  EXPECT_EQ(host.has_lag_bytes, 1);
  EXPECT_EQ(host.lag_bytes, 0u);
  EXPECT_EQ(host.sync_by_time, 1);
  EXPECT_EQ(host.sync_by_bytes, 1);
  EXPECT_EQ(host.lsn, 0x5000u);
  EXPECT_EQ(host.has_lsn, 1);
  EXPECT_EQ(host.has_replay_paused, 0);
  EXPECT_EQ(host.has_streaming, 1);
  EXPECT_EQ(host.streaming, 0);
  EXPECT_STREQ(host.sync_state, "");
  EXPECT_STREQ(host.upstream, "");
}

TEST(BuildSnapshot, NobodyIsThePrimaryBeforeEverybodyWasAsked) {
  Input input = Cluster({Primary()});
  input.cluster.ready = false;
  const SnapshotStorage storage = Build(input);
  EXPECT_EQ(storage.get().primary, -1);
  EXPECT_EQ(storage.get().hosts[0].primary, 0);
  EXPECT_EQ(storage.get().hosts[0].role, PGST_ROLE_PRIMARY);
}

TEST(BuildSnapshot, SecondPrimaryHasItsPositionButNoLag) {
  HostVerdict second = Primary();
  second.chosen_primary = false;
  const SnapshotStorage storage = Build(Cluster({Primary(), second}));
  const PgstHost& host = storage.get().hosts[1];
  EXPECT_EQ(storage.get().primary, 0);
  EXPECT_EQ(host.role, PGST_ROLE_PRIMARY);
  EXPECT_EQ(host.primary, 0);
  EXPECT_EQ(host.lsn, 0x5000u);
  EXPECT_EQ(host.has_lag_ms + host.has_lag_bytes + host.sync_by_time + host.sync_by_bytes, 0);
}

TEST(BuildSnapshot, PrimaryThatIsSuspectStaysAndOneThatIsDownDoesNot) {
  EXPECT_EQ(Build(Cluster({Primary(Liveness::kSuspect)})).get().primary, 0);
  const SnapshotStorage storage = Build(Cluster({Primary(Liveness::kDown)}));
  EXPECT_EQ(storage.get().primary, -1);
  EXPECT_EQ(storage.get().hosts[0].primary, 0);
}

TEST(BuildSnapshot, UnknownLagIsUnknownAndNeverInSync) {
  HostVerdict verdict = Standby();
  verdict.lag = Lag{};
  const PgstHost host = BuildOne(verdict);
  EXPECT_EQ(host.has_lag_ms + host.has_lag_bytes, 0);
  EXPECT_EQ(host.sync_by_time + host.sync_by_bytes, 0);
}

TEST(BuildSnapshot, LagOfZeroIsKnown) {
  HostVerdict verdict = Standby();
  verdict.lag = Lag{0, 0};
  const PgstHost host = BuildOne(verdict);
  EXPECT_EQ(host.has_lag_ms + host.has_lag_bytes, 2);
  EXPECT_EQ(host.sync_by_time + host.sync_by_bytes, 2);
}

TEST(BuildSnapshot, PositionThatWasNotToldOrIsNoneIsUnknown) {
  HostVerdict verdict = Standby();
  verdict.facts->replay_lsn.reset();
  EXPECT_EQ(BuildOne(verdict).has_lsn, 0);
  verdict.facts->replay_lsn = kNoLsn;
  EXPECT_EQ(BuildOne(verdict).has_lsn, 0);
}

TEST(BuildSnapshot, StreamingIsKnownWhenThereIsNoReceiverOrItsDetailsAreSeen) {
  struct Case {
    const char* situation;
    bool receiver;
    bool details_known;
    bool details_hidden;
    bool told;
    int has_streaming;
    int streaming;
  };
  const Case cases[] = {
      {"no receiver", false, false, false, false, 1, 0},
      {"no receiver, no pg_monitor", false, false, true, false, 1, 0},
      {"receiver, no pg_monitor", true, false, true, true, 0, 0},
      {"receiver that waits", true, true, false, false, 1, 0},
      {"receiver that streams", true, true, false, true, 1, 1},
  };
  for (const Case& c : cases) {
    HostVerdict verdict = Standby();
    verdict.facts->details_hidden = c.details_hidden;
    verdict.facts->receiver->details_known = c.details_known;
    verdict.facts->receiver->streaming = c.told;
    if (!c.receiver) verdict.facts->receiver.reset();
    const PgstHost host = BuildOne(verdict);
    EXPECT_EQ(host.has_streaming, c.has_streaming) << c.situation;
    EXPECT_EQ(host.streaming, c.streaming) << c.situation;
  }
}

TEST(BuildSnapshot, SelfIsTheSameRunOfTheSameServer) {
  struct Case {
    const char* situation;
    std::uint64_t host_system;
    WallUs host_start;
    std::uint64_t local_system;
    WallUs local_start;
    int self;
  };
  const Case cases[] = {
      {"same", kSystem, 5, kSystem, 5, 1},
      {"another server of the cluster", kSystem, 6, kSystem, 5, 0},
      {"another cluster started at the same moment", kSystem + 1, 5, kSystem, 5, 0},
      {"start unknown on both sides", kSystem, 0, kSystem, 0, 0},
      {"system unknown on both sides", 0, 5, 0, 5, 0},
      {"nothing known here", kSystem, 5, 0, 0, 0},
  };
  for (const Case& c : cases) {
    Input input = Cluster({Standby(), Standby(Liveness::kDown)});
    for (HostVerdict& verdict : input.cluster.hosts) {
      verdict.facts->system_identifier = c.host_system;
      verdict.facts->postmaster_start = c.host_start;
    }
    input.local.own.system_identifier = c.local_system;
    input.local.own.postmaster_start = c.local_start;
    const SnapshotStorage storage = Build(input);
    EXPECT_EQ(storage.get().hosts[0].self, c.self) << c.situation;
    EXPECT_EQ(storage.get().hosts[1].self, c.self) << c.situation << ", down";
  }
}

// The senders of this very server, whichever name it has in the list.
TEST(BuildSnapshot, SendersAreThisNodesOwn) {
  Sender sender;
  sender.usename = "replicator";
  sender.application_name = "b";
  sender.client_addr = "192.0.2.7";
  sender.state = "streaming";
  sender.sync_state = "sync";
  sender.sync_priority = 2;
  Input input = Cluster({Primary(), Standby(), Primary()});
  for (HostVerdict& verdict : input.cluster.hosts) verdict.facts->postmaster_start = 5;
  input.cluster.hosts[0].facts->senders = {Sender(), sender};
  input.cluster.hosts[1].facts->postmaster_start = 6;
  input.cluster.hosts[1].facts->senders = {sender};
  input.cluster.hosts[2].facts->senders = {sender, sender, sender};
  input.local.own.system_identifier = kSystem;
  input.local.own.postmaster_start = 5;
  SnapshotStorage storage = Build(input);
  ASSERT_EQ(storage.get().sender_count, 2u);
  const PgstSender& second = storage.get().senders[1];
  EXPECT_STREQ(second.usename, "replicator");
  EXPECT_STREQ(second.application_name, "b");
  EXPECT_STREQ(second.client_addr, "192.0.2.7");
  EXPECT_STREQ(second.state, "streaming");
  EXPECT_STREQ(second.sync_state, "sync");
  EXPECT_EQ(second.sync_priority, 2);

  input.cluster.hosts[0].facts->senders.assign(PGST_MAX_SENDERS + 5, sender);
  EXPECT_EQ(Build(input).get().sender_count, static_cast<std::uint32_t>(PGST_MAX_SENDERS));
  for (const std::size_t i : {0U, 2U}) input.cluster.hosts[i].liveness = Liveness::kDown;
  EXPECT_EQ(Build(input).get().sender_count, 0u);
}

TEST(BuildSnapshot, CountsOfChecksAreThereWhateverTheState) {
  for (const Liveness liveness : {Liveness::kUp, Liveness::kDown}) {
    Input input = Cluster({Standby(liveness)});
    Tally& tally = input.cluster.hosts[0].tally;
    tally.succeeded = 1;
    tally.timed_out = 2;
    tally.failed = 3;
    tally.connections = 5;
    tally.changes = 6;
    tally.duration_us = 7;
    tally.durations.back() = 8;
    const SnapshotStorage storage = Build(input);
    const PgstTally& told = storage.get().hosts[0].tally;
    EXPECT_EQ(told.succeeded, 1u);
    EXPECT_EQ(told.timed_out, 2u);
    EXPECT_EQ(told.failed, 3u);
    EXPECT_EQ(told.reconnects, 4u);
    EXPECT_EQ(told.state_changes, 6u);
    EXPECT_EQ(told.duration_us, 7u);
    EXPECT_EQ(told.durations[PGST_DURATION_CLASSES - 1], 8u);
  }
  EXPECT_EQ(Build(Cluster({Standby()})).get().hosts[0].tally.reconnects, 0u);
}

TEST(BuildSnapshot, ClusterAsAWhole) {
  Input input = Cluster({Primary(), Standby()});
  input.cluster.ready = true;
  input.cluster.split_brain = true;
  input.cluster.live_primaries = 2;
  input.cluster.system_identifier = kSystem;
  input.cluster.clock.timeline = 4;
  input.cluster.clock.reports = {{0x4000, kNow - 9}, {0x5000, kNow - 1}};
  input.limits.sync_max_lag_ms = 11;
  input.limits.sync_max_lag_bytes = 22;
  input.local.dc = "fra1";
  input.local.geo = "eu";
  input.local.reloads = 7;
  CountLateness(400, kNow, input.local.lateness);
  CountLateness(6 * kUsPerSecond, kNow, input.local.lateness);
  input.local.reload_refused = true;
  input.entries[0].dc = "fra1";
  input.entries[1].dc = "fra2";
  const SnapshotStorage storage = Build(input);
  const PgstSnapshot& snapshot = storage.get();
  EXPECT_EQ(snapshot.layout, static_cast<std::uint32_t>(PGST_SNAPSHOT_LAYOUT));
  EXPECT_EQ(snapshot.host_count, 2u);
  EXPECT_EQ(snapshot.generation, 1u);
  EXPECT_EQ(snapshot.made_mono, kNow);
  EXPECT_EQ(snapshot.stale_after, StaleAfter(input.limits));
  EXPECT_EQ(snapshot.ready, 1);
  EXPECT_EQ(snapshot.split_brain, 1);
  EXPECT_EQ(snapshot.live_primaries, 2u);
  EXPECT_EQ(snapshot.system_identifier, kSystem);
  EXPECT_EQ(snapshot.sync_max_lag_ms, 11u);
  EXPECT_EQ(snapshot.sync_max_lag_bytes, 22u);
  EXPECT_EQ(snapshot.newest_lsn, 0x5000u);
  EXPECT_EQ(snapshot.newest_timeline, 4u);
  EXPECT_EQ(snapshot.reloads, 7u);
  EXPECT_EQ(snapshot.lateness_us, 6000400u);
  EXPECT_EQ(snapshot.lateness_max_us, 6000000u);
  EXPECT_EQ(snapshot.lateness[0], 1u);
  EXPECT_EQ(snapshot.lateness[PGST_DURATION_CLASSES - 1], 1u);
  EXPECT_EQ(snapshot.reload_refused, 1u);
  EXPECT_STREQ(snapshot.dc, "fra1");
  EXPECT_STREQ(snapshot.geo, "eu");
  EXPECT_EQ(snapshot.dc_counts, 1);
  EXPECT_EQ(snapshot.geo_counts, 0);
  EXPECT_STREQ(snapshot.hosts[1].dc, "fra2");
}

TEST(BuildSnapshot, NewestPositionIsUnknownWithoutAnyReport) {
  Input input = Cluster({Standby()});
  input.cluster.clock.timeline = 4;
  const SnapshotStorage storage = Build(input);
  EXPECT_EQ(storage.get().newest_lsn, 0u);
  EXPECT_EQ(storage.get().newest_timeline, 0u);
  EXPECT_EQ(storage.get().primary, -1);
}

TEST(BuildSnapshot, EveryByteOfThePublishedPartIsWritten) {
  const Input input = Cluster({Primary(), Standby(), HostVerdict{}});
  SnapshotStorage zeroed(8, 0);
  SnapshotStorage dirty(8, 0xA5);
  dirty.get().generation = 0;
  for (SnapshotStorage* storage : {&zeroed, &dirty}) {
    BuildSnapshot(input.cluster, input.entries, input.limits, input.local, kNow, kWallNow,
                  storage->get());
  }
  EXPECT_EQ(std::memcmp(&zeroed.get(), &dirty.get(), pgst_snapshot_size(3)), 0);
}

TEST(BuildSnapshot, BytesBeyondTheLastHostAreNotTouched) {
  SnapshotStorage storage = Build(Cluster({Primary()}), 3, 0xA5);
  EXPECT_EQ(storage.get().max_hosts, 3u);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&storage.get());
  for (std::size_t i = pgst_snapshot_size(1); i < pgst_snapshot_size(3); ++i) {
    ASSERT_EQ(bytes[i], 0xA5) << i;
  }
}

TEST(BuildSnapshot, HostsBeyondTheRoomAreLeftOut) {
  // The primary is one of them, and must not be pointed at.
  const Input input = Cluster({Standby(), Standby(), Primary()});
  EXPECT_EQ(Build(input, 2).get().host_count, 2u);
  EXPECT_EQ(Build(input, 2).get().primary, -1);
  EXPECT_EQ(Build(input, 3).get().primary, 2);
  EXPECT_EQ(Build(input, 0).get().host_count, 0u);
}

TEST(BuildSnapshot, HostsWithoutAVerdictAreNotRead) {
  Input input = Cluster({Primary(), Standby()});
  input.cluster.hosts.pop_back();
  EXPECT_EQ(Build(input).get().host_count, 1u);
}

TEST(BuildSnapshot, PrimaryThatIsNotInTheListIsNone) {
  Input input = Cluster({Standby()});
  input.cluster.primary = 77;
  EXPECT_EQ(Build(input).get().primary, -1);
}

TEST(BuildSnapshot, NoHostsAtAll) {
  const SnapshotStorage storage = Build(Input{});
  EXPECT_EQ(storage.get().host_count, 0u);
  EXPECT_EQ(storage.get().primary, -1);
}

TEST(BuildSnapshot, GenerationRisesByOne) {
  const Input input = Cluster({Primary()});
  SnapshotStorage storage(1);
  storage.get().generation = 41;
  BuildSnapshot(input.cluster, input.entries, input.limits, input.local, kNow, kWallNow,
                storage.get());
  EXPECT_EQ(storage.get().generation, 42u);
}

TEST(BuildSnapshot, LongAndDirtyTextsOfAPeerStayWithinTheirFields) {
  HostVerdict verdict = Standby();
  verdict.upstream = std::string(5000, 'u');
  verdict.replication_state = std::string(5000, 'r');
  verdict.sync_state = "a\nb";
  verdict.last_error = std::string(5000, 'e');
  const PgstHost host = BuildOne(verdict);
  EXPECT_EQ(std::string(host.upstream), std::string(PGST_NAME_SIZE - 1, 'u'));
  EXPECT_EQ(std::string(host.replication_state), std::string(PGST_LABEL_SIZE - 1, 'r'));
  EXPECT_STREQ(host.sync_state, "a b");
  EXPECT_EQ(std::string(host.last_error), std::string(PGST_ERROR_SIZE - 1, 'e'));
}

TEST(StaleAfter, CoversMaxFailsRoundsAndOneMoreAndSomeGrace) {
  struct Case {
    std::int64_t interval_ms;
    std::int64_t timeout_ms;
    int max_fails;
    std::int64_t expected_ms;
  };
  const Case cases[] = {
      {1000, 1000, 3, 6000},   // the defaults
      {1000, 5000, 3, 22000},  // the longer of the two counts
      {5000, 1000, 1, 12000}, {100, 50, 10, 3100},
      {1000, 1000, 0, 4000},  // never less than one failure
      {-5, -7, 3, 2000},
  };
  for (const Case& c : cases) {
    Limits limits;
    limits.poll_interval_us = c.interval_ms * kUsPerMs;
    limits.poll_timeout_us = c.timeout_ms * kUsPerMs;
    limits.max_fails = c.max_fails;
    EXPECT_EQ(StaleAfter(limits), c.expected_ms * kUsPerMs)
        << c.interval_ms << " " << c.timeout_ms << " " << c.max_fails;
  }
}

TEST(StaleAfter, AbsurdLimitsMeanNeverAndNotAnOverflow) {
  Limits limits;
  limits.max_fails = std::numeric_limits<int>::max();
  limits.poll_interval_us = std::numeric_limits<std::int64_t>::max() / 2;
  EXPECT_EQ(StaleAfter(limits), std::numeric_limits<std::int64_t>::max());
}

TEST(Locality, CountsOnlyWhenThisNodeAndEveryHostHaveAValue) {
  struct Case {
    const char* situation;
    std::string local;
    std::vector<std::string> hosts;
    bool counts;
    bool partial;
  };
  const Case cases[] = {
      {"nobody has one", "", {"", ""}, false, false},
      {"all have one", "x", {"x", "y"}, true, false},
      {"one host has none", "x", {"x", ""}, false, true},
      {"only this node has one", "x", {"", ""}, false, true},
      {"all but this node have one", "", {"x", "x"}, false, true},
      {"one host only has one", "", {"", "x"}, false, true},
      {"no hosts to compare with", "x", {}, true, false},
      {"no hosts and no value", "", {}, false, false},
  };
  for (const Case& c : cases) {
    std::vector<HostEntry> dcs;
    std::vector<HostEntry> geos;
    for (const std::string& value : c.hosts) {
      dcs.push_back(Entry("h", value, ""));
      geos.push_back(Entry("h", "", value));
    }
    EXPECT_EQ(DcLocality(c.local, dcs).counts, c.counts) << c.situation;
    EXPECT_EQ(DcLocality(c.local, dcs).partial, c.partial) << c.situation;
    EXPECT_EQ(GeoLocality(c.local, geos).counts, c.counts) << c.situation;
    EXPECT_EQ(GeoLocality(c.local, geos).partial, c.partial) << c.situation;
  }
}

TEST(Locality, DimensionsAreIndependent) {
  const std::vector<HostEntry> entries = {Entry("a", "x", "eu"), Entry("b", "y", "")};
  EXPECT_TRUE(DcLocality("x", entries).counts);
  EXPECT_FALSE(GeoLocality("eu", entries).counts);
  EXPECT_TRUE(GeoLocality("eu", entries).partial);
}

TEST(BuildSnapshot, VotesAreShownOfEveryHost) {
  Input input = Cluster({Primary(), Standby(Liveness::kDown), HostVerdict()});
  input.cluster.quorum.voters = 5;
  input.cluster.quorum.in_sight = 4;
  for (HostVerdict& verdict : input.cluster.hosts) {
    verdict.votes_up = 3;
    verdict.votes_down = 2;
  }
  input.cluster.hosts[1].unreachable_here = true;
  const SnapshotStorage storage = Build(input);
  EXPECT_EQ(storage.get().voters, 5u);
  EXPECT_EQ(storage.get().voters_in_sight, 4u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(storage.get().hosts[i].votes_up, 3u) << i;
    EXPECT_EQ(storage.get().hosts[i].votes_down, 2u) << i;
    EXPECT_EQ(storage.get().hosts[i].unreachable_here, i == 1 ? 1 : 0) << i;
  }
}

// What this node tells the others.
TEST(OwnOpinions, AreOfHostsOfThisClusterThatWereHeardOfOrGivenUp) {
  HostVerdict foreign = Primary();
  foreign.foreign = true;
  HostVerdict never;
  never.checked = true;
  never.liveness = Liveness::kDown;
  const Input input = Cluster({Primary(), Standby(Liveness::kSuspect), Standby(Liveness::kDown),
                               never, HostVerdict(), foreign});
  const SnapshotStorage storage = Build(input);
  const Opinions opinions = OpinionsOf(storage.get(), kNow + 250 * kUsPerMs);
  ASSERT_EQ(opinions.size(), 4u);
  EXPECT_EQ(opinions[0].host, input.entries[0].name);
  EXPECT_TRUE(opinions[0].reachable);
  EXPECT_EQ(opinions[0].success_age_us, 2250 * kUsPerMs) << "older by what has passed since";
  EXPECT_EQ(opinions[0].system_identifier, kSystem);
  EXPECT_EQ(opinions[0].postmaster_start, 1699999999);
  EXPECT_TRUE(opinions[1].reachable);
  EXPECT_FALSE(opinions[2].reachable);
  EXPECT_FALSE(opinions[3].reachable);
  EXPECT_FALSE(opinions[3].success_age_us);
}

// Of whom it remembers as the primary it tells also when it has never heard of it itself.
TEST(OwnOpinions, TellWhomThisNodeRemembers) {
  SnapshotStorage storage = Build(Cluster({Primary(), Standby(Liveness::kUp), HostVerdict()}));
  storage.get().incumbent = 2;
  Opinions opinions = OpinionsOf(storage.get(), kNow);
  ASSERT_EQ(opinions.size(), 3u);
  EXPECT_EQ(opinions[2].rank, Rank::kIncumbent);
  storage.get().primary = 2;
  opinions = OpinionsOf(storage.get(), kNow);
  EXPECT_EQ(opinions[2].rank, Rank::kPrimary);
  EXPECT_EQ(opinions[1].rank, Rank::kNone);
}

// More would not fit into what is read.
TEST(OwnOpinions, AreBounded) {
  SnapshotStorage storage(600);
  storage.get().host_count = 600;
  for (std::uint32_t i = 0; i < 600; ++i) storage.get().hosts[i].state = PGST_STATE_UP;
  const Opinions opinions = OpinionsOf(storage.get(), kNow);
  EXPECT_EQ(opinions.size(), 512u);
  EXPECT_LE(WriteOpinions(opinions).size(), kMaxOpinionsBytes);
}

TEST(OwnOpinions, OfASnapshotFromTheFutureAreNotYoungerThanItIs) {
  const SnapshotStorage storage = Build(Cluster({Primary()}));
  EXPECT_EQ(OpinionsOf(storage.get(), kNow - kUsPerSecond)[0].success_age_us,
            OpinionsOf(storage.get(), kNow)[0].success_age_us);
}

}  // namespace
}  // namespace pg_status
