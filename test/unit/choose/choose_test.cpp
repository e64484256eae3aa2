// Who is given out for which wish, in which topology, and in which order.
#include "choose/choose.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr MonoUs kNow = 1000 * kUsPerSecond;
constexpr std::int64_t kStaleAfter = 6 * kUsPerSecond;
constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

constexpr Route kReadRoutes[] = {
    Route::kReplica,           Route::kSyncByTime,         Route::kSyncByBytes,
    Route::kSyncByTimeOrBytes, Route::kSyncByTimeAndBytes, Route::kMostSyncByBytes};
constexpr Route kRoundRobinRoutes[] = {Route::kReplica, Route::kSyncByTime, Route::kSyncByBytes,
                                       Route::kSyncByTimeOrBytes, Route::kSyncByTimeAndBytes};

Wish Ask(Route route) {
  Wish wish;
  wish.route = route;
  return wish;
}

// A cluster as the poller would have published it. Hosts are named by their index.
class Topology {
 public:
  explicit Topology(std::uint32_t max_hosts = 8) : storage_(max_hosts) {
    get().layout = PGST_SNAPSHOT_LAYOUT;
    get().ready = 1;
    get().primary = -1;
    get().made_mono = kNow;
    get().stale_after = kStaleAfter;
    get().sync_max_lag_ms = 1000;
    get().sync_max_lag_bytes = 1000000;
  }

  PgstSnapshot& get() { return storage_.get(); }
  PgstHost& host(std::uint32_t index) { return get().hosts[index]; }

  PgstHost& AddHost(PgstRole role) {
    PgstHost& added = host(get().host_count++);
    added = PgstHost{};
    added.checked = 1;
    added.weight = 1;
    added.state = PGST_STATE_UP;
    added.role = static_cast<std::uint8_t>(role);
    added.timeline = 1;
    added.has_lag_ms = 1;
    added.has_lag_bytes = 1;
    added.has_lsn = 1;
    added.lsn = 1000;
    return added;
  }
  PgstHost& AddStandby() { return AddHost(PGST_ROLE_STANDBY); }
  PgstHost& AddPrimary() {
    PgstHost& added = AddHost(PGST_ROLE_PRIMARY);
    added.primary = 1;
    get().primary = static_cast<std::int32_t>(get().host_count - 1);
    return added;
  }

  Choice Once(const Wish& wish) { return Choose(get(), wish, cursor_, kNow, kNow); }
  // Takes the turn as well.
  Choice Next(const Wish& wish) {
    const Choice choice = Once(wish);
    cursor_ = choice.next_cursor;
    return choice;
  }
  // Host indexes, or '-' for none, of this many requests in a row.
  std::string Run(const Wish& wish, int requests) {
    std::string hosts;
    for (int i = 0; i < requests; ++i) {
      const Choice choice = Next(wish);
      hosts += choice.host ? std::to_string(*choice.host) : "-";
    }
    return hosts;
  }
  Cursor cursor() const { return cursor_; }

 private:
  SnapshotStorage storage_;
  Cursor cursor_ = 0;
};

// A primary (host 0) and this many standbys that are in sync.
Topology Cluster(int standbys) {
  Topology topology;
  topology.AddPrimary();
  for (int i = 0; i < standbys; ++i) topology.AddStandby();
  return topology;
}

void SetLabel(char (&to)[PGST_LABEL_SIZE], const std::string& text) {
  std::memset(to, 0, sizeof(to));
  std::memcpy(to, text.data(), text.size());
}

