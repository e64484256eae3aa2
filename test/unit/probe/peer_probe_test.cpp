// One host being asked: each state, what moves it, and what comes of it. The clock and the
// connection are the test's own.
#include "probe/peer_probe.hpp"

#include <memory>
#include <string>
#include <vector>

#include "probe/probe_scene.hpp"
#include "probe/reply.hpp"

namespace pg_status {
namespace {

// ---------------------------------------------------------------- the good way

TEST_F(PeerProbeTest, FirstProbeConnectsAsksAndReads) {
  EXPECT_EQ(probe_->state(), State::kResting);
  EXPECT_EQ(probe_->wants().fd, -1);

  Begin(0);
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(probe_->deadline(), At(1000));
  EXPECT_TRUE(probe_->wants().write);
  EXPECT_FALSE(probe_->wants().read);
  EXPECT_EQ(probe_->wants().fd, FakeLink::kSocket);

  probe_->OnSocket(At(10));
  EXPECT_EQ(probe_->state(), State::kReading);
  EXPECT_EQ(probe_->deadline(), At(1000));
  EXPECT_TRUE(probe_->wants().read);
  EXPECT_FALSE(probe_->wants().write);
  EXPECT_EQ(link_.query, ProbeQuery());
  EXPECT_FALSE(probe_->TakeObservation().has_value());

  probe_->OnSocket(At(12));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kOk, 12);
  EXPECT_EQ(seen.started, At(0));
  EXPECT_EQ(seen.asked, At(10));
  EXPECT_TRUE(seen.new_connection);
  EXPECT_EQ(seen.peer_address, "192.0.2.1");
  EXPECT_EQ(seen.facts.timeline, 3u);
  EXPECT_EQ(seen.facts.server_version, 150020);
  EXPECT_TRUE(probe_->wants().read) << "the end of a kept connection is noticed";
  EXPECT_FALSE(probe_->wants().write);
}

TEST_F(PeerProbeTest, KeptConnectionIsAskedAgainWithoutConnecting) {
  ProbeWell(0);
  Begin(1000);
  EXPECT_EQ(probe_->state(), State::kReading);
  EXPECT_EQ(probe_->deadline(), At(2000));
  probe_->OnSocket(At(1002));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kOk, 1002);
  EXPECT_EQ(seen.asked, At(1000));
  EXPECT_FALSE(seen.new_connection);
  EXPECT_EQ(link_.calls, (std::vector<std::string>{"ask", "read"}));
}

TEST_F(PeerProbeTest, ConnectingTakesAsManyTurnsAsItWants) {
  link_.connect = {LinkStep::kWantRead, LinkStep::kWantWrite, LinkStep::kWantRead};
  Begin(0);
  probe_->OnSocket(At(1));
  EXPECT_TRUE(probe_->wants().read);
  EXPECT_FALSE(probe_->wants().write);
  probe_->OnSocket(At(2));
  EXPECT_FALSE(probe_->wants().read);
  EXPECT_TRUE(probe_->wants().write);
  probe_->OnSocket(At(3));
  EXPECT_EQ(probe_->state(), State::kConnecting);
  probe_->OnSocket(At(4));
  EXPECT_EQ(probe_->state(), State::kReading);
}

TEST_F(PeerProbeTest, ConnectionThatIsThereAtOnceIsUsedAtOnce) {
  link_.open = {LinkStep::kDone};
  Begin(0);
  EXPECT_EQ(probe_->state(), State::kReading);
  probe_->OnSocket(At(1));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
}

TEST_F(PeerProbeTest, WhileSendingBothDirectionsAreWatched) {
  link_.ask = {LinkStep::kWantWrite};
  link_.flush = {LinkStep::kWantWrite, LinkStep::kDone};
  link_.read = {LinkStep::kWantRead};
  Begin(0);
  probe_->OnSocket(At(1));
  EXPECT_EQ(probe_->state(), State::kSending);
  EXPECT_TRUE(probe_->wants().read);
  EXPECT_TRUE(probe_->wants().write);
  probe_->OnSocket(At(2));
  EXPECT_EQ(probe_->state(), State::kSending);
  probe_->OnSocket(At(3));
  EXPECT_EQ(probe_->state(), State::kReading);
  EXPECT_FALSE(probe_->wants().write);
}

