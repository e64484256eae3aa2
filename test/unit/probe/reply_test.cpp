// The probe's answer: rows -> facts, and what is done with rows that no PostgreSQL server sends.
#include "probe/reply.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "probe/reply_rows.hpp"

namespace pg_status {
namespace {

constexpr int kVersion = 150020;

Result<Facts> Parse(Cells cells) { return ParseReply(FakeRows({std::move(cells)}), kVersion); }

Cells With(Cells cells, ReplyColumn column, std::optional<std::string> cell) {
  cells[column] = std::move(cell);
  return cells;
}

// ---------------------------------------------------------------- the query

TEST(ProbeQuery, IsOneStatementThatSetsNothing) {
  const std::string query(ProbeQuery());
  EXPECT_EQ(query.rfind("SELECT ", 0), 0u);
  EXPECT_EQ(query.find(';'), std::string::npos);
  EXPECT_EQ(query.find("set_config"), std::string::npos);
  EXPECT_EQ(query.find("pg_stat_recovery"), std::string::npos) << "it is there from 19 on";
}

TEST(ProbeQuery, AsksTheViewOfRecoveryWhereThereIsOne) {
  const std::string query = ProbeQuery(true);
  EXPECT_EQ(query.rfind("SELECT ", 0), 0u);
  EXPECT_EQ(query.find(';'), std::string::npos);
  EXPECT_NE(query.find(" LEFT JOIN pg_catalog.pg_stat_recovery q "), std::string::npos);
  EXPECT_NE(query.find(",q.last_replayed_tli,"), std::string::npos);
  EXPECT_EQ(query.find(",NULL,"), std::string::npos);
}

// ---------------------------------------------------------------- good answers

TEST(ParseReply, PrimaryTellsWhatItWrites) {
  const auto facts = Parse(PrimaryCells());
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_FALSE(facts->in_recovery);
  EXPECT_EQ(facts->system_identifier, 7000000000000000001u);
  EXPECT_EQ(facts->timeline, 3u);
  EXPECT_EQ(facts->postmaster_start, 1700000000250000);
  EXPECT_EQ(facts->clock, 1700000100500000);
  EXPECT_EQ(facts->server_version, kVersion);
  EXPECT_EQ(facts->cluster_name, "main");
  EXPECT_EQ(facts->write_lsn, 0xAFE000060u);
  EXPECT_EQ(facts->receive_lsn, std::nullopt);
  EXPECT_EQ(facts->replay_lsn, std::nullopt);
  EXPECT_EQ(facts->replay_commit, std::nullopt);
  EXPECT_FALSE(facts->replay_paused.value_or(false));
  EXPECT_FALSE(facts->receiver.has_value());
  EXPECT_TRUE(facts->senders.empty());
  EXPECT_FALSE(facts->details_hidden);
}

TEST(ParseReply, PrimaryTellsEachSender) {
  Cells second = WithSender(PrimaryCells(), "b");
  second[kColSenderAddress] = std::nullopt;  // over a Unix-domain socket
  second[kColSenderState] = "catchup";
  second[kColSenderSyncState] = "quorum";
  second[kColSenderSyncPriority] = "2";
  second[kColSenderSlot] = "s2";
  const auto facts = ParseReply(FakeRows({WithSender(PrimaryCells(), "a"), second}), kVersion);
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_EQ(facts->senders.size(), 2u);
  EXPECT_EQ(facts->senders[0].usename, "replicator");
  EXPECT_EQ(facts->senders[0].application_name, "a");
  EXPECT_EQ(facts->senders[0].client_addr, "192.0.2.7");
  EXPECT_EQ(facts->senders[0].state, "streaming");
  EXPECT_EQ(facts->senders[0].sync_state, "async");
  EXPECT_EQ(facts->senders[0].sync_priority, 0);
  EXPECT_EQ(facts->senders[1].application_name, "b");
  EXPECT_EQ(facts->senders[1].client_addr, "");
  EXPECT_EQ(facts->senders[1].state, "catchup");
  EXPECT_EQ(facts->senders[1].sync_state, "quorum");
  EXPECT_EQ(facts->senders[1].sync_priority, 2);
  EXPECT_EQ(facts->senders[0].slot, "");
  EXPECT_EQ(facts->senders[1].slot, "s2");
  EXPECT_FALSE(facts->details_hidden);
  EXPECT_FALSE(facts->senders_missing);
}

TEST(ParseReply, StandbyTellsWhatItReceivesAndReplays) {
  const auto facts = Parse(StandbyCells());
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_TRUE(facts->in_recovery);
  EXPECT_EQ(facts->cluster_name, "");
  EXPECT_EQ(facts->write_lsn, std::nullopt);
  EXPECT_EQ(facts->receive_lsn, 0xAFE000060u);
  EXPECT_EQ(facts->replay_lsn, 0xAFE000000u);
  EXPECT_EQ(facts->replay_commit, 1700000099123456);
  EXPECT_FALSE(facts->replay_paused.value_or(false));
  ASSERT_TRUE(facts->receiver.has_value());
  EXPECT_TRUE(facts->receiver->details_known);
  EXPECT_TRUE(facts->receiver->streaming);
  EXPECT_EQ(facts->receiver->sender_host, "db1");
  EXPECT_EQ(facts->receiver->sender_port, 5432);
  EXPECT_EQ(facts->receiver->timeline, 3u);
  EXPECT_EQ(facts->receiver->latest_end_lsn, 0xAFE000060u);
  EXPECT_EQ(facts->receiver->pid, 4711);
  EXPECT_EQ(facts->receiver->name, "db2");
  EXPECT_EQ(facts->receiver->slot, "db2_slot");
  EXPECT_FALSE(facts->details_hidden);
}

TEST(ParseReply, ReceiverWithoutANameOfItsOwnHasTheClusterName) {
  Cells cells = StandbyCells();
  cells[kColReceiverSlot].reset();
  cells[kColReceiverConninfo] = "host=db1 fallback_application_name=walreceiver";
  EXPECT_EQ(Parse(cells)->receiver->name, "walreceiver");
  EXPECT_EQ(Parse(cells)->receiver->slot, "") << "it has none";
  cells[kColClusterName] = "15/main";
  EXPECT_EQ(Parse(cells)->receiver->name, "") << "that is not what PostgreSQL calls it";
  cells[kColReceiverConninfo] = "host=db1 fallback_application_name=15/main";
  EXPECT_EQ(Parse(cells)->receiver->name, "15/main");
  cells[kColReceiverConninfo].reset();
  EXPECT_EQ(Parse(cells)->receiver->name, "");
}

TEST(ParseReply, SenderTellsWhatItSendsTo) {
  const std::pair<std::optional<std::string>, SenderKind> kinds[] = {
      {"standby", SenderKind::kStandby},
      {"receiver", SenderKind::kReceiver},
      {"other", SenderKind::kOther},
      {std::nullopt, SenderKind::kStandby},
      {"", SenderKind::kStandby}};
  for (const auto& [cell, kind] : kinds) {
    Cells cells = With(WithSender(PrimaryCells(), "a"), kColSenderKind, cell);
    EXPECT_EQ(Parse(cells)->senders.front().kind, kind) << cell.value_or("NULL");
  }
  Cells cells = With(WithSender(PrimaryCells(), "a"), kColSenderSlot, std::nullopt);
  EXPECT_EQ(Parse(cells)->senders.front().slot, std::nullopt) << "not known";
}

TEST(ParseReply, TheAskerIsKnownByItsAddress) {
  EXPECT_EQ(Parse(With(PrimaryCells(), kColAsker, "192.0.2.8"))->asker, "192.0.2.8");
  EXPECT_EQ(Parse(PrimaryCells())->asker, "") << "over a socket";
}

TEST(ParseReply, PausedReplayIsTold) {
  const auto facts = Parse(With(StandbyCells(), kColReplayPaused, "t"));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->replay_paused, true);
}

TEST(ParseReply, ReceiverThatIsNotStreamingIsTold) {
  for (const char* status : {"starting", "waiting", "stopping", "Streaming", ""}) {
    SCOPED_TRACE(status);
    const auto facts = Parse(With(StandbyCells(), kColReceiverStatus, status));
    ASSERT_TRUE(facts.ok()) << facts.error();
    ASSERT_TRUE(facts->receiver.has_value());
    EXPECT_FALSE(facts->receiver->streaming);
  }
}

// What a role without pg_monitor gets: the rows of the views, with NULL in all but the pid.
TEST(ParseReply, StandbyHidesItsReceiverFromAnOrdinaryRole) {
  Cells cells = StandbyCells();
  for (std::size_t c = kColReceiverStatus; c <= kColReceiverLatestEnd; ++c) cells[c].reset();
  const auto facts = Parse(cells);
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_TRUE(facts->details_hidden);
  ASSERT_TRUE(facts->receiver.has_value());
  EXPECT_FALSE(facts->receiver->details_known);
  EXPECT_FALSE(facts->receiver->streaming);
  EXPECT_EQ(facts->timeline, 2u) << "the control file's is what is left";
}

TEST(ParseReply, PrimaryHidesItsSendersFromAnOrdinaryRole) {
  Cells cells = PrimaryCells();
  cells[kColSenderPid] = "4712";
  const auto facts = ParseReply(FakeRows({cells, cells}), kVersion);
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_TRUE(facts->details_hidden);
  EXPECT_TRUE(facts->senders_missing);
  EXPECT_TRUE(facts->senders.empty());
}

TEST(ParseReply, StandbyThatNeverStreamedHasNoPositions) {
  Cells cells = StandbyCells();
  for (std::size_t c = kColReceiveLsn; c <= kColReceiverLatestEnd; ++c) cells[c].reset();
  const auto facts = Parse(cells);
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->receive_lsn, std::nullopt);
  EXPECT_EQ(facts->replay_lsn, std::nullopt);
  EXPECT_EQ(facts->replay_commit, std::nullopt);
  EXPECT_FALSE(facts->receiver.has_value());
  EXPECT_FALSE(facts->details_hidden);
}

