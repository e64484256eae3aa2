// Whose row of pg_stat_replication is it? Hosts "a:5432" (the primary, at 192.0.2.1), "b:5432" and
// "c:5432"; the priority tells the rows apart.
#include "judge/rows.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "judge/scene.hpp"

namespace pg_status {
namespace {

const std::optional<int> kNone = std::nullopt;

Sender Row(std::string application_name, std::string client_addr, int sync_priority,
           std::string state = "streaming") {
  Sender row;
  row.application_name = std::move(application_name);
  row.client_addr = std::move(client_addr);
  row.state = std::move(state);
  row.sync_state = "sync";
  row.sync_priority = sync_priority;
  row.slot = "";
  return row;
}

Sender WithSlot(Sender row, std::string slot) {
  row.slot = std::move(slot);
  return row;
}

Sender OfKind(SenderKind kind, Sender row) {
  row.kind = kind;
  return row;
}

// A standby, and what is known of it. Without a name it does not tell as whom it streams, nor from
// where.
struct Says {
  Says() = default;
  Says(std::string its_name, std::string its_address, std::string its_upstream = "192.0.2.1",
       std::string its_cluster_name = "", std::optional<std::string> its_slot = std::nullopt,
       std::string is_seen_as = "")
      : name(std::move(its_name)),
        address(std::move(its_address)),
        upstream(std::move(its_upstream)),
        cluster_name(std::move(its_cluster_name)),
        slot(std::move(its_slot)),
        seen_as(std::move(is_seen_as)) {}

  std::string name;  // of its receiver
  std::string address;
  std::string upstream;
  std::string cluster_name;
  std::optional<std::string> slot;
  std::string seen_as;                 // by the primary, as its own pg_status tells
  std::string entry_application_name;  // what the list has
};

Says Silent(std::string address, std::string cluster_name = "",
            std::string entry_application_name = "") {
  Says says;
  says.address = std::move(address);
  says.cluster_name = std::move(cluster_name);
  says.entry_application_name = std::move(entry_application_name);
  return says;
}

Facts FactsOf(const Says& says, std::size_t index) {
  Facts facts = Standby(1, 100, kStart + static_cast<WallUs>(index));
  facts.cluster_name = says.cluster_name;
  WalReceiver receiver;
  receiver.pid = 4711;
  if (!says.name.empty()) {
    receiver.details_known = receiver.streaming = true;
    receiver.name = says.name;
    receiver.slot = says.slot;
    receiver.sender_host = says.upstream;
    receiver.sender_port = 5432;
  }
  facts.receiver = receiver;
  if (!says.seen_as.empty()) {
    auto inside = std::make_shared<ServerFacts>();
    inside->address = says.seen_as;
    facts.inside = std::move(inside);
  }
  return facts;
}

struct Cluster : Scene {
  explicit Cluster(std::vector<Sender> rows, Facts primary = Primary(1, 100))
      : Scene(3), primary_(std::move(primary)) {
    primary_.senders = std::move(rows);
  }

  void HearPrimary(int ms, const std::string& address = "192.0.2.1") {
    Observation answer = Answer(primary_, ms);
    answer.peer_address = address;
    See(0, answer);
  }

  void HearStandby(std::size_t index, const Says& says, int ms) {
    entries[index].application_name = says.entry_application_name;
    Observation answer = Answer(FactsOf(says, index), ms);
    answer.peer_address = says.address;
    See(index, answer);
  }

  // Standbys first: they streamed before the primary told its rows.
  Cluster& Hear(const Says& b, const Says& c, int ms = 1000) {
    HearStandby(1, b, ms);
    HearStandby(2, c, ms);
    HearPrimary(ms + 100);
    return *this;
  }

  std::string Sync(std::size_t index) { return cluster.hosts[index].sync_state; }
  std::optional<int> Priority(std::size_t index) { return cluster.hosts[index].sync_priority; }

