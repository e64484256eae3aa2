// pg_status.hosts: what is understood, and what is said about what is not.
#include "config/hosts.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

constexpr std::uint16_t kDefaultPort = 5432;
constexpr std::size_t kManyHosts = 64;

HostEntry Entry(const std::string& name, PlaceKind kind, const std::string& hostname,
                std::uint16_t port) {
  HostEntry entry;
  entry.name = name;
  entry.kind = kind;
  entry.hostname = hostname;
  entry.port = port;
  return entry;
}

// The error, or "" when the text is accepted.
std::string ErrorOf(std::string_view text, std::size_t max_hosts = kManyHosts) {
  const auto hosts = ParseHosts(text, kDefaultPort, max_hosts);
  return hosts ? "" : hosts.error();
}

struct PlaceCase {
  std::string text;
  PlaceKind kind;
  std::string hostname;
  std::uint16_t port;
};

TEST(ParseHosts, PlaceIsTakenApartAndItsTextIsTheName) {
  const std::string longest_name(kMaxHostnameBytes, 'a');
  const std::string longest_directory = "/" + std::string(kMaxHostnameBytes - 1, 'd');
  const PlaceCase cases[] = {
      {"db1", PlaceKind::kName, "db1", 5432},
      {"db1:5433", PlaceKind::kName, "db1", 5433},
      {"DB-1.example_net:1", PlaceKind::kName, "DB-1.example_net", 1},
      {"3com.example:65535", PlaceKind::kName, "3com.example", 65535},
      {"db1:005433", PlaceKind::kName, "db1", 5433},
      {longest_name + ":65535", PlaceKind::kName, longest_name, 65535},
      {"10.0.0.1", PlaceKind::kAddress, "10.0.0.1", 5432},
      {"10.0.0.1:5433", PlaceKind::kAddress, "10.0.0.1", 5433},
      {"[::1]", PlaceKind::kAddress, "::1", 5432},
      {"[::1]:5433", PlaceKind::kAddress, "::1", 5433},
      {"[2001:DB8::1]", PlaceKind::kAddress, "2001:DB8::1", 5432},
      {"/", PlaceKind::kSocket, "/", 5432},
      {"/run/postgresql", PlaceKind::kSocket, "/run/postgresql", 5432},
      {"/run/postgresql:5433", PlaceKind::kSocket, "/run/postgresql", 5433},
      {"/run/a:b", PlaceKind::kSocket, "/run/a:b", 5432},
      {"/run/a:5432:5433", PlaceKind::kSocket, "/run/a:5432", 5433},
      {"/run/a:5432x", PlaceKind::kSocket, "/run/a:5432x", 5432},
      {"/run/caf\u00e9=", PlaceKind::kSocket, "/run/caf\u00e9=", 5432},
      {longest_directory + ":65535", PlaceKind::kSocket, longest_directory, 65535},
  };
  for (const PlaceCase& row : cases) {
    SCOPED_TRACE(row.text);
    const auto hosts = ParseHosts(row.text, kDefaultPort, kManyHosts);
    ASSERT_TRUE(hosts.ok()) << hosts.error();
    ASSERT_EQ(hosts->size(), 1u);
    EXPECT_EQ(hosts->front(), Entry(row.text, row.kind, row.hostname, row.port));
  }
}

TEST(ParseHosts, BlankTextIsAnEmptyList) {
  for (const std::string_view text : {std::string_view(), std::string_view(" \t\r\n")}) {
    const auto hosts = ParseHosts(text, kDefaultPort, 0);
    ASSERT_TRUE(hosts.ok());
    EXPECT_TRUE(hosts->empty());
  }
}

TEST(ParseHosts, AttributesMayComeInAnyOrder) {
  const auto hosts =
      ParseHosts("db1:5433 weight=0.5 application_name=walreceiver geo=eu dc=fra1 name=first",
                 kDefaultPort, kManyHosts);
  ASSERT_TRUE(hosts.ok()) << hosts.error();
  HostEntry expected = Entry("first", PlaceKind::kName, "db1", 5433);
  expected.weight = 0.5;
  expected.application_name = "walreceiver";
  expected.geo = "eu";
  expected.dc = "fra1";
  EXPECT_EQ(hosts->front(), expected);
}

