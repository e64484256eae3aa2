// What the page is told: the cluster, its hosts, the history of lag and the events; and what it is
// not told when that is not known, or nobody's business.
#include "answer/page_data.hpp"

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answer/check_scene.hpp"
#include "publish/lag_history.hpp"

namespace pg_status {
namespace {

using rapidjson::Document;
using rapidjson::Value;

constexpr std::int64_t kNewest = CheckScene::kNow / PGST_LAG_COLUMN_US;

// A node and what the server has for the page beside the snapshot.
struct Viewer {
  CheckScene scene = CheckScene::OnReplica();
  std::vector<PgstEvent> events;
  std::vector<PgstLagHistory> lags;
  bool busy = false;
  PageReader reader;

  Viewer() {
    scene.world().generation = 7;
    for (const char* name : {"a", "b", "c"}) {
      PgstLagHistory row{};
      CopyFixedText(row.host, name);
      row.newest = kNewest;
      for (std::int64_t i = 0; i < PGST_LAG_COLUMNS; ++i) {
        const auto place = static_cast<std::size_t>((kNewest - i) % PGST_LAG_COLUMNS);
        row.ms[place] = name[0] == 'a' ? PGST_LAG_UNKNOWN : static_cast<std::uint64_t>(i);
        row.bytes[place] = name[0] == 'a' ? PGST_LAG_UNKNOWN : 1000;
      }
      lags.push_back(row);
    }
  }

  void AddEvent(std::string_view host, std::string_view kind, std::string_view old_value,
                std::string_view new_value, std::string_view detail) {
    PgstEvent event{};
    event.seq = 1 + events.size();
    event.at_wall = CheckScene::kWallNow - kUsPerSecond;
    CopyFixedText(event.host, host);
    CopyFixedText(event.kind, kind);
    CopyFixedText(event.old_value, old_value);
    CopyFixedText(event.new_value, new_value);
    CopyFixedText(event.detail, detail);
    events.push_back(event);
  }

