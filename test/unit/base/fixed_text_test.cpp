// Fixed text: whatever a peer sends, what is kept is bounded, terminated, one line and valid UTF-8.
#include "base/fixed_text.hpp"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

// The text as kept in an array of that size, which lies between guards that must stay.
std::string Kept(std::string_view text, std::size_t size) {
  std::string memory(size + 2, '#');
  CopyFixedText(memory.data() + 1, size, text);
  EXPECT_EQ(memory.front(), '#');
  EXPECT_EQ(memory.back(), '#');
  const std::string array = memory.substr(1, size);
  const std::string kept = array.substr(0, array.find('\0'));
  EXPECT_LT(kept.size(), size) << "not terminated";
  EXPECT_EQ(array, kept + std::string(size - kept.size(), '\0')) << "the rest is not zeroed";
  return kept;
}

struct TextCase {
  const char* what;
  std::string_view text;
  std::size_t size;
  std::string_view kept;
};

constexpr TextCase kCases[] = {
    {"empty", "", 8, ""},
    {"room for the terminator only", "abc", 1, ""},
    {"fits", "db1", 8, "db1"},
    {"fits exactly", "1234567", 8, "1234567"},
    {"cut", "12345678", 8, "1234567"},
    {"control characters", "a\tb\nc\x1b[0m\x7f|", 32, "a b c [0m |"},
    {"an embedded NUL", std::string_view("a\0b", 3), 8, "a b"},
    {"valid UTF-8 of 2, 3 and 4 bytes", "\u00e9\u20ac\U0001F418", 16, "\u00e9\u20ac\U0001F418"},
    {"a character fits exactly", "ab\u20ac", 6, "ab\u20ac"},
    {"cut before a character, not in it", "ab\u20ac", 5, "ab"},
    {"nothing small is put behind the cut", "abc\u20acd", 6, "abc"},
    {"control characters of two and three bytes", "a\u0080b\u0085c\u009b2J\u009f|\u2028|\u2029|",
     32, "a b c 2J | | |"},
    // NOLINTNEXTLINE(misc-misleading-bidirectional): that is what it is about
    {"beside them", "\u00a0|\u2027|\u202a", 16, "\u00a0|\u2027|\u202a"},
    {"a control character of two bytes takes the room of a blank", "abc\u0085", 5, "abc "},
    {"the lowest of each length", "\xC2\xA0|\xE0\xA0\x80|\xF0\x90\x80\x80", 16,
     "\xC2\xA0|\xE0\xA0\x80|\xF0\x90\x80\x80"},
    {"the highest of each length", "\xDF\xBF|\xEF\xBF\xBF|\xF4\x8F\xBF\xBF", 16,
     "\xDF\xBF|\xEF\xBF\xBF|\xF4\x8F\xBF\xBF"},
    {"beside the surrogates", "\xED\x9F\xBF|\xEE\x80\x80", 16, "\xED\x9F\xBF|\xEE\x80\x80"},
    {"Latin-1", "caf\xE9 noir", 16, "caf? noir"},
    {"a lone continuation byte", "a\x80z", 8, "a?z"},
    {"an over-long slash", "a\xC0\xAFz", 8, "a??z"},
    {"an over-long three-byte form", "\xE0\x9F\xBFz", 8, "???z"},
    {"an over-long four-byte form", "\xF0\x8F\xBF\xBFz", 8, "????z"},
    {"a surrogate", "\xED\xA0\x80z", 8, "???z"},
    {"beyond Unicode", "\xF4\x90\x80\x80z", 8, "????z"},
    {"bytes that UTF-8 never has", "\xFE\xFF\xF8z", 8, "???z"},
    {"a character broken off at the end", "ab\xE2\x82", 8, "ab??"},
    {"a character broken off by another",
     "\xE2\x82"
     "a\xE2\u00e9",
     8, "??a?\u00e9"},
    {"bytes that are not UTF-8 are cut one by one", "\xFF\xFF\xFF", 3, "??"},
};

TEST(CopyFixedText, KeepsWhatIsSafe) {
  for (const TextCase& row : kCases) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(Kept(row.text, row.size), row.kept);
  }
}

TEST(CopyFixedText, EqualTextsAreEqualArrays) {
  char once[16];
  char twice[16];
  std::memset(once, 'x', sizeof(once));
  CopyFixedText(once, "a much longer text");
  CopyFixedText(once, "db1");
  CopyFixedText(twice, "db1");
  EXPECT_EQ(std::memcmp(once, twice, sizeof(once)), 0);
}

TEST(CopyFixedText, TextWithoutDataIsEmpty) {
  char to[4] = "xyz";
  CopyFixedText(to, std::string_view());
  EXPECT_STREQ(to, "");
}

TEST(CopyFixedText, EveryPairOfBytesIsKeptAsValidText) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char pair[] = {static_cast<char>(first), static_cast<char>(second)};
      char once[8];
      char again[8];
      CopyFixedText(once, std::string_view(pair, 2));
      CopyFixedText(again, once);
      ASSERT_STREQ(once, again) << first << ' ' << second;
      const bool one_control = first == 0xC2 && second >= 0x80 && second < 0xA0;
      ASSERT_EQ(std::strlen(once), one_control ? 1u : 2u) << first << ' ' << second;
    }
  }
}

}  // namespace
}  // namespace pg_status