// The last turn of sending may have taken in the whole answer: the socket has nothing more to tell.
TEST_F(PeerProbeTest, AnswerThatCameWhileSendingIsReadWithoutAnotherWait) {
  link_.ask = {LinkStep::kWantWrite};
  Begin(0);
  probe_->OnSocket(At(1));
  ASSERT_EQ(probe_->state(), State::kSending);
  probe_->OnSocket(At(2));
  ExpectResting(Take(), Outcome::kOk, 2);
}

TEST_F(PeerProbeTest, ReadingGoesOnUntilTheAnswerIsWhole) {
  link_.read = {LinkStep::kWantRead, LinkStep::kWantRead};
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(2));
  probe_->OnSocket(At(3));
  EXPECT_EQ(probe_->state(), State::kReading);
  EXPECT_FALSE(probe_->TakeObservation().has_value());
  probe_->OnSocket(At(4));
  ExpectResting(Take(), Outcome::kOk, 4);
}

// ---------------------------------------------------------------- failures of the link

TEST_F(PeerProbeTest, FailuresAreToldAsTheyAre) {
  const struct {
    std::deque<LinkStep> LinkScript::*step;
    int turns;  // of the socket until the step is made
    Outcome outcome;
  } rows[] = {
      {&LinkScript::open, 0, Outcome::kRefused},    {&LinkScript::open, 0, Outcome::kClosed},
      {&LinkScript::connect, 1, Outcome::kRefused}, {&LinkScript::connect, 1, Outcome::kRejected},
      {&LinkScript::connect, 1, Outcome::kClosed},  {&LinkScript::ask, 1, Outcome::kClosed},
      {&LinkScript::read, 2, Outcome::kClosed},     {&LinkScript::read, 2, Outcome::kRejected},
      {&LinkScript::read, 2, Outcome::kGarbled},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.outcome));
    link_ = LinkScript{};
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    link_.Fail(link_.*row.step, row.outcome, "the reason");
    Begin(0);
    for (int turn = 1; turn <= row.turns; ++turn) probe_->OnSocket(At(turn));
    const Observation seen = Take();
    ExpectResting(seen, row.outcome, row.turns);
    EXPECT_EQ(seen.error, "the reason");
    EXPECT_TRUE(seen.new_connection);
    EXPECT_EQ(seen.asked != 0, row.step == &LinkScript::ask || row.step == &LinkScript::read);
    EXPECT_EQ(link_.Count("open"), 1u) << "a new connection is not tried twice in one probe";
  }
}

TEST_F(PeerProbeTest, FailureWhileSendingIsTold) {
  link_.ask = {LinkStep::kWantWrite};
  link_.Fail(link_.flush, Outcome::kClosed, "gone");
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(2));
  ExpectResting(Take(), Outcome::kClosed, 2);
}

TEST_F(PeerProbeTest, AnswersOfNoServerAreGarbled) {
  Cells garbage = PrimaryCells();
  garbage[kColWriteLsn] = "nowhere";
  const std::vector<std::vector<Cells>> answers = {{}, {{"1"}}, {garbage}, {Cells(kReplyColumns)}};
  for (const auto& answer : answers) {
    link_.answer = answer;
    Begin(0);
    while (probe_->state() != State::kResting) probe_->OnSocket(At(5));
    ExpectResting(Take(), Outcome::kGarbled, 5);
  }
}

TEST_F(PeerProbeTest, NextProbeAfterAFailureStartsFromACleanConnection) {
  link_.Fail(link_.connect, Outcome::kRefused, "refused");
  Begin(0);
  probe_->OnSocket(At(1));
  EXPECT_EQ(Take().outcome, Outcome::kRefused);
  EXPECT_EQ(probe_->wants().fd, -1);
  ProbeWell(100);
}

// ---------------------------------------------------------------- deadlines

TEST_F(PeerProbeTest, SilenceInEachStateEndsAtTheDeadline) {
  const struct {
    const char* name;
    State state;
    Outcome outcome;
  } rows[] = {
      {"connecting", State::kConnecting, Outcome::kTimeout},
      {"sending", State::kSending, Outcome::kTimeout},
      {"reading", State::kReading, Outcome::kTimeout},
      {"resolving", State::kResolving, Outcome::kUnresolved},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    link_ = LinkScript{};
    UseHost(row.state == State::kResolving ? PlaceKind::kName : PlaceKind::kAddress, "db1");
    if (row.state == State::kSending) link_.ask = {LinkStep::kWantWrite};
    Begin(0);
    if (row.state == State::kSending || row.state == State::kReading) probe_->OnSocket(At(1));
    ASSERT_EQ(probe_->state(), row.state);
    ASSERT_EQ(probe_->deadline(), At(1000));
    probe_->OnDeadline(At(1000));
    ExpectResting(Take(), row.outcome, 1000);
  }
}

