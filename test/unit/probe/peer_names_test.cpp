// One host being asked: its name, its addresses, and which of them is connected to.
#include "probe/peer_probe.hpp"

#include <string>
#include <vector>

#include "probe/probe_scene.hpp"

namespace pg_status {
namespace {

TEST_F(PeerProbeTest, PlacesAreConnectedToAsTheyAre) {
  UseHost(PlaceKind::kAddress, "2001:db8::1");
  Begin(0);
  UseHost(PlaceKind::kSocket, "/run/postgresql");
  Begin(0);
  UseHost(PlaceKind::kName, "db1.example.org");
  Begin(0);
  EXPECT_EQ(link_.endpoints.size(), 2u) << "a name is resolved first";
  EXPECT_TRUE(probe_->needs_addresses());
  EXPECT_EQ(probe_->wants().fd, -1);
  probe_->OnResolved(At(1), {"192.0.2.1", "2001:db8::1"}, "");
  EXPECT_FALSE(probe_->needs_addresses());

  ASSERT_EQ(link_.endpoints.size(), 3u);
  EXPECT_EQ(link_.endpoints[0].host, "2001:db8::1");
  EXPECT_EQ(link_.endpoints[0].addresses, Addresses{"2001:db8::1"});
  EXPECT_EQ(link_.endpoints[0].port, 5433);
  EXPECT_EQ(link_.endpoints[1].host, "/run/postgresql");
  EXPECT_TRUE(link_.endpoints[1].addresses.empty());
  EXPECT_EQ(link_.endpoints[2].host, "db1.example.org") << "TLS checks the name";
  EXPECT_EQ(link_.endpoints[2].addresses, Addresses{"192.0.2.1"}) << "one after the other";
}

TEST_F(PeerProbeTest, SocketWhileResolvingMeansNothing) {
  UseHost(PlaceKind::kName, "db1");
  Begin(0);
  probe_->OnSocket(At(1));
  EXPECT_TRUE(probe_->needs_addresses());
}

TEST_F(PeerProbeTest, NameWithoutAddressesIsUnresolved) {
  UseHost(PlaceKind::kName, "db1");
  Begin(0);
  probe_->OnResolved(At(7), {}, "no such name");
  const Observation seen = Take();
  ExpectResting(seen, Outcome::kUnresolved, 7);
  EXPECT_EQ(seen.error, "no such name");
  EXPECT_FALSE(seen.new_connection);
  EXPECT_TRUE(link_.endpoints.empty());
}

TEST_F(PeerProbeTest, OlderAddressesServeWhenTheResolverFails) {
  UseHost(PlaceKind::kName, "db1");
  ProbeWell(0);
  link_.still_there = {false};
  probe_->OnSocket(At(500));
  Begin(1000);
  probe_->OnResolved(At(1001), {}, "no answer");
  EXPECT_EQ(probe_->state(), State::kConnecting);
  ASSERT_EQ(link_.endpoints.size(), 1u);
  EXPECT_EQ(link_.endpoints[0].addresses, Addresses{"192.0.2.1"});
}

TEST_F(PeerProbeTest, OlderAddressesServeWhenTheResolverIsSilent) {
  UseHost(PlaceKind::kName, "db1");
  ProbeWell(0);
  link_.still_there = {false};
  probe_->OnSocket(At(500));
  Begin(1000);
  EXPECT_EQ(probe_->deadline(), At(1250)) << "a quarter of the time is for the resolver";
  probe_->OnDeadline(At(1250));
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(probe_->deadline(), At(1625)) << "the rest is for the two addresses";
  EXPECT_FALSE(probe_->TakeObservation().has_value());
  probe_->OnSocket(At(1260));
  probe_->OnSocket(At(1270));
  ExpectResting(Take(), Outcome::kOk, 1270);
}

TEST_F(PeerProbeTest, LateAddressesServeTheNextConnection) {
  UseHost(PlaceKind::kName, "db1");
  Begin(0);
  probe_->OnDeadline(At(1000));
  ExpectResting(Take(), Outcome::kUnresolved, 1000);
  probe_->OnResolved(At(1100), {"192.0.2.5"}, "");
  EXPECT_EQ(probe_->state(), State::kResting);
  EXPECT_FALSE(probe_->TakeObservation().has_value());
  Begin(2000);
  EXPECT_EQ(probe_->deadline(), At(2250)) << "there is an older answer now";
  probe_->OnDeadline(At(2250));
  ASSERT_EQ(link_.endpoints.size(), 1u);
  EXPECT_EQ(link_.endpoints[0].addresses, Addresses{"192.0.2.5"});
}

TEST_F(PeerProbeTest, AddressesThatComeWhileConnectingDoNotDisturb) {
  UseHost(PlaceKind::kName, "db1");
  ProbeWell(0);
  link_.still_there = {false};
  probe_->OnSocket(At(500));
  Begin(1000);
  probe_->OnDeadline(At(1250));
  probe_->OnResolved(At(1300), {"192.0.2.8"}, "");
  EXPECT_EQ(probe_->state(), State::kConnecting);
  EXPECT_EQ(link_.endpoints.size(), 1u);
  EXPECT_EQ(link_.Count("close"), 1u) << "of the old connection";
  probe_->OnResolved(At(1301), {}, "late error");
  EXPECT_EQ(probe_->state(), State::kConnecting);
}

class AddressesTest : public PeerProbeTest {
 protected:
  AddressesTest() { UseHost(PlaceKind::kName, "db1"); }

