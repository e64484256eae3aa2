// IP addresses: literals only, and mapped IPv4 as what it is.
#include "base/ip_address.hpp"

#include <gtest/gtest.h>

namespace pg_status {
namespace {

struct AddressCase {
  const char* text;
  IpFamily family;
  const char* formatted;
};

constexpr AddressCase kValid[] = {
    {"192.0.2.1", IpFamily::kV4, "192.0.2.1"},
    {"0.0.0.0", IpFamily::kV4, "0.0.0.0"},
    {"255.255.255.255", IpFamily::kV4, "255.255.255.255"},
    {"::", IpFamily::kV6, "::"},
    {"::1", IpFamily::kV6, "::1"},
    {"2001:db8::1", IpFamily::kV6, "2001:db8::1"},
    {"2001:0DB8:0:0:0:0:0:1", IpFamily::kV6, "2001:db8::1"},
    {"::ffff:192.0.2.1", IpFamily::kV6, "::ffff:192.0.2.1"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IpFamily::kV6,
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    // the longest spelling of an address
    {"0000:0000:0000:0000:0000:ffff:255.255.255.255", IpFamily::kV6, "::ffff:255.255.255.255"},
};

TEST(IpAddress, LiteralsAreReadAndPrinted) {
  for (const AddressCase& row : kValid) {
    SCOPED_TRACE(row.text);
    const auto address = ParseIpAddress(row.text);
    ASSERT_TRUE(address.has_value());
    EXPECT_EQ(address->family, row.family);
    EXPECT_EQ(FormatIpAddress(*address), row.formatted);
  }
}

TEST(IpAddress, BytesAreInNetworkOrderAndTheRestIsZero) {
  const auto address = ParseIpAddress("192.0.2.1");
  ASSERT_TRUE(address.has_value());
  const std::array<std::uint8_t, 16> expected = {192, 0, 2, 1};
  EXPECT_EQ(address->bytes, expected);
}

TEST(IpAddress, AnythingElseIsNotAnAddress) {
  const std::string_view invalid[] = {
      "",
      "localhost",
      "db1",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "1.2.3.",
      ".1.2.3.4",
      " 1.2.3.4",
      "1.2.3.4 ",
      "1.2.3.4\n",
      "1.2.3.4/8",
      "1.2.3.4:80",
      "[::1]",
      ":::",
      ":",
      "::1::",
      "fe80::1%",
      "fe80::1%%eth0",
      "fe80::1%eth0/64",
      "fe80::1%eth 0",
      "fe80::1%an_interface_with_too_long_a_name",
      "2001:db8::1%eth0",
      "169.254.1.1%eth0",
      "%eth0",
      "::1/128",
      "2001:db8::12345",
      "1:2:3:4:5:6:7:8:9",
      "::ffff:1.2.3.256",
      std::string_view("1.2.3.4\0", 8),
      std::string_view("1.2.3.4\0evil", 12),
      "0000:0000:0000:0000:0000:ffff:255.255.255.2550",
  };
  for (const std::string_view text : invalid) {
    SCOPED_TRACE(std::string(text));
    EXPECT_FALSE(ParseIpAddress(text).has_value());
  }
  EXPECT_FALSE(ParseIpAddress(std::string(100000, ':')).has_value());
}

TEST(IpAddress, LinkLocalAddressesHaveAZone) {
  const auto address = ParseIpAddress("FE80::1%eth0.7");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->zone, "eth0.7");
  EXPECT_EQ(FormatIpAddress(*address), "fe80::1%eth0.7");
  EXPECT_FALSE(*address == *ParseIpAddress("fe80::1%eth1"));
  EXPECT_FALSE(*address == *ParseIpAddress("fe80::1"));
  EXPECT_EQ(ParseIpAddress("febf::1%3")->zone, "3");
  EXPECT_FALSE(ParseIpAddress("fec0::1%3").has_value());
}

TEST(IpAddress, HasOneSpellingToBeComparedBy) {
  EXPECT_EQ(CanonicalAddress("2001:DB8:0::2"), "2001:db8::2");
  EXPECT_EQ(CanonicalAddress("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(CanonicalAddress("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(CanonicalAddress("FE80::1%eth0"), "fe80::1") << "a zone is one machine's own";
  for (const char* text : {"", "db1", "/tmp", "192.0.2.1/32"})
    EXPECT_EQ(CanonicalAddress(text), "");
}

TEST(IpAddress, LoopbackIsAnotherMachineElsewhere) {
  for (const char* text :
       {"127.0.0.1", "127.0.1.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(IsLoopback(*ParseIpAddress(text))) << text;
  }
  for (const char* text : {"128.0.0.1", "10.0.0.127", "::", "::2", "fe80::1", "1::1"}) {
    EXPECT_FALSE(IsLoopback(*ParseIpAddress(text))) << text;
  }
}

TEST(IpAddress, TextIsNotReadBeyondItsEnd) {
  EXPECT_EQ(ParseIpAddress(std::string_view("1.2.3.45", 7)), ParseIpAddress("1.2.3.4"));
}

TEST(IpAddress, FamiliesWithTheSameBytesDiffer) {
  IpAddress v4;
  IpAddress v6;
  v6.family = IpFamily::kV6;
  EXPECT_FALSE(v4 == v6);
}

TEST(Unmapped, OnlyMappedAddressesChange) {
  const struct {
    const char* from;
    const char* to;
  } cases[] = {
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::ffff:0.0.0.0", "0.0.0.0"},
      {"::ffff:c000:201", "192.0.2.1"},
      {"192.0.2.1", "192.0.2.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::192.0.2.1", "::192.0.2.1"},  // the old "compatible" form is not mapped
      {"::fffe:192.0.2.1", "::fffe:c000:201"},
      {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
      {"1::ffff:192.0.2.1", "1::ffff:c000:201"},
      {"::1", "::1"},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.from);
    const auto address = ParseIpAddress(row.from);
    ASSERT_TRUE(address.has_value());
    EXPECT_EQ(FormatIpAddress(Unmapped(*address)), row.to);
  }
  EXPECT_EQ(Unmapped(*ParseIpAddress("::ffff:192.0.2.1")), *ParseIpAddress("192.0.2.1"));
}

}  // namespace
}  // namespace pg_status