TEST_F(PeerProbeTest, SilentKeptConnectionIsNotReplacedInTheSameProbe) {
  ProbeWell(0);
  Begin(1000);
  probe_->OnDeadline(At(2000));
  ExpectResting(Take(), Outcome::kTimeout, 2000);
  EXPECT_EQ(link_.Count("open"), 0u);
}

TEST_F(PeerProbeTest, DeadlineAtRestMeansNothing) {
  ProbeWell(0);
  probe_->OnDeadline(At(5000));
  EXPECT_EQ(probe_->state(), State::kResting);
  EXPECT_TRUE(link_.is_open);
  EXPECT_FALSE(probe_->TakeObservation().has_value());
}

TEST_F(PeerProbeTest, TrickleOfAnswersDoesNotMoveTheDeadline) {
  link_.read.assign(100, LinkStep::kWantRead);
  Begin(0);
  for (int ms = 1; ms < 90; ++ms) probe_->OnSocket(At(ms * 10));
  EXPECT_EQ(probe_->deadline(), At(1000));
  probe_->OnDeadline(At(1000));
  ExpectResting(Take(), Outcome::kTimeout, 1000);
}

// ---------------------------------------------------------------- kept connections

TEST_F(PeerProbeTest, KeptConnectionThatDiedIsReplacedWithinTheProbe) {
  for (const Outcome outcome : {Outcome::kClosed, Outcome::kTerminated}) {
    for (const auto step : {&LinkScript::ask, &LinkScript::read}) {
      link_ = LinkScript{};
      UseHost(PlaceKind::kAddress, "192.0.2.1");
      ProbeWell(0);
      link_.Fail(link_.*step, outcome, "ended while nobody looked");
      Begin(1000);
      if (step == &LinkScript::read) probe_->OnSocket(At(1001));
      EXPECT_EQ(probe_->state(), State::kConnecting);
      EXPECT_FALSE(probe_->TakeObservation().has_value());
      EXPECT_EQ(probe_->deadline(), At(2000)) << "no more time than any probe";
      probe_->OnSocket(At(1010));
      probe_->OnSocket(At(1012));
      const Observation seen = Take();
      ExpectResting(seen, Outcome::kOk, 1012);
      EXPECT_TRUE(seen.new_connection);
      EXPECT_EQ(seen.started, At(1000));
      EXPECT_EQ(seen.asked, At(1010)) << "the facts are those of the second question";
    }
  }
}

TEST_F(PeerProbeTest, NewSessionThatIsTerminatedIsBegunAnewOnce) {
  link_.Fail(link_.read, Outcome::kTerminated, "idle for too long");
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(2));
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(probe_->deadline(), At(1000)) << "no more time than any probe";
  probe_->OnSocket(At(3));
  probe_->OnSocket(At(4));
  ExpectResting(Take(), Outcome::kOk, 4);
  EXPECT_EQ(link_.Count("open"), 2u);
}

TEST_F(PeerProbeTest, NewSessionThatIsTerminatedAgainIsAFailure) {
  for (const Outcome first : {Outcome::kTerminated, Outcome::kClosed}) {
    link_ = LinkScript{};
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    link_.Fail(link_.read, first, "first");
    link_.Fail(link_.read, Outcome::kTerminated, "second");
    Begin(0);
    probe_->OnSocket(At(1));
    probe_->OnSocket(At(2));
    if (first == Outcome::kTerminated) {
      probe_->OnSocket(At(3));
      probe_->OnSocket(At(4));
    }
    const Observation seen = Take();
    EXPECT_EQ(seen.outcome,
              Outcome::kTerminated == first ? Outcome::kTerminated : Outcome::kClosed);
    EXPECT_EQ(seen.error, first == Outcome::kTerminated ? "second" : "first");
  }
}

TEST_F(PeerProbeTest, ReplacedConnectionThatDiesTooIsAFailure) {
  ProbeWell(0);
  link_.Fail(link_.ask, Outcome::kClosed, "first");
  link_.Fail(link_.read, Outcome::kTerminated, "second");
  Begin(1000);
  probe_->OnSocket(At(1001));
  probe_->OnSocket(At(1002));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kTerminated, 1002);
  EXPECT_EQ(seen.error, "second");
  EXPECT_EQ(link_.Count("open"), 1u);
}