// Every route in every shape of cluster: what comes back, and why.
TEST(Choose, EveryRouteInEveryTopology) {
  struct Case {
    const char* situation;
    void (*change)(Topology&);
    Reason master;
    int master_host;
    Reason read;
    int read_host;
  };
  const Case cases[] = {
      {"all is well", [](Topology&) {}, Reason::kFound, 0, Reason::kFound, 1},
      {"the primary is suspect", [](Topology& t) { t.host(0).state = PGST_STATE_SUSPECT; },
       Reason::kFound, 0, Reason::kFound, 1},
      {"no primary",
       [](Topology& t) {
         t.get().primary = -1;
         t.host(0).state = PGST_STATE_DOWN;
         t.host(0).role = PGST_ROLE_UNKNOWN;
       },
       Reason::kNone, -1, Reason::kFound, 1},
      {"the standby is suspect", [](Topology& t) { t.host(1).state = PGST_STATE_SUSPECT; },
       Reason::kFound, 0, Reason::kFound, 1},
      {"the standby is down", [](Topology& t) { t.host(1).state = PGST_STATE_DOWN; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the standby never answered", [](Topology& t) { t.host(1).state = PGST_STATE_UNKNOWN; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the standby is in maintenance", [](Topology& t) { t.host(1).maintenance = PGST_MAINT; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the standby is being drained", [](Topology& t) { t.host(1).maintenance = PGST_DRAIN; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the primary is in maintenance", [](Topology& t) { t.host(0).maintenance = PGST_MAINT; },
       Reason::kFound, 0, Reason::kFound, 1},
      {"all are in maintenance",
       [](Topology& t) { t.host(0).maintenance = t.host(1).maintenance = PGST_MAINT; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the primary is in maintenance as well, by force",
       [](Topology& t) {
         t.host(0).maintenance = t.host(1).maintenance = PGST_MAINT;
         t.host(0).forced = 1;
       },
       Reason::kNone, -1, Reason::kNone, -1},
      {"force is of no use without maintenance", [](Topology& t) { t.host(0).forced = 1; },
       Reason::kFound, 0, Reason::kFound, 1},
      {"the standby's state is no state", [](Topology& t) { t.host(1).state = 200; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the standby is of another cluster", [](Topology& t) { t.host(1).foreign = 1; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the standby has diverged", [](Topology& t) { t.host(1).diverged = 1; }, Reason::kFound, 0,
       Reason::kFallback, 0},
      {"the standby has diverged and misses checks",
       [](Topology& t) {
         t.host(1).diverged = 1;
         t.host(1).state = PGST_STATE_SUSPECT;
       },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the other host is a superseded primary",
       [](Topology& t) {
         t.host(1).role = PGST_ROLE_PRIMARY;
         t.host(1).superseded = 1;
       },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the primary's index points to a superseded one",
       [](Topology& t) { t.host(0).superseded = 1; }, Reason::kNone, -1, Reason::kFound, 1},
      {"the other host is a second primary",
       [](Topology& t) { t.host(1).role = PGST_ROLE_PRIMARY; }, Reason::kFound, 0,
       Reason::kFallback, 0},
      {"the other host's role is unknown", [](Topology& t) { t.host(1).role = PGST_ROLE_UNKNOWN; },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"the only standby has weight 0", [](Topology& t) { t.host(1).weight = 0; }, Reason::kFound,
       0, Reason::kFallback, 0},
      {"the weight is not a number", [](Topology& t) { t.host(1).weight = std::nan(""); },
       Reason::kFound, 0, Reason::kFallback, 0},
      {"nobody is left",
       [](Topology& t) {
         t.get().primary = -1;
         t.host(0).state = PGST_STATE_DOWN;
         t.host(1).state = PGST_STATE_DOWN;
       },
       Reason::kNone, -1, Reason::kNone, -1},
      {"no hosts are configured", [](Topology& t) { t.get().host_count = 0; }, Reason::kNone, -1,
       Reason::kNone, -1},
      {"the primary's index is past the end", [](Topology& t) { t.get().primary = 2; },
       Reason::kNone, -1, Reason::kFound, 1},
      {"the primary's index is absurd", [](Topology& t) { t.get().primary = -2000000000; },
       Reason::kNone, -1, Reason::kFound, 1},
      {"the primary's index points to a host that is down",
       [](Topology& t) { t.host(0).state = PGST_STATE_DOWN; }, Reason::kNone, -1, Reason::kFound,
       1},
      {"the primary's index points to a host of another cluster",
       [](Topology& t) { t.host(0).foreign = 1; }, Reason::kNone, -1, Reason::kFound, 1},
      {"the primary's index points to a standby", [](Topology& t) { t.get().primary = 1; },
       Reason::kNone, -1, Reason::kFound, 1},
  };
  for (const Case& c : cases) {
    Topology topology = Cluster(1);
    c.change(topology);
    const Choice master = topology.Once(Ask(Route::kMaster));
    EXPECT_EQ(master.reason, c.master) << c.situation;
    EXPECT_EQ(master.host ? static_cast<int>(*master.host) : -1, c.master_host) << c.situation;
    EXPECT_EQ(master.next_cursor, topology.cursor()) << c.situation;
    for (Route route : kReadRoutes) {
      const Choice read = topology.Once(Ask(route));
      EXPECT_EQ(read.reason, c.read) << c.situation << ", route " << static_cast<int>(route);
      EXPECT_EQ(read.host ? static_cast<int>(*read.host) : -1, c.read_host)
          << c.situation << ", route " << static_cast<int>(route);
    }
  }
}

TEST(Choose, HostsBeyondTheRoomDoNotExist) {
  Topology topology = Cluster(2);
  topology.get().max_hosts = 2;  // as if host_count had been damaged
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 3), "111");
  topology.get().primary = 2;
  EXPECT_EQ(topology.Once(Ask(Route::kMaster)).reason, Reason::kNone);
}

// T and B are 1000 ms and 1000000 bytes unless the wish says otherwise.
TEST(Choose, LimitsPerRouteAreInclusive) {
  constexpr std::uint64_t kUnknown = kMax - 7;
  struct Case {
    const char* situation;
    std::uint64_t lag_ms, lag_bytes;
    std::optional<std::uint64_t> ask_ms, ask_bytes;
    const char* found;  // y or n for each of kReadRoutes: replica time bytes or and most
  };
  const std::optional<std::uint64_t> none;
  const Case cases[] = {
      {"in sync", 0, 0, none, none, "yyyyyy"},
      {"both at the default", 1000, 1000000, none, none, "yyyyyy"},
      {"time one over the default", 1001, 1000000, none, none, "ynyyny"},
      {"bytes one over the default", 1000, 1000001, none, none, "yynynn"},
      {"both over the defaults", 1001, 1000001, none, none, "ynnnnn"},
      {"nothing known", kUnknown, kUnknown, none, none, "ynnnnn"},
      {"time unknown", kUnknown, 0, none, none, "ynyyny"},
      {"bytes unknown", 0, kUnknown, none, none, "yynynn"},
      {"both at the asked limit", 5, 7, 5, 7, "yyyyyy"},
      {"time one over the asked limit", 6, 7, 5, 7, "nnyyny"},
      {"bytes one over the asked limit", 5, 8, 5, 7, "nynynn"},
      {"both over the asked limit", 6, 8, 5, 7, "nnnnnn"},
      {"limits of nothing, in sync", 0, 0, 0, 0, "yyyyyy"},
      {"limits of nothing, a little behind", 1, 1, 0, 0, "nnnnnn"},
      {"the widest limits", kMax, kMax, kMax, kMax, "yyyyyy"},
      {"the widest limits, nothing known", kUnknown, kUnknown, kMax, kMax, "nnnnnn"},
      {"only time asked, bytes unknown", 5, kUnknown, 5, none, "yynynn"},
      {"only bytes asked, time unknown", kUnknown, 7, none, 7, "ynyyny"},
      {"wider time than the default", 5000, 0, 5000, none, "yyyyyy"},
  };
  for (const Case& c : cases) {
    Topology topology = Cluster(1);
    PgstHost& standby = topology.host(1);
    standby.has_lag_ms = c.lag_ms == kUnknown ? 0 : 1;
    standby.lag_ms = c.lag_ms == kUnknown ? 0 : c.lag_ms;
    standby.has_lag_bytes = c.lag_bytes == kUnknown ? 0 : 1;
    standby.lag_bytes = c.lag_bytes == kUnknown ? 0 : c.lag_bytes;
    std::string found;
    for (Route route : kReadRoutes) {
      Wish wish = Ask(route);
      wish.lag_ms = c.ask_ms;
      wish.lag_bytes = c.ask_bytes;
      const Choice choice = topology.Once(wish);
      EXPECT_EQ(choice.host, choice.reason == Reason::kFound ? 1u : 0u) << c.situation;
      found += choice.reason == Reason::kFound ? 'y' : 'n';
    }
    EXPECT_EQ(found, c.found) << c.situation;
  }
}

TEST(Choose, PositionsCountOnlyOnThePrimarysTimeline) {
  struct Case {
    const char* situation;
    bool has_primary;
    std::uint32_t primary_timeline, newest_timeline;
    bool has_lsn;
    std::uint64_t lsn;
    std::uint32_t timeline;
    bool found;
  };
  const Case cases[] = {
      {"reached exactly", true, 2, 2, true, 500, 2, true},
      {"one byte short", true, 2, 2, true, 499, 2, false},
      {"position unknown", true, 2, 2, false, 500, 2, false},
      {"far on, but on the old timeline", true, 2, 2, true, 900, 1, false},
      {"far on, on a newer timeline than the primary's", true, 2, 2, true, 900, 3, false},
      {"its timeline is unknown", true, 2, 2, true, 500, 0, true},
      {"the primary's timeline is unknown", true, 0, 2, true, 500, 1, true},
      {"the primary's counts, not the last report's", true, 2, 1, true, 500, 2, true},
      {"no primary, on the last known timeline", false, 0, 2, true, 500, 2, true},
      {"no primary, on an older timeline", false, 0, 2, true, 500, 1, false},
      {"no primary, and none was ever known", false, 0, 0, true, 500, 1, true},
  };
  for (const Case& c : cases) {
    Topology topology;
    if (c.has_primary) topology.AddPrimary().timeline = c.primary_timeline;
    topology.get().newest_timeline = c.newest_timeline;
    PgstHost& standby = topology.AddStandby();
    standby.has_lsn = c.has_lsn ? 1 : 0;
    standby.lsn = c.lsn;
    standby.timeline = c.timeline;
    for (Route route : kReadRoutes) {
      Wish wish = Ask(route);
      wish.min_lsn = 500;
      const Reason otherwise = c.has_primary ? Reason::kFallback : Reason::kNone;
      EXPECT_EQ(topology.Once(wish).reason, c.found ? Reason::kFound : otherwise)
          << c.situation << ", route " << static_cast<int>(route);
    }
  }
}

// The primary is on timeline 4. Of its history: 1 ended at 100, 2 at 200 and 4 began there, so 3 is
// somebody else's.
Topology AfterFailovers() {
  Topology topology;
  topology.AddPrimary().timeline = 4;
  topology.get().has_history = 1;
  topology.get().history_from = 1;
  topology.get().fork_count = 2;
  topology.get().forks[0] = {100, 1, 0};
  topology.get().forks[1] = {200, 2, 0};
  return topology;
}

// What a standby on `timeline` that has replayed up to `lsn` gets of a wish for `min_lsn` of
// timeline `asked`.
TEST(Choose, APositionWithItsTimelineIsHeldAgainstThePrimarysHistory) {
  struct Case {
    const char* situation;
    std::uint32_t asked;
    Lsn min_lsn;
    std::uint32_t timeline;
    Lsn lsn;
    Reason reason;
  };
  const Case cases[] = {
      {"the primary's timeline, reached", 4, 500, 4, 500, Reason::kFound},
      {"the primary's timeline, one byte short", 4, 500, 4, 499, Reason::kFallback},
      {"the primary's timeline, far on on an old one", 4, 150, 2, 200, Reason::kFallback},
      {"the primary's timeline, the standby's is not known", 4, 500, 0, 500, Reason::kFound},
      {"an old timeline, the standby follows the primary", 2, 200, 4, 300, Reason::kFound},
      {"an old timeline, the standby is still on it", 2, 150, 2, 150, Reason::kFound},
      {"the same, one byte short", 2, 150, 2, 149, Reason::kFallback},
      {"the same, up to the fork", 2, 200, 2, 200, Reason::kFound},
      {"the same, beyond the fork: it has something else", 2, 200, 2, 201, Reason::kFallback},
      {"an older timeline, the standby is on one between", 1, 100, 2, 150, Reason::kFound},
      {"an older timeline, the standby is on the primary's", 1, 50, 4, 300, Reason::kFound},
      {"the standby is on an older one than the position", 2, 90, 1, 95, Reason::kFallback},
      {"the standby is on one that is not of the history", 2, 150, 3, 300, Reason::kFallback},
      {"the standby is on a newer one than the primary", 2, 150, 5, 300, Reason::kFallback},
      {"the standby's timeline is not known", 2, 150, 0, 300, Reason::kFallback},
      {"beyond the fork", 2, 201, 4, 300, Reason::kLost},
      {"beyond the fork, and the standby has it", 2, 201, 2, 201, Reason::kLost},
      {"beyond an older fork, with a number that others have", 1, 101, 4, 300, Reason::kLost},
      {"of no timeline of the history", 3, 50, 3, 60, Reason::kLost},
      {"no position is no condition", 3, kNoLsn, 4, 300, Reason::kFound},
      {"of a timeline that is newer than the primary's", 5, 50, 4, 300, Reason::kNone},
  };
  for (const Case& c : cases) {
    Topology topology = AfterFailovers();
    PgstHost& standby = topology.AddStandby();
    standby.timeline = c.timeline;
    standby.lsn = c.lsn;
    for (Route route : kReadRoutes) {
      Wish wish = Ask(route);
      wish.min_lsn = c.min_lsn;
      wish.min_lsn_timeline = c.asked;
      const Choice choice = topology.Once(wish);
      const std::string where =
          std::string(c.situation) + ", route " + std::to_string(static_cast<int>(route));
      EXPECT_EQ(choice.reason, c.reason) << where;
      EXPECT_EQ(choice.host.has_value(),
                c.reason == Reason::kFound || c.reason == Reason::kFallback)
          << where;
      EXPECT_EQ(choice.next_cursor != topology.cursor(),
                c.reason == Reason::kFound && route != Route::kMostSyncByBytes)
          << where;
    }
    Wish master = Ask(Route::kMaster);
    master.min_lsn = c.min_lsn;
    master.min_lsn_timeline = c.asked;
    EXPECT_EQ(topology.Once(master).host, 0u) << c.situation;
  }
}

// A position of timeline `asked`, with a standby that is on the primary's and far on.
TEST(Choose, WhatIsNotKnownOfTheHistoryIsNotCalledLost) {
  struct Case {
    const char* situation;
    void (*change)(Topology&);
    std::uint32_t asked;
    Lsn min_lsn;
    Reason reason;
  };
  const Case cases[] = {
      {"no history", [](Topology& t) { t.get().has_history = 0; }, 2, 150, Reason::kNone},
      {"no history, but the primary's own timeline", [](Topology& t) { t.get().has_history = 0; },
       4, 150, Reason::kFound},
      {"a history that begins later", [](Topology& t) { t.get().history_from = 4; }, 3, 150,
       Reason::kNone},
      {"a history that begins with it", [](Topology& t) { t.get().history_from = 3; }, 3, 150,
       Reason::kLost},
      {"no primary", [](Topology& t) { t.get().primary = -1; }, 2, 150, Reason::kNone},
      {"no primary, also not for the timeline it had", [](Topology& t) { t.get().primary = -1; }, 4,
       150, Reason::kNone},
      {"a primary that is superseded", [](Topology& t) { t.host(0).superseded = 1; }, 4, 150,
       Reason::kNone},
      {"a primary whose timeline is not known", [](Topology& t) { t.host(0).timeline = 0; }, 2, 150,
       Reason::kNone},
      {"more forks than there is room for", [](Topology& t) { t.get().fork_count = 4000000000; }, 1,
       100, Reason::kFound},
      {"a newer timeline, of a primary that is superseded",
       [](Topology& t) {
         PgstHost& other = t.AddHost(PGST_ROLE_PRIMARY);
         other.timeline = 5;
         other.superseded = 1;
       },
       5, 150, Reason::kLost},
      {"a newer timeline, of a standby that has diverged",
       [](Topology& t) {
         PgstHost& other = t.AddStandby();
         other.timeline = 5;
         other.diverged = 1;
       },
       5, 150, Reason::kLost},
      {"a newer timeline, of another cluster",
       [](Topology& t) {
         PgstHost& other = t.AddHost(PGST_ROLE_PRIMARY);
         other.timeline = 5;
         other.superseded = other.foreign = 1;
       },
       5, 150, Reason::kNone},
  };
  for (const Case& c : cases) {
    Topology topology = AfterFailovers();
    topology.AddStandby().timeline = 4;
    c.change(topology);
    Wish wish = Ask(Route::kReplica);
    wish.min_lsn = c.min_lsn;
    wish.min_lsn_timeline = c.asked;
    EXPECT_EQ(topology.Once(wish).reason, c.reason) << c.situation;
  }
}

TEST(Choose, AStandbyThatHasDivergedHasNoPositionOfTheHistory) {
  Topology topology = AfterFailovers();
  PgstHost& standby = topology.AddStandby();
  standby.timeline = 2;
  standby.lsn = 180;
  standby.diverged = 1;
  Wish wish = Ask(Route::kReplica);
  wish.min_lsn = 150;
  wish.min_lsn_timeline = 2;
  EXPECT_EQ(topology.Once(wish).reason, Reason::kFallback);
}

TEST(Choose, WithoutMinLsnNeitherPositionNorTimelineMatters) {
  Topology topology = Cluster(1);
  topology.host(1).has_lsn = 0;
  topology.host(1).timeline = 7;
  EXPECT_EQ(topology.Once(Ask(Route::kReplica)).reason, Reason::kFound);
}

TEST(Choose, PrimaryIsTheFallbackEvenIfItFailsTheWishItself) {
  Topology topology = Cluster(1);
  topology.host(0).lsn = 10;
  topology.host(0).has_lag_ms = 0;
  topology.host(0).weight = 0;
  Wish wish = Ask(Route::kReplica);
  wish.min_lsn = 500000;
  wish.lag_ms = 0;
  const Choice choice = topology.Once(wish);
  EXPECT_EQ(choice.reason, Reason::kFallback);
  EXPECT_EQ(choice.host, 0u);
}

TEST(Choose, MasterIgnoresLimitsAndWeights) {
  Topology topology = Cluster(1);
  topology.host(0).weight = 0;
  Wish wish = Ask(Route::kMaster);
  wish.lag_ms = 0;
  wish.min_lsn = kMax;
  EXPECT_EQ(topology.Once(wish).host, 0u);
}

TEST(RoundRobin, SixRequestsOverTwoStandbysGiveThreeEach) {
  for (Route route : kRoundRobinRoutes) {
    Topology topology = Cluster(2);
    EXPECT_EQ(topology.Run(Ask(route), 6), "121212");
  }
}

TEST(RoundRobin, FreshCursorStartsWithTheFirstHost) {
  Topology topology;
  topology.AddStandby();
  topology.AddStandby();
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 4), "0101");
}