TEST(ParseHosts, ValueOnSeveralLines) {
  const auto hosts = ParseHosts("\n  db1 dc=a,\n\t[::1]:5433\tdc=b \r\n, /run/pg\n name=c\n",
                                kDefaultPort, kManyHosts);
  ASSERT_TRUE(hosts.ok()) << hosts.error();
  ASSERT_EQ(hosts->size(), 3u);
  EXPECT_EQ(hosts->at(0).name, "db1");
  EXPECT_EQ(hosts->at(0).dc, "a");
  EXPECT_EQ(hosts->at(1).name, "[::1]:5433");
  EXPECT_EQ(hosts->at(1).dc, "b");
  EXPECT_EQ(hosts->at(2).name, "c");
  EXPECT_EQ(hosts->at(2).hostname, "/run/pg");
}

TEST(ParseHosts, ValuesOfAttributes) {
  const auto longest_name = std::string(kMaxNameBytes, 'n');
  const auto longest_label = std::string(kMaxLabelBytes, 'l');
  const auto hosts = ParseHosts("db1 weight=0 name=" + longest_name + " dc=" + longest_label +
                                    ", db2 weight=1000 name=a=b:\"c\" geo=caf\u00e9",
                                kDefaultPort, kManyHosts);
  ASSERT_TRUE(hosts.ok()) << hosts.error();
  EXPECT_EQ(hosts->at(0).name, longest_name);
  EXPECT_EQ(hosts->at(0).dc, longest_label);
  EXPECT_EQ(hosts->at(0).weight, 0);
  EXPECT_EQ(hosts->at(1).name, "a=b:\"c\"");
  EXPECT_EQ(hosts->at(1).geo, "caf\u00e9");
  EXPECT_EQ(hosts->at(1).weight, 1000);
}

struct ErrorCase {
  std::string text;
  std::string error;
};

void ExpectErrors(const std::vector<ErrorCase>& cases) {
  for (const ErrorCase& row : cases) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ErrorOf(row.text), row.error);
  }
}

TEST(ParseHosts, EmptyEntriesAreNamedByPosition) {
  ExpectErrors({
      {",", "entry 1 of the list is empty"},
      {",db1", "entry 1 of the list is empty"},
      {"db1,,db2", "entry 2 of the list is empty"},
      {"db1, \n ,db2", "entry 2 of the list is empty"},
      {"db1,db2,", "entry 3 of the list is empty"},
  });
}

TEST(ParseHosts, WrongPorts) {
  ExpectErrors({
      {"db1:", "entry \"db1:\" has no port number after the colon"},
      {"10.0.0.1:", "entry \"10.0.0.1:\" has no port number after the colon"},
      {"[::1]:", "entry \"[::1]:\" has no port number after the colon"},
      {"/run:", "entry \"/run:\" has no port number after the colon"},
      {"db1:0", "entry \"db1:0\" must have a port from 1 to 65535"},
      {"db1:65536", "entry \"db1:65536\" must have a port from 1 to 65535"},
      {"db1:5432x", "entry \"db1:5432x\" must have a port from 1 to 65535"},
      {"db1:-1", "entry \"db1:-1\" must have a port from 1 to 65535"},
      {"db1:+5432", "entry \"db1:+5432\" must have a port from 1 to 65535"},
      {"db1:99999999999999999999999",
       "entry \"db1:99999999999999999999999\" must have a port from "
       "1 to 65535"},
      {"[::1]:70000", "entry \"[::1]:70000\" must have a port from 1 to 65535"},
      {"/run:70000", "entry \"/run:70000\" must have a port from 1 to 65535"},
      {"/run:0 dc=a", "entry \"/run:0 dc=a\" must have a port from 1 to 65535"},
      {"postgres://db1", "entry \"postgres://db1\" must have a port from 1 to 65535"},
  });
}