TEST_F(PeerProbeTest, ReplacementThatCannotConnectTellsSoAndNothingOfTheOldConnection) {
  ProbeWell(0);
  link_.Fail(link_.ask, Outcome::kClosed, "died");
  link_.Fail(link_.connect, Outcome::kRefused, "refused");
  Begin(1000);
  probe_->OnSocket(At(1001));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kRefused, 1001);
  EXPECT_EQ(seen.asked, 0) << "nothing was asked on the connection that this is about";
  EXPECT_EQ(seen.peer_address, "");
}

TEST_F(PeerProbeTest, KeptConnectionWhoseServerAnswersAnErrorIsNotReplaced) {
  for (const Outcome outcome : {Outcome::kRejected, Outcome::kGarbled}) {
    ProbeWell(0);
    link_.Fail(link_.read, outcome, "no");
    Begin(1000);
    probe_->OnSocket(At(1001));
    ExpectResting(Take(), outcome, 1001);
    EXPECT_EQ(link_.Count("open"), 0u);
  }
}

TEST_F(PeerProbeTest, ReplacedConnectionOfANameIsResolvedAnew) {
  UseHost(PlaceKind::kName, "db1");
  ProbeWell(0);
  link_.Fail(link_.ask, Outcome::kClosed, "died");
  Begin(1000);
  EXPECT_TRUE(probe_->needs_addresses());
  probe_->OnResolved(At(1001), {"192.0.2.9"}, "");
  ASSERT_EQ(link_.endpoints.size(), 1u);
  EXPECT_EQ(link_.endpoints[0].addresses, Addresses{"192.0.2.9"});
}

TEST_F(PeerProbeTest, OldConnectionIsRenewed) {
  limits_.conn_max_age_us = 10 * kUsPerSecond;
  ProbeWell(0);  // connected at 1 ms
  ProbeWell(10000);
  EXPECT_EQ(link_.Count("open"), 0u);
  Begin(10001);
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(link_.is_open, 2) << "the old one is kept until the new one is made";
  probe_->OnSocket(At(10002));
  EXPECT_EQ(link_.is_open, 1);
  EXPECT_EQ(link_.calls, (std::vector<std::string>{"open", "connect", "close", "ask"}));
  probe_->OnSocket(At(10003));
  EXPECT_TRUE(Take().new_connection);
  Begin(20001);  // 1 ms before the new one's age
  EXPECT_EQ(probe_->state(), State::kReading);
}

// ---- what may be prepared at the peer

TEST_F(PeerProbeTest, QuestionIsPreparedWhereTheSessionIsOursAlone) {
  link_.answer.front()[kColBackendPid] = "4711";
  link_.answer.front()[kColMark] = "mark";
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(3));
  const Observation taken = Take();
  EXPECT_EQ(taken.outcome, Outcome::kOk);
  EXPECT_EQ(taken.facts.asker, "") << "over a socket";
  EXPECT_EQ(link_.Count("prepare"), 1u);
}

TEST_F(PeerProbeTest, NothingIsPreparedInASessionThatManyShare) {
  const std::pair<std::optional<std::string>, std::optional<std::string>> others[] = {
      {"4710", "mark"}, {"4711", "kram"}, {"4711", ""}, {"4711", {}}, {{}, "mark"}, {{}, {}},
  };
  for (const auto& [process, mark] : others) {
    link_.answer.front()[kColBackendPid] = process;
    link_.answer.front()[kColMark] = mark;
    Begin(0);
    if (probe_->state() == State::kConnecting) probe_->OnSocket(At(1));
    probe_->OnSocket(At(3));
    const Observation taken = Take();
    EXPECT_EQ(taken.outcome, Outcome::kOk);
    EXPECT_EQ(taken.facts.asker, std::nullopt) << "somebody stands between";
  }
  EXPECT_EQ(link_.Count("prepare"), 0u);
}

TEST_F(PeerProbeTest, NothingIsPreparedOnAConnectionThatIsNotKept) {
  link_.answer.front()[kColBackendPid] = "4711";
  link_.answer.front()[kColMark] = "mark";
  limits_.poll_interval_us = 11 * kUsPerSecond;
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(3));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
  EXPECT_EQ(link_.Count("prepare"), 0u);
}

class RenewalTest : public PeerProbeTest {
 protected:
  RenewalTest() {
    limits_.conn_max_age_us = 10 * kUsPerSecond;
    ProbeWell(0);  // connected at 1 ms
  }

