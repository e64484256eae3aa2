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
      "fe80::1%eth0",
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
