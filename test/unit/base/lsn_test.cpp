// LSNs: what pg_lsn prints must be read exactly, anything else not at all.
#include "base/lsn.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

struct LsnCase {
  const char* text;
  Lsn lsn;
  const char* formatted;
};

constexpr LsnCase kValid[] = {
    {"0/0", kNoLsn, "0/0"},
    {"0/3000060", 0x3000060, "0/3000060"},
    {"16/B374D848", 0x16B374D848, "16/B374D848"},
    {"16/b374d848", 0x16B374D848, "16/B374D848"},
    // the low half is not padded: 1/0 is one past 0/FFFFFFFF
    {"0/FFFFFFFF", 0xFFFFFFFF, "0/FFFFFFFF"},
    {"1/0", 0x100000000, "1/0"},
    {"00000001/0000000A", 0x10000000A, "1/A"},
    {"FFFFFFFF/FFFFFFFF", std::numeric_limits<Lsn>::max(), "FFFFFFFF/FFFFFFFF"},
};

TEST(Lsn, WhatTheServerPrintsIsReadAndPrintedAlike) {
  for (const LsnCase& row : kValid) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ParseLsn(row.text), row.lsn);
    EXPECT_EQ(FormatLsn(row.lsn), row.formatted);
  }
}

TEST(Lsn, AnythingElseIsNotAnLsn) {
  const std::string_view invalid[] = {
      "",
      "/",
      "0",
      "0/",
      "/0",
      "0/0/0",
      " 0/0",
      "0/0 ",
      "0 /0",
      "0/0\n",
      "-1/0",
      "0/-1",
      "+1/0",
      "0x1/0",
      "0/0x1",
      "G/0",
      "0/G",
      "000000001/0",
      "0/000000001",
      "123456789/0",
      "0/123456789",
      std::string_view("0/0\0", 4),
  };
  for (const std::string_view text : invalid) {
    SCOPED_TRACE(std::string(text));
    EXPECT_EQ(ParseLsn(text), std::nullopt);
  }
}

TEST(Lsn, TextIsNotReadBeyondItsEnd) {
  EXPECT_EQ(ParseLsn(std::string_view("1/23", 3)), Lsn{0x100000002});
}

}  // namespace
}  // namespace pg_status