// ---------------------------------------------------------------- timelines

TEST(ParseReply, PrimaryTimelineIsThatOfItsWalFile) {
  const struct {
    const char* file;
    std::uint32_t timeline;
  } rows[] = {
      {"000000010000000000000001", 1},
      {"0000000A00000001000000FF", 10},
      {"0000000a00000001000000ff", 10},
      {"FFFFFFFF0000000000000001", 0xFFFFFFFF},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.file);
    const auto facts = Parse(With(PrimaryCells(), kColWalFile, row.file));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_EQ(facts->timeline, row.timeline);
  }
}

TEST(ParseReply, StandbyTimelineIsTheNewestItTells) {
  const struct {
    std::optional<std::string> control;
    std::optional<std::string> receiver;
    std::uint32_t timeline;
  } rows[] = {
      {"2", "3", 3},
      {"3", "2", 3},
      {"2", std::nullopt, 2},
      {std::nullopt, "3", 3},
      {std::nullopt, std::nullopt, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.timeline);
    Cells cells = With(StandbyCells(), kColControlTimeline, row.control);
    const auto facts = Parse(With(cells, kColReceiverTimeline, row.receiver));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_EQ(facts->timeline, row.timeline);
  }
}

TEST(ParseReply, StandbyThatTellsWhatItReplaysNeedsNoGuess) {
  const struct {
    std::optional<std::string> told;
    std::optional<std::string> receiver;
    std::uint32_t timeline;
    bool exact;
  } rows[] = {
      {"3", std::nullopt, 3, true},  // the control file says 2
      {"1", std::nullopt, 1, true},
      {"2", "3", 2, true},  // it has not replayed all that it has received
      {std::nullopt, "3", 3, true},
      {std::nullopt, std::nullopt, 2, false},
      {"0", std::nullopt, 2, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.told.value_or("NULL"));
    Cells cells = With(StandbyCells(), kColReplayTimeline, row.told);
    const auto facts = Parse(With(cells, kColReceiverTimeline, row.receiver));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_EQ(facts->timeline, row.timeline);
    EXPECT_EQ(facts->timeline_exact, row.exact);
  }
  EXPECT_FALSE(Parse(With(StandbyCells(), kColReplayTimeline, "x")).ok());
  const auto primary = Parse(With(PrimaryCells(), kColReplayTimeline, "1"));
  ASSERT_TRUE(primary.ok()) << primary.error();
  EXPECT_EQ(primary->timeline, 3u);
}