TEST(RoundRobin, AllRoutesShareOneCursor) {
  Topology topology = Cluster(3);
  std::string hosts;
  for (Route route : kRoundRobinRoutes) hosts += topology.Run(Ask(route), 1);
  EXPECT_EQ(hosts, "12312");
}

TEST(RoundRobin, AnswersThatTakeNoTurnLeaveTheCursorAlone) {
  Topology topology = Cluster(2);
  topology.Run(Ask(Route::kReplica), 1);
  Wish impossible = Ask(Route::kSyncByTime);
  impossible.min_lsn = kMax;
  const Cursor before = topology.cursor();
  EXPECT_EQ(topology.Run(Ask(Route::kMaster), 1), "0");
  EXPECT_EQ(topology.Run(impossible, 1), "0");
  EXPECT_EQ(topology.Run(Ask(Route::kMostSyncByBytes), 1), "1");
  EXPECT_EQ(topology.cursor(), before);
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 1), "2");
}

TEST(RoundRobin, EveryTurnChangesTheCursorEvenWithASingleStandby) {
  // Otherwise a compare-and-swap could not tell that another request was faster.
  Topology topology = Cluster(1);
  Cursor before = topology.cursor();
  for (int i = 0; i < 5; ++i) {
    topology.Run(Ask(Route::kReplica), 1);
    EXPECT_NE(topology.cursor(), before);
    before = topology.cursor();
  }
}

