// Timeline history files: those that PostgreSQL writes, and damaged ones.
#include "probe/history_file.hpp"

#include <string>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

TEST(HistoryFile, NamesTheForks) {
  const auto history = ReadHistoryFile(
      "1\t0/5000148\tno recovery target specified\n"
      "\n"
      "2\t0/7000000\tbefore transaction 742 at 2024-05-01 10:00:00+00\n",
      3);
  ASSERT_TRUE(history);
  EXPECT_EQ(history->from, 1U);
  ASSERT_EQ(history->forks.size(), 2U);
  EXPECT_EQ(history->forks[0], (Fork{1, 0x5000148}));
  EXPECT_EQ(history->forks[1], (Fork{2, 0x7000000}));
}

TEST(HistoryFile, MayHaveCommentsAndBlanks) {
  const auto history = ReadHistoryFile(
      "# recovered by hand\n  # and again\n \t \r\n 1  A/FE000060\r\n\n3\tB/0\n\n\n# end\n", 7);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->forks.size(), 2U);
  EXPECT_EQ(history->forks[0], (Fork{1, 0xAFE000060}));
  EXPECT_EQ(history->forks[1], (Fork{3, 0xB00000000}));
}

TEST(HistoryFile, OfTheFirstTimelineIsEmpty) {
  const auto history = ReadHistoryFile("", 1);
  ASSERT_TRUE(history);
  EXPECT_EQ(*history, TimelineHistory{});
}

TEST(HistoryFile, ThatMakesNoSenseIsNone) {
  for (const char* text : {"",  // every other timeline has left one
                           "# nothing\n",
                           "1\n",
                           "1\t\n",
                           "1\t0\tx\n",
                           "1\t0/x\n",
                           "x\t0/5\n",
                           "-1\t0/5\n",
                           "1 0/5/6\n",
                           "1\t0/0\tx\n",  // no position
                           "0\t0/5\tx\n",  // no timeline
                           "4294967296\t0/5\tx\n",
                           "3\t0/5\tx\n",  // not older
                           "4\t0/5\tx\n",
                           "2\t0/5\tx\n1\t0/6\tx\n",
                           "1\t0/5\tx\n1\t0/6\tx\n",  // do not rise
                           "1\t0/6\tx\n2\t0/5\tx\n",  // goes back
                           "1\t0/5\tx\n2",
                           "1\t0/5\tx\n2\t0/",
                           "1\t0/5\tx\n\x01\x02\x03"}) {
    EXPECT_FALSE(ReadHistoryFile(text, 3)) << text;
  }
  EXPECT_FALSE(ReadHistoryFile(std::string("1\t0/5\tx\n\0\0\0\0", 12), 3)) << "zeros after a crash";
}

TEST(HistoryFile, KeepsTheNewestForks) {
  std::string text;
  for (int timeline = 1; timeline <= 100; ++timeline) {
    text += std::to_string(timeline) + "\t0/" + std::to_string(1000 + timeline) + "\treason\n";
  }
  const auto history = ReadHistoryFile(text, 101);
  ASSERT_TRUE(history);
  ASSERT_EQ(history->forks.size(), kMaxForks);
  EXPECT_EQ(history->from, 37U);
  EXPECT_EQ(history->forks.front().timeline, 37U);
  EXPECT_EQ(history->forks.back().timeline, 100U);
}

}  // namespace
}  // namespace pg_status
