// Numbers: the whole text or nothing.
#include "base/number.hpp"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

TEST(ParseUint64, ReadsDecimalDigits) {
  EXPECT_EQ(ParseUint64("0"), 0u);
  EXPECT_EQ(ParseUint64("007"), 7u);
  EXPECT_EQ(ParseUint64("5432"), 5432u);
  EXPECT_EQ(ParseUint64("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(ParseUint64(std::string_view("5432", 2)), 54u);
}

TEST(ParseUint64, RefusesAllElse) {
  const std::string_view invalid[] = {
      "",
      "-1",
      "-0",
      "+1",
      " 1",
      "1 ",
      "1\n",
      "1.0",
      "0x10",
      "1e3",
      "a",
      "1a",
      ",",
      "1,000",
      "18446744073709551616",
      "99999999999999999999999999",
      std::string_view("1\0", 2),
  };
  for (const std::string_view text : invalid) {
    SCOPED_TRACE(std::string(text));
    EXPECT_EQ(ParseUint64(text), std::nullopt);
  }
  EXPECT_EQ(ParseUint64(std::string_view()), std::nullopt);
}

TEST(ParseDecimal, ReadsTheNearestDouble) {
  const struct {
    const char* text;
    double value;
  } valid[] = {
      {"0", 0},
      {"1", 1},
      {"0.5", 0.5},
      {".5", 0.5},
      {"2.", 2},
      {"0.1", 0.1},
      {"1000", 1000},
      {"00012.50", 12.5},
      {"0.000001", 0.000001},
      {"123456.789012345", 123456.789012345},
      {"999999999999999", 999999999999999.0},
      {"0.0000000000000000000000", 0},
      {"000000000000000000000000000001", 1},
  };
  for (const auto& row : valid) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ParseDecimal(row.text), row.value);
  }
}

TEST(ParseDecimal, RefusesAllElse) {
  const std::string_view invalid[] = {
      "",
      ".",
      "..",
      "1..2",
      "1.2.3",
      "-1",
      "+1",
      "-0",
      " 1",
      "1 ",
      "1,5",
      "1e3",
      "1E3",
      "0x1p3",
      "inf",
      "nan",
      "infinity",
      "1f",
      "one",
      "1234567890123456",
      "0.1234567890123456",
      "1.000000000000000",
      std::string_view("1\0", 2),
  };
  for (const std::string_view text : invalid) {
    SCOPED_TRACE(std::string(text));
    EXPECT_EQ(ParseDecimal(text), std::nullopt);
  }
}

TEST(ParseDecimal, EndlessZerosAreHarmless) {
  const std::string zeros(100000, '0');
  EXPECT_EQ(ParseDecimal("0." + zeros), 0.0);
  EXPECT_EQ(ParseDecimal("0." + zeros + "1"), 0.0);
  EXPECT_EQ(ParseDecimal(zeros + "1"), 1.0);
  EXPECT_EQ(ParseDecimal("1" + zeros), std::nullopt);
}

}  // namespace
}  // namespace pg_status