  // The probe that is asked at 20 s, when the connection is too old.
  void BeginRenewal() {
    Begin(20000);
    EXPECT_EQ(link_.Count("open"), 1u);
  }
  // Of that probe: it has found the old connection good.
  void ExpectAskedOnTheOldOne(std::int64_t asked_ms) {
    EXPECT_EQ(probe_->state(), State::kReading);
    EXPECT_EQ(probe_->deadline(), At(21000)) << "no more time than any probe";
    probe_->OnSocket(At(asked_ms + 2));
    const Observation seen = Take();
    ExpectResting(seen, Outcome::kOk, asked_ms + 2);
    EXPECT_FALSE(seen.new_connection);
    EXPECT_EQ(seen.asked, At(asked_ms));
    EXPECT_EQ(link_.Count("open"), 1u);
  }
};

TEST_F(RenewalTest, ServerThatRunsButTakesNoNewSessionIsAskedOnTheOldOne) {
  for (const Outcome outcome : {Outcome::kFull, Outcome::kTerminated}) {
    link_ = LinkScript{};
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    ProbeWell(0);
    link_.Fail(link_.connect, outcome, "sorry");
    BeginRenewal();
    probe_->OnSocket(At(20100));
    ExpectAskedOnTheOldOne(20100);
  }
}

TEST_F(RenewalTest, IsTriedAgainAfterAnotherAge) {
  link_.Fail(link_.connect, Outcome::kFull, "sorry");
  BeginRenewal();
  probe_->OnSocket(At(20100));
  ExpectAskedOnTheOldOne(20100);
  link_.calls.clear();
  Begin(30099);
  EXPECT_EQ(link_.calls, (std::vector<std::string>{"ask"}));
  probe_->OnSocket(At(30099));
  Take();
  Begin(30100);
  EXPECT_EQ(link_.Count("open"), 1u);
}

TEST_F(RenewalTest, SilenceOfTheNewConnectionLeavesTimeForTheOldOne) {
  BeginRenewal();
  EXPECT_EQ(probe_->deadline(), At(20500));
  link_.holds_session = true;
  probe_->OnDeadline(At(20500));
  ExpectAskedOnTheOldOne(20500);
}

TEST_F(RenewalTest, WhatFailsHereIsNotThePeersFault) {
  link_.Fail(link_.open, Outcome::kClosed, "too many open files");
  BeginRenewal();
  ExpectAskedOnTheOldOne(20000);
}

TEST_F(RenewalTest, EvidenceCountsWhateverTheOldConnectionWouldSay) {
  const struct {
    std::deque<LinkStep> LinkScript::*step;
    Outcome outcome;
  } rows[] = {{&LinkScript::open, Outcome::kRefused},
              {&LinkScript::connect, Outcome::kRefused},
              {&LinkScript::connect, Outcome::kRejected},
              {&LinkScript::connect, Outcome::kClosed},
              {&LinkScript::connect, Outcome::kGarbled}};
  for (const auto& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.outcome));
    link_ = LinkScript{};
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    ProbeWell(0);
    link_.Fail(link_.*row.step, row.outcome, "no");
    BeginRenewal();
    probe_->OnSocket(At(20001));
    const Observation seen = Take();
    EXPECT_EQ(seen.outcome, row.outcome);
    EXPECT_EQ(seen.error, "no");
    EXPECT_EQ(link_.is_open, 0) << "neither connection is left behind";
  }
}

TEST_F(RenewalTest, OldConnectionThatIsDeadTooIsAFailureLikeAnyOther) {
  link_.Fail(link_.connect, Outcome::kFull, "sorry");
  link_.Fail(link_.ask, Outcome::kClosed, "died");
  link_.Fail(link_.connect, Outcome::kFull, "still full");
  BeginRenewal();
  probe_->OnSocket(At(20100));
  EXPECT_EQ(probe_->state(), State::kConnecting) << "replaced once";
  probe_->OnSocket(At(20200));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kFull, 20200);
  EXPECT_EQ(seen.error, "still full");
}

TEST_F(RenewalTest, OldConnectionThatIsSilentTooIsATimeout) {
  BeginRenewal();
  probe_->OnDeadline(At(20500));
  probe_->OnDeadline(At(21000));
  ExpectResting(Take(), Outcome::kTimeout, 21000);
}