  Facts primary_;
};

struct RowCase {
  const char* situation;
  std::vector<Sender> rows;
  Says b;
  Says c;
  std::optional<int> priority_b;
  std::optional<int> priority_c;
  // of those without a row: "async" none, "" not known
  const char* sync_b = "sync";
  const char* sync_c = "sync";
};

class RowOf : public testing::TestWithParam<RowCase> {};

TEST_P(RowOf, Is) {
  const RowCase& row = GetParam();
  Cluster cluster(row.rows);
  cluster.Hear(row.b, row.c);
  EXPECT_EQ(cluster.Priority(1), row.priority_b) << row.situation;
  EXPECT_EQ(cluster.Priority(2), row.priority_c) << row.situation;
  EXPECT_EQ(cluster.Sync(1), row.sync_b) << row.situation;
  EXPECT_EQ(cluster.Sync(2), row.sync_c) << row.situation;
  EXPECT_EQ(cluster[1].replication_state, row.priority_b ? "streaming" : "") << row.situation;
  EXPECT_EQ(cluster.Priority(0), kNone) << row.situation;
  EXPECT_EQ(cluster.Sync(0), "") << row.situation;
}

const Says kB = {"main", "192.0.2.2"};
const Says kC = {"main", "192.0.2.3"};

INSTANTIATE_TEST_SUITE_P(
    ThatTellTheirName, RowOf,
    testing::Values(RowCase{"no rows", {}, kB, kC, kNone, kNone, "async", "async"},
                    RowCase{"the same name everywhere, told apart by address",
                            {Row("main", "192.0.2.3", 1), Row("main", "192.0.2.2", 2)},
                            kB,
                            kC,
                            2,
                            1},
                    RowCase{"a row that is another host's",
                            {Row("main", "192.0.2.2", 1)},
                            kB,
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"names of their own, at addresses that nobody knows",
                            {Row("b", "198.51.100.8", 1), Row("c", "198.51.100.9", 2)},
                            {"b", "192.0.2.2"},
                            {"c", "192.0.2.3"},
                            1,
                            2},
                    RowCase{"another name at its address: somebody else's",
                            {Row("pg_receivewal", "192.0.2.2", 1), Row("main", "192.0.2.3", 2)},
                            kB,
                            kC,
                            kNone,
                            2,
                            "async"},
                    RowCase{"two of one name at one address",
                            {Row("main", "192.0.2.2", 1), Row("main", "192.0.2.2", 2),
                             Row("main", "192.0.2.3", 3)},
                            kB,
                            kC,
                            kNone,
                            3,
                            ""},
                    RowCase{"two standbys of one name on one machine",
                            {Row("main", "192.0.2.2", 1), Row("main", "192.0.2.2", 2)},
                            kB,
                            {"main", "192.0.2.2"},
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"two standbys of one name on one machine, one row: whose?",
                            {Row("main", "192.0.2.2", 1)},
                            kB,
                            {"main", "192.0.2.2"},
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"two standbys of their own names on one machine",
                            {Row("c", "192.0.2.2", 1), Row("b", "192.0.2.2", 2)},
                            {"b", "192.0.2.2"},
                            {"c", "192.0.2.2"},
                            2,
                            1},
                    RowCase{"a name is compared as it is",
                            {Row("MAIN", "192.0.2.2", 1)},
                            kB,
                            kC,
                            kNone,
                            kNone,
                            "async",
                            "async"},
                    RowCase{"cut where PostgreSQL cuts it",
                            {Row(std::string(63, 'x'), "192.0.2.2", 1)},
                            {std::string(70, 'x'), "192.0.2.2"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"letters that PostgreSQL does not show",
                            {Row("db??", "192.0.2.2", 1)},
                            {"db\xC3\xA9", "192.0.2.2"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"from the primary's machine, while one of the list is there",
                            {Row("main", "127.0.0.1", 1)},
                            {"main", "192.0.2.1"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"IPv6 in another spelling",
                            {Row("main", "2001:db8::2", 1)},
                            {"main", "2001:DB8:0::2"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"IPv4 that is polled as mapped into IPv6",
                            {Row("main", "192.0.2.2", 1)},
                            {"main", "::ffff:192.0.2.2"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"link-local, without the zone that only one side knows",
                            {Row("main", "fe80::2", 1)},
                            {"main", "fe80::2%eth0"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"}));

INSTANTIATE_TEST_SUITE_P(
    AtAnUnknownAddress, RowOf,
    testing::Values(RowCase{"it streams from the primary, and there is no other",
                            {Row("main", "198.51.100.8", 1), Row("main", "192.0.2.3", 2)},
                            kB,
                            kC,
                            1,
                            2},
                    RowCase{"two that stream from the primary, and two rows",
                            {Row("main", "198.51.100.8", 1), Row("main", "198.51.100.9", 2)},
                            kB,
                            kC,
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"one streams from the primary, and two rows",
                            {Row("main", "198.51.100.8", 1), Row("main", "198.51.100.9", 2)},
                            kB,
                            {"main", "192.0.2.3", "db9"},
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"it streams from an unknown place, and the name is not its alone",
                            {Row("main", "198.51.100.8", 1)},
                            {"main", "192.0.2.2", "db9", "main"},
                            {"c", "192.0.2.3", "db9", "main"},
                            kNone,
                            kNone,
                            "",
                            "async"},
                    RowCase{
                        "it streams from an unknown place, under the name that the list gives it",
                        {Row("B:5432", "198.51.100.8", 1)},
                        {"B:5432", "192.0.2.2", "vip"},
                        kC,
                        1,
                        kNone,
                        "sync",
                        "async"},
                    RowCase{"under its host's name",
                            {Row("b", "198.51.100.8", 1)},
                            {"b", "192.0.2.2", "vip"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"under a cluster_name of its own",
                            {Row("left", "198.51.100.8", 1)},
                            {"left", "192.0.2.2", "vip", "left"},
                            kC,
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"PostgreSQL's default name is nobody's own",
                            {Row("walreceiver", "198.51.100.8", 1)},
                            {"walreceiver", "192.0.2.2", "vip"},
                            kC,
                            kNone,
                            kNone,
                            "",
                            "async"},
                    RowCase{"its own pg_status tells as whom the primary sees it",
                            {Row("main", "198.51.100.8", 1), Row("main", "198.51.100.9", 2)},
                            {"main", "192.0.2.2", "192.0.2.1", "", std::nullopt, "198.51.100.9"},
                            {"main", "192.0.2.3", "192.0.2.1", "", std::nullopt, "198.51.100.8"},
                            2,
                            1}));

INSTANTIATE_TEST_SUITE_P(
    BySlot, RowOf,
    testing::Values(RowCase{"one name and one machine",
                            {WithSlot(Row("main", "192.0.2.2", 1), "s1"),
                             WithSlot(Row("main", "192.0.2.2", 2), "s2")},
                            {"main", "192.0.2.2", "192.0.2.1", "", "s2"},
                            {"main", "192.0.2.2", "192.0.2.1", "", "s1"},
                            2,
                            1},
                    RowCase{
                        "a slot beside none",
                        {WithSlot(Row("main", "192.0.2.2", 1), "s1"), Row("main", "192.0.2.2", 2)},
                        {"main", "192.0.2.2", "192.0.2.1", "", ""},
                        {"main", "192.0.2.2", "192.0.2.1", "", "s1"},
                        2,
                        1},
                    RowCase{"another slot is somebody else's",
                            {WithSlot(Row("main", "192.0.2.2", 1), "archive")},
                            {"main", "192.0.2.2", "192.0.2.1", "", "s2"},
                            kC,
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"a slot of that name, and another name: a slot of another server",
                            {WithSlot(Row("archive", "192.0.2.2", 1), "s2")},
                            {"main", "192.0.2.2", "vip", "", "s2"},
                            kC,
                            kNone,
                            kNone,
                            "async",
                            "async"}));

INSTANTIATE_TEST_SUITE_P(
    OfNobody, RowOf,
    testing::Values(
        RowCase{
            "of a base backup or a subscriber that is called like a standby",
            {OfKind(SenderKind::kOther, Row("main", "192.0.2.2", 1)), Row("main", "192.0.2.2", 2)},
            kB,
            kC,
            2,
            kNone,
            "sync",
            "async"},
        RowCase{"of those alone",
                {OfKind(SenderKind::kOther, Row("b:5432", "192.0.2.2", 1))},
                Silent("192.0.2.2"),
                kC,
                kNone,
                kNone,
                "async",
                "async"},
        RowCase{"beside an archiver that is called like it",
                {OfKind(SenderKind::kReceiver, Row("main", "192.0.2.2", 1)),
                 Row("main", "192.0.2.2", 2)},
                kB,
                kC,
                2,
                kNone,
                "sync",
                "async"},
        RowCase{"an archiver that is called like a standby which streams from somewhere else",
                {OfKind(SenderKind::kReceiver, Row("b", "192.0.2.2", 1))},
                {"b", "192.0.2.2", "db9"},
                kC,
                kNone,
                kNone,
                "async",
                "async"},
        RowCase{"of one that has not replied so far, but is a standby for certain",
                {OfKind(SenderKind::kReceiver, Row("main", "192.0.2.2", 1))},
                kB,
                kC,
                1,
                kNone,
                "sync",
                "async"},
        RowCase{"a connection that has only begun beside the one that streams",
                {Row("main", "192.0.2.2", 1, "startup"), Row("main", "192.0.2.2", 2)},
                kB,
                kC,
                2,
                kNone,
                "sync",
                "async"},
        RowCase{"cascaded: it streams from another standby",
                {Row("main", "192.0.2.2", 1), Row("main", "192.0.2.3", 2)},
                kB,
                {"main", "192.0.2.3", "b"},
                1,
                kNone,
                "sync",
                "async"}));

INSTANTIATE_TEST_SUITE_P(
    ThatDoNotTellTheirName, RowOf,
    testing::Values(RowCase{"by the application_name of the entry",
                            {Row("walb", "", 1), Row("walc", "", 2)},
                            Silent("", "", "walc"),
                            Silent("", "", "walb"),
                            2,
                            1},
                    RowCase{"whose case does not count",
                            {Row("walb", "", 1)},
                            Silent("", "", "WALB"),
                            Silent("", "", "wal"),
                            1,
                            kNone,
                            "sync",
                            "async"},
                    RowCase{"when one is given, nothing else counts",
                            {Row("b:5432", "192.0.2.2", 1), Row("b", "192.0.2.2", 2)},
                            Silent("192.0.2.2", "b", "gone"),
                            kC,
                            kNone,
                            kNone,
                            "async",
                            "async"},
                    RowCase{"by the name of the entry",
                            {Row("c:5432", "", 1), Row("b:5432", "", 2)},
                            Silent("192.0.2.2", "x"),
                            Silent("192.0.2.3"),
                            2,
                            1},
                    RowCase{"but not where it is another host's by its address",
                            {Row("b:5432", "192.0.2.3", 1)},
                            Silent("192.0.2.2"),
                            Silent("192.0.2.3"),
                            kNone,
                            1,
                            "async"},
                    RowCase{"by cluster_name",
                            {Row("main_c", "", 1), Row("main_b", "", 2)},
                            Silent("192.0.2.2", "main_b"),
                            Silent("192.0.2.3", "main_c"),
                            2,
                            1},
                    RowCase{"shared cluster_name, told apart by address",
                            {Row("main", "192.0.2.3", 1), Row("main", "192.0.2.2", 2)},
                            Silent("192.0.2.2", "main"),
                            Silent("192.0.2.3", "main"),
                            2,
                            1},
                    RowCase{"cluster_name shared by two standbys",
                            {Row("main", "198.51.100.8", 1)},
                            Silent("192.0.2.2", "main"),
                            Silent("192.0.2.3", "main"),
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{
                        "by address",
                        {Row("walreceiver", "192.0.2.3", 1), Row("walreceiver", "192.0.2.2", 2)},
                        Silent("192.0.2.2"),
                        Silent("192.0.2.3"),
                        2,
                        1},
                    RowCase{"address of two hosts",
                            {Row("walreceiver", "192.0.2.2", 1)},
                            Silent("192.0.2.2"),
                            Silent("192.0.2.2"),
                            kNone,
                            kNone,
                            "",
                            ""},
                    RowCase{"address of two rows",
                            {Row("walreceiver", "192.0.2.2", 1), Row("other", "192.0.2.2", 2)},
                            Silent("192.0.2.2"),
                            kC,
                            kNone,
                            kNone,
                            "",
                            "async"},
                    RowCase{"some row that may be anybody's",
                            {Row("walreceiver", "", 1)},
                            Silent("192.0.2.2"),
                            kC,
                            kNone,
                            kNone,
                            "",
                            "async"}));

// The case of Debian: cluster_name '15/main' on all servers, and the machine's own name at
// 127.0.1.1 in its /etc/hosts. This server is c.
TEST(Rows, ANodeThatReachesItselfAtALocalAddressIsSeenAsTheOneThatPolls) {
  Cluster cluster({Row("main", "192.0.2.2", 1), Row("main", "192.0.2.3", 2)});
  cluster.primary_.asker = "192.0.2.3";
  cluster.own_start = kStart + 2;
  cluster.Hear(kB, {"main", "127.0.1.1"});
  EXPECT_EQ(cluster.Priority(1), 1);
  EXPECT_EQ(cluster.Priority(2), 2);
  EXPECT_EQ(cluster.cluster.address, "192.0.2.3") << "which it tells the others";
  // b is gone from the list, or never was in it
  cluster.primary_.senders = {Row("main", "192.0.2.2", 1)};
  cluster.HearPrimary(2000);
  EXPECT_EQ(cluster.Priority(2), kNone) << "a row of an address that is not its own";
  EXPECT_EQ(cluster.Sync(2), "async");
}

TEST(Rows, WhatAPollerTellsOfItselfThroughAProxyIsNothing) {
  Cluster cluster({Row("main", "127.0.0.1", 1)});
  cluster.primary_.asker = "127.0.0.1";  // a proxy on the primary's machine, which is at 192.0.2.1
  cluster.own_start = kStart + 2;
  cluster.Hear({"b", "192.0.2.2"}, {"main", "127.0.1.1", "vip"});
  EXPECT_EQ(cluster.Priority(2), kNone);
  EXPECT_EQ(cluster.Sync(2), "");
  EXPECT_EQ(cluster.cluster.address, "");
}

TEST(Rows, OnOneMachineLocalAddressesMeanTheSame) {
  for (const char* const asker : {"127.0.0.1", ""}) {  // "": over a socket
    Cluster cluster({Row("main", "", 1), Row("other", "127.0.0.1", 2)});
    cluster.primary_.asker = asker;
    cluster.HearStandby(1, {"main", "127.0.0.1", "127.0.1.1"}, 1000);
    cluster.HearStandby(2, {"other", "", "/tmp"}, 1000);
    cluster.entries[2].kind = PlaceKind::kSocket;
    cluster.HearPrimary(1100, *asker == '\0' ? "" : "127.0.1.1");
    EXPECT_EQ(cluster.Priority(1), 1) << asker;
    EXPECT_EQ(cluster.Priority(2), 2) << asker;
  }
}

TEST(Rows, EveryAddressOfANameCounts) {
  Cluster cluster({Row("main", "192.0.2.2", 1), Row("main", "192.0.2.9", 2)});
  Observation answer = Answer(FactsOf(kB, 1), 900);
  answer.peer_address = "2001:db8::2";  // polled over IPv6, replication over IPv4
  answer.addresses = {"2001:db8::2", "192.0.2.2"};
  cluster.See(1, answer);
  cluster.HearPrimary(1000);
  EXPECT_EQ(cluster.Priority(1), 1);
}

TEST(Rows, AHostThatRefusesUsHasItsAddressAllTheSame) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  Observation refusal = Failure(Outcome::kRejected, 900);
  refusal.addresses = {"192.0.2.2"};
  for (int i = 0; i < 3; ++i) cluster.See(1, refusal);
  cluster.HearStandby(2, {"main", "192.0.2.3", "192.0.2.1"}, 900);
  cluster.HearPrimary(1000);
  EXPECT_EQ(cluster[1].liveness, Liveness::kDown);
  EXPECT_EQ(cluster.Priority(2), kNone) << "b's row is not c's";
}

TEST(Rows, TwoEntriesOfOneServerHaveTheSameRow) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.HearStandby(1, kB, 900);
  Observation answer = Answer(FactsOf(kB, 1), 950);
  answer.peer_address = "198.51.100.1";  // a floating address
  cluster.See(2, answer);
  cluster.HearPrimary(1000);
  EXPECT_EQ(cluster.Priority(1), 1);
  EXPECT_EQ(cluster.Priority(2), 1);
}

TEST(Rows, AStandbyWithoutAReceiverHasNone) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.Hear(kB, kC);
  ASSERT_EQ(cluster.Sync(1), "sync");
  cluster.Answers(1, Standby(1, 100, kStart + 1), 2000);  // fed by an archive, say
  EXPECT_EQ(cluster.Sync(1), "async");
  EXPECT_EQ(cluster[1].replication_state, "");
  Facts connecting = FactsOf(kB, 1);
  connecting.receiver->streaming = false;
  cluster.Answers(1, connecting, 3000);
  EXPECT_EQ(cluster.Sync(1), "async");
}

TEST(Rows, ARowThatIsOlderThanTheReceiverIsNotTakenWithoutItsAddress) {
  Cluster cluster({Row("main", "198.51.100.8", 1)});
  cluster.HearStandby(2, {"c", "192.0.2.3"}, 900);
  cluster.HearPrimary(1000);
  cluster.HearStandby(1, kB, 2000);
  EXPECT_EQ(cluster.Sync(1), "") << "it may be that of somebody who is not in the list";
  cluster.HearPrimary(3000);
  EXPECT_EQ(cluster.Priority(1), 1);
  // another receiver: that may have no row so far
  Facts again = FactsOf(kB, 1);
  again.receiver->pid = 4712;
  Observation answer = Answer(again, 4000);
  answer.peer_address = "192.0.2.2";
  cluster.See(1, answer);
  EXPECT_EQ(cluster.Sync(1), "");
}

TEST(Rows, WhoseContentsAreHiddenAreNotAbsent) {
  Cluster cluster({});
  cluster.primary_.senders_missing = true;
  cluster.Hear(kB, {"main", "192.0.2.3", "b"});
  EXPECT_EQ(cluster.Sync(1), "");
  EXPECT_EQ(cluster.Sync(2), "async") << "cascaded, whatever the primary shows";
}

TEST(Rows, InCatchUpIsShownAsItIs) {
  Cluster cluster({Row("main", "192.0.2.2", 0, "catchup")});
  cluster.Hear(kB, kC);
  EXPECT_EQ(cluster[1].replication_state, "catchup");
  EXPECT_EQ(cluster.Priority(1), 0);
}

TEST(Rows, KeptWhileThePrimaryIsSuspectClearedWhenItIsDown) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.Hear(kB, kC);
  for (int ms : {1200, 1300}) cluster.Fails(0, ms);
  EXPECT_EQ(cluster.Sync(1), "sync");
  cluster.Fails(0, 1400);
  EXPECT_EQ(cluster.Sync(1), "");
  EXPECT_EQ(cluster.Priority(1), kNone);
  EXPECT_EQ(cluster.Sync(2), "") << "without a primary nobody is asynchronous either";
}

TEST(Rows, GrowOldWhileThePrimaryIsFull) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.Hear(kB, kC);
  for (int ms = 2000; ms <= 30000; ms += 1000) {
    cluster.Fails(0, ms, Outcome::kFull);
    cluster.HearStandby(1, kB, ms);
  }
  ASSERT_TRUE(cluster[0].chosen_primary);
  EXPECT_EQ(cluster.Sync(1), "");
}

TEST(Rows, AReceiverThatWasNotThereLongAgoMayBeThereNow) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.HearStandby(2, kC, 900);
  Facts without = Standby(1, 100, kStart + 1);
  without.cluster_name = "main";
  Observation answer = Answer(without, 900);
  answer.peer_address = "192.0.2.2";
  cluster.See(1, answer);
  cluster.HearPrimary(1000);
  EXPECT_EQ(cluster.Sync(1), "async");
  for (int ms = 2000; ms <= 30000; ms += 1000) {
    cluster.Fails(1, ms, Outcome::kFull);
    cluster.HearPrimary(ms);
  }
  EXPECT_EQ(cluster.Sync(1), "sync");
}

TEST(Rows, ClearedWhenTheStandbyIsPromotedOrOfAnotherCluster) {
  Cluster cluster({Row("main", "192.0.2.2", 1)});
  cluster.Hear(kB, kC);
  for (int ms : {1200, 1300, 1400}) cluster.Fails(0, ms);
  cluster.Answers(1, Primary(2, 100, kStart + 1), 2000);
  EXPECT_TRUE(cluster[1].chosen_primary);
  EXPECT_EQ(cluster.Sync(1), "");

  Cluster other({Row("main", "192.0.2.2", 1)});
  other.Hear(kB, kC);
  Facts foreign = FactsOf(kB, 1);
  foreign.system_identifier = kOtherSystem;
  other.Answers(1, foreign, 2000);
  EXPECT_EQ(other.Sync(1), "");
}

// --- what is told of a doubt ---

std::vector<LogLine> Told(const ClusterVerdict& before, const Cluster& after) {
  return DescribeChanges(before, after.cluster, after.entries, false);
}

TEST(Rows, ADoubtThatLastsIsToldOnceWithItsCure) {
  const Says other = {"c", "192.0.2.3"};
  const Sender row = Row("main", "192.0.2.2", 1);
  Cluster cluster({row, row});
  cluster.Hear(kB, other);
  ClusterVerdict before = cluster.cluster;
  EXPECT_EQ(cluster[1].row_in_doubt, "") << "it may be over in a moment";
  for (int ms = 2000; ms < 6000; ms += 1000) cluster.Hear(kB, other, ms);
  EXPECT_TRUE(Told(before, cluster).empty());
  cluster.Hear(kB, other, 7000);
  const std::vector<LogLine> lines = Told(before, cluster);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].level, LogLine::Level::kWarning);
  EXPECT_EQ(lines[0].message,
            "which row of pg_stat_replication is that of host \"b:5432\" cannot be told");
  EXPECT_EQ(lines[0].detail,
            "Each of these rows of the primary may be its own: \"main\" from 192.0.2.2, \"main\" "
            "from 192.0.2.2. Whether it is synchronous is not known.");
  EXPECT_NE(lines[0].hint.find("application_name=b"), std::string::npos) << lines[0].hint;

  before = cluster.cluster;
  Facts gone = Standby(1, 100, kStart + 1);
  cluster.Answers(1, gone, 8000);
  for (int ms = 9000; ms < 20000; ms += 1000) cluster.Hear(kB, other, ms);
  EXPECT_TRUE(Told(before, cluster).empty()) << "once, also when it comes and goes";

  cluster.primary_.senders = {row};
  cluster.HearPrimary(21000);
  const std::vector<LogLine> over = Told(before, cluster);
  ASSERT_EQ(over.size(), 1U);
  EXPECT_EQ(over[0].message, "the row of host \"b:5432\" in pg_stat_replication is found");
}

TEST(Rows, TheDoubtNamesNothingThatBreaksALine) {
  Cluster cluster({Row("main", "198.51.100.8", 1), Row("x\ny", "a\nb", 2)});
  for (int ms = 1000; ms < 9000; ms += 1000) cluster.Hear(Silent("192.0.2.2"), kC, ms);
  EXPECT_NE(cluster[1].row_in_doubt, "");
  EXPECT_EQ(cluster[1].row_in_doubt.find('\n'), std::string::npos);
}

TEST(Rows, OfManyThatMayBeItsOwnAFewAreNamed) {
  const Says other = {"c", "192.0.2.3"};
  std::vector<Sender> rows;
  for (int i = 0; i < 12; ++i) rows.push_back(Row("main", i == 0 ? "" : "192.0.2.2", i + 1));
  Cluster cluster(rows);
  for (int ms = 1000; ms <= 8000; ms += 1000) cluster.Hear(kB, other, ms);
  EXPECT_NE(cluster[1].row_in_doubt.find(" more."), std::string::npos) << cluster[1].row_in_doubt;
}

// PostgreSQL shows what is not ASCII in a name as "?" until 15, as \\xHH from 16 on.
TEST(Rows, ANameIsComparedAsItsServerShowsIt) {
  const Says said = {"caf\xC3\xA9", "192.0.2.2"};
  for (const int version : {150000, 160000}) {
    Facts primary = Primary(1, 100);
    primary.server_version = version;
    Cluster cluster({Row(version < 160000 ? "caf??" : "caf\\xc3\\xa9", "192.0.2.2", 1)}, primary);
    cluster.Hear(said, {"c", "192.0.2.3"});
    EXPECT_EQ(cluster.Sync(1), "sync") << version;
    EXPECT_EQ(cluster[1].replication_state, "streaming") << version;
  }
}

}  // namespace
}  // namespace pg_status
