// The history of lag: which column a value falls into, the worst of each, gaps, and what becomes of
// it when the list of hosts changes.
#include "publish/lag_history.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/fixed_text.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr std::uint64_t kUnknown = PGST_LAG_UNKNOWN;
constexpr std::int64_t kColumn = 1000;  // any

// A standby `a`, and a history as the poller keeps it.
class LagHistory : public testing::Test {
 protected:
  LagHistory() {
    snapshot().stale_after = 8 * kUsPerSecond;
    List({"a"});
  }

  PgstSnapshot& snapshot() { return storage.get(); }
  PgstHost& host(std::uint32_t i) { return snapshot().hosts[i]; }

  void List(std::initializer_list<std::string_view> names) {
    snapshot().host_count = 0;
    for (const std::string_view name : names) {
      PgstHost& added = snapshot().hosts[snapshot().host_count++];
      added = PgstHost{};
      CopyFixedText(added.name, name);
      added.role = PGST_ROLE_STANDBY;
      added.state = PGST_STATE_UP;
    }
  }
  void SetLag(std::uint32_t i, std::uint64_t ms, std::uint64_t bytes) {
    host(i).has_lag_ms = host(i).has_lag_bytes = 1;
    host(i).lag_ms = ms;
    host(i).lag_bytes = bytes;
  }
  // So many seconds into this column.
  void Note(std::int64_t column, std::int64_t seconds = 0) {
    snapshot().made_mono = column * PGST_LAG_COLUMN_US + seconds * kUsPerSecond;
    NoteLags(rows.data(), snapshot());
  }
  std::uint64_t Ms(std::int64_t column, std::size_t row = 0) {
    return LagMsAt(rows[row], column, snapshot().stale_after);
  }
  std::uint64_t Bytes(std::int64_t column) {
    return LagBytesAt(rows[0], column, snapshot().stale_after);
  }

  static constexpr std::uint32_t kRoom = 4;
  SnapshotStorage storage{kRoom};
  std::vector<PgstLagHistory> rows = std::vector<PgstLagHistory>(kRoom);
};

TEST_F(LagHistory, AColumnHoldsTheWorstOfItsTime) {
  SetLag(0, 10, 500);
  Note(kColumn);
  SetLag(0, 30, 200);
  Note(kColumn, 2);
  SetLag(0, 20, 300);
  Note(kColumn, 4);
  EXPECT_EQ(Ms(kColumn), 30U);
  EXPECT_EQ(Bytes(kColumn), 500U);
  SetLag(0, 0, 0);
  Note(kColumn + 1);
  EXPECT_EQ(Ms(kColumn), 30U);
  EXPECT_EQ(Ms(kColumn + 1), 0U);
  EXPECT_EQ(Bytes(kColumn + 1), 0U);
  EXPECT_EQ(rows[0].newest, kColumn + 1);
}

TEST_F(LagHistory, BeforeTheFirstNothingIsKnown) {
  EXPECT_EQ(Ms(kColumn), kUnknown);
  SetLag(0, 10, 10);
  Note(kColumn);
  EXPECT_EQ(Ms(kColumn - 1), kUnknown);
  EXPECT_EQ(Ms(kColumn - PGST_LAG_COLUMNS), kUnknown) << "it would be in the same place";
  EXPECT_EQ(Ms(0), kUnknown);
  EXPECT_EQ(Ms(-1), kUnknown);
}

TEST_F(LagHistory, OnlyALiveStandbyIsBehind) {
  SetLag(0, 10, 10);
  host(0).role = PGST_ROLE_PRIMARY;
  Note(kColumn);
  host(0).role = PGST_ROLE_STANDBY;
  host(0).state = PGST_STATE_SUSPECT;
  Note(kColumn + 1);
  host(0).state = PGST_STATE_DOWN;
  host(0).role = PGST_ROLE_UNKNOWN;
  Note(kColumn + 2);
  host(0).state = PGST_STATE_UP;
  host(0).role = PGST_ROLE_STANDBY;
  host(0).has_lag_ms = 0;
  Note(kColumn + 3);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Ms(kColumn + i), kUnknown) << i;
  EXPECT_EQ(Bytes(kColumn + 2), kUnknown);
  EXPECT_EQ(Bytes(kColumn + 3), 10U) << "one is known without the other";
  // what was known in a part of a column stays
  host(0).has_lag_ms = 1;
  Note(kColumn + 3, 1);
  host(0).state = PGST_STATE_DOWN;
  Note(kColumn + 3, 2);
  EXPECT_EQ(Ms(kColumn + 3), 10U);
}

