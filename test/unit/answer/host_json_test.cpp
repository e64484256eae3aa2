// Keys, their order, and when a value is null: compared byte for byte, and read back by a parser
// where it is about escaping.
#include "answer/host_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include <rapidjson/document.h>

#include "base/fixed_text.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr WallUs kMade = 1700000000 * kUsPerSecond;

PgstHost Standby() {
  PgstHost host{};
  CopyFixedText(host.name, "db2:5432");
  CopyFixedText(host.dc, "east");
  CopyFixedText(host.geo, "eu");
  host.weight = 1;
  host.role = PGST_ROLE_STANDBY;
  host.state = PGST_STATE_UP;
  host.checked = 1;
  host.sync_by_time = 1;
  host.sync_by_bytes = 1;
  host.has_lag_ms = 1;
  host.lag_ms = 12;
  host.has_lag_bytes = 1;
  host.lag_bytes = 3400;
  host.has_lsn = 1;
  host.lsn = 0x16B374D848;
  host.timeline = 7;
  host.system_identifier = 7301234567890123456;
  host.last_success_wall = kMade - 1500 * kUsPerMs - 999;
  CopyFixedText(host.last_error, "could not connect to 192.0.2.7");
  return host;
}

std::string StatusOf(const PgstHost& host, WallUs made_wall = kMade) {
  std::string out;
  AppendHostStatus(host, made_wall, out);
  return out;
}

