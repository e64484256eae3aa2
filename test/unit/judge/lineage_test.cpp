// How timelines descend from each other, with and without histories.
#include "judge/lineage.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace pg_status {
namespace {

using History = std::optional<TimelineHistory>;

const History kUntold = std::nullopt;
History Of(std::vector<Fork> forks, std::uint32_t from = 1) {
  return TimelineHistory{from, std::move(forks)};
}

struct DescentCase {
  const char* situation;
  std::uint32_t a;
  History a_history;
  std::uint32_t b;
  History b_history;
  Descent descent;  // of a, from b's point of view
};

class DescentRow : public testing::TestWithParam<DescentCase> {};

Branch BranchWith(std::uint32_t timeline, const History& history) {
  return {timeline, history ? &*history : nullptr};
}

TEST_P(DescentRow, IsTheSameFromBothSides) {
  const DescentCase& row = GetParam();
  const Branch a = BranchWith(row.a, row.a_history);
  const Branch b = BranchWith(row.b, row.b_history);
  EXPECT_EQ(Compare(a, b), row.descent) << row.situation;
  const Descent back = row.descent == Descent::kNewer   ? Descent::kOlder
                       : row.descent == Descent::kOlder ? Descent::kNewer
                                                        : row.descent;
  EXPECT_EQ(Compare(b, a), back) << row.situation;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, DescentRow,
    testing::Values(
        DescentCase{"not known", 0, kUntold, 1, kUntold, Descent::kUnknown},
        DescentCase{"numbers alone: the same", 2, kUntold, 2, kUntold, Descent::kSame},
        DescentCase{"numbers alone: higher is newer", 3, kUntold, 1, kUntold, Descent::kNewer},
        DescentCase{"the first timeline", 1, Of({}), 1, Of({}), Descent::kSame},
        DescentCase{"promoted from it", 2, Of({{1, 500}}), 1, Of({}), Descent::kNewer},
        DescentCase{"only the newer one tells", 2, Of({{1, 500}}), 1, kUntold, Descent::kNewer},
        DescentCase{"only the older one tells", 2, kUntold, 1, Of({}), Descent::kNewer},
        DescentCase{"the same number, left at the same place", 2, Of({{1, 500}}), 2, Of({{1, 500}}),
                    Descent::kSame},
        DescentCase{"the same number, left at another place", 2, Of({{1, 500}}), 2, Of({{1, 400}}),
                    Descent::kSiblings},
        DescentCase{"the same number, one of them untold", 2, Of({{1, 500}}), 2, kUntold,
                    Descent::kSame},
        DescentCase{"a higher number that did not come from it", 3, Of({{1, 500}}), 2,
                    Of({{1, 600}}), Descent::kSiblings},
        DescentCase{"a higher number that came from another one of that number", 3,
                    Of({{1, 500}, {2, 700}}), 2, Of({{1, 600}}), Descent::kSiblings},
        DescentCase{"two steps on", 3, Of({{1, 500}, {2, 700}}), 1, Of({}), Descent::kNewer},
        DescentCase{"histories that were cut agree where both are told", 90,
                    Of({{88, 1}, {89, 2}}, 88), 90, Of({{89, 2}}, 89), Descent::kSame},
        DescentCase{"older than what is told: the number has to do", 90, Of({{89, 2}}, 89), 5,
                    Of({{4, 1}}), Descent::kNewer}));

TEST(Lineage, WhereATimelineWasLeft) {
  const History history = Of({{1, 500}, {2, 700}});
  const Branch branch = BranchWith(3, history);
  EXPECT_EQ(LeftAt(branch, 1), std::optional<Lsn>(500));
  EXPECT_EQ(LeftAt(branch, 2), std::optional<Lsn>(700));
  EXPECT_EQ(LeftAt(branch, 3), std::nullopt);
  EXPECT_EQ(LeftAt(branch, 0), std::nullopt);
  EXPECT_EQ(LeftAt(BranchWith(3, kUntold), 1), std::nullopt);
}

}  // namespace
}  // namespace pg_status