TEST(RoundRobin, SkippedHostsTakeNoTurn) {
  Topology topology = Cluster(4);
  topology.host(2).lag_ms = 5000;
  Wish fresh = Ask(Route::kSyncByTime);
  EXPECT_EQ(topology.Run(fresh, 6), "134134");
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 5), "12341");
}

TEST(RoundRobin, GoesOnWhereItWasWhileHostsLeaveAndComeBack) {
  Topology topology = Cluster(4);
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 2), "12");
  topology.host(3).state = PGST_STATE_DOWN;  // the next in turn
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 2), "41");
  topology.host(1).state = PGST_STATE_DOWN;  // the last one returned
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 3), "242");
  topology.host(3).state = PGST_STATE_UP;
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 3), "342");
  topology.host(1).state = PGST_STATE_UP;
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 4), "3412");
}

TEST(RoundRobin, CursorOfALongerListStartsAgainAtTheTop) {
  Topology topology = Cluster(2);
  for (std::uint64_t last : {3ull, 4096ull, 0xFFFFFFFFull}) {
    EXPECT_EQ(Choose(topology.get(), Ask(Route::kReplica), last, kNow, kNow).host, 1u) << last;
  }
  EXPECT_EQ(Choose(topology.get(), Ask(Route::kReplica), kMax, kNow, kNow).host, 1u);
}