// As PostgreSQL 19 shows it: there before it is connected, with nothing to tell.
TEST(ParseReply, ReceiverThatOnlyConnectsDoesNotStream) {
  Cells cells = With(StandbyCells(), kColReceiverStatus, "connecting");
  for (const ReplyColumn column : {kColReceiverHost, kColReceiverPort, kColReceiverTimeline}) {
    cells[column] = std::nullopt;
  }
  const auto facts = Parse(cells);
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_TRUE(facts->receiver.has_value());
  EXPECT_TRUE(facts->receiver->details_known);
  EXPECT_FALSE(facts->receiver->streaming);
  EXPECT_EQ(facts->receiver->sender_host, "");
  EXPECT_FALSE(facts->timeline_exact);
}

TEST(ParseReply, PrimaryIgnoresTheControlFilesTimeline) {
  const auto facts = Parse(With(PrimaryCells(), kColControlTimeline, "99"));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->timeline, 3u);
}

// ---------------------------------------------------------------- what only the inside knows

const char* const kInside =
    "facts 1\n"
    "timeline 4\n"
    "history 1\n"
    "fork 3 A/FE000000\n"
    "receiver streaming\n"
    "upstream 192.0.2.1 5433\n"
    "name db2\n"
    "slot db2_slot\n"
    "oldest_wal A/1000000\n"
    "read_only on\n";

