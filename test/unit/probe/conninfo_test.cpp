// The settings of a connection, from the text of pg_status.conninfo.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "probe/libpq_link.hpp"

namespace pg_status {
namespace {

constexpr char kName[] = "pg_status on a";

std::optional<std::string> Find(const ConnectionOptions& options, const std::string& keyword) {
  std::optional<std::string> found;
  for (const auto& [key, value] : options.keywords) {
    if (key != keyword) continue;
    EXPECT_FALSE(found.has_value()) << keyword << " is there twice";
    found = value;
  }
  return found;
}

TEST(ParseConninfo, DefaultsAreAdded) {
  const auto options = ParseConninfo("dbname=postgres user=monitor", kName, 750);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(Find(*options, "dbname"), "postgres");
  EXPECT_EQ(Find(*options, "user"), "monitor");
  EXPECT_EQ(Find(*options, "application_name"), kName);
  EXPECT_EQ(Find(*options, "gssencmode"), "disable");
  EXPECT_EQ(Find(*options, "options"), std::nullopt);
  EXPECT_EQ(options->options, "");
  EXPECT_FALSE(options->takes_none);
  EXPECT_EQ(options->statement_timeout_ms, 750);
  EXPECT_EQ(Find(*options, "client_encoding"), "SQL_ASCII");
  EXPECT_EQ(Find(*options, "target_session_attrs"), "any");
  EXPECT_EQ(Find(*options, "keepalives_idle"), "2");
  EXPECT_EQ(Find(*options, "keepalives_interval"), "1");
  EXPECT_EQ(Find(*options, "keepalives_count"), "3");
  EXPECT_EQ(Find(*options, "port"), std::nullopt);
  EXPECT_EQ(options->default_port, 5432);
}

TEST(ParseConninfo, EmptyTextIsOnlyTheDefaults) {
  const auto options = ParseConninfo("", kName, 1000);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(options->keywords.size(), 7u);
}

TEST(ParseConninfo, WhatTheUserSaysWinsOverTheDefaults) {
  const auto options = ParseConninfo(
      "application_name=mine gssencmode=prefer options='-c lock_timeout=1' keepalives_idle=60",
      kName, 1000);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(Find(*options, "application_name"), "mine");
  EXPECT_EQ(Find(*options, "gssencmode"), "prefer");
  EXPECT_EQ(options->options, "-c lock_timeout=1");
  EXPECT_EQ(Find(*options, "keepalives_idle"), "60");
}

TEST(ParseConninfo, EmptyOptionsAreForPoolersThatTakeNone) {
  const auto options = ParseConninfo("options=''", kName, 1000);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(options->options, "");
  EXPECT_TRUE(options->takes_none);
}

TEST(ParseConninfo, TextsComeAsTheyAreStored) {
  const auto options = ParseConninfo("client_encoding=SJIS", kName, 1000);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(Find(*options, "client_encoding"), "SQL_ASCII");
}

// Of the keywords that this libpq knows.
TEST(ParseConninfo, SecretsAreRefusedAndWhatWritesThem) {
  for (const std::string keyword : {"password", "sslpassword", "scram_client_key",
                                    "scram_server_key", "oauth_client_secret", "sslkeylogfile"}) {
    const auto options = ParseConninfo(keyword + "=abc", kName, 1000);
    ASSERT_FALSE(options.ok()) << keyword;
    const bool known = options.error().find("known keywords") == std::string::npos;
    EXPECT_TRUE(!known || options.error().find('"' + keyword + '"') == 0) << options.error();
    EXPECT_EQ(options.error().find("abc"), std::string::npos) << options.error();
  }
}

TEST(ParseConninfo, HostsAreAskedWhateverTheirRole) {
  for (const char* wish : {"primary", "read-write", "prefer-standby", "any"}) {
    const auto options = ParseConninfo("target_session_attrs=" + std::string(wish), kName, 1000);
    ASSERT_TRUE(options.ok()) << options.error();
    EXPECT_EQ(Find(*options, "target_session_attrs"), "any");
  }
}

TEST(ParseConninfo, PortIsTheDefaultOfTheHosts) {
  const struct {
    const char* text;
    std::optional<std::uint16_t> port;
  } rows[] = {
      {"port=6432", 6432},       {"port=1", 1},
      {"port=65535", 65535},     {"postgresql://:6432/postgres", 6432},
      {"port=0", std::nullopt},  {"port=65536", std::nullopt},
      {"port=-1", std::nullopt}, {"port=5432,5433", std::nullopt},
      {"port=''", std::nullopt}, {"port=x", std::nullopt},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto options = ParseConninfo(row.text, kName, 1000);
    ASSERT_EQ(options.ok(), row.port.has_value());
    if (!options) {
      EXPECT_NE(options.error().find("\"port\""), std::string::npos);
      continue;
    }
    EXPECT_EQ(options->default_port, row.port);
    EXPECT_EQ(Find(*options, "port"), std::nullopt);
  }
}

TEST(ParseConninfo, WhatTheHostsDecideIsRefused) {
  const struct {
    const char* text;
    const char* keyword;
  } rows[] = {
      {"host=db1", "\"host\""},
      {"host=''", "\"host\""},
      {"dbname=postgres host=db1,db2", "\"host\""},
      {"postgresql://db1/postgres", "\"host\""},
      {"hostaddr=192.0.2.1", "\"hostaddr\""},
      {"replication=database", "\"replication\""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto options = ParseConninfo(row.text, kName, 1000);
    ASSERT_FALSE(options.ok());
    EXPECT_NE(options.error().find(row.keyword), std::string::npos) << options.error();
  }
}

TEST(ParseConninfo, ErrorsNeverRepeatTheText) {
  const char* const texts[] = {
      "password=se cret",
      "password='se cret",
      "password='se'cret dbname=x",
      "secret",
      "user=x secret=cret",
      "password='x\\",
      "host=secret",
      "hostaddr=secret password=secret",
      "port=secret",
      "postgresql://u:secret@[::1/x",
      "postgresql://u:%zzsecret@/x",
      "postgresql:///x?secret=1",
      "replication=secret",
      "=secret",
  };
  for (const char* text : texts) {
    SCOPED_TRACE(text);
    const auto options = ParseConninfo(text, kName, 1000);
    if (options.ok()) {
      ADD_FAILURE() << "accepted";
      continue;
    }
    EXPECT_FALSE(options.error().empty());
    EXPECT_EQ(options.error().find("cret"), std::string::npos) << options.error();
  }
}

TEST(ParseConninfo, ValuesAreTakenAsTheyAre) {
  const auto options = ParseConninfo(R"(passfile='it\'s a \\ blank' dbname='host=db9')", kName, 1);
  ASSERT_TRUE(options.ok()) << options.error();
  EXPECT_EQ(Find(*options, "passfile"), R"(it's a \ blank)");
  EXPECT_EQ(Find(*options, "dbname"), "host=db9");
}

TEST(ParseConninfo, PasswordsBelongIntoAFile) {
  for (const char* text : {"password=x", "sslpassword=x", "user=a password=''"}) {
    const auto options = ParseConninfo(text, kName, 1);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_NE(options.error().find("service file"), std::string::npos) << options.error();
  }
}

TEST(ParseConninfo, OptionsAreEqualWhenTheyConnectAlike) {
  const auto options = ParseConninfo("user=a", kName, 1000);
  EXPECT_TRUE(*options == *ParseConninfo("user=a", kName, 1000));
  EXPECT_FALSE(*options == *ParseConninfo("user=b", kName, 1000));
  EXPECT_FALSE(*options == *ParseConninfo("user=a", kName, 2000));
  EXPECT_FALSE(*options == *ParseConninfo("user=a port=1", kName, 1000));
}

}  // namespace
}  // namespace pg_status
