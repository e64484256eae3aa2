// Words in lines: what is escaped comes back, and what is no word is refused.
#include "probe/line_text.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

TEST(LineText, EveryByteComesBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string word = Escaped(all);
  for (const char c : word) EXPECT_TRUE(c > ' ' && c <= '~');
  EXPECT_EQ(Unescaped(word, 256), all);
  EXPECT_EQ(Unescaped(word, 255), std::nullopt);
}

TEST(LineText, PlainTextStaysAsItIs) {
  EXPECT_EQ(Escaped("db1:5432"), "db1:5432");
  EXPECT_EQ(Escaped("100% sure"), "100%25%20sure");
  EXPECT_EQ(Escaped(""), "");
}

TEST(LineText, WhatIsNoWordIsRefused) {
  for (const char* word :
       {"", "a b", "a\tb", "a\x7F", "a\xC3\xA4", "%", "%4", "%4g", "%4a", "a%"}) {
    EXPECT_EQ(Unescaped(word, 100), std::nullopt) << word;
  }
}

TEST(LineText, TakesPieceAfterPiece) {
  std::string_view rest = "a  b";
  EXPECT_EQ(Take(rest, ' '), "a");
  EXPECT_EQ(Take(rest, ' '), "");
  EXPECT_EQ(Take(rest, ' '), "b");
  EXPECT_EQ(Take(rest, ' '), "");
  EXPECT_EQ(rest, "");
}

}  // namespace
}  // namespace pg_status