TEST(Groups, HealthBeatsLocalityAndOnlyTheFirstGroupIsUsed) {
  Topology topology;
  topology.AddPrimary();
  topology.get().dc_counts = 1;
  topology.get().geo_counts = 1;
  SetLabel(topology.get().dc, "fra1");
  SetLabel(topology.get().geo, "eu");
  struct Place {
    const char* dc;
    const char* geo;
  };
  // In neither order of preference: 1 rest, 2 same geo, 3 same dc, 4 same geo, 5 same dc.
  for (const Place& place : std::vector<Place>{
           {"nyc1", "us"}, {"ams1", "eu"}, {"fra1", "eu"}, {"par1", "eu"}, {"fra1", "us"}}) {
    PgstHost& host = topology.AddStandby();
    SetLabel(host.dc, place.dc);
    SetLabel(host.geo, place.geo);
  }
  const auto set = [&topology](const char* hosts, PgstState state) {
    for (; *hosts != '\0'; ++hosts) {
      topology.host(static_cast<std::uint32_t>(*hosts - '0')).state =
          static_cast<std::uint8_t>(state);
    }
  };
  const auto members = [&topology] {
    std::string run = topology.Run(Ask(Route::kReplica), 10);
    std::sort(run.begin(), run.end());
    run.erase(std::unique(run.begin(), run.end()), run.end());
    return run;
  };
  EXPECT_EQ(members(), "35");  // up, same dc
  set("35", PGST_STATE_SUSPECT);
  EXPECT_EQ(members(), "24");  // up, same geo
  set("24", PGST_STATE_SUSPECT);
  EXPECT_EQ(members(), "1");  // up, rest
  set("1", PGST_STATE_SUSPECT);
  EXPECT_EQ(members(), "35");  // suspect, same dc
  set("35", PGST_STATE_DOWN);
  EXPECT_EQ(members(), "24");  // suspect, same geo
  set("24", PGST_STATE_DOWN);
  EXPECT_EQ(members(), "1");  // suspect, rest
  set("1", PGST_STATE_DOWN);
  EXPECT_EQ(members(), "0");  // the primary
}

