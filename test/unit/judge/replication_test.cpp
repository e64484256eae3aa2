// Who is the upstream of a standby? (Whose row is whose: rows_test.cpp.)
#include "judge/replication.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "judge/scene.hpp"

namespace pg_status {
namespace {

// --- upstream ---

struct UpstreamCase {
  const char* situation;
  std::string sender_host;
  int sender_port;
  std::string upstream;
};

class Upstream : public testing::TestWithParam<UpstreamCase> {};

TEST_P(Upstream, Is) {  // a is at 192.0.2.1, b (asked for here) and c at 192.0.2.3, port 5433
  const UpstreamCase& row = GetParam();
  Scene scene(3);
  scene.entries[2].name = "third";
  scene.entries[2].port = 5433;
  Observation answer = Answer(Primary(1, 100), 1000);
  answer.peer_address = "192.0.2.1";
  scene.See(0, answer);
  answer = Answer(Standby(1, 100, kStart + 8), 1000);
  answer.peer_address = "192.0.2.3";
  scene.See(2, answer);
  scene.Answers(1, Streaming(Standby(1, 100), row.sender_host, row.sender_port), 1000);
  EXPECT_EQ(scene[1].upstream, row.upstream) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Upstream,
    testing::Values(
        UpstreamCase{"by host name", "a", 5432, "a:5432"},
        UpstreamCase{"by address", "192.0.2.1", 5432, "a:5432"},
        UpstreamCase{"cascaded, by host name", "c", 5433, "third"},
        UpstreamCase{"cascaded, by address", "192.0.2.3", 5433, "third"},
        UpstreamCase{"another port is another server", "a", 5433, "a:5433"},
        UpstreamCase{"a server we do not watch", "db9.example", 5432, "db9.example:5432"},
        UpstreamCase{"in capitals", "A", 5432, "a:5432"},
        UpstreamCase{"by the name that the list gives an address", "THIRD", 5433, "third"},
        UpstreamCase{"of its own machine", "127.0.0.1", 5433, "127.0.0.1:5433"},
        UpstreamCase{"IPv6", "2001:db8::9", 5432, "[2001:db8::9]:5432"},
        UpstreamCase{"socket directory", "/run/pg:x", 5432, "/run/pg:x:5432"},
        UpstreamCase{"does not say", "", 5432, ""}, UpstreamCase{"nonsense", "a", -1, "a:-1"}));

TEST(Replication, UpstreamIsUnknownWithoutAReceiverOrItsDetails) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  Facts standby = Streaming(Standby(1, 100));
  scene.Answers(1, standby, 1000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  standby.receiver->details_known = false;
  scene.Answers(1, standby, 2000);
  EXPECT_EQ(scene[1].upstream, "");
  scene.Answers(1, Streaming(Standby(1, 100)), 3000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  scene.Answers(1, Standby(1, 100), 4000);
  EXPECT_EQ(scene[1].upstream, "");
}

TEST(Replication, UpstreamOfAHostThatIsDownIsUnknown) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Streaming(Standby(1, 100)), 1000);
  for (int ms : {1100, 1200}) scene.Fails(1, ms);
  EXPECT_EQ(scene[1].upstream, "a:5432");
  scene.Fails(1, 1300);
  EXPECT_EQ(scene[1].upstream, "");
}

TEST(Replication, OfTwoEntriesForOnePlaceTheFirstIsTheUpstream) {
  Scene scene(3);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.entries[1].name = "alias";
  scene.entries[1].hostname = "a";
  scene.Answers(2, Streaming(Standby(1, 100)), 1000);
  EXPECT_EQ(scene[2].upstream, "a:5432");
}

TEST(Replication, UpstreamIsFoundWhateverTheSpellingOfItsAddress) {
  Scene scene(2);
  Observation answer = Answer(Primary(1, 100), 1000);
  answer.peer_address = "2001:DB8:0::1";
  scene.See(0, answer);
  scene.Answers(1, Streaming(Standby(1, 100), "2001:db8::0:1"), 1000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
}

TEST(Replication, UpstreamIsFoundByAnyAddressOfItsName) {
  Scene scene(2);
  Observation answer = Answer(Primary(1, 100), 1000);
  answer.peer_address = "2001:db8::1";
  answer.addresses = {"2001:db8::1", "192.0.2.1"};
  scene.See(0, answer);
  scene.Answers(1, Streaming(Standby(1, 100), "192.0.2.1"), 1000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
}

TEST(Replication, UpstreamThatKnowsItselfByALocalAddressIsFoundByWhatOthersSee) {
  Scene scene(2);
  scene.own_start = kStart;
  Observation answer = Answer(Primary(1, 100), 1000);
  answer.peer_address = "127.0.1.1";
  scene.See(0, answer);
  Facts standby = Streaming(Standby(1, 100), "192.0.2.1");
  scene.Answers(1, standby, 1000);
  EXPECT_EQ(scene[1].upstream, "192.0.2.1:5432");
  standby.asker = "192.0.2.1";
  scene.Answers(1, standby, 2000);
  EXPECT_EQ(scene[1].upstream, "a:5432");
}

TEST(Replication, LocalUpstreamIsOneOfTheStandbysOwnMachine) {
  struct Case {
    const char* situation;
    const char* standby_at;
    const char* sender_host;
    const char* upstream;
  };
  const Case cases[] = {
      {"there, not here", "192.0.2.2", "127.0.0.1", "c:5432"},
      {"there, over a socket", "192.0.2.2", "/run/postgresql", "c:5432"},
      {"there, by name", "192.0.2.2", "localhost", "c:5432"},
      {"here", "127.0.0.1", "127.0.0.1", "a:5432"},
      {"here, by name", "127.0.1.1", "localhost", "a:5432"},
  };
  for (const Case& row : cases) {
    Scene scene(3);
    scene.entries[2].port = 5433;
    const bool there = std::string(row.situation).rfind("there", 0) == 0;
    const char* const at[] = {"127.0.0.1", row.standby_at, "192.0.2.2"};
    for (std::size_t i : {0, 2, 1}) {
      const WallUs start = kStart + static_cast<WallUs>(i);
      Observation answer =
          Answer(i == 0   ? Primary(1, 100, start)
                 : i == 2 ? Standby(1, 100, start)
                          : Streaming(Standby(1, 100, start), row.sender_host, there ? 5433 : 5432),
                 1000);
      answer.peer_address = at[i];
      scene.See(i, answer);
    }
    EXPECT_EQ(scene[1].upstream, row.upstream) << row.situation;
  }
}

TEST(Replication, NobodyStreamsFromItself) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Streaming(Standby(1, 100), "b"), 1000);
  EXPECT_EQ(scene[1].upstream, "b:5432");
  EXPECT_EQ(scene[1].upstream_index, std::nullopt);
}

}  // namespace
}  // namespace pg_status
