// Where to listen and whom to answer.
#include "config/networks.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

using Strings = std::vector<std::string>;

struct ListCase {
  std::string text;
  Strings expected;
};

struct ErrorCase {
  std::string text;
  std::string error;
};

Strings ListenOn(std::string_view text) {
  const auto parsed = ParseListenAddresses(text);
  if (!parsed) return {"error: " + parsed.error()};
  Strings addresses;
  for (const IpAddress& address : *parsed) addresses.push_back(FormatIpAddress(address));
  return addresses;
}

Strings NetworksOf(std::string_view text) {
  const auto parsed = ParseNetworks(text);
  if (!parsed) return {"error: " + parsed.error()};
  Strings networks;
  for (const Network& network : *parsed) {
    networks.push_back(FormatIpAddress(network.address) + '/' + std::to_string(network.bits));
  }
  return networks;
}

std::string Repeated(int times, const std::string& first_octets) {
  std::string text;
  for (int i = 0; i < times; ++i) {
    if (i > 0) text += ',';
    text += first_octets + std::to_string(i / 256) + '.' + std::to_string(i % 256);
  }
  return text;
}

TEST(ListenAddresses, Lists) {
  const ListCase cases[] = {
      {"", {}},
      {" \n\t ", {}},
      {"127.0.0.1", {"127.0.0.1"}},
      {"localhost", {"127.0.0.1", "::1"}},
      {"*", {"0.0.0.0", "::"}},
      {"[::1]", {"::1"}},
      {"2001:db8::1 ,\n 192.0.2.1", {"2001:db8::1", "192.0.2.1"}},
      // repeated, however spelled
      {"127.0.0.1, localhost, ::1, [::1], 127.0.0.1", {"127.0.0.1", "::1"}},
      {"2001:db8::1, 2001:0DB8:0::1", {"2001:db8::1"}},
      {"::ffff:192.0.2.1, 192.0.2.1", {"192.0.2.1"}},
      // the any-address takes the port on all addresses of its family
      {"*, 127.0.0.1, ::1", {"0.0.0.0", "::"}},
      {"127.0.0.1, ::1, *", {"0.0.0.0", "::"}},
      {"0.0.0.0, localhost", {"0.0.0.0", "::1"}},
      {"::, localhost", {"::", "127.0.0.1"}},
      {"*, *", {"0.0.0.0", "::"}},
  };
  for (const ListCase& row : cases) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ListenOn(row.text), row.expected);
  }
}

TEST(ListenAddresses, ErrorsNameTheEntry) {
  const std::string not_address = " is not an IP address, \"localhost\" or \"*\"";
  const ErrorCase cases[] = {
      {"db1", "entry \"db1\"" + not_address},
      {"127.0.0.1, 127.0.0.256", "entry \"127.0.0.256\"" + not_address},
      {"127.0.0.1:5400", "entry \"127.0.0.1:5400\"" + not_address},
      {"[127.0.0.1]", "entry \"[127.0.0.1]\"" + not_address},
      {"[::1", "entry \"[::1\"" + not_address},
      {"[]", "entry \"[]\"" + not_address},
      {"[", "entry \"[\"" + not_address},
      {"10.0.0.0/8", "entry \"10.0.0.0/8\"" + not_address},
      {"localhost ::1", "entry \"localhost ::1\"" + not_address},
      {"evil\nlog line", "entry \"evil log line\"" + not_address},
      {",", "entry 1 of the list is empty"},
      {"::1,", "entry 2 of the list is empty"},
  };
  for (const ErrorCase& row : cases) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ListenOn(row.text), Strings({"error: " + row.error}));
  }
}

TEST(ListenAddresses, AreBounded) {
  const int most = static_cast<int>(kMaxListenAddresses);
  EXPECT_EQ(ListenOn(Repeated(most, "10.0.")).size(), kMaxListenAddresses);
  EXPECT_EQ(ListenOn(Repeated(most + 1, "10.0.")),
            Strings({"error: entry \"10.0.0.64\" is one too many: the most is 64 addresses"}));
}

TEST(Networks, Lists) {
  const ListCase cases[] = {
      {"", {}},
      {"\n ", {}},
      {"10.0.0.0/8", {"10.0.0.0/8"}},
      {"10.0.0.0/8, 2001:db8::/32", {"10.0.0.0/8", "2001:db8::/32"}},
      {"0.0.0.0/0, ::/0", {"0.0.0.0/0", "::/0"}},
      {"192.0.2.1", {"192.0.2.1/32"}},
      {"::1", {"::1/128"}},
      {"192.0.2.1/32, ::1/128", {"192.0.2.1/32", "::1/128"}},
      {"172.16.0.0/12", {"172.16.0.0/12"}},
      {"192.0.2.128/25", {"192.0.2.128/25"}},
      {"::ffff:10.0.0.0/104", {"10.0.0.0/8"}},
      {"::ffff:0.0.0.0/96", {"0.0.0.0/0"}},
      {"::ffff:192.0.2.1", {"192.0.2.1/32"}},
  };
  for (const ListCase& row : cases) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(NetworksOf(row.text), row.expected);
  }
}

