// Opinions as text: what is written is read back, what others write is not trusted.
#include "probe/opinions.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace pg_status {
namespace {

Opinion Of(std::string host, bool reachable, std::optional<std::int64_t> age_us) {
  Opinion opinion;
  opinion.host = std::move(host);
  opinion.reachable = reachable;
  opinion.success_age_us = age_us;
  return opinion;
}

TEST(Opinions, AreWrittenALineEach) {
  Opinion up = Of("db1:5432", true, 120 * kUsPerMs);
  up.system_identifier = 7000000000000000001;
  up.postmaster_start = 1700000000250000;
  EXPECT_EQ(WriteOpinions({up, Of("db3:5432", false, std::nullopt)}),
            "opinions 1\n"
            "db1:5432 up 120 7000000000000000001 1700000000250000\n"
            "db3:5432 down - 0 0\n");
}

TEST(Opinions, OfNobodyAreATitle) {
  EXPECT_EQ(WriteOpinions({}), "opinions 1\n");
  EXPECT_TRUE(ReadOpinions("opinions 1\n")->empty());
}

TEST(Opinions, AreReadAsTheyWereWritten) {
  Opinion up = Of("db 1,% \xc3\xa4\n/tmp", true, 5 * kUsPerMs);
  up.system_identifier = std::numeric_limits<std::uint64_t>::max();
  up.postmaster_start = std::numeric_limits<WallUs>::max();
  const auto read = ReadOpinions(WriteOpinions({up, Of("b", false, std::nullopt)}));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ(read->front().host, up.host);
  EXPECT_TRUE(read->front().reachable);
  EXPECT_EQ(read->front().success_age_us, 5 * kUsPerMs);
  EXPECT_EQ(read->front().system_identifier, up.system_identifier);
  EXPECT_EQ(read->front().postmaster_start, up.postmaster_start);
  EXPECT_EQ(read->back().host, "b");
  EXPECT_FALSE(read->back().reachable);
  EXPECT_FALSE(read->back().success_age_us);
}

// Younger than it is would be a proof of life that nobody gave.
TEST(Opinions, AgesAreRoundedUp) {
  EXPECT_EQ(ReadOpinions(WriteOpinions({Of("a", true, 1)}))->front().success_age_us, kUsPerMs);
  EXPECT_EQ(ReadOpinions(WriteOpinions({Of("a", true, 1001)}))->front().success_age_us,
            2 * kUsPerMs);
  EXPECT_EQ(ReadOpinions(WriteOpinions({Of("a", true, -7)}))->front().success_age_us, 0);
}

TEST(Opinions, AreBounded) {
  const std::string name(263, 'x');
  const std::string text = WriteOpinions(Opinions(100, Of(name, true, 0)));
  EXPECT_LE(text.size(), kMaxOpinionsBytes);
  const auto read = ReadOpinions(text);
  ASSERT_TRUE(read);
  EXPECT_GT(read->size(), 50U);
  EXPECT_LT(read->size(), 100U);
  EXPECT_FALSE(ReadOpinions(text + std::string(kMaxOpinionsBytes, '\n')));
}

TEST(Opinions, WhatAHostIsToTheOneThatSpeaks) {
  std::string text = "opinions 1\n";
  for (const Rank rank : {Rank::kUnknown, Rank::kNone, Rank::kIncumbent, Rank::kPrimary}) {
    Opinion opinion = Of("a", true, 0);
    opinion.rank = rank;
    text = WriteOpinions({opinion});
    EXPECT_EQ(ReadOpinions(text)->front().rank, rank) << text;
  }
  EXPECT_EQ(text, "opinions 1\na up 0 0 0 primary\n");
  EXPECT_EQ(ReadOpinions("opinions 1\na up 0 1 2 elected\n")->front().rank, Rank::kUnknown)
      << "of a later version";
}

TEST(Opinions, LaterVersionsMayTellMoreInALine) {
  const auto read = ReadOpinions("opinions 1\na up 0 1 2 more and more\nb down - 0 0\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size(), 2U);
}

TEST(Opinions, NonsenseIsNone) {
  const std::vector<std::string> texts = {
      "",
      "opinions",
      "opinions 2\n",
      "opinions 1\n\n",
      "opinions 1\na\n",
      "opinions 1\na up\n",
      "opinions 1\na up 1\n",
      "opinions 1\na up 1 2\n",
      "opinions 1\na maybe 1 2 3\n",
      "opinions 1\na up -1 2 3\n",
      "opinions 1\na up 99999999999999999999 2 3\n",
      "opinions 1\na up 18446744073709551615 2 3\n",
      "opinions 1\na up 1 x 3\n",
      "opinions 1\na up 1 2 -3\n",
      "opinions 1\na up 1 2 9223372036854775808\n",
      "opinions 1\n up 1 2 3\n",
      "opinions 1\na%4 up 1 2 3\n",
      "opinions 1\na%g0 up 1 2 3\n",
      "opinions 1\na%4a up 1 2 3\n",
      "opinions 1\na\x01 up 1 2 3\n",
      "opinions 1\n" + std::string(264, 'x') + " up 1 2 3\n",
  };
  for (const std::string& text : texts) EXPECT_FALSE(ReadOpinions(text)) << text;
}

}  // namespace
}  // namespace pg_status