  // A probe in which the name has these addresses; it is connecting then.
  void BeginWith(std::int64_t ms, const Addresses& resolved) {
    link_.endpoints.clear();
    Begin(ms);
    probe_->OnResolved(At(ms), resolved, "");
    ASSERT_EQ(probe_->state(), State::kConnecting);
  }
  // The addresses that were tried since, in that order.
  Addresses Tried() const {
    Addresses tried;
    for (const Endpoint& endpoint : link_.endpoints) {
      tried.insert(tried.end(), endpoint.addresses.begin(), endpoint.addresses.end());
    }
    return tried;
  }
  // Nothing comes for as long as the probe waits.
  void StaySilent() {
    for (int turn = 0; turn < 100 && probe_->state() != State::kResting; ++turn) {
      probe_->OnDeadline(probe_->deadline());
    }
  }
  void Answer(std::int64_t ms) {
    probe_->OnSocket(At(ms));
    probe_->OnSocket(At(ms));
    EXPECT_EQ(Take().outcome, Outcome::kOk);
  }
  void Disconnect(std::int64_t ms) {
    link_.still_there = {false};
    probe_->OnSocket(At(ms));
  }
};

TEST_F(AddressesTest, SilentOneIsFollowedByTheNextWithinTheProbe) {
  BeginWith(0, {"192.0.2.1", "192.0.2.2"});
  EXPECT_EQ(probe_->deadline(), At(500)) << "each has its share";
  probe_->OnDeadline(At(500));
  EXPECT_EQ(Tried(), (Addresses{"192.0.2.1", "192.0.2.2"}));
  EXPECT_EQ(probe_->deadline(), At(1000));
  Answer(510);
  Disconnect(600);
  BeginWith(1000, {"192.0.2.1", "192.0.2.2"});
  EXPECT_EQ(Tried(), Addresses{"192.0.2.2"}) << "the one that served comes first";
}

TEST_F(AddressesTest, SilentOneThatHoldsOurSessionHidesNoOther) {
  link_.holds_session = true;  // it has accepted, and says nothing
  BeginWith(0, {"192.0.2.1", "192.0.2.2"});
  probe_->OnDeadline(At(500));
  EXPECT_EQ(Tried().back(), "192.0.2.2");
  EXPECT_EQ(link_.is_open, 1) << "the silent one is let go";
  Answer(510);
}

TEST_F(AddressesTest, WhateverOneFailsOfTheNextIsTriedAtOnce) {
  for (const Outcome outcome : {Outcome::kRefused, Outcome::kClosed, Outcome::kRejected,
                                Outcome::kStarting, Outcome::kGarbled, Outcome::kFull}) {
    SCOPED_TRACE(static_cast<int>(outcome));
    link_ = LinkScript{};
    UseHost(PlaceKind::kName, "db1");
    link_.Fail(link_.connect, outcome, "no");
    BeginWith(0, {"192.0.2.1", "192.0.2.2"});
    probe_->OnSocket(At(1));
    EXPECT_EQ(Tried(), (Addresses{"192.0.2.1", "192.0.2.2"}));
    Answer(2);
  }
}

TEST_F(AddressesTest, OfSeveralFailuresTheOneThatTellsMostIsTold) {
  const struct {
    std::vector<Outcome> failures;
    Outcome told;
  } rows[] = {
      {{Outcome::kRefused, Outcome::kRejected}, Outcome::kRejected},
      {{Outcome::kRejected, Outcome::kRefused}, Outcome::kRejected},
      {{Outcome::kRefused, Outcome::kClosed}, Outcome::kClosed},
      {{Outcome::kRejected, Outcome::kFull}, Outcome::kFull},
      {{Outcome::kRefused, Outcome::kRefused}, Outcome::kRefused},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.told));
    link_ = LinkScript{};
    UseHost(PlaceKind::kName, "db1");
    for (const Outcome failure : row.failures) {
      link_.Fail(link_.connect, failure, "failure " + std::to_string(static_cast<int>(failure)));
    }
    BeginWith(0, {"192.0.2.1", "192.0.2.2"});
    probe_->OnSocket(At(1));
    probe_->OnSocket(At(2));
    const Observation seen = Take();
    ExpectResting(seen, row.told, 2);
    EXPECT_EQ(seen.error, "failure " + std::to_string(static_cast<int>(row.told)));
  }
}