// As an ordinary role gets them: there is a receiver, and that is all.
Cells Hidden(Cells cells) {
  for (std::size_t c = kColReceiverStatus; c <= kColReceiverLatestEnd; ++c) cells[c].reset();
  return cells;
}

TEST(ParseReply, StandbyTellsWhatOnlyItsInsideKnows) {
  const auto facts = Parse(With(StandbyCells(), kColFacts, kInside));
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_TRUE(facts->inside);
  EXPECT_EQ(*facts->inside, *ReadServerFacts(kInside));
  EXPECT_EQ(facts->timeline, 4u) << "the one that it replays now";
  ASSERT_TRUE(facts->receiver);
  EXPECT_TRUE(facts->receiver->streaming);
  EXPECT_EQ(facts->receiver->sender_host, "192.0.2.1");
  EXPECT_EQ(facts->receiver->sender_port, 5433);
  EXPECT_EQ(facts->receiver->latest_end_lsn, 0xAFE000060u) << "of the view";
  EXPECT_FALSE(facts->details_hidden);
}

TEST(ParseReply, OrdinaryRoleGetsTheReceiverFromInside) {
  const auto facts = Parse(With(Hidden(StandbyCells()), kColFacts, kInside));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_FALSE(facts->details_hidden);
  ASSERT_TRUE(facts->receiver);
  EXPECT_TRUE(facts->receiver->details_known);
  EXPECT_TRUE(facts->receiver->streaming);
  EXPECT_EQ(facts->receiver->sender_host, "192.0.2.1");
  EXPECT_EQ(facts->receiver->sender_port, 5433);
  EXPECT_EQ(facts->receiver->name, facts->inside->receiver_name);
  EXPECT_EQ(facts->receiver->slot, facts->inside->receiver_slot);
  EXPECT_EQ(facts->timeline, 4u);
}

TEST(ParseReply, OlderTimelineFromInsideIsTheOneThatIsReplayed) {
  const auto facts = Parse(With(StandbyCells(), kColFacts, "facts 1\ntimeline 1\n"));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->timeline, 1u) << "whatever its receiver has received of a newer one";
}

TEST(ParseReply, ReceiverIsWhatTheInsideSays) {
  const struct {
    const char* inside;
    Cells cells;
    bool present;
    bool details;
    bool streaming;
    const char* host;
  } rows[] = {
      {"receiver none\n", StandbyCells(), false, false, false, ""},
      {"receiver connecting\n", StandbyCells(), true, true, false, "db1"},
      {"receiver connecting\nupstream db9 -\n", StandbyCells(), true, true, false, "db9"},
      {"receiver streaming\n", StandbyCells(), true, true, true, "db1"},
      {"timeline 3\n", StandbyCells(), true, true, true, "db1"},
      {"receiver none\n", Hidden(StandbyCells()), false, false, false, ""},
      {"receiver connecting\n", Hidden(StandbyCells()), true, true, false, ""},
      {"timeline 3\n", Hidden(StandbyCells()), true, false, false, ""},
      // the view shows no receiver before it is connected
      {"receiver connecting\n", With(Hidden(StandbyCells()), kColReceiverPid, std::nullopt), true,
       true, false, ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.inside);
    const auto facts = Parse(With(row.cells, kColFacts, std::string("facts 1\n") + row.inside));
    ASSERT_TRUE(facts.ok()) << facts.error();
    ASSERT_EQ(facts->receiver.has_value(), row.present);
    EXPECT_EQ(facts->details_hidden, row.present && !row.details);
    if (!row.present) continue;
    EXPECT_EQ(facts->receiver->details_known, row.details);
    EXPECT_EQ(facts->receiver->streaming, row.streaming);
    EXPECT_EQ(facts->receiver->sender_host, row.host);
  }
}