TEST(Groups, DimensionThatDoesNotCountIsIgnored) {
  for (int dc_counts : {0, 1}) {
    for (int geo_counts : {0, 1}) {
      Topology topology = Cluster(3);
      topology.get().dc_counts = static_cast<std::uint8_t>(dc_counts);
      topology.get().geo_counts = static_cast<std::uint8_t>(geo_counts);
      SetLabel(topology.get().dc, "a");
      SetLabel(topology.get().geo, "x");
      SetLabel(topology.host(2).geo, "x");
      SetLabel(topology.host(3).dc, "a");
      EXPECT_EQ(topology.Run(Ask(Route::kReplica), 3), dc_counts    ? "333"
                                                       : geo_counts ? "222"
                                                                    : "123");
    }
  }
}

TEST(Groups, LabelsAreComparedExactly) {
  const std::string longest(PGST_LABEL_SIZE - 1, 'd');
  struct Case {
    std::string here;
    std::string there;
    bool same;
  };
  const Case cases[] = {{"fra1", "fra1", true},   {"fra1", "FRA1", false},
                        {"fra1", "fra", false},   {"fra1", "fra12", false},
                        {longest, longest, true}, {longest, longest.substr(1), false},
                        {"fra1", "fra1 ", false}};
  for (const Case& c : cases) {
    Topology topology = Cluster(2);
    topology.get().dc_counts = 1;
    SetLabel(topology.get().dc, c.here);
    SetLabel(topology.host(1).dc, "elsewhere");
    SetLabel(topology.host(2).dc, c.there);
    EXPECT_EQ(topology.Run(Ask(Route::kReplica), 2), c.same ? "22" : "12") << c.there;
  }
}

TEST(Groups, WishComesBeforeGroups) {
  Topology topology = Cluster(2);
  topology.get().dc_counts = 1;
  SetLabel(topology.get().dc, "here");
  SetLabel(topology.host(1).dc, "here");
  SetLabel(topology.host(2).dc, "there");
  topology.host(1).lag_ms = 2000;
  EXPECT_EQ(topology.Run(Ask(Route::kSyncByTime), 2), "22");
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 2), "11");
}

TEST(MostSync, SmallestLagWinsAndTiesGoByConfiguredOrder) {
  Topology topology = Cluster(4);
  topology.host(1).lag_bytes = 30;
  topology.host(2).lag_bytes = 10;
  topology.host(3).lag_bytes = 20;
  topology.host(4).lag_bytes = 10;
  EXPECT_EQ(topology.Run(Ask(Route::kMostSyncByBytes), 3), "222");
  topology.host(2).weight = 0;
  EXPECT_EQ(topology.Run(Ask(Route::kMostSyncByBytes), 3), "444");
}

TEST(MostSync, TimeLocalityAndWeightDoNotMatter) {
  Topology topology = Cluster(2);
  topology.get().dc_counts = 1;
  SetLabel(topology.get().dc, "here");
  SetLabel(topology.host(1).dc, "here");
  topology.host(1).weight = 100;
  topology.host(1).lag_bytes = 2;
  topology.host(2).lag_bytes = 1;
  topology.host(2).lag_ms = 999999;
  Wish wish = Ask(Route::kMostSyncByBytes);
  wish.lag_ms = 0;
  EXPECT_EQ(topology.Once(wish).host, 2u);
}