TEST_F(AddressesTest, ThatOneRefusesDoesNotProveThatTheSilentOneIsGone) {
  link_.Fail(link_.connect, Outcome::kRefused, "no");
  BeginWith(0, {"192.0.2.1", "192.0.2.2"});
  probe_->OnSocket(At(1));
  StaySilent();
  EXPECT_EQ(Take().outcome, Outcome::kTimeout);
}

TEST_F(AddressesTest, ManySilentOnesHaveTheirTurnInTheNextProbes) {
  const Addresses all = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"};
  BeginWith(0, all);
  EXPECT_EQ(probe_->deadline(), At(250)) << "no less than a quarter of the time";
  StaySilent();
  EXPECT_EQ(Take().outcome, Outcome::kTimeout);
  EXPECT_EQ(Tried(), (Addresses{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}));
  BeginWith(2000, all);
  EXPECT_EQ(Tried(), Addresses{"192.0.2.5"});
}

// A resolver gives the same addresses in another order each time (round robin, or IPv4 before IPv6
// because that answer came first): the silent one must not get in front again.
TEST_F(AddressesTest, OtherOrderOfTheSameAddressesChangesNothing) {
  BeginWith(0, {"2001:db8::1", "192.0.2.1"});
  probe_->OnDeadline(At(500));
  Answer(501);
  const Addresses orders[] = {{"192.0.2.1", "2001:db8::1"}, {"2001:db8::1", "192.0.2.1"}};
  for (int i = 1; i <= 4; ++i) {
    Disconnect(i * 2000 - 1);
    BeginWith(i * 2000, orders[i % 2]);
    EXPECT_EQ(Tried(), Addresses{"192.0.2.1"});
    Answer(i * 2000 + 1);
  }
}