TEST_F(RenewalTest, NewConnectionOfANameIsResolvedAnew) {
  UseHost(PlaceKind::kName, "db1");
  ProbeWell(0);
  probe_->OnResolved(At(10), {"192.0.2.1"}, "");
  Begin(20000);
  EXPECT_TRUE(probe_->needs_addresses());
  EXPECT_EQ(probe_->wants().fd, -1);
  EXPECT_EQ(link_.is_open, 1);
  probe_->OnDeadline(At(20250));
  EXPECT_EQ(probe_->state(), State::kConnecting) << "with the address of before";
  EXPECT_EQ(probe_->deadline(), At(20625));
  probe_->OnDeadline(At(20625));
  ExpectAskedOnTheOldOne(20625);
}

// ---------------------------------------------------------------- cancelled queries

TEST_F(PeerProbeTest, CancelledQueryIsAskedAgain) {
  ProbeWell(0);
  link_.Fail(link_.read, Outcome::kCancelled, "cancelled");
  Begin(1000);
  probe_->OnSocket(At(1005));
  EXPECT_EQ(probe_->state(), State::kReading);
  EXPECT_EQ(probe_->deadline(), At(2000)) << "no more time than any probe";
  EXPECT_FALSE(probe_->TakeObservation().has_value());
  probe_->OnSocket(At(1008));
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kOk, 1008);
  EXPECT_EQ(seen.asked, At(1005)) << "the facts are those of the second question";
  EXPECT_FALSE(seen.new_connection);
  EXPECT_EQ(link_.calls, (std::vector<std::string>{"ask", "read", "ask", "read"}));
}

TEST_F(PeerProbeTest, QueryThatIsCancelledAgainAndAgainIsGivenUp) {
  for (int round = 0; round < 2; ++round) {
    ProbeWell(10000 * round);
    for (int i = 0; i < 6; ++i) link_.Fail(link_.read, Outcome::kCancelled, "cancelled");
    Begin(10000 * round + 1000);
    for (int i = 0; i < 6; ++i) probe_->OnSocket(At(10000 * round + 1001 + i));
    ExpectResting(Take(), Outcome::kCancelled, 10000 * round + 1006);
    EXPECT_EQ(link_.Count("ask"), 6u);
  }
}

// ---------------------------------------------------------------- what only newer servers have

TEST_F(PeerProbeTest, ServerIsAskedForWhatItsVersionHas) {
  link_.server_version = 180004;
  ProbeWell(0);
  EXPECT_EQ(link_.query, ProbeQuery(false));
  link_.server_version = 190000;
  ProbeWell(10000);
  EXPECT_EQ(link_.query, ProbeQuery(true));
}

TEST_F(PeerProbeTest, ViewThatIsNotThereIsDoneWithoutForAsLongAsTheVersionIsTold) {
  link_.server_version = 190000;
  link_.Fail(link_.read, Outcome::kRejected, "relation does not exist");
  link_.failures.back().absent = true;
  Begin(0);
  probe_->OnSocket(At(1));
  EXPECT_EQ(link_.query, ProbeQuery(true));
  probe_->OnSocket(At(2));
  EXPECT_EQ(link_.query, ProbeQuery(false));
  probe_->OnSocket(At(3));
  ExpectResting(Take(), Outcome::kOk, 3);
  EXPECT_EQ(link_.Count("open"), 1u) << "on the same connection";
  for (const bool stays : {true, false}) {
    if (!stays) link_.still_there = {false}, probe_->OnSocket(At(9000));
    ProbeWell(10000);
    EXPECT_EQ(link_.query, ProbeQuery(false)) << "it is known by now";
  }
  link_.server_version = 190001;
  ProbeWell(20000);
  EXPECT_EQ(link_.query, ProbeQuery(true)) << "that is another server";
}

TEST_F(PeerProbeTest, OtherThingsThatAreNotThereAreAFailure) {
  for (const int version : {150020, 190000}) {
    SCOPED_TRACE(version);
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    link_ = {};
    link_.server_version = version;
    const int questions = version < 190000 ? 1 : 2;
    for (int i = 0; i < questions; ++i) {
      link_.Fail(link_.read, Outcome::kRejected, "relation does not exist");
      link_.failures.back().absent = true;
    }
    Begin(1000);
    probe_->OnSocket(At(1001));
    for (int i = 0; i < questions; ++i) probe_->OnSocket(At(1002 + i));
    ExpectResting(Take(), Outcome::kRejected, 1001 + questions);
  }
}