TEST(ParseHosts, WrongBrackets) {
  const std::string need =
      " has more than one colon; IPv6 addresses need brackets, as in "
      "[::1]:5432";
  const std::string not_v6 = " has something in brackets that is not an IPv6 address";
  ExpectErrors({
      {"::1", "entry \"::1\"" + need},
      {"::1:5432", "entry \"::1:5432\"" + need},
      {"2001:db8::1", "entry \"2001:db8::1\"" + need},
      {"::", "entry \"::\"" + need},
      {"db1:5432:5433", "entry \"db1:5432:5433\"" + need},
      {"[::1", "entry \"[::1\" has an unclosed bracket"},
      {"[", "entry \"[\" has an unclosed bracket"},
      {"[::1 ]", "entry \"[::1 ]\" has an unclosed bracket"},
      {"[db1]", "entry \"[db1]\"" + not_v6},
      {"[]", "entry \"[]\"" + not_v6},
      {"[10.0.0.1]:5432", "entry \"[10.0.0.1]:5432\"" + not_v6},
      {"[2001:db8::1%eth0]", "entry \"[2001:db8::1%eth0]\"" + not_v6},
      {"[[::1]]", "entry \"[[::1]]\"" + not_v6},
      {"[::1]5432", "entry \"[::1]5432\" has something other than a port after the bracket"},
      {"[::1]]:1", "entry \"[::1]]:1\" has something other than a port after the bracket"},
      {"::1]", "entry \"::1]\"" + need},
  });
}

TEST(ParseHosts, LinkLocalAddressesKeepTheirZone) {
  const auto hosts = ParseHosts("[fe80::1%eth0]:5433, [fe80::1%eth1]:5433", 5432, 8);
  ASSERT_TRUE(hosts.ok()) << hosts.error();
  EXPECT_EQ(hosts->front().kind, PlaceKind::kAddress);
  EXPECT_EQ(hosts->front().hostname, "fe80::1%eth0");
  EXPECT_EQ(hosts->front().port, 5433);
  EXPECT_FALSE(ParseHosts("[fe80::1%eth0], [FE80:0::1%eth0]", 5432, 8).ok()) << "the same place";
}

TEST(ParseHosts, WrongHostNames) {
  const std::string character = " has a character that no host name has";
  const std::string numbers = " is neither an IPv4 address nor a host name";
  ExpectErrors({
      {":5432", "entry \":5432\" has no host before the colon"},
      {":", "entry \":\" has no host before the colon"},
      {"db!1", "entry \"db!1\"" + character},
      {"db1;db2", "entry \"db1;db2\"" + character},
      {"user@db1", "entry \"user@db1\"" + character},
      {"'db1'", "entry \"'db1'\"" + character},
      {"host=db1", "entry \"host=db1\"" + character},
      {"dc=a db1", "entry \"dc=a db1\"" + character},
      {"db1/5432", "entry \"db1/5432\"" + character},
      {"caf\u00e9", "entry \"caf\u00e9\"" + character},
      {"*", "entry \"*\"" + character},
      {std::string("db\0001", 4), "entry \"db 1\"" + character},
      {"10.0.0.256", "entry \"10.0.0.256\"" + numbers},
      {"10.0.0:5432", "entry \"10.0.0:5432\"" + numbers},
      {"5432", "entry \"5432\"" + numbers},
      {"...", "entry \"...\"" + numbers},
      {"0010.0.0.1", "entry \"0010.0.0.1\"" + numbers},
  });
}

TEST(ParseHosts, WrongAttributes) {
  const std::string attributes =
      " where an attribute (name=, dc=, geo=, weight=, "
      "application_name=) or a comma should be";
  ExpectErrors({
      {"db1 db2", "entry \"db1 db2\" has \"db2\"" + attributes},
      {"db1 :5432", "entry \"db1 :5432\" has \":5432\"" + attributes},
      {"db1 region=eu", "entry \"db1 region=eu\" has an unknown attribute \"region\""},
      {"db1 DC=eu", "entry \"db1 DC=eu\" has an unknown attribute \"DC\""},
      {"db1 =eu", "entry \"db1 =eu\" has an unknown attribute \"\""},
      {"db1 d=eu", "entry \"db1 d=eu\" has an unknown attribute \"d\""},
      {"db1 dc=", "entry \"db1 dc=\" has no value for the attribute dc"},
      {"db1 dc", "entry \"db1 dc\" has no value for the attribute dc"},
      {"db1 dc = eu", "entry \"db1 dc = eu\" has no value for the attribute dc"},
      {"db1 name=", "entry \"db1 name=\" has no value for the attribute name"},
      {"db1 weight=", "entry \"db1 weight=\" has no value for the attribute weight"},
      {"db1 dc=a geo=b dc=a", "entry \"db1 dc=a geo=b dc=a\" has the attribute dc twice"},
      {"db1 weight=1 weight=2", "entry \"db1 weight=1 weight=2\" has the attribute weight twice"},
      {"db1 name=a name=b", "entry \"db1 name=a name=b\" has the attribute name twice"},
  });
  for (const char* weight : {"-1", "1000.1", "1001", "1e2", "x", "nan", "inf", "1,5", "0x1"}) {
    const std::string entry = std::string("db1 weight=") + weight;
    SCOPED_TRACE(entry);
    EXPECT_NE(ErrorOf(entry), "");
  }
  EXPECT_EQ(ErrorOf("db1 weight=1001"),
            "entry \"db1 weight=1001\" must have a weight from 0 to 1000");
}