TEST_F(AddressesTest, OtherAddressesStartFromTheFirst) {
  BeginWith(0, {"192.0.2.1", "192.0.2.2"});
  StaySilent();
  Take();
  BeginWith(2000, {"192.0.2.7", "192.0.2.8"});
  EXPECT_EQ(Tried(), Addresses{"192.0.2.7"});
}

TEST_F(AddressesTest, SilenceAfterConnectingIsNotTheAddressesFault) {
  BeginWith(0, {"192.0.2.1", "192.0.2.2"});
  probe_->OnSocket(At(1));
  ASSERT_EQ(probe_->state(), State::kReading);
  probe_->OnDeadline(At(1000));
  Take();
  BeginWith(2000, {"192.0.2.1", "192.0.2.2"});
  EXPECT_EQ(Tried(), Addresses{"192.0.2.1"});
}

// All of them hang: each holds a session of ours at worst, and one of them is waited for, but not
// for so long that another one, which serves by now, would not be found.
TEST_F(AddressesTest, WhileAllHangTheyTakeTurnsAndAreNotFlooded) {
  link_.holds_session = true;
  std::vector<std::int64_t> walks_at_s;
  for (std::int64_t s = 0; s < 200; ++s) {
    link_.endpoints.clear();
    Begin(1000 * s);
    if (probe_->needs_addresses()) probe_->OnResolved(At(1000 * s), {"192.0.2.1", "192.0.2.2"}, "");
    if (!link_.endpoints.empty()) walks_at_s.push_back(s);
    StaySilent();
    Take();
  }
  EXPECT_EQ(walks_at_s, (std::vector<std::int64_t>{0, 11, 32, 73, 134, 195}));
}

// ---------------------------------------------------------------- a name that is no more

class NoSuchNameTest : public AddressesTest {
 protected:
  NoSuchNameTest() { ProbeWell(0); }
};

TEST_F(NoSuchNameTest, EndsTheAddressAfterSoManyAnswers) {
  for (int i = 1; i < limits_.max_fails; ++i) {
    probe_->OnNoSuchName(At(i), "no such name");
    EXPECT_TRUE(probe_->doubts_name());
    EXPECT_EQ(link_.is_open, 1);
  }
  probe_->OnNoSuchName(At(10), "no such name");
  EXPECT_EQ(link_.is_open, 0);
  EXPECT_TRUE(probe_->lost_connection()) << "a reason to ask soon";
  Begin(100);
  ASSERT_TRUE(probe_->needs_addresses());
  EXPECT_EQ(probe_->deadline(), At(1100)) << "there is no older answer to go on with";
  probe_->OnNoSuchName(At(101), "no such name");
  ExpectResting(Take(), Outcome::kUnresolved, 101);
}

TEST_F(NoSuchNameTest, CountsOnlyInARow) {
  for (int i = 0; i < 10; ++i) {
    probe_->OnNoSuchName(At(10 * i), "no such name");
    probe_->OnNoSuchName(At(10 * i + 1), "no such name");
    probe_->OnResolved(At(10 * i + 2), {"192.0.2.1"}, "");
    EXPECT_FALSE(probe_->doubts_name());
  }
  EXPECT_EQ(link_.is_open, 1);
}

TEST_F(NoSuchNameTest, SilenceOfTheNameServerIsNoSuchAnswer) {
  for (int i = 0; i < 10; ++i) probe_->OnResolved(At(i), {}, "no answer");
  EXPECT_FALSE(probe_->doubts_name());
  EXPECT_EQ(link_.is_open, 1);
}

TEST_F(NoSuchNameTest, WhileTheHostIsAskedItsAnswerStillCounts) {
  Begin(1000);
  for (int i = 0; i < limits_.max_fails; ++i) probe_->OnNoSuchName(At(1001 + i), "no such name");
  probe_->OnSocket(At(1010));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
  EXPECT_EQ(link_.is_open, 0);
  EXPECT_TRUE(probe_->lost_connection());
}