TEST_F(LagHistory, BetweenTwoSnapshotsTheOlderOneHoldsWhileItMayBeBelieved) {
  SetLag(0, 50, 50);
  Note(kColumn);
  SetLag(0, 10, 10);
  Note(kColumn, 1);
  SetLag(0, 20, 20);
  Note(kColumn + 2);
  EXPECT_EQ(Ms(kColumn), 50U);
  EXPECT_EQ(Ms(kColumn + 1), 10U) << "the last one, not the worst";
  EXPECT_EQ(Ms(kColumn + 2), 20U);
  // eight seconds: until the column behind the next one has begun
  EXPECT_EQ(Ms(kColumn + 3), 20U) << "what is not over yet";
  EXPECT_EQ(Ms(kColumn + 4), 20U);
  EXPECT_EQ(Ms(kColumn + 5), kUnknown) << "nobody may go by a snapshot as old as that";
  SetLag(0, 30, 30);
  Note(kColumn + 6);
  EXPECT_EQ(Ms(kColumn + 3), 20U) << "and it stays what it was";
  EXPECT_EQ(Ms(kColumn + 4), 20U);
  EXPECT_EQ(Ms(kColumn + 5), kUnknown);
  EXPECT_EQ(Ms(kColumn + 6), 30U);
}

// Hosts that are asked once an hour.
TEST_F(LagHistory, ASnapshotMayHoldForLongerThanWhatIsKept) {
  snapshot().stale_after = std::int64_t{3600} * kUsPerSecond;
  SetLag(0, 10, 10);
  Note(kColumn);
  const std::int64_t later = kColumn + 3 * PGST_LAG_COLUMNS;
  EXPECT_EQ(Ms(later), 10U);
  SetLag(0, 20, 20);
  Note(later);
  for (int i = 1; i < PGST_LAG_COLUMNS; ++i) EXPECT_EQ(Ms(later - i), 10U) << i;
  EXPECT_EQ(Ms(later), 20U);
  EXPECT_EQ(Ms(later - PGST_LAG_COLUMNS), kUnknown);
  // a part of what is kept
  snapshot().stale_after = 250 * PGST_LAG_COLUMN_US;
  Note(later + 300);
  EXPECT_EQ(Ms(later + 251), 20U);
  EXPECT_EQ(Ms(later + 252), kUnknown);
  EXPECT_EQ(Ms(later + 299), kUnknown);
  EXPECT_EQ(Ms(later + 300), 20U);
  snapshot().stale_after = INT64_MAX;
  EXPECT_EQ(Ms(later + 100000), 20U);
}

TEST_F(LagHistory, TenMinutesAreKept) {
  for (int i = 0; i < 3 * PGST_LAG_COLUMNS; ++i) {
    SetLag(0, static_cast<std::uint64_t>(i), 7);
    Note(kColumn + i);
  }
  const std::int64_t newest = kColumn + 3 * PGST_LAG_COLUMNS - 1;
  for (int i = 0; i < PGST_LAG_COLUMNS; ++i) {
    EXPECT_EQ(Ms(newest - i), static_cast<std::uint64_t>(3 * PGST_LAG_COLUMNS - 1 - i));
  }
  EXPECT_EQ(Ms(newest - PGST_LAG_COLUMNS), kUnknown);
  // after a long silence nothing of it is left
  Note(newest + 10 * PGST_LAG_COLUMNS);
  EXPECT_EQ(Ms(newest), kUnknown);
  EXPECT_EQ(Ms(newest + 10 * PGST_LAG_COLUMNS - 1), kUnknown);
  EXPECT_EQ(rows[0].newest, newest + 10 * PGST_LAG_COLUMNS);
}

TEST_F(LagHistory, AClockThatGoesBackLosesNothing) {
  SetLag(0, 10, 10);
  Note(kColumn);
  SetLag(0, 40, 40);
  Note(kColumn - 5);
  EXPECT_EQ(Ms(kColumn), 40U);
  EXPECT_EQ(rows[0].newest, kColumn);
}

TEST_F(LagHistory, AnotherHostsRowBeginsAnew) {
  List({"a", "b", "c"});
  for (std::uint32_t i = 0; i < 3; ++i) SetLag(i, i + 1, 0);
  Note(kColumn);
  List({"a", "d"});
  SetLag(0, 7, 0);
  SetLag(1, 8, 0);
  Note(kColumn + 1);
  EXPECT_EQ(Ms(kColumn, 0), 1U);
  EXPECT_EQ(Ms(kColumn + 1, 0), 7U);
  EXPECT_EQ(FixedText(rows[1].host), "d");
  EXPECT_EQ(Ms(kColumn, 1), kUnknown) << "that was b";
  EXPECT_EQ(Ms(kColumn + 1, 1), 8U);
  EXPECT_EQ(rows[2].host[0], '\0') << "c's is given up";
  EXPECT_EQ(Ms(kColumn, 2), kUnknown);
}

}  // namespace
}  // namespace pg_status