TEST(ParseHosts, TextsThatCannotBeShownAsTheyAre) {
  const std::string problem =
      " that has a blank, a comma, a control character or bytes that are not UTF-8 in it";
  ExpectErrors({
      {"db1 name=a\x01z", "entry \"db1 name=a z\" gives name a value" + problem},
      {"db1 name=a\x7fz", "entry \"db1 name=a z\" gives name a value" + problem},
      {"db1 dc=caf\xe9", "entry \"db1 dc=caf?\" gives dc a value" + problem},
      {std::string("db1 geo=a\0", 10), "entry \"db1 geo=a \" gives geo a value" + problem},
      {"/run/\xff", "entry \"/run/?\" names a socket directory" + problem},
      {"/run/\x1b[0m:5432", "entry \"/run/ [0m:5432\" names a socket directory" + problem},
  });
}

TEST(ParseHosts, OverlongTexts) {
  const struct {
    std::string text;
    std::string ending;
  } cases[] = {
      {std::string(kMaxHostnameBytes + 1, 'a'), "has a host name longer than 255 bytes"},
      {"/" + std::string(kMaxHostnameBytes, 'a'),
       "names a socket directory that is longer than 255 bytes"},
      {"db1 name=" + std::string(kMaxNameBytes + 1, 'a'),
       "gives name a value that is longer than 263 bytes"},
      {"db1 dc=" + std::string(kMaxLabelBytes + 1, 'a'),
       "gives dc a value that is longer than 63 bytes"},
      {"db1 geo=" + std::string(kMaxLabelBytes + 1, 'a'),
       "gives geo a value that is longer than 63 bytes"},
      {"db1 application_name=" + std::string(kMaxLabelBytes + 1, 'a'),
       "gives application_name a value that is longer than 63 bytes"},
      {"db1:" + std::string(kMaxNameBytes, '0') + "1", "has a name longer than 263 bytes"},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.text);
    const std::string error = ErrorOf(row.text);
    ASSERT_GE(error.size(), row.ending.size());
    EXPECT_EQ(error.substr(error.size() - row.ending.size()), row.ending);
  }
  EXPECT_EQ(ErrorOf("db1:" + std::string(kMaxNameBytes, '0') + "1 name=short"), "");
}