TEST(MostSync, HostThatIsUpBeatsASuspectOneInEitherOrder) {
  Topology topology = Cluster(3);
  topology.host(1).lag_bytes = 0;
  topology.host(1).state = PGST_STATE_SUSPECT;
  topology.host(2).lag_bytes = 500;
  topology.host(3).lag_bytes = 0;
  topology.host(3).state = PGST_STATE_SUSPECT;
  EXPECT_EQ(topology.Once(Ask(Route::kMostSyncByBytes)).host, 2u);
  topology.host(2).state = PGST_STATE_DOWN;
  EXPECT_EQ(topology.Once(Ask(Route::kMostSyncByBytes)).host, 1u);
}

TEST(Weights, TwoToOneOver300Turns) {
  Topology topology = Cluster(2);
  topology.host(1).weight = 2;
  const std::string run = topology.Run(Ask(Route::kReplica), 300);
  EXPECT_NEAR(static_cast<double>(std::count(run.begin(), run.end(), '1')), 200, 2);
  EXPECT_NEAR(static_cast<double>(std::count(run.begin(), run.end(), '2')), 100, 2);
}

TEST(Weights, SharesAreRightWithinAFewTurnsWhereverTheCursorStands) {
  const double weights[] = {3, 1, 0, 0.5, 2};
  constexpr int kWindow = 65;
  for (std::uint64_t turns_before : {0ull, 1ull, 12345ull, 0xFFFFFFF0ull}) {
    Topology topology;
    for (double weight : weights) topology.AddStandby().weight = weight;
    int counts[5] = {};
    Cursor cursor = turns_before << 32;
    for (int i = 0; i < kWindow; ++i) {
      const Choice choice = Choose(topology.get(), Ask(Route::kReplica), cursor, kNow, kNow);
      ++counts[*choice.host];
      cursor = choice.next_cursor;
    }
    for (int i = 0; i < 5; ++i) {
      EXPECT_NEAR(counts[i], weights[i] / 6.5 * kWindow, 3) << i << " after " << turns_before;
    }
    EXPECT_EQ(counts[2], 0);
  }
}

TEST(Weights, EqualOnesAreAPlainRoundRobinWhateverTheirValue) {
  for (double weight : {0.001, 0.3, 1.0, 1000.0}) {
    Topology topology = Cluster(3);
    for (std::uint32_t i = 1; i <= 3; ++i) topology.host(i).weight = weight;
    EXPECT_EQ(topology.Run(Ask(Route::kReplica), 7), "1231231") << weight;
  }
}

TEST(Weights, OnlyThoseOfTheUsedGroupMatter) {
  Topology topology = Cluster(5);
  topology.host(3).weight = 0;   // never
  topology.host(4).weight = 50;  // not now
  topology.host(4).state = PGST_STATE_SUSPECT;
  topology.host(5).weight = 70;  // too late
  topology.host(5).lag_ms = 70000;
  EXPECT_EQ(topology.Run(Ask(Route::kSyncByTime), 6), "121212");
}

TEST(Weights, HostOfAnotherGroupIsNeverHitByItsWeight) {
  Topology topology = Cluster(4);
  topology.host(1).weight = 3;
  topology.host(2).weight = 1000;
  topology.host(2).state = PGST_STATE_SUSPECT;
  const std::string run = topology.Run(Ask(Route::kReplica), 100);
  EXPECT_EQ(std::count(run.begin(), run.end(), '2'), 0);
  EXPECT_NEAR(static_cast<double>(std::count(run.begin(), run.end(), '1')), 60, 2);
}

TEST(Weights, ZeroIsNeverAsked) {
  Topology topology = Cluster(3);
  topology.host(2).weight = 0;
  topology.host(3).weight = 4;
  EXPECT_EQ(topology.Run(Ask(Route::kReplica), 300).find('2'), std::string::npos);
}

TEST(Weights, ExtremeOnesStillGiveAHost) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (double weight : {1e-300, 1e300, infinity}) {
    Topology topology = Cluster(3);
    topology.host(2).weight = weight;
    EXPECT_EQ(topology.Run(Ask(Route::kReplica), 300).find_first_not_of("123"), std::string::npos);
  }
}

TEST(Weights, TurnsWithEqualWeightsCountAsWell) {
  // So that the weighted sequence goes on, and does not give the same host for every first request.
  Topology equal = Cluster(2);
  Topology weighted = Cluster(2);
  weighted.host(1).weight = 2;
  equal.Run(Ask(Route::kReplica), 5);
  weighted.Run(Ask(Route::kReplica), 5);
  EXPECT_EQ(equal.cursor() >> 32, 5u);
  EXPECT_EQ(weighted.cursor() >> 32, 5u);
}

