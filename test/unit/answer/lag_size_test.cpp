// Lag sizes: what is one, and what is refused.
#include "answer/lag_size.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace pg_status {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

struct Size {
  const char* text;
  std::uint64_t bytes;
};

class LagSizeGood : public testing::TestWithParam<Size> {};

TEST_P(LagSizeGood, IsBytes) { EXPECT_EQ(ParseLagSize(GetParam().text), GetParam().bytes); }

INSTANTIATE_TEST_SUITE_P(
    All, LagSizeGood,
    testing::Values(Size{"0", 0}, Size{"1", 1}, Size{"10485760", 10485760}, Size{"007", 7},
                    Size{"18446744073709551615", kMax}, Size{"0B", 0}, Size{"5B", 5},
                    Size{"1kB", 1024}, Size{"10MB", 10485760}, Size{"2GB", 2147483648},
                    Size{"1TB", 1099511627776}, Size{"16777215TB", 18446742974197923840U},
                    Size{"0MB", 0}, Size{"1.5MB", 1572864}, Size{".5kB", 512}, Size{"2.kB", 2048},
                    Size{"0.0001kB", 0}, Size{"1.6B", 2}, Size{"10 MB", 10485760}, Size{" 10 ", 10},
                    Size{"\t10\tMB ", 10485760},
                    // beyond what a double holds exactly
                    Size{"9007199254740993", 9007199254740993},
                    Size{"9007199254740993B", 9007199254740993}));

class LagSizeBad : public testing::TestWithParam<const char*> {};

TEST_P(LagSizeBad, IsRefused) { EXPECT_EQ(ParseLagSize(GetParam()), std::nullopt); }

INSTANTIATE_TEST_SUITE_P(All, LagSizeBad,
                         testing::Values("", " ", "abc", "-1", "-1MB", "+1", "1.5", "1.", ".",
                                         ".MB", "MB", "B", "1 0MB", "10mb", "10Mb", "10KB", "10kb",
                                         "10M", "10PB", "10MBB", "10 M B", "10MB x", "1.2.3MB",
                                         "1e3", "1e3MB", "0x10", "10MB,", "18446744073709551616",
                                         "16777216TB", "16777216.0TB", "99999999999999999999TB",
                                         "nan", "inf", "1\n",
                                         "\xC2\xA0"
                                         "1"));

TEST(LagSize, RefusesWhatIsLongAndWrong) {
  EXPECT_EQ(ParseLagSize(std::string(16000, '9')), std::nullopt);
  EXPECT_EQ(ParseLagSize(std::string(16000, '9') + "MB"), std::nullopt);
  EXPECT_EQ(ParseLagSize("0." + std::string(16000, '9') + "MB"), std::nullopt);
  EXPECT_EQ(ParseLagSize("0." + std::string(16000, '0') + "1MB"), 0U);
}

}  // namespace
}  // namespace pg_status