TEST(ParseReply, PrimaryTellsItsHistory) {
  const auto facts =
      Parse(With(PrimaryCells(), kColFacts, "facts 1\ntimeline 3\nhistory 1\nfork 2 A/FE000000\n"));
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_TRUE(facts->inside && facts->inside->history);
  EXPECT_EQ(facts->inside->history->forks, (std::vector<Fork>{{2, 0xAFE000000}}));
  EXPECT_FALSE(facts->receiver);
}

TEST(ParseReply, InsideThatMakesNoSenseIsAsGoodAsSilence) {
  for (const char* text : {"", "facts 2\n", "facts 1\ntimeline x\n", "\x01\xFF"}) {
    SCOPED_TRACE(text);
    const auto facts = Parse(With(StandbyCells(), kColFacts, text));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_FALSE(facts->inside);
    EXPECT_EQ(facts->timeline, 3u);
    ASSERT_TRUE(facts->receiver);
    EXPECT_TRUE(facts->receiver->streaming);
  }
  EXPECT_FALSE(Parse(With(StandbyCells(), kColFacts, std::nullopt))->inside);
}

// A receiver begins anew at the beginning of a segment.
TEST(ParseReply, WhatWasReplayedHasBeenReceived) {
  auto facts = Parse(With(StandbyCells(), kColReceiveLsn, "A/FD000000"));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->receive_lsn, facts->replay_lsn);
  facts = Parse(With(StandbyCells(), kColReceiveLsn, std::nullopt));
  EXPECT_EQ(facts->receive_lsn, std::nullopt) << "it never had a receiver";
}

// ---------------------------------------------------------------- single cells

TEST(ParseReply, SystemIdentifierIsUnsignedWhateverSqlShows) {
  const struct {
    const char* cell;
    std::uint64_t identifier;
  } rows[] = {
      {"1", 1},
      {"9223372036854775807", 0x7FFFFFFFFFFFFFFF},
      {"-1", 0xFFFFFFFFFFFFFFFF},
      {"-9223372036854775808", 0x8000000000000000},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.cell);
    const auto facts = Parse(With(PrimaryCells(), kColSystemIdentifier, row.cell));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_EQ(facts->system_identifier, row.identifier);
  }
}

TEST(ParseReply, SecondsAreReadToTheMicrosecond) {
  const struct {
    const char* cell;
    WallUs time;
  } rows[] = {
      {"1700000100", 1700000100000000},
      {"1700000100.1", 1700000100100000},
      {"1700000100.12", 1700000100120000},
      {"1700000100.123", 1700000100123000},
      {"1700000100.1234", 1700000100123400},
      {"1700000100.12345", 1700000100123450},
      {"1700000100.123456", 1700000100123456},
      {"1700000100.1234567", 1700000100123456},
      {"1700000100.000001", 1700000100000001},
      {"0", 0},
      {"253402300799.999999", 253402300799999999},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.cell);
    const auto facts = Parse(With(PrimaryCells(), kColClock, row.cell));
    ASSERT_TRUE(facts.ok()) << facts.error();
    EXPECT_EQ(facts->clock, row.time);
  }
}

TEST(ParseReply, ServerVersionIsTheConnections) {
  const auto facts = ParseReply(FakeRows({PrimaryCells()}), 0);
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->server_version, 0);
}

// ---------------------------------------------------------------- what is no answer

TEST(ParseReply, AnotherShapeIsRefused) {
  Cells fewer = PrimaryCells();
  fewer.resize(kColBackendPid - 1);
  Cells more = PrimaryCells();
  more.emplace_back("x");
  const std::vector<std::vector<Cells>> tables = {{}, {Cells{}}, {fewer}, {more}, {{"t"}}};
  for (const auto& table : tables) {
    SCOPED_TRACE(table.empty() ? std::size_t{0} : table.front().size());
    const auto facts = ParseReply(FakeRows(table), kVersion);
    ASSERT_FALSE(facts.ok());
    EXPECT_NE(facts.error().find("shape"), std::string::npos) << facts.error();
  }
}