std::string NameOf(const PgstHost& host) {
  std::string out;
  AppendNamedHost(host, out);
  return out;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(HostJson, StandbyInFull) {
  EXPECT_EQ(
      StatusOf(Standby()),
      R"({"dc":"east","geo":"eu","master":false,"alive":true,"possible_dead":false,)"
      R"("lag_ms":12,"sync_by_time":true,"lag_bytes":3400,"sync_by_bytes":true,)"
      R"("lsn":"16/B374D848","role":"standby","state":"up","timeline":7,)"
      R"("system_identifier":"7301234567890123456","last_ok_ms":1500,"weight":1.0,"votes_up":0,"votes_down":0,"unreachable_here":false,"diverged":false,"superseded":false,"read_only":null,"takes_sessions":null,"maintenance":false,"maintenance_reason":null})");
}

TEST(HostJson, PrimaryIsNeverBehind) {
  PgstHost host = Standby();
  host.role = PGST_ROLE_PRIMARY;
  host.primary = 1;
  host.lag_ms = 0;
  host.lag_bytes = 0;
  host.lsn = 0x3000060;
  EXPECT_EQ(
      StatusOf(host),
      R"({"dc":"east","geo":"eu","master":true,"alive":true,"possible_dead":false,)"
      R"("lag_ms":0,"sync_by_time":true,"lag_bytes":0,"sync_by_bytes":true,)"
      R"("lsn":"0/3000060","role":"primary","state":"up","timeline":7,)"
      R"("system_identifier":"7301234567890123456","last_ok_ms":1500,"weight":1.0,"votes_up":0,"votes_down":0,"unreachable_here":false,"diverged":false,"superseded":false,"read_only":null,"takes_sessions":null,"maintenance":false,"maintenance_reason":null})");
}

// A primary that was not chosen (split brain) is a primary, but not the master.
TEST(HostJson, OnlyTheChosenPrimaryIsTheMaster) {
  PgstHost host = Standby();
  host.role = PGST_ROLE_PRIMARY;
  EXPECT_TRUE(Contains(StatusOf(host), R"("master":false)"));
  EXPECT_TRUE(Contains(StatusOf(host), R"("role":"primary")"));
}

TEST(HostJson, ThreeStatesAreToldApart) {
  const struct {
    PgstState state;
    const char* flags;
    const char* word;
  } kCases[] = {
      {PGST_STATE_UP, R"("alive":true,"possible_dead":false)", "up"},
      {PGST_STATE_SUSPECT, R"("alive":true,"possible_dead":true)", "suspect"},
      {PGST_STATE_DOWN, R"("alive":false,"possible_dead":true)", "down"},
      {PGST_STATE_UNKNOWN, R"("alive":false,"possible_dead":true)", "unknown"},
  };
  for (const auto& c : kCases) {
    PgstHost host = Standby();
    host.state = static_cast<std::uint8_t>(c.state);
    EXPECT_TRUE(Contains(StatusOf(host), c.flags)) << StatusOf(host);
    EXPECT_TRUE(Contains(StatusOf(host), std::string(R"("state":")") + c.word + '"'));
  }
}

// An operator's word goes first, then whether it answers at all.
TEST(HostJson, ALiveStandbyThatHasDivergedIsCalledSo) {
  const struct {
    PgstState state;
    PgstRole role;
    PgstMaintenance maintenance;
    const char* word;
  } kCases[] = {
      {PGST_STATE_UP, PGST_ROLE_STANDBY, PGST_IN_SERVICE, "diverged"},
      {PGST_STATE_SUSPECT, PGST_ROLE_STANDBY, PGST_IN_SERVICE, "diverged"},
      {PGST_STATE_DOWN, PGST_ROLE_STANDBY, PGST_IN_SERVICE, "down"},
      {PGST_STATE_UNKNOWN, PGST_ROLE_STANDBY, PGST_IN_SERVICE, "unknown"},
      {PGST_STATE_UP, PGST_ROLE_PRIMARY, PGST_IN_SERVICE, "up"},
      {PGST_STATE_UP, PGST_ROLE_STANDBY, PGST_DRAIN, "maintenance"},
  };
  for (const auto& c : kCases) {
    PgstHost host = Standby();
    host.state = static_cast<std::uint8_t>(c.state);
    host.role = static_cast<std::uint8_t>(c.role);
    host.maintenance = static_cast<std::uint8_t>(c.maintenance);
    host.diverged = 1;
    EXPECT_TRUE(Contains(StatusOf(host), std::string(R"("state":")") + c.word + '"')) << c.word;
    EXPECT_TRUE(Contains(StatusOf(host), R"("diverged":true,"superseded":false)")) << c.word;
  }
}

TEST(HostJson, ASupersededPrimaryIsToldByAFlag) {
  PgstHost host = Standby();
  host.role = PGST_ROLE_PRIMARY;
  host.superseded = 1;
  EXPECT_TRUE(Contains(StatusOf(host), R"("role":"primary","state":"up")"));
  EXPECT_TRUE(Contains(StatusOf(host), R"("diverged":false,"superseded":true)"));
}

TEST(HostJson, SuspectKeepsItsLastValues) {
  PgstHost host = Standby();
  host.state = PGST_STATE_SUSPECT;
  host.primary = 1;
  const std::string json = StatusOf(host);
  EXPECT_TRUE(Contains(json, R"("master":true)"));
  EXPECT_TRUE(Contains(json, R"("lag_ms":12,"sync_by_time":true,"lag_bytes":3400,)"
                             R"("sync_by_bytes":true,"lsn":"16/B374D848")"));
}

// Whatever is left in the snapshot.
TEST(HostJson, NothingThatMayHaveChangedIsClaimedOfADeadHost) {
  for (const PgstState state : {PGST_STATE_DOWN, PGST_STATE_UNKNOWN}) {
    PgstHost host = Standby();
    host.state = static_cast<std::uint8_t>(state);
    host.primary = 1;
    EXPECT_TRUE(Contains(StatusOf(host),
                         R"("master":false,"alive":false,"possible_dead":true,"lag_ms":null,)"
                         R"("sync_by_time":false,"lag_bytes":null,"sync_by_bytes":false,)"
                         R"("lsn":null)"))
        << StatusOf(host);
    EXPECT_TRUE(Contains(StatusOf(host), R"("timeline":7)"));  // it is still that server
  }
}

TEST(HostJson, HostThatNeverAnswered) {
  PgstHost host{};
  CopyFixedText(host.name, "db9");
  EXPECT_EQ(
      StatusOf(host),
      R"({"dc":null,"geo":null,"master":false,"alive":false,"possible_dead":true,)"
      R"("lag_ms":null,"sync_by_time":false,"lag_bytes":null,"sync_by_bytes":false,)"
      R"("lsn":null,"role":"unknown","state":"unknown","timeline":null,)"
      R"("system_identifier":null,"last_ok_ms":null,"weight":0.0,"votes_up":0,"votes_down":0,"unreachable_here":false,"diverged":false,"superseded":false,"read_only":null,"takes_sessions":null,"maintenance":false,"maintenance_reason":null})");
  EXPECT_EQ(NameOf(host), R"({"host":"db9","dc":null,"geo":null})");
}

TEST(HostJson, UnknownLagIsNullAndNotZero) {
  PgstHost host = Standby();
  host.has_lag_ms = 0;
  host.has_lag_bytes = 0;
  host.has_lsn = 0;
  const std::string json = StatusOf(host);
  EXPECT_TRUE(Contains(json, R"("lag_ms":null)"));
  EXPECT_TRUE(Contains(json, R"("lag_bytes":null)"));
  EXPECT_TRUE(Contains(json, R"("lsn":null)"));
}

// Beyond 2^53 a double would round.
TEST(HostJson, NumbersAreExact) {
  PgstHost host = Standby();
  host.lag_ms = kMax;
  host.lag_bytes = (std::uint64_t{1} << 53) + 1;
  host.lsn = kMax;
  host.system_identifier = kMax;
  host.timeline = 0xFFFFFFFF;
  const std::string json = StatusOf(host);
  EXPECT_TRUE(Contains(json, R"("lag_ms":18446744073709551615,)"));
  EXPECT_TRUE(Contains(json, R"("lag_bytes":9007199254740993,)"));
  EXPECT_TRUE(Contains(json, R"("lsn":"FFFFFFFF/FFFFFFFF")"));
  EXPECT_TRUE(Contains(json, R"("system_identifier":"18446744073709551615")"));
  EXPECT_TRUE(Contains(json, R"("timeline":4294967295,)"));
}

TEST(HostJson, WeightIsAFraction) {
  const struct {
    double weight;
    const char* text;
  } kCases[] = {
      {0, R"("weight":0.0,)"},
      {0.1, R"("weight":0.1,)"},
      {2.5, R"("weight":2.5,)"},
      {std::nan(""), R"("weight":null,)"},
      {std::numeric_limits<double>::infinity(), R"("weight":null,)"},
  };
  for (const auto& c : kCases) {
    PgstHost host = Standby();
    host.weight = c.weight;
    EXPECT_TRUE(Contains(StatusOf(host), c.text)) << StatusOf(host);
  }
}

TEST(HostJson, AgeOfTheLastSuccess) {
  const struct {
    WallUs last_success;
    WallUs made;
    const char* text;
  } kCases[] = {
      {kMade, kMade, R"("last_ok_ms":0,)"},
      {kMade - 999, kMade, R"("last_ok_ms":0,)"},
      {kMade - 1000, kMade, R"("last_ok_ms":1,)"},
      {kMade + kUsPerSecond, kMade, R"("last_ok_ms":0,)"},  // the clock was set back
      {0, kMade, R"("last_ok_ms":null,)"},
      {kMade, 0, R"("last_ok_ms":null,)"},
  };
  for (const auto& c : kCases) {
    PgstHost host = Standby();
    host.last_success_wall = c.last_success;
    EXPECT_TRUE(Contains(StatusOf(host, c.made), c.text)) << StatusOf(host, c.made);
  }
}

TEST(HostJson, ErrorsAreForNobodyToSee) {
  PgstHost host = Standby();
  host.state = PGST_STATE_DOWN;
  EXPECT_FALSE(Contains(StatusOf(host), "192.0.2.7"));
  EXPECT_FALSE(Contains(StatusOf(host), "error"));
}

TEST(HostJson, NumberThatNoEnumeratorHas) {
  PgstHost host = Standby();
  host.role = 200;
  host.state = 200;
  EXPECT_TRUE(Contains(StatusOf(host), R"("role":"unknown","state":"unknown")"));
  EXPECT_TRUE(Contains(StatusOf(host), R"("alive":false)"));
}

// What an administrator can write into the settings must come back as it was.
TEST(HostJson, NamesAreEscaped) {
  PgstHost host = Standby();
  const std::string name = "/run/\"quoted\"\\back <tag> \xC3\xBC";
  CopyFixedText(host.name, name);
  CopyFixedText(host.dc, "d\"c");
  CopyFixedText(host.geo, "g\\eo");
  rapidjson::Document document;
  document.Parse(NameOf(host).c_str());
  ASSERT_TRUE(document.IsObject()) << NameOf(host);
  EXPECT_EQ(document["host"].GetString(), name);
  EXPECT_STREQ(document["dc"].GetString(), "d\"c");
  EXPECT_STREQ(document["geo"].GetString(), "g\\eo");
  document.Parse(StatusOf(host).c_str());
  ASSERT_TRUE(document.IsObject()) << StatusOf(host);
  EXPECT_STREQ(document["dc"].GetString(), "d\"c");
}

TEST(HostJson, ControlCharactersAreEscaped) {
  PgstHost host = Standby();
  std::strcpy(host.name, "a\nb\x01");
  EXPECT_TRUE(Contains(NameOf(host), R"("host":"a\nb\u0001")")) << NameOf(host);
}

TEST(HostJson, TextThatNothingEnds) {
  PgstHost host = Standby();
  std::memset(host.name, 'n', sizeof(host.name));
  std::memset(host.dc, 'd', sizeof(host.dc));
  std::memset(host.geo, 'g', sizeof(host.geo));
  EXPECT_EQ(HostName(host), std::string(sizeof(host.name), 'n'));
  EXPECT_TRUE(Contains(NameOf(host), '"' + std::string(sizeof(host.dc), 'd') + '"'));
  EXPECT_TRUE(Contains(NameOf(host), '"' + std::string(sizeof(host.geo), 'g') + '"'));
}

TEST(HostJson, NamedHost) {
  EXPECT_EQ(NameOf(Standby()), R"({"host":"db2:5432","dc":"east","geo":"eu"})");
  PgstHost host = Standby();
  host.geo[0] = '\0';
  EXPECT_EQ(NameOf(host), R"({"host":"db2:5432","dc":"east","geo":null})");
}

TEST(HostJson, NobodyHasTheKeysOfANamedHost) {
  rapidjson::Document document;
  document.Parse(kNobodyJson.data(), kNobodyJson.size());
  ASSERT_TRUE(document.IsObject());
  EXPECT_EQ(document.MemberCount(), 3u);
  for (const char* key : {"host", "dc", "geo"}) EXPECT_TRUE(document[key].IsNull()) << key;
}

TEST(HostJson, ListIsInConfiguredOrder) {
  SnapshotStorage storage(4);
  PgstSnapshot& snapshot = storage.get();
  PgstHost* const hosts = snapshot.hosts;
  snapshot.host_count = 3;
  for (std::uint32_t i = 0; i < 3; ++i) {
    hosts[i] = Standby();
    hosts[i].name[2] = static_cast<char>('9' - i);
  }
  std::string out = "before";
  AppendHostList(snapshot, kMade, out);

  std::string expected = "before[";
  for (std::uint32_t i = 0; i < 3; ++i) {
    expected += i == 0 ? "" : ",";
    expected += R"({"host":")" + std::string(HostName(hosts[i])) + R"(",)";
    expected += StatusOf(hosts[i]).substr(1);
  }
  EXPECT_EQ(out, expected + "]");
}

TEST(HostJson, EmptyList) {
  SnapshotStorage storage(1);
  std::string out;
  AppendHostList(storage.get(), kMade, out);
  EXPECT_EQ(out, "[]");
}

TEST(HostJson, CountIsTrustedNoFurtherThanTheRoom) {
  SnapshotStorage storage(2);
  storage.get().host_count = 1000000;
  EXPECT_EQ(HostCount(storage.get()), 2u);
  std::string out;
  AppendHostList(storage.get(), kMade, out);
  rapidjson::Document document;
  document.Parse(out.c_str());
  ASSERT_TRUE(document.IsArray());
  EXPECT_EQ(document.Size(), 2u);
}

}  // namespace
}  // namespace pg_status