TEST_F(NoSuchNameTest, OfAHostThatIsConnectedToAnewCountsToo) {
  Disconnect(10);
  for (int i = 1; i <= limits_.max_fails; ++i) {
    Begin(1000 * i);
    link_.Fail(link_.connect, Outcome::kRefused, "no");
    probe_->OnNoSuchName(At(1000 * i), "no such name");
    const bool known = i < limits_.max_fails;
    EXPECT_EQ(probe_->state() == State::kConnecting, known) << i;
    if (known) {
      link_.Fail(link_.connect, Outcome::kRefused, "no");
      probe_->OnSocket(At(1000 * i + 1));
      probe_->OnSocket(At(1000 * i + 2));
    }
    EXPECT_EQ(Take().outcome, known ? Outcome::kRefused : Outcome::kUnresolved);
  }
}

// ---------------------------------------------------------------- a name that moves

using MovedNameTest = NoSuchNameTest;

TEST_F(MovedNameTest, IsFollowedWhileTheOldSessionLives) {
  probe_->OnResolved(At(500), {"192.0.2.9"}, "");
  EXPECT_EQ(link_.is_open, 1) << "not before there is a new one";
  BeginWith(1000, {"192.0.2.9"});
  EXPECT_EQ(Tried(), Addresses{"192.0.2.9"});
  EXPECT_EQ(link_.is_open, 2);
  Answer(1010);
  EXPECT_EQ(link_.is_open, 1);
}

TEST_F(MovedNameTest, OldAddressServesUntilTheNewOneHasFailedOftenEnough) {
  probe_->OnResolved(At(500), {"192.0.2.9"}, "");
  for (int i = 1; i <= limits_.max_fails; ++i) {
    link_.Fail(link_.connect, Outcome::kRefused, "not there");
    BeginWith(1000 * i, {"192.0.2.9"});
    probe_->OnSocket(At(1000 * i + 1));
    if (i < limits_.max_fails) {
      EXPECT_EQ(probe_->state(), State::kReading) << "of the old one";
      probe_->OnSocket(At(1000 * i + 2));
    }
    EXPECT_EQ(Take().outcome, i < limits_.max_fails ? Outcome::kOk : Outcome::kRefused) << i;
  }
  EXPECT_EQ(link_.is_open, 0);
}

TEST_F(MovedNameTest, OneAddressMoreIsNoMove) {
  probe_->OnResolved(At(500), {"192.0.2.9", "192.0.2.1"}, "");
  Begin(1000);
  EXPECT_EQ(probe_->state(), State::kReading);
}

TEST_F(MovedNameTest, NoAnswerIsAwaitedAtTheOldAddress) {
  link_.holds_session = true;
  Begin(1000);
  probe_->OnDeadline(At(2000));
  Take();
  probe_->OnResolved(At(2001), {"192.0.2.9"}, "");
  BeginWith(2100, {"192.0.2.9"});
  EXPECT_EQ(Tried(), Addresses{"192.0.2.9"});
  EXPECT_EQ(link_.is_open, 1);
}

// ---------------------------------------------------------------- a session that is given up

TEST_F(PeerProbeTest, SessionThatIsGivenUpIsMadeAnew) {
  ProbeWell(0);
  probe_->GiveUpSession();
  EXPECT_EQ(link_.is_open, 0);
  EXPECT_TRUE(probe_->lost_connection());
  Begin(100);
  EXPECT_EQ(probe_->state(), State::kConnecting);
}

TEST_F(PeerProbeTest, SessionThatIsGivenUpWhileItIsAskedGivesItsAnswer) {
  ProbeWell(0);
  Begin(1000);
  probe_->GiveUpSession();
  probe_->OnSocket(At(1001));
  EXPECT_EQ(Take().outcome, Outcome::kOk);
  EXPECT_EQ(link_.is_open, 0);
  EXPECT_TRUE(probe_->lost_connection());
  ProbeWell(2000);
  EXPECT_EQ(link_.is_open, 1) << "once";
}

}  // namespace
}  // namespace pg_status