TEST(ParseReply, NullWhereAFactIsNeededIsRefused) {
  const struct {
    Cells cells;
    std::vector<ReplyColumn> needed;
  } servers[] = {
      {PrimaryCells(), {kColInRecovery, kColWriteLsn}},
      {StandbyCells(), {kColInRecovery}},
  };
  for (const auto& server : servers) {
    for (const ReplyColumn column : server.needed) {
      SCOPED_TRACE(column);
      const auto facts = Parse(With(server.cells, column, std::nullopt));
      ASSERT_FALSE(facts.ok());
      EXPECT_FALSE(facts.error().empty());
    }
  }
}

TEST(ParseReply, NullsEverywhereAreRefused) { EXPECT_FALSE(Parse(Cells(kReplyColumns)).ok()); }

// Unknown is a value: a NULL that may be one leads neither to an error nor to a made-up number.
TEST(ParseReply, NullWhereAFactMayBeUnknownIsAccepted) {
  const ReplyColumn optional[] = {
      kColControlTimeline, kColClusterName,  kColReceiveLsn,       kColReplayLsn,
      kColReplayCommit,    kColReplayPaused, kColReceiverPid,      kColReceiverStatus,
      kColReceiverHost,    kColReceiverPort, kColReceiverTimeline, kColReceiverLatestEnd,
  };
  for (const ReplyColumn column : optional) {
    SCOPED_TRACE(column);
    const auto facts = Parse(With(StandbyCells(), column, std::nullopt));
    EXPECT_TRUE(facts.ok()) << facts.error();
  }
  const auto primary = Parse(With(PrimaryCells(), kColWalFile, std::nullopt));
  ASSERT_TRUE(primary.ok()) << primary.error();
  EXPECT_EQ(primary->timeline, 0u);
}

TEST(ParseReply, GarbageInACellIsRefusedAndTheErrorDoesNotRepeatIt) {
  const std::vector<std::string> not_a_number = {"", " 1", "1 ", "+1", "1.5", "x", "0x1", "1e3"};
  const std::vector<std::string> not_a_position = {
      "", "0", "/", "0/", "/0", "0/0/0", "x/y", "0/123456789", "-1/0", "0x1/0", " 0/1"};
  const std::vector<std::string> not_a_time = {"",
                                               ".",
                                               ".5",
                                               "-1",
                                               "-1.5",
                                               "NaN",
                                               "Infinity",
                                               "1e9",
                                               "1,5",
                                               "1.x",
                                               "1.5x",
                                               "1.-1",
                                               "1.1234567x",
                                               "1.123456 garbage",
                                               "1. 5",
                                               "1.5.5",
                                               "x",
                                               "1 ",
                                               "253402300800",
                                               "18446744073709551616"};
  const struct {
    Cells cells;
    ReplyColumn column;
    std::vector<std::string> garbage;
  } rows[] = {
      {PrimaryCells(), kColInRecovery, {"", "T", "true", "1", "tt", "x", "f "}},
      {PrimaryCells(),
       kColSystemIdentifier,
       {"", "-", "--1", "x", "1x", "0x1", "1.0", "18446744073709551616", "-18446744073709551616"}},
      {PrimaryCells(), kColPostmasterStart, not_a_time},
      {PrimaryCells(), kColClock, not_a_time},
      {PrimaryCells(), kColWriteLsn, not_a_position},
      {PrimaryCells(),
       kColWalFile,
       {"", "00000001", "00000003000000010000000", "0000000300000001000000011",
        "000000000000000100000001", "0000000x0000000100000001", "-00000010000000100000001",
        "00000003000000010000zzzz", "00000003.partial........"}},
      {StandbyCells(), kColControlTimeline, not_a_number},
      {StandbyCells(), kColControlTimeline, {"-1", "4294967296"}},
      {StandbyCells(), kColReceiveLsn, not_a_position},
      {StandbyCells(), kColReplayLsn, not_a_position},
      {StandbyCells(), kColReplayCommit, not_a_time},
      {StandbyCells(), kColReplayPaused, {"", "true", "paused"}},
      {StandbyCells(), kColReceiverPort, not_a_number},
      {StandbyCells(), kColReceiverPort, {"65536", "99999999999999999999"}},
      {StandbyCells(), kColReceiverTimeline, not_a_number},
      {StandbyCells(), kColReceiverTimeline, {"4294967296"}},
      {StandbyCells(), kColReceiverLatestEnd, not_a_position},
      {WithSender(PrimaryCells(), "a"), kColSenderSyncPriority, not_a_number},
      {WithSender(PrimaryCells(), "a"), kColSenderSyncPriority, {"-1", "99999999999"}},
  };
  for (const auto& row : rows) {
    for (const std::string& garbage : row.garbage) {
      SCOPED_TRACE("column " + std::to_string(row.column) + ": \"" + garbage + "\"");
      const auto facts = Parse(With(row.cells, row.column, garbage));
      ASSERT_FALSE(facts.ok());
      EXPECT_FALSE(facts.error().empty());
      if (garbage.size() > 8) {
        EXPECT_EQ(facts.error().find(garbage), std::string::npos);
      }
    }
  }
}

