// Rights that the role of the polls lacks: what is asked without them, and what is then unknown.
#include "probe/rights.hpp"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probe/probe_scene.hpp"
#include "probe/reply.hpp"
#include "probe/reply_rows.hpp"

namespace pg_status {
namespace {

Rights Without(Right right) {
  Rights rights;
  rights.missing.set(static_cast<std::size_t>(right));
  rights.grants = "GRANT it;";
  return rights;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- the question

std::size_t Columns(const std::string& query) {
  std::size_t depth = 0;
  std::size_t columns = 1;
  for (const char letter : query.substr(0, query.find(" FROM"))) {
    depth += letter == '(' ? 1 : 0;
    depth -= letter == ')' ? 1 : 0;
    columns += letter == ',' && depth == 0 ? 1 : 0;
  }
  return columns;
}

TEST(ProbeQueryRights, AllColumnsAreThereWhateverIsMissing) {
  for (const bool recovery : {false, true}) {
    EXPECT_EQ(Columns(ProbeQuery(recovery)), kReplyColumns);
    EXPECT_EQ(Columns(ProbeQuery(recovery, NoRights(""))), kReplyColumns);
    for (std::size_t right = 0; right < kRights; ++right) {
      const std::string query = ProbeQuery(recovery, Without(static_cast<Right>(right)));
      EXPECT_EQ(Columns(query), kReplyColumns) << right;
      const bool asked = recovery || static_cast<Right>(right) != Right::kRecovery;
      EXPECT_EQ(query != ProbeQuery(recovery), asked) << right;
    }
  }
}

TEST(ProbeQueryRights, WhatTakesOneIsNotAsked) {
  const struct {
    Right right;
    std::vector<const char*> gone, stays;
  } rows[] = {
      {Right::kControlSystem, {"pg_control_system"}, {"pg_control_checkpoint", "pg_control_re"}},
      {Right::kControlCheckpoint, {"pg_control_checkpoint"}, {"v.min_recovery_end_timeline"}},
      {Right::kControlRecovery, {"pg_control_recovery"}, {"c.timeline_id"}},
      {Right::kReceiver, {"pg_stat_wal_receiver", "w.pid"}, {"pg_stat_replication"}},
      {Right::kSenders,
       {"pg_stat_replication", "pg_stat_get_activity", "pg_replication_slots", "s.pid", "LIMIT"},
       {"'pg_status.facts'", "'pg_status.opinions'"}},
      {Right::kSlots, {"pg_replication_slots", "slot_name,''"}, {"s.kind", "s.state"}},
      {Right::kSetting, {"current_setting"}, {"pg_backend_pid"}},
      {Right::kAsker, {"inet_client_addr"}, {"pg_backend_pid"}},
      {Right::kSeconds, {"date_part"}, {"pg_stat_replication"}},
      {Right::kRecovery, {"pg_stat_recovery", "q.last"}, {"pg_stat_replication"}},
  };
  for (const auto& row : rows) {
    const std::string query = ProbeQuery(true, Without(row.right));
    for (const char* gone : row.gone) EXPECT_FALSE(Has(query, gone)) << gone << " in " << query;
    for (const char* stays : row.stays) EXPECT_TRUE(Has(query, stays)) << stays;
  }
}

TEST(ProbeQueryRights, LeastIsRecoveryAndAPosition) {
  const std::string query = ProbeQuery(true, NoRights(""));
  for (const char* needed :
       {"pg_is_in_recovery()", "pg_current_wal_lsn()", "pg_last_wal_replay_lsn()"}) {
    EXPECT_TRUE(Has(query, needed)) << needed;
  }
  for (const char* left : {"pg_control", "current_setting", "pg_stat", "_slots", "date_part"}) {
    EXPECT_FALSE(Has(query, left)) << left;
  }
}

// A server that logs statements writes it with each execution.
TEST(ProbeQueryRights, QuestionIsShort) {
  EXPECT_LT(ProbeQuery(true).size(), 2700u) << ProbeQuery(true);
}

// ---- the rights

constexpr std::size_t kObjects = 21;  // without pg_stat_recovery

Cells Answered(const std::string& role, std::size_t columns = kObjects) {
  Cells cells(columns + 1, "t");
  cells[0] = role;
  return cells;
}

TEST(ReadRights, NothingMissingIsNothingToGrant) {
  const Rights rights = ReadRights(FakeRows({Answered("monitor")}));
  EXPECT_TRUE(rights.missing.none());
  EXPECT_EQ(rights.grants, "");
  EXPECT_TRUE(ReadRights(FakeRows({Answered("monitor", kObjects + 1)})).missing.none());
}

TEST(ReadRights, QuestionHasAColumnForEach) {
  EXPECT_EQ(Columns(RightsQuery()), kObjects + 1);
  EXPECT_EQ(Columns(RightsQuery(true)), kObjects + 2);
  EXPECT_FALSE(Has(RightsQuery(), "pg_stat_recovery")) << "where it is not, that is an error";
}

TEST(ReadRights, GrantsAreWrittenOutForTheRole) {
  Cells cells = Answered("pg monitor\"\n");
  cells[1] = "f";
  cells[14] = "f";
  const Rights rights = ReadRights(FakeRows({cells}));
  EXPECT_TRUE(rights.Lacks(Right::kControlSystem));
  EXPECT_TRUE(rights.Lacks(Right::kReceiver));
  EXPECT_EQ(rights.missing.count(), 2u);
  EXPECT_EQ(rights.grants,
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO \"pg monitor\"\"?\"; "
            "GRANT SELECT ON pg_catalog.pg_stat_wal_receiver TO \"pg monitor\"\"?\";");
}

TEST(ReadRights, WhatMakesNoSenseIsMissing) {
  for (const auto& cell : {std::optional<std::string>(), std::optional<std::string>("yes")}) {
    Cells cells = Answered("monitor");
    cells[kObjects] = cell;
    EXPECT_TRUE(ReadRights(FakeRows({cells})).Lacks(Right::kSlots));
  }
  EXPECT_TRUE(ReadRights(FakeRows()).Lacks(Right::kSenders));
  EXPECT_LT(ReadRights(FakeRows({Answered(std::string(100000, 'x'))})).grants.size(), 4000u);
}

TEST(NoRights, TellWhatTheServerSays) {
  const Rights rights = NoRights("permission denied for function x");
  EXPECT_TRUE(rights.missing.all());
  EXPECT_TRUE(Has(rights.grants, "permission denied for function x"));
}

// ---- the answer

Facts FactsOf(Cells cells, const Rights& rights) {
  const auto facts = ParseReply(FakeRows({std::move(cells)}), 150020, rights);
  EXPECT_TRUE(facts.ok()) << facts.error();
  return facts.ok() ? *facts : Facts();
}

TEST(ParseReplyRights, IdentityAndTimesMayBeUnknown) {
  Cells cells = StandbyCells();
  for (const ReplyColumn column :
       {kColSystemIdentifier, kColPostmasterStart, kColClock, kColReplayPaused}) {
    cells[column].reset();
  }
  const Facts facts = FactsOf(cells, Without(Right::kControlSystem));
  EXPECT_EQ(facts.system_identifier, 0u);
  EXPECT_EQ(facts.postmaster_start, 0);
  EXPECT_EQ(facts.clock, 0);
  EXPECT_EQ(facts.replay_paused, std::nullopt);
  EXPECT_EQ(facts.missing_grants, "GRANT it;");
}

TEST(ParseReplyRights, InsideTellsWhoItIsWhereSqlMayNot) {
  Cells cells = PrimaryCells();
  cells[kColFacts] = "facts 1\nsystem 7000000000000000009\nstarted 1700000000750000\n";
  Facts facts = FactsOf(cells, {});
  EXPECT_EQ(facts.system_identifier, 7000000000000000001u) << "SQL goes before";
  EXPECT_EQ(facts.postmaster_start, 1700000000250000);
  cells[kColSystemIdentifier].reset();
  cells[kColPostmasterStart].reset();
  facts = FactsOf(cells, Without(Right::kControlSystem));
  EXPECT_EQ(facts.system_identifier, 7000000000000000009u);
  EXPECT_EQ(facts.postmaster_start, 1700000000750000);
}

TEST(ParseReplyRights, ReceiverThatMayNotBeSeenIsNotTakenForNone) {
  Cells cells = StandbyCells();
  for (std::size_t c = kColReceiverPid; c <= kColReceiverConninfo; ++c) cells[c].reset();
  EXPECT_FALSE(FactsOf(cells, {}).receiver);
  const Facts facts = FactsOf(cells, Without(Right::kReceiver));
  ASSERT_TRUE(facts.receiver) << "there may be one";
  EXPECT_FALSE(facts.receiver->details_known);
  EXPECT_FALSE(facts.receiver->slot);
  EXPECT_TRUE(facts.details_hidden);
  EXPECT_FALSE(facts.senders_missing);
  cells[kColFacts] = "facts 1\nreceiver none\n";
  EXPECT_FALSE(FactsOf(cells, Without(Right::kReceiver)).receiver) << "the inside knows";
}

TEST(ParseReplyRights, SendersThatMayNotBeSeenAreMissing) {
  const Facts facts = FactsOf(PrimaryCells(), Without(Right::kSenders));
  EXPECT_TRUE(facts.senders_missing);
  EXPECT_TRUE(facts.details_hidden);
  EXPECT_FALSE(FactsOf(PrimaryCells(), {}).senders_missing) << "nobody streams from it";
}

TEST(ParseReplyRights, SlotThatMayNotBeSeenIsUnknown) {
  Cells cells = WithSender(PrimaryCells(), "db2");
  EXPECT_EQ(FactsOf(cells, {}).senders.at(0).slot, "");
  cells[kColSenderSlot].reset();
  EXPECT_EQ(FactsOf(cells, Without(Right::kSlots)).senders.at(0).slot, std::nullopt);
}

TEST(ParseReplyRights, AddressThatMayNotBeAskedForIsUnknown) {
  EXPECT_EQ(FactsOf(PrimaryCells(), {}).asker, "") << "over a socket";
  EXPECT_EQ(FactsOf(PrimaryCells(), Without(Right::kAsker)).asker, std::nullopt);
}

TEST(ParseReplyRights, NameOfAReceiverIsNotGuessedWithoutClusterName) {
  Cells cells = StandbyCells();
  cells[kColReceiverConninfo] =
      "user=repl host=db1 fallback_application_name=walreceiver sslmode=prefer";
  EXPECT_EQ(FactsOf(cells, {}).receiver->name, "walreceiver");
  cells[kColClusterName].reset();
  EXPECT_EQ(FactsOf(cells, Without(Right::kSetting)).receiver->name, "");
}

TEST(ParseReplyRights, PrimaryWithoutAWalFilesNameHasNoTimeline) {
  Cells cells = PrimaryCells();
  cells[kColWalFile].reset();
  const Facts facts = FactsOf(cells, Without(Right::kWalFile));
  EXPECT_EQ(facts.timeline, 0u);
  EXPECT_FALSE(facts.timeline_exact);
}

// ---- the state machine

class RightsTest : public PeerProbeTest {
 protected:
  // The next question fails for a right.
  void Deny(const char* error = "permission denied") {
    link_.Fail(link_.read, Outcome::kRejected, error);
    link_.failures.back().denied = true;
  }
  // The next answer tells that these rights are there, all or none of them.
  void AnswerRights(const char* has) {
    link_.answer = {Cells(kObjects + 1, has)};
    link_.answer.front()[0] = "monitor";
  }
  // A whole probe of a role that has none of them.
  Observation WithoutAny(std::int64_t ms) {
    Begin(ms);
    if (probe_->state() == State::kConnecting) probe_->OnSocket(At(ms + 1));
    Deny();
    probe_->OnSocket(At(ms + 2));
    EXPECT_EQ(link_.query, RightsQuery());
    AnswerRights("f");
    probe_->OnSocket(At(ms + 3));
    link_.answer = {PrimaryCells()};
    probe_->OnSocket(At(ms + 4));
    return Take();
  }
};

TEST_F(RightsTest, WhatMayNotBeReadIsDoneWithout) {
  const Observation seen = WithoutAny(0);
  ASSERT_EQ(seen.outcome, Outcome::kOk) << seen.error;
  EXPECT_TRUE(Has(seen.facts.missing_grants, "TO monitor;"));
  EXPECT_EQ(seen.facts.connection, 1u);
  EXPECT_EQ(link_.Count("open"), 1u) << "on the same connection";
  Begin(1000);
  EXPECT_FALSE(Has(link_.query, "pg_control_system")) << "it is known by now";
}

TEST_F(RightsTest, RoleThatMayNotEvenAskForThemIsAskedTheLeast) {
  for (const bool absent : {false, true}) {
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    Begin(0);
    probe_->OnSocket(At(1));
    Deny();
    probe_->OnSocket(At(2));
    Deny("no such function");
    link_.failures.back().denied = !absent;
    link_.failures.back().absent = absent;
    probe_->OnSocket(At(3));
    EXPECT_EQ(link_.query, ProbeQuery(false, NoRights("")));
    probe_->OnSocket(At(4));
    const Observation seen = Take();
    EXPECT_EQ(seen.outcome, Outcome::kOk) << seen.error;
    EXPECT_TRUE(Has(seen.facts.missing_grants, "no such function"));
  }
}

TEST_F(RightsTest, DenialThatTheRightsDoNotExplainLeavesTheLeast) {
  Begin(0);
  probe_->OnSocket(At(1));
  Deny();
  probe_->OnSocket(At(2));
  AnswerRights("t");
  probe_->OnSocket(At(3));
  EXPECT_EQ(link_.query, ProbeQuery());
  Deny("permission denied for an operator");
  probe_->OnSocket(At(4));
  EXPECT_EQ(link_.query, ProbeQuery(false, NoRights("")));
  link_.answer = {PrimaryCells()};
  probe_->OnSocket(At(5));
  const Observation seen = Take();
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_TRUE(Has(seen.facts.missing_grants, "permission denied for an operator"));
}

TEST_F(RightsTest, WhatCannotBeDoneWithoutIsAFailure) {
  Begin(0);
  probe_->OnSocket(At(1));
  for (int i = 0; i < 3; ++i) {
    Deny();
    probe_->OnSocket(At(2 + i));
  }
  const Observation seen = Take();
  EXPECT_EQ(seen.outcome, Outcome::kRejected);
  EXPECT_EQ(seen.error, "permission denied");
}

TEST_F(RightsTest, NextConnectionAsksForThemFirst) {
  EXPECT_EQ(WithoutAny(0).facts.connection, 1u);
  link_.still_there.push_back(false);
  probe_->OnSocket(At(5));
  Begin(1000);
  probe_->OnSocket(At(1001));
  EXPECT_EQ(link_.query, RightsQuery());
  AnswerRights("t");
  probe_->OnSocket(At(1002));
  EXPECT_EQ(link_.query, ProbeQuery());
  link_.answer = {PrimaryCells()};
  probe_->OnSocket(At(1003));
  const Observation seen = Take();
  EXPECT_EQ(seen.facts.missing_grants, "");
  EXPECT_EQ(seen.facts.connection, 2u);
}

TEST_F(RightsTest, ConnectionsThatWeLetGoOurselvesAreOne) {
  limits_.poll_interval_us = 11 * kUsPerSecond;
  EXPECT_EQ(WithoutAny(0).facts.connection, 1u);
  for (const std::int64_t ms : {11000, 22000}) {
    Begin(ms);
    probe_->OnSocket(At(ms + 1));
    AnswerRights("f");
    probe_->OnSocket(At(ms + 2));
    link_.answer = {PrimaryCells()};
    probe_->OnSocket(At(ms + 3));
    EXPECT_EQ(Take().facts.connection, 1u) << "it was not kept, as it never is";
  }
  limits_.poll_interval_us = kUsPerSecond;
}

TEST_F(RightsTest, RightThatIsLostLaterIsFoundOut) {
  ProbeWell(0);
  const Observation seen = WithoutAny(1000);
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_NE(seen.facts.missing_grants, "");
}

}  // namespace
}  // namespace pg_status
