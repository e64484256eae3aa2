// One server or several behind an address: rows of answers, and what is believed after each.
#include <gtest/gtest.h>

#include <string>

#include "judge/answerers.hpp"
#include "judge/judge.hpp"
#include "judge/scene.hpp"

namespace pg_status {
namespace {

constexpr std::int64_t kPollUs = kUsPerSecond;

// A letter for each poll: which server answers ('.': none does; '?': one that does not tell). What
// comes back: 1 where several are behind the address.
std::string Believed(const std::string& answers, std::int64_t poll_us = kPollUs) {
  Answerers answerers;
  std::string believed;
  MonoUs now = kUsPerSecond;
  for (const char letter : answers) {
    now += poll_us;
    if (letter == '.') continue;
    ServerRun run{7, 1000 * kUsPerSecond + (letter - 'A') * kUsPerSecond};
    if (letter == '?') run = {};
    believed += NoteAnswerer(answerers, run, now, poll_us) ? '1' : '0';
  }
  return believed;
}

TEST(Answerers, OneServerIsOne) { EXPECT_EQ(Believed("AAAAAA"), "000000"); }

TEST(Answerers, RestartAndMoveAreNoProof) { EXPECT_EQ(Believed("AABBBCD"), "0000000"); }

TEST(Answerers, OneThatComesBackIsProof) {
  EXPECT_EQ(Believed("ABA"), "001");
  EXPECT_EQ(Believed("ABCA"), "0001");
  EXPECT_EQ(Believed("AABBBA"), "000001");
}

TEST(Answerers, AnAddressThatMovedBackLongAfterIsNoProof) {
  EXPECT_EQ(Believed("A" + std::string(60, 'B') + "A"), std::string(62, '0'));
  EXPECT_EQ(Believed("AB" + std::string(60, '.') + "A"), "000");
}

TEST(Answerers, AreBelievedToBeSeveralUntilOneAnswersForAMinute) {
  EXPECT_EQ(Believed("ABA" + std::string(60, 'A')), "00" + std::string(60, '1') + "0");
  EXPECT_EQ(Believed("ABA" + std::string(30, 'A') + "B" + std::string(60, 'B')),
            "00" + std::string(91, '1') + "0");
}

TEST(Answerers, OneMoreThatWasNeverSeenGoesOnWithIt) {
  EXPECT_EQ(Believed("ABA" + std::string(30, 'A') + "C" + std::string(60, 'C')),
            "00" + std::string(91, '1') + "0");
}

TEST(Answerers, RarePollsAreRememberedForTenOfThem) {
  EXPECT_EQ(Believed("ABBBBA", 60 * kUsPerSecond), "000001");
  EXPECT_EQ(Believed("AB..........A", 60 * kUsPerSecond), "000");
}

TEST(Answerers, WhoDoesNotTellWhoItIsTellsNothing) {
  EXPECT_EQ(Believed("A?A?A"), "00000");
  EXPECT_EQ(Believed("AB?A?"), "00011");
}

TEST(Answerers, StartsThatDifferByDigitsAreOne) {
  Answerers answerers;
  for (int i = 0; i < 6; ++i) {
    const ServerRun run{7, 1764558000123456 + (i % 2) * 4};
    EXPECT_FALSE(NoteAnswerer(answerers, run, (i + 1) * kUsPerSecond, kPollUs)) << i;
  }
}

TEST(Answerers, SystemThatIsNotToldMayBeTheSame) {
  Answerers answerers;
  const WallUs start = 1764558000123456;
  EXPECT_FALSE(NoteAnswerer(answerers, {7, start}, 1 * kUsPerSecond, kPollUs));
  EXPECT_FALSE(NoteAnswerer(answerers, {0, start}, 2 * kUsPerSecond, kPollUs));
  EXPECT_FALSE(NoteAnswerer(answerers, {7, start}, 3 * kUsPerSecond, kPollUs));
  EXPECT_FALSE(NoteAnswerer(answerers, {0, start + kUsPerSecond}, 4 * kUsPerSecond, kPollUs));
  EXPECT_TRUE(NoteAnswerer(answerers, {0, start}, 5 * kUsPerSecond, kPollUs));
}

// ---- what becomes of the host

constexpr WallUs kOtherStart = kStart + 60 * kUsPerSecond;

TEST(SeveralServers, NothingIsKnownOfThePlaceWhereTheyAnswer) {
  Scene scene(2);
  scene.Answers(0, Primary(1, 100), 1000);
  scene.Answers(1, Standby(1, 100), 1000);
  scene.Answers(0, Standby(1, 90, kOtherStart), 2000);
  EXPECT_EQ(scene[0].role, Role::kStandby);
  scene.Answers(0, Primary(1, 110), 3000);
  EXPECT_EQ(scene[0].role, Role::kUnknown);
  EXPECT_EQ(scene[0].liveness, Liveness::kSuspect);
  EXPECT_FALSE(scene[0].facts);
  EXPECT_EQ(scene[0].primary_since, 0);
  EXPECT_NE(scene[0].last_error.find("several servers answer here"), std::string::npos);
  EXPECT_EQ(scene[1].liveness, Liveness::kUp);
}

TEST(SeveralServers, ASessionThatIsTakenDoesNotMakeItUp) {
  Limits limits;
  HostVerdict host;
  RecordObservation(host, Answer(Primary(1, 100), 1000), limits);
  RecordObservation(host, Answer(Standby(1, 100, kOtherStart), 2000), limits);
  RecordObservation(host, Answer(Primary(1, 100), 3000), limits);
  SessionTry trial;
  trial.outcome = Outcome::kOk;
  trial.finished = 4 * kUsPerSecond;
  RecordTrial(host, trial, limits);
  EXPECT_EQ(host.liveness, Liveness::kSuspect);
  EXPECT_NE(host.last_error.find("several servers"), std::string::npos);
}

TEST(SeveralServers, OneThatAnswersAloneIsBelievedAgain) {
  Limits limits;
  HostVerdict host;
  RecordObservation(host, Answer(Primary(1, 100), 1000), limits);
  RecordObservation(host, Answer(Standby(1, 100, kOtherStart), 2000), limits);
  RecordObservation(host, Answer(Primary(1, 100), 3000), limits);
  RecordObservation(host, Answer(Primary(1, 100), 62999), limits);
  EXPECT_FALSE(host.facts);
  RecordObservation(host, Answer(Primary(1, 100), 63000), limits);
  ASSERT_TRUE(host.facts);
  EXPECT_EQ(host.liveness, Liveness::kUp);
  EXPECT_EQ(host.last_error, "");
}

}  // namespace
}  // namespace pg_status