TEST(ParseHosts, ErrorsAreOneBoundedLineWhateverTheEntry) {
  std::string hostile;
  for (int i = 0; i < 100000; ++i) hostile += static_cast<char>(i * 7 % 256 == ',' ? ';' : i * 7);
  for (const char* before : {"", "db1 ", "db1 name=", "db1 ok=", "/", "[", "db1:", "db1 weight="}) {
    SCOPED_TRACE(before);
    const std::string error = ErrorOf(before + hostile);
    EXPECT_NE(error, "");
    EXPECT_LT(error.size(), 400u);
    for (const char c : error) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(ParseHosts, LongEntryIsCutInTheError) {
  const std::string name(100, 'x');
  EXPECT_EQ(ErrorOf(name + ":0"),
            "entry \"" + std::string(77, 'x') + "...\" must have a port from 1 to 65535");
}

TEST(ParseHosts, TheSameNameTwice) {
  ExpectErrors({
      {"db1, db1", "entry \"db1\" has the same name, \"db1\", as entry \"db1\""},
      {"db1 name=a, db2, db3 name=a",
       "entry \"db3 name=a\" has the same name, \"a\", as entry \"db1 name=a\""},
      {"db1, db2 name=db1", "entry \"db2 name=db1\" has the same name, \"db1\", as entry \"db1\""},
  });
  EXPECT_EQ(ErrorOf("db1 name=a, db2 name=A"), "") << "names are case-sensitive";
  EXPECT_EQ(ErrorOf("db1 name=db2, db2 name=db1"), "");
}

TEST(ParseHosts, TheSamePlaceTwice) {
  ExpectErrors({
      {"db1, db1:5432", "entry \"db1:5432\" is the same host and port as entry \"db1\""},
      {"db1, DB1", "entry \"DB1\" is the same host and port as entry \"db1\""},
      {"db1 name=a, db2, db1 name=b",
       "entry \"db1 name=b\" is the same host and port as entry \"db1 name=a\""},
      {"db1:5433, db1:05433",
       "entry \"db1:05433\" is the same host and port as entry \"db1:5433\""},
      {"[::1], [0:0::1]", "entry \"[0:0::1]\" is the same host and port as entry \"[::1]\""},
      {"[2001:db8::a], [2001:DB8::A]",
       "entry \"[2001:DB8::A]\" is the same host and port as entry \"[2001:db8::a]\""},
      {"10.0.0.1, [::ffff:10.0.0.1]",
       "entry \"[::ffff:10.0.0.1]\" is the same host and port as entry \"10.0.0.1\""},
      {"/run, /run:5432", "entry \"/run:5432\" is the same host and port as entry \"/run\""},
  });
  EXPECT_EQ(ErrorOf("db1, db1:5433, db2, 10.0.0.1, 10.0.0.2, [::1], [::1]:5433"), "");
  EXPECT_EQ(ErrorOf("/run/A, /run/a"), "") << "directories are case-sensitive";
}

TEST(ParseHosts, TooManyHosts) {
  EXPECT_EQ(ErrorOf("a,b", 2), "");
  EXPECT_EQ(ErrorOf("a,b,c", 2), "entry \"c\" is one too many: pg_status.max_hosts allows 2");
  EXPECT_EQ(ErrorOf("a", 0), "entry \"a\" is one too many: pg_status.max_hosts allows 0");
}

TEST(ParseHosts, TheLargestListIsReadAtOnce) {
  std::string text;
  for (int i = 0; i < 4096; ++i) {
    text += (i > 0 ? ",db" : "db") + std::to_string(i) + ".example.net:5433 dc=a weight=2";
  }
  const auto start = std::chrono::steady_clock::now();
  const auto hosts = ParseHosts(text, kDefaultPort, 4096);
  const auto spent = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(hosts.ok()) << hosts.error();
  EXPECT_EQ(hosts->size(), 4096u);
  EXPECT_EQ(hosts->back().name, "db4095.example.net:5433");
  // generous: some milliseconds are usual, even with the sanitizers
  EXPECT_LT(spent, std::chrono::seconds(2));
}

TEST(HostEntry, EveryFieldCounts) {
  const HostEntry entry;
  std::vector<HostEntry> others(8);
  others[0].name = "a";
  others[1].kind = PlaceKind::kSocket;
  others[2].hostname = "a";
  others[3].port = 1;
  others[4].dc = "a";
  others[5].geo = "a";
  others[6].application_name = "a";
  others[7].weight = 2;
  EXPECT_TRUE(entry == HostEntry());
  for (const HostEntry& other : others) EXPECT_TRUE(entry != other);
}

TEST(ParseLabel, AcceptsOneWord) {
  for (const std::string& text : {std::string(), std::string("fra1"), std::string("eu-west=1"),
                                  std::string("caf\u00e9"), std::string(kMaxLabelBytes, 'x')}) {
    SCOPED_TRACE(text);
    const auto label = ParseLabel(text);
    ASSERT_TRUE(label.ok()) << label.error();
    EXPECT_EQ(*label, text);
  }
}

TEST(ParseLabel, RefusesAllElse) {
  const std::string problem =
      " has a blank, a comma, a control character or bytes that are not UTF-8 in it";
  const ErrorCase cases[] = {
      {"eu west", "\"eu west\"" + problem},
      {" eu", "\" eu\"" + problem},
      {" ", "\" \"" + problem},
      {"eu,us", "\"eu,us\"" + problem},
      {"eu\n", "\"eu \"" + problem},
      {"eu\x7f", "\"eu \"" + problem},
      {"\xe9", "\"?\"" + problem},
      {std::string("eu\0us", 5), "\"eu us\"" + problem},
      {std::string(64, 'x'), '"' + std::string(64, 'x') + "\" is longer than 63 bytes"},
  };
  for (const ErrorCase& row : cases) {
    SCOPED_TRACE(row.text);
    const auto label = ParseLabel(row.text);
    ASSERT_FALSE(label.ok());
    EXPECT_EQ(label.error(), row.error);
  }
}

}  // namespace
}  // namespace pg_status