TEST(Networks, ErrorsNameTheEntry) {
  const std::string not_network = " is not an IP address or a network such as 10.0.0.0/8";
  const std::string bits = " has bits set to the right of the mask; the network is ";
  const ErrorCase cases[] = {
      {"db1", "entry \"db1\"" + not_network},
      {"localhost", "entry \"localhost\"" + not_network},
      {"*", "entry \"*\"" + not_network},
      {"[::1]/128", "entry \"[::1]/128\"" + not_network},
      {"/8", "entry \"/8\"" + not_network},
      {"10.0.0.0 /8", "entry \"10.0.0.0 /8\"" + not_network},
      {"10/8", "entry \"10/8\"" + not_network},
      {"10.0.0.0/", "entry \"10.0.0.0/\" has no prefix length after the slash"},
      {"10.0.0.0/33", "entry \"10.0.0.0/33\" must have a prefix length from 0 to 32"},
      {"10.0.0.0/-1", "entry \"10.0.0.0/-1\" must have a prefix length from 0 to 32"},
      {"10.0.0.0/8/8", "entry \"10.0.0.0/8/8\" must have a prefix length from 0 to 32"},
      {"10.0.0.0/255.0.0.0", "entry \"10.0.0.0/255.0.0.0\" must have a prefix length from 0 to 32"},
      {"::/129", "entry \"::/129\" must have a prefix length from 0 to 128"},
      {"::/18446744073709551617",
       "entry \"::/18446744073709551617\" must have a prefix length from 0 to 128"},
      {"10.1.2.3/8", "entry \"10.1.2.3/8\"" + bits + "10.0.0.0/8"},
      {"10.0.0.1/31", "entry \"10.0.0.1/31\"" + bits + "10.0.0.0/31"},
      {"0.0.0.1/0", "entry \"0.0.0.1/0\"" + bits + "0.0.0.0/0"},
      {"2001:db8::1/64", "entry \"2001:db8::1/64\"" + bits + "2001:db8::/64"},
      {"::ffff:10.0.0.0/90", "entry \"::ffff:10.0.0.0/90\"" + bits + "::ffc0:0:0/90"},
      {"10.0.0.0/8,,::1", "entry 2 of the list is empty"},
  };
  for (const ErrorCase& row : cases) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(NetworksOf(row.text), Strings({"error: " + row.error}));
  }
}

TEST(Networks, AreBounded) {
  const int most = static_cast<int>(kMaxNetworks);
  EXPECT_EQ(NetworksOf(Repeated(most, "10.0.")).size(), kMaxNetworks);
  EXPECT_EQ(NetworksOf(Repeated(most + 1, "10.0.")),
            Strings({"error: entry \"10.0.4.0\" is one too many: the most is 1024 networks"}));
}

TEST(IsAllowed, JudgesByFamilyAndPrefix) {
  const struct {
    const char* allow;
    const char* client;
    bool allowed;
  } cases[] = {
      {"", "192.0.2.1", true},
      {"", "::1", true},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"172.16.0.0/12", "172.31.255.255", true},
      {"172.16.0.0/12", "172.32.0.0", false},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.0", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      // each family only by its own networks
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "192.0.2.1", false},
      {"a00::/8", "10.0.0.0", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::1", "::1", true},
      {"::1", "::", false},
      // a client that came in over a socket of both families
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"10.0.0.0/8", "::ffff:11.1.2.3", false},
      {"::/0", "::ffff:10.1.2.3", false},
      {"::ffff:10.0.0.0/104", "10.1.2.3", true},
      {"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
      {"::ffff:10.0.0.0/104", "11.1.2.3", false},
      // any of several is enough
      {"10.0.0.0/8, 192.0.2.0/24, ::1", "192.0.2.77", true},
      {"10.0.0.0/8, 192.0.2.0/24, ::1", "192.0.3.77", false},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(std::string(row.allow) + " <- " + row.client);
    const auto allowed = ParseNetworks(row.allow);
    ASSERT_TRUE(allowed.ok());
    EXPECT_EQ(IsAllowed(*allowed, *ParseIpAddress(row.client)), row.allowed);
  }
}

TEST(ParseListenAddresses, LinkLocalAddressesKeepTheirZone) {
  const auto addresses = ParseListenAddresses("fe80::1%eth0, [fe80::1%eth1], fe80::1%eth0");
  ASSERT_TRUE(addresses.ok()) << addresses.error();
  ASSERT_EQ(addresses->size(), 2U);
  EXPECT_EQ(FormatIpAddress(addresses->front()), "fe80::1%eth0");
  EXPECT_EQ(FormatIpAddress(addresses->back()), "fe80::1%eth1");
}

TEST(ParseNetworks, HaveNoZone) {
  const auto networks = ParseNetworks("fe80::1%eth0");
  ASSERT_FALSE(networks.ok());
  EXPECT_EQ(networks.error(),
            "entry \"fe80::1%eth0\" has a zone; clients are told apart by their addresses only");
  EXPECT_TRUE(IsAllowed(*ParseNetworks("fe80::/10"), *ParseIpAddress("fe80::1")));
}

}  // namespace
}  // namespace pg_status