TEST(ParseReply, GarbageInALaterSenderIsRefusedToo) {
  Cells bad = WithSender(PrimaryCells(), "b");
  bad[kColSenderSyncPriority] = "first";
  EXPECT_FALSE(ParseReply(FakeRows({WithSender(PrimaryCells(), "a"), bad}), kVersion).ok());
}

// ---------------------------------------------------------------- bounds

TEST(ParseReply, HugeTextIsCut) {
  const std::string huge(1 << 20, 'x');
  Cells primary = WithSender(PrimaryCells(), huge);
  for (const ReplyColumn column :
       {kColClusterName, kColSenderAddress, kColSenderState, kColSenderSyncState}) {
    primary[column] = huge;
  }
  const auto facts = Parse(primary);
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_EQ(facts->senders.size(), 1u);
  const Sender& sender = facts->senders.front();
  for (const std::string* text : {&facts->cluster_name, &sender.application_name,
                                  &sender.client_addr, &sender.state, &sender.sync_state}) {
    EXPECT_EQ(*text, std::string(255, 'x'));
  }
  const auto standby = Parse(With(StandbyCells(), kColReceiverHost, huge));
  ASSERT_TRUE(standby.ok()) << standby.error();
  EXPECT_EQ(standby->receiver->sender_host.size(), 255u);
}

TEST(ParseReply, HugeTextInPlaceOfANumberGivesAShortError) {
  const std::string huge(1 << 20, '1');
  for (std::size_t column = 0; column < kReplyColumns; ++column) {
    Cells cells = WithSender(PrimaryCells(), "a");
    cells[column] = huge;
    const auto facts = Parse(cells);
    if (!facts.ok()) {
      EXPECT_LT(facts.error().size(), 200u);
    }
  }
}

TEST(ParseReply, TextMayHoldAnyByte) {
  const std::string bytes("a\0\n\xFF'\"", 6);
  const auto facts = Parse(With(PrimaryCells(), kColClusterName, bytes));
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_EQ(facts->cluster_name, bytes);
}

TEST(ParseReply, MoreSendersThanAllowedAreLeftOut) {
  std::vector<Cells> table;
  for (int i = 0; i < 2000; ++i) table.push_back(WithSender(PrimaryCells(), std::to_string(i)));
  const auto facts = ParseReply(FakeRows(std::move(table)), kVersion);
  ASSERT_TRUE(facts.ok()) << facts.error();
  ASSERT_EQ(facts->senders.size(), kMaxSenders);
  EXPECT_EQ(facts->senders.front().application_name, "0");
  EXPECT_EQ(facts->senders.back().application_name, "999");
  EXPECT_TRUE(facts->senders_missing);
}

TEST(AnsweringSession, IsTheProcessAndTheMarkThatItTells) {
  const auto told = [](std::optional<std::string> process, std::optional<std::string> mark) {
    Cells cells = PrimaryCells();
    cells[kColBackendPid] = std::move(process);
    cells[kColMark] = std::move(mark);
    return AnsweringSession(FakeRows({cells}));
  };
  EXPECT_EQ(told("4711", "abc"), "4711 abc");
  EXPECT_EQ(told("4711", std::nullopt), "");
  EXPECT_EQ(told("4711", ""), "")
      << "a server keeps a setting that some session had, without its value";
  EXPECT_EQ(told(std::nullopt, "abc"), "");
  Cells without = PrimaryCells();
  without.resize(kColBackendPid);
  EXPECT_EQ(AnsweringSession(FakeRows({without})), "");
  EXPECT_TRUE(ParseReply(FakeRows({without}), 150020)) << "the rest is whole";
}

}  // namespace
}  // namespace pg_status