  Document See() {
    PageSources sources;
    sources.events = [this](PgstEvent* copy, int most) {
      if (busy) return -1;
      const std::size_t count = std::min(events.size(), static_cast<std::size_t>(most));
      std::copy(events.end() - static_cast<std::ptrdiff_t>(count), events.end(), copy);
      return static_cast<int>(count);
    };
    sources.lags = [this](PgstLagHistory* copy, std::uint32_t count) {
      if (busy) return false;
      std::copy_n(lags.begin(), count, copy);
      return true;
    };
    std::string hosts;
    AppendPageHosts(scene.world(), hosts);
    std::string json = "[";
    AppendPageData(scene.world(), sources, reader, "1.2.3", hosts, json);
    json += "]";
    Document document;
    document.Parse(json.c_str());
    EXPECT_FALSE(document.HasParseError()) << json;
    return document;
  }
};

std::string TextIn(const Value& value) { return value.IsNull() ? "null" : value.GetString(); }

TEST(PageData, TellsOfTheCluster) {
  Viewer viewer;
  viewer.scene.SeeVoters(2, 3, false);
  const Document document = viewer.See();
  const Value& data = document[0];
  EXPECT_EQ(TextIn(data["version"]), "1.2.3");
  EXPECT_EQ(data["generation"].GetUint64(), 7U);
  EXPECT_EQ(data["now_ms"].GetInt64(), CheckScene::kWallNow / kUsPerMs);
  EXPECT_EQ(data["made_ms"].GetInt64(), CheckScene::kWallNow / kUsPerMs - 250);
  EXPECT_TRUE(data["known"].GetBool());
  EXPECT_TRUE(data["ready"].GetBool());
  EXPECT_EQ(TextIn(data["cluster"]), "main");
  EXPECT_EQ(TextIn(data["node"]["name"]), "b");
  EXPECT_EQ(TextIn(data["node"]["state"]), "standby");
  EXPECT_FALSE(data["node"]["maintenance"].GetBool());
  EXPECT_EQ(TextIn(data["primary"]), "a");
  EXPECT_FALSE(data["split_brain"].GetBool());
  EXPECT_EQ(data["quorum"]["voters"].GetUint(), 3U);
  EXPECT_EQ(data["quorum"]["in_sight"].GetUint(), 2U);
  EXPECT_EQ(data["quorum"]["majority"].GetUint(), 2U);
  EXPECT_TRUE(data["quorum"]["seen"].GetBool());
  EXPECT_EQ(data["limits"]["lag_bytes"].GetUint(), 1000U);
  EXPECT_FALSE(data["fence"].GetBool());
}

TEST(PageData, TellsOfEachHost) {
  Viewer viewer;
  PgstHost& standby = viewer.scene.host(1);
  standby.lag_ms = 12;
  standby.lag_bytes = 345;
  standby.sync_by_time = 1;
  standby.votes_up = 2;
  standby.votes_down = 1;
  standby.has_replay_paused = 1;
  CopyFixedText(standby.upstream, "a");
  CopyFixedText(standby.replication_state, "streaming");
  CopyFixedText(standby.dc, "x");
  const Document document = viewer.See();
  const Value& hosts = document[0]["hosts"];
  ASSERT_EQ(hosts.Size(), 3U);
  const Value& primary = hosts[0];
  EXPECT_EQ(TextIn(primary["host"]), "a");
  EXPECT_EQ(TextIn(primary["role"]), "primary");
  EXPECT_TRUE(primary["primary"].GetBool());
  EXPECT_FALSE(primary["self"].GetBool());
  EXPECT_TRUE(primary["streaming"].IsNull());
  EXPECT_TRUE(primary["maintenance"].IsNull());
  const Value& host = hosts[1];
  EXPECT_EQ(TextIn(host["address"]), "10.0.0.2");
  EXPECT_EQ(host["port"].GetInt(), 5432);
  EXPECT_EQ(TextIn(host["dc"]), "x");
  EXPECT_TRUE(host["geo"].IsNull());
  EXPECT_EQ(TextIn(host["state"]), "up");
  EXPECT_EQ(TextIn(host["role"]), "standby");
  EXPECT_TRUE(host["self"].GetBool());
  EXPECT_EQ(TextIn(host["upstream"]), "a");
  EXPECT_EQ(TextIn(host["replication_state"]), "streaming");
  EXPECT_EQ(TextIn(host["sync_state"]), "async");
  EXPECT_TRUE(host["streaming"].GetBool());
  EXPECT_FALSE(host["replay_paused"].GetBool());
  EXPECT_EQ(host["lag_ms"].GetUint(), 12U);
  EXPECT_EQ(host["lag_bytes"].GetUint(), 345U);
  EXPECT_TRUE(host["in_sync"].GetBool());
  EXPECT_EQ(TextIn(host["lsn"]), "0/F4240");
  EXPECT_EQ(host["timeline"].GetUint(), 3U);
  EXPECT_EQ(host["votes_up"].GetUint(), 2U);
  EXPECT_EQ(host["votes_down"].GetUint(), 1U);
  EXPECT_EQ(host["last_ok_ms"].GetUint(), 2000U) << "as of the answer";
  EXPECT_FALSE(host["diverged"].GetBool());
  EXPECT_FALSE(host["superseded"].GetBool());
  EXPECT_TRUE(host["last_change_ms"].IsNull());
  EXPECT_FALSE(hosts[2]["in_sync"].GetBool());
  EXPECT_TRUE(hosts[2]["replay_paused"].IsNull());
}

TEST(PageData, TellsWhoseHistoryHasLost) {
  Viewer viewer;
  CopyFixedText(viewer.scene.snapshot().primary_reason, "Most standbys follow it.");
  viewer.scene.host(1).diverged = 1;
  viewer.scene.host(2).role = PGST_ROLE_PRIMARY;
  viewer.scene.host(2).superseded = 1;
  const Document document = viewer.See();
  EXPECT_EQ(TextIn(document[0]["primary_reason"]), "Most standbys follow it.");
  EXPECT_TRUE(document[0]["fence_cause"].IsNull());
  EXPECT_TRUE(document[0]["hosts"][1]["diverged"].GetBool());
  EXPECT_EQ(TextIn(document[0]["hosts"][1]["state"]), "up") << "that is another matter";
  EXPECT_TRUE(document[0]["hosts"][2]["superseded"].GetBool());
  viewer.scene.MakeStale();
  const Document stale = viewer.See();
  EXPECT_TRUE(stale[0]["primary_reason"].IsNull());
  EXPECT_FALSE(stale[0]["hosts"][1]["diverged"].GetBool());
  EXPECT_FALSE(stale[0]["hosts"][2]["superseded"].GetBool());
}

TEST(PageData, TellsOfMaintenance) {
  Viewer viewer;
  viewer.scene.Detach("b", "new disk");
  PgstHost& host = viewer.scene.host(1);
  host.maintenance = PGST_DRAIN;
  host.forced = 1;
  host.maintenance_since_wall = 5000;
  CopyFixedText(host.maintenance_reason, "new disk");
  const Document document = viewer.See();
  EXPECT_TRUE(document[0]["node"]["maintenance"].GetBool());
  EXPECT_EQ(TextIn(document[0]["node"]["maintenance_reason"]), "new disk");
  const Value& maintenance = document[0]["hosts"][1]["maintenance"];
  EXPECT_EQ(TextIn(maintenance["kind"]), "drain");
  EXPECT_EQ(TextIn(maintenance["reason"]), "new disk");
  EXPECT_EQ(maintenance["since_ms"].GetInt(), 5);
  EXPECT_TRUE(maintenance["forced"].GetBool());
  EXPECT_EQ(TextIn(document[0]["hosts"][1]["state"]), "up") << "that is another matter";
}

// Names and orders are all that is true of a host for certain.
TEST(PageData, ClaimsNothingWhenThePollerIsSilent) {
  Viewer viewer;
  viewer.scene.host(1).maintenance = PGST_MAINT;
  viewer.scene.MakeStale();
  const Document document = viewer.See();
  const Value& data = document[0];
  EXPECT_FALSE(data["known"].GetBool());
  EXPECT_TRUE(data["primary"].IsNull());
  EXPECT_TRUE(data["split_brain"].IsNull());
  const Value& host = data["hosts"][1];
  EXPECT_EQ(TextIn(host["host"]), "b");
  EXPECT_EQ(TextIn(host["state"]), "unknown");
  EXPECT_EQ(TextIn(host["role"]), "unknown");
  EXPECT_EQ(TextIn(host["maintenance"]["kind"]), "maint");
  for (const char* key : {"lag_ms", "lag_bytes", "lsn", "upstream", "streaming", "sync_state",
                          "in_sync", "votes_up", "votes_down", "unreachable_here"}) {
    EXPECT_TRUE(host[key].IsNull()) << key;
  }
  EXPECT_FALSE(data["hosts"][0]["primary"].GetBool());

  viewer.scene.Unpublish();
  const Document nothing = viewer.See();
  EXPECT_TRUE(nothing[0]["made_ms"].IsNull());
  EXPECT_TRUE(nothing[0]["quorum"]["voters"].IsNull());
  EXPECT_TRUE(nothing[0]["lag"].IsNull());
  EXPECT_EQ(nothing[0]["hosts"].Size(), 0U);
}

TEST(PageData, TheHistoryIsGivenFromTheColumnThatIsAskedFor) {
  Viewer viewer;
  const Document whole = viewer.See();
  const Value& lag = whole[0]["lag"];
  EXPECT_EQ(lag["column_ms"].GetInt64(), 5000);
  EXPECT_EQ(lag["newest"].GetInt64(), kNewest);
  EXPECT_EQ(lag["newest_at_ms"].GetInt64(), CheckScene::kWallNow / kUsPerMs)
      << "the scene is at the beginning of a column";
  EXPECT_EQ(lag["first"].GetInt64(), kNewest - PGST_LAG_COLUMNS + 1);
  ASSERT_EQ(lag["ms"].Size(), 3U);
  ASSERT_EQ(lag["bytes"].Size(), 3U);
  ASSERT_EQ(lag["ms"][1].Size(), static_cast<unsigned>(PGST_LAG_COLUMNS));
  EXPECT_EQ(lag["ms"][1][0].GetInt(), PGST_LAG_COLUMNS - 1) << "the oldest first";
  EXPECT_EQ(lag["ms"][1][PGST_LAG_COLUMNS - 1].GetInt(), 0);
  EXPECT_EQ(lag["bytes"][2][5].GetInt(), 1000);
  EXPECT_TRUE(lag["ms"][0][0].IsNull());

  const std::pair<std::uint64_t, unsigned> asked[] = {
      {kNewest - 2, 3}, {kNewest, 1}, {0, 120}, {kNewest + 1, 120}, {UINT64_MAX, 120}};
  for (const auto& [since, columns] : asked) {
    viewer.reader.since = since;
    const Document document = viewer.See();
    EXPECT_EQ(document[0]["lag"]["ms"][1].Size(), columns) << since;
    EXPECT_EQ(document[0]["lag"]["newest"].GetInt64() - document[0]["lag"]["first"].GetInt64() + 1,
              static_cast<std::int64_t>(columns));
  }
}

// The poller is silent, or asks seldom.
TEST(PageData, TheHistoryGoesOnToThisMoment) {
  Viewer viewer;
  for (PgstLagHistory& row : viewer.lags) {
    row.newest = kNewest - 3;
    row.last_ms = row.last_bytes = 77;
  }
  viewer.scene.snapshot().stale_after = 8 * kUsPerSecond;
  const Document document = viewer.See();
  const Value& lag = document[0]["lag"];
  EXPECT_EQ(lag["newest"].GetInt64(), kNewest);
  ASSERT_EQ(lag["ms"][1].Size(), static_cast<unsigned>(PGST_LAG_COLUMNS));
  EXPECT_EQ(lag["ms"][1][PGST_LAG_COLUMNS - 3].GetInt(), 77);
  EXPECT_EQ(lag["ms"][1][PGST_LAG_COLUMNS - 2].GetInt(), 77);
  EXPECT_TRUE(lag["ms"][1][PGST_LAG_COLUMNS - 1].IsNull()) << "nobody may go by it any more";
}

// The list has changed between the two copies.
TEST(PageData, AnotherHostsHistoryIsNotShown) {
  Viewer viewer;
  CopyFixedText(viewer.lags[1].host, "x");
  const Document document = viewer.See();
  EXPECT_TRUE(document[0]["lag"]["ms"][1][7].IsNull());
  EXPECT_TRUE(document[0]["lag"]["ms"][2][7].IsInt());
}

TEST(PageData, TheNewestEventsComeFirst) {
  Viewer viewer;
  for (int i = 0; i < 60; ++i) viewer.AddEvent("", "hosts", std::to_string(i), "9", "");
  const Document document = viewer.See();
  const Value& events = document[0]["events"];
  ASSERT_EQ(events.Size(), 50U);
  EXPECT_EQ(events[0]["seq"].GetInt(), 60);
  EXPECT_EQ(events[49]["seq"].GetInt(), 11);
  EXPECT_EQ(events[0]["at_ms"].GetInt64(), CheckScene::kWallNow / kUsPerMs - 1000);
  EXPECT_TRUE(events[0]["host"].IsNull());
  EXPECT_EQ(TextIn(events[0]["kind"]), "hosts");
  EXPECT_EQ(TextIn(events[0]["old"]), "59");
  EXPECT_EQ(TextIn(events[0]["new"]), "9");
}

TEST(PageData, WhoHasTheEventsIsNotGivenThemAgain) {
  Viewer viewer;
  viewer.AddEvent("b", "state", "up", "down", "");
  viewer.reader.generation = 7;
  EXPECT_TRUE(viewer.See()[0]["events"].IsNull());
  viewer.reader.generation = 6;
  EXPECT_EQ(viewer.See()[0]["events"].Size(), 1U);
}

// What is told is what other paths tell, too; the rest is for pg_monitor.
TEST(PageData, DetailsOfEventsAreToldOfSomeKindsOnly) {
  Viewer viewer;
  const std::pair<const char*, bool> kinds[] = {
      {"state", false},   {"unreachable_here", false}, {"role", true},
      {"foreign", false}, {"diverged", false},         {"maintenance", true},
      {"hosts", false},   {"primary", false},          {"split_brain", true},
      {"quorum", true},   {"of tomorrow", false}};
  for (const auto& kind : kinds) viewer.AddEvent("b", kind.first, "1", "2", "why");
  CopyFixedText(viewer.scene.host(1).last_error, "10.9.8.7");
  const Document document = viewer.See();
  const Value& events = document[0]["events"];
  ASSERT_EQ(events.Size(), std::size(kinds));
  for (unsigned i = 0; i < events.Size(); ++i) {
    const auto& [kind, told] = kinds[events.Size() - 1 - i];
    EXPECT_EQ(TextIn(events[i]["kind"]), kind);
    EXPECT_EQ(TextIn(events[i]["detail"]), told ? "why" : "null") << kind;
  }
  std::string hosts;
  AppendPageHosts(viewer.scene.world(), hosts);
  EXPECT_EQ(hosts.find("10.9.8.7"), std::string::npos);
}

// It must come again for what it did not get, and keep what it has.
TEST(PageData, WhatSomebodyElseIsAtIsLeftOut) {
  Viewer viewer;
  viewer.busy = true;
  viewer.reader.generation = 6;
  const Document document = viewer.See();
  EXPECT_TRUE(document[0]["events"].IsNull());
  EXPECT_TRUE(document[0]["lag"].IsNull());
  EXPECT_EQ(document[0]["generation"].GetUint64(), 0U);
  EXPECT_EQ(document[0]["hosts"].Size(), 3U);
}

}  // namespace
}  // namespace pg_status