TEST(Usable, OnlyASnapshotThatIsReadyAndAPollerThatIsAlive) {
  struct Case {
    const char* situation;
    std::uint32_t layout;
    int ready;
    MonoUs poller_alive;
    Reason reason;
  };
  constexpr std::uint32_t kLayout = PGST_SNAPSHOT_LAYOUT;
  const Case cases[] = {
      {"alive just now", kLayout, 1, kNow, Reason::kFound},
      {"alive a moment after the reader looked at the clock", kLayout, 1, kNow + 9, Reason::kFound},
      {"silent for exactly as long as allowed", kLayout, 1, kNow - kStaleAfter, Reason::kFound},
      {"silent for longer", kLayout, 1, kNow - kStaleAfter - 1, Reason::kStale},
      {"no sign of life ever", kLayout, 1, 0, Reason::kStale},
      {"nothing published", 0, 1, kNow, Reason::kNotReady},
      {"another layout", kLayout + 1, 1, kNow, Reason::kNotReady},
      {"first probes not finished", kLayout, 0, kNow, Reason::kNotReady},
      {"not ready and stale", kLayout, 0, 0, Reason::kNotReady},
  };
  for (const Case& c : cases) {
    Topology topology = Cluster(1);
    topology.get().layout = c.layout;
    topology.get().ready = static_cast<std::uint8_t>(c.ready);
    for (Route route : {Route::kMaster, Route::kReplica, Route::kMostSyncByBytes}) {
      const Choice choice = Choose(topology.get(), Ask(route), 77, c.poller_alive, kNow);
      EXPECT_EQ(choice.reason, c.reason) << c.situation;
      EXPECT_EQ(choice.host.has_value(), c.reason == Reason::kFound) << c.situation;
      if (c.reason != Reason::kFound) {
        EXPECT_EQ(choice.next_cursor, 77u) << c.situation;
      }
    }
  }
}

// A poller may live and judge nothing: without memory, say.
TEST(Usable, OnlyWhatWasJudgedLately) {
  Topology topology = Cluster(1);
  const auto after = [&](std::int64_t age) {
    topology.get().made_mono = kNow - age;
    EXPECT_EQ(IsFresh(topology.get(), kNow, kNow),
              topology.Once(Ask(Route::kMaster)).reason == Reason::kFound);
    return topology.Once(Ask(Route::kReplica)).reason;
  };
  EXPECT_EQ(after(-9), Reason::kFound);
  EXPECT_EQ(after(kStaleAfter), Reason::kFound);
  EXPECT_EQ(after(kStaleAfter + 1), Reason::kStale);
  EXPECT_EQ(after(3600 * kUsPerSecond), Reason::kStale);
}

TEST(Usable, PollerThatNeverLivedIsStaleEvenOnAMachineThatHasJustStarted) {
  Topology topology = Cluster(1);
  EXPECT_EQ(Choose(topology.get(), Ask(Route::kMaster), 0, 0, kStaleAfter - 1).reason,
            Reason::kStale);
  EXPECT_EQ(Choose(topology.get(), Ask(Route::kMaster), 0, 1, kStaleAfter - 1).reason,
            Reason::kFound);
}

TEST(Usable, UnpublishedMemoryIsNotReady) {
  SnapshotStorage zeroed(0);
  EXPECT_EQ(Choose(zeroed.get(), Ask(Route::kReplica), 0, kNow, kNow).reason, Reason::kNotReady);
}

// What every caller does with the shared cursor.
std::uint32_t TakeTurn(const PgstSnapshot& snapshot, std::atomic<Cursor>& cursor) {
  Cursor seen = cursor.load();
  for (;;) {
    const Choice choice = Choose(snapshot, Ask(Route::kReplica), seen, kNow, kNow);
    if (cursor.compare_exchange_strong(seen, choice.next_cursor)) return *choice.host;
  }
}

TEST(Concurrency, RequestsThatSawTheSameCursorStillHitEachHostOnce) {
  Topology topology = Cluster(5);
  std::atomic<Cursor> cursor{0};
  std::string hosts;
  for (int round = 0; round < 5; ++round) {
    // A slower request looked before this one took its turn: its swap must fail.
    const Cursor seen = cursor.load();
    const Cursor late = Choose(topology.get(), Ask(Route::kReplica), seen, kNow, kNow).next_cursor;
    hosts += std::to_string(TakeTurn(topology.get(), cursor));
    Cursor expected = seen;
    EXPECT_FALSE(cursor.compare_exchange_strong(expected, late));
  }
  EXPECT_EQ(hosts, "12345");
}

TEST(Concurrency, ParallelClientsShareExactly) {
  constexpr int kClients = 4;
  constexpr int kRequests = 300;
  Topology topology = Cluster(3);
  const PgstSnapshot& snapshot = topology.get();
  std::atomic<Cursor> cursor{0};
  std::atomic<int> counts[4] = {};
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      for (int n = 0; n < kRequests; ++n) ++counts[TakeTurn(snapshot, cursor)];
    });
  }
  for (std::thread& client : clients) client.join();
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(counts[i], kClients * kRequests / 3) << i;
}

TEST(Choose, FourThousandHosts) {
  constexpr std::uint32_t kHosts = 4096;
  Topology topology(kHosts);
  topology.AddPrimary();
  for (std::uint32_t i = 1; i < kHosts; ++i) topology.AddStandby();
  std::vector<int> hits(kHosts, 0);
  for (std::uint32_t i = 1; i < kHosts; ++i) ++hits[*topology.Next(Ask(Route::kReplica)).host];
  EXPECT_EQ(hits[0], 0);
  EXPECT_EQ(std::count(hits.begin(), hits.end(), 1), static_cast<std::ptrdiff_t>(kHosts - 1));
}

}  // namespace
}  // namespace pg_status