TEST_F(PeerProbeTest, WarningsOfTheLoginComeWithTheFacts) {
  ProbeWell(0);
  link_.warnings = {{"role password will expire soon", "in 2 days"}};
  Begin(1000);
  probe_->OnSocket(At(1005));
  const Observation seen = Take();
  ASSERT_EQ(seen.facts.warnings.size(), 1u);
  EXPECT_EQ(seen.facts.warnings[0].text, "role password will expire soon");
  EXPECT_EQ(seen.facts.warnings[0].detail, "in 2 days");
}

// A server that hangs cancels the query itself, by statement_timeout, when the probe is over: what
// the next probe hears first is no answer yet.
TEST_F(PeerProbeTest, HungQueryThatIsCancelledIsAskedAgainAndTheNextSilenceCounts) {
  ProbeWell(0);
  link_.holds_session = true;
  for (int round = 1; round <= 5; ++round) {
    if (round > 1) link_.Fail(link_.read, Outcome::kCancelled, "statement timeout");
    Begin(1000 * round);
    if (round > 1) probe_->OnSocket(At(1000 * round + 10));
    EXPECT_EQ(probe_->state(), State::kReading);
    probe_->OnDeadline(At(1000 * round + 1000));
    EXPECT_EQ(Take().outcome, Outcome::kTimeout) << round;
  }
  EXPECT_EQ(link_.Count("ask"), 5u);
  EXPECT_EQ(link_.Count("open"), 0u);
}

TEST_F(PeerProbeTest, AgeZeroMeansAConnectionForEachProbe) {
  limits_.conn_max_age_us = 0;
  for (int i = 0; i < 3; ++i) {
    Begin(i * 1000);
    EXPECT_EQ(probe_->state(), State::kConnecting);
    probe_->OnSocket(At(i * 1000));
    probe_->OnSocket(At(i * 1000));
    EXPECT_TRUE(Take().new_connection);
  }
}

TEST_F(PeerProbeTest, ConnectionLostAtRestIsNoticedAndIsNoFailure) {
  ProbeWell(0);
  link_.still_there = {true, false};
  probe_->OnSocket(At(100));
  EXPECT_FALSE(probe_->lost_connection());
  EXPECT_TRUE(link_.is_open);
  probe_->OnSocket(At(200));
  EXPECT_TRUE(probe_->lost_connection());
  EXPECT_FALSE(link_.is_open);
  EXPECT_EQ(probe_->wants().fd, -1);
  EXPECT_FALSE(probe_->TakeObservation().has_value());

  probe_->OnSocket(At(201));  // late event of the closed socket
  EXPECT_EQ(link_.Count("still there"), 2u);

  Begin(300);
  EXPECT_FALSE(probe_->lost_connection());
  EXPECT_EQ(probe_->state(), State::kConnecting);
}

// ---------------------------------------------------------------- without memory

TEST_F(PeerProbeTest, ProbeWithoutMemoryFailsAndTheNextOneStartsClean) {
  for (const char* call : {"open", "connect", "ask", "flush", "read"}) {
    SCOPED_TRACE(call);
    link_ = LinkScript{};
    UseHost(PlaceKind::kAddress, "192.0.2.1");
    link_.ask = {LinkStep::kWantWrite};
    link_.holds_session = true;  // it must not be waited for
    link_.without_memory = call;
    Begin(0);
    for (int turn = 0; turn < 3 && probe_->state() != State::kResting; ++turn) {
      probe_->OnSocket(At(5));
    }
    const Observation seen = Take();
    ExpectResting(seen, Outcome::kClosed, call == std::string("open") ? 0 : 5);
    EXPECT_EQ(seen.error, "out of memory");
    link_.ask.clear();
    ProbeWell(100);
  }
}

TEST_F(PeerProbeTest, RenewalWithoutMemoryLeavesNothingOpen) {
  limits_.conn_max_age_us = 10 * kUsPerSecond;
  for (const char* call : {"open", "connect"}) {
    SCOPED_TRACE(call);
    ProbeWell(0);
    link_.without_memory = call;
    Begin(20000);
    if (call == std::string("connect")) probe_->OnSocket(At(20000));
    ExpectResting(Take(), Outcome::kClosed, 20000);
  }
}

TEST_F(PeerProbeTest, ResumedProbeWithoutMemoryIsNotResumedAgain) {
  ProbeWell(0);
  link_.holds_session = true;
  Begin(1000);
  probe_->OnDeadline(At(2000));
  EXPECT_EQ(Take().outcome, Outcome::kTimeout);
  Begin(2000);
  link_.without_memory = "read";
  probe_->OnSocket(At(2001));
  ExpectResting(Take(), Outcome::kClosed, 2001);
  Begin(2100);
  EXPECT_EQ(probe_->state(), State::kConnecting);
}

// ---------------------------------------------------------------- servers that are stuck or
// stopping

// A session that hangs is one process of the server. Each new one would hang beside it, until no
// place is left.
TEST_F(PeerProbeTest, SessionThatHangsIsWaitedForAndNotMultiplied) {
  ProbeWell(0);
  link_.holds_session = true;
  for (int round = 1; round <= 20; ++round) {
    const std::int64_t ms = std::int64_t{1000} * round;
    Begin(ms);
    EXPECT_EQ(probe_->state(), State::kReading);
    EXPECT_TRUE(probe_->wants().read);
    probe_->OnDeadline(At(ms + 1000));
    EXPECT_EQ(Take().outcome, Outcome::kTimeout) << round;
    EXPECT_EQ(probe_->wants().fd, -1) << "nothing is awaited between two probes";
  }
  EXPECT_EQ(link_.Count("ask"), 1u);
  EXPECT_EQ(link_.Count("open"), 0u);
  EXPECT_EQ(link_.Count("close"), 0u);

  Begin(22000);
  probe_->OnSocket(At(22001));
  const Observation seen = Take();
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_EQ(seen.asked, At(1000)) << "the facts are only known to be newer than the question";
  ProbeWell(23000);
}

TEST_F(PeerProbeTest, LoginThatHangsIsWaitedForToo) {
  link_.holds_session = true;
  Begin(0);
  probe_->OnDeadline(At(1000));
  EXPECT_EQ(Take().outcome, Outcome::kTimeout);
  Begin(1000);
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(link_.Count("open"), 1u);
  probe_->OnSocket(At(1100));
  probe_->OnSocket(At(1101));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
}

TEST_F(PeerProbeTest, WaitingForASessionEndsAndEachTimeLater) {
  link_.holds_session = true;
  std::vector<std::int64_t> opened_after_s;
  std::size_t opened = 0;
  for (std::int64_t s = 0; s < 500; ++s) {
    Begin(1000 * s);
    if (link_.Count("open") > opened) opened_after_s.push_back(s);
    opened = link_.Count("open");
    probe_->OnDeadline(At(1000 * s + 1000));
    Take();
  }
  EXPECT_EQ(opened_after_s, (std::vector<std::int64_t>{0, 61, 182, 423}));
}

TEST_F(PeerProbeTest, BrokenPathIsNotWaitedFor) {
  ProbeWell(0);
  link_.holds_session = false;  // what we send is not taken in
  Begin(1000);
  probe_->OnDeadline(At(2000));
  ExpectResting(Take(), Outcome::kTimeout, 2000);
}

TEST_F(PeerProbeTest, HungSessionThatEndsIsAFailureAndANewOneIsMade) {
  ProbeWell(0);
  link_.holds_session = true;
  Begin(1000);
  probe_->OnDeadline(At(2000));
  Take();
  link_.Fail(link_.read, Outcome::kClosed, "the connection ended");
  Begin(2000);
  probe_->OnSocket(At(2001));
  ExpectResting(Take(), Outcome::kClosed, 2001);
  Begin(2100);
  EXPECT_EQ(link_.Count("open"), 1u);
}

TEST_F(PeerProbeTest, StoppingServerIsLetGo) {
  link_.answer[0][kColNodeState] = "stopping";
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(2));
  const Observation seen = Take();
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_TRUE(seen.facts.stopping);
  EXPECT_FALSE(link_.is_open) << "a smart shutdown waits for it";
  EXPECT_TRUE(probe_->lost_connection()) << "a reason to look again soon";
}

TEST_F(PeerProbeTest, RareProbesKeepNoConnection) {
  limits_.poll_interval_us = 60 * kUsPerSecond;
  Begin(0);
  probe_->OnSocket(At(1));
  probe_->OnSocket(At(2));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
  EXPECT_FALSE(link_.is_open);
  EXPECT_FALSE(probe_->lost_connection());
}

TEST_F(PeerProbeTest, ChatterAtRestIsNotListenedToForEver) {
  ProbeWell(0);
  for (int i = 0; i < 1000 && link_.is_open; ++i) probe_->OnSocket(At(10));
  EXPECT_FALSE(link_.is_open);
  EXPECT_TRUE(probe_->lost_connection());
  EXPECT_LE(link_.Count("still there"), 100u);
}

}  // namespace
}  // namespace pg_status
