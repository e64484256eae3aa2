// Comma lists: how settings are cut into entries, and how an entry is shown in an error.
#include "config/list.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

using Strings = std::vector<std::string>;

Strings EntriesOf(std::string_view text) {
  Strings entries;
  for (ListReader list(text); list.Next();) {
    entries.emplace_back(list.entry());
    EXPECT_EQ(list.position(), entries.size());
  }
  return entries;
}

TEST(ListReader, CutsAtCommasAndDropsBlanksAroundEntries) {
  EXPECT_EQ(EntriesOf("a"), Strings({"a"}));
  EXPECT_EQ(EntriesOf("a,b,c"), Strings({"a", "b", "c"}));
  EXPECT_EQ(EntriesOf(" \n a x=1 ,\r\n\tb \v\f"), Strings({"a x=1", "b"}));
}

TEST(ListReader, BlankTextHasNoEntries) {
  EXPECT_EQ(EntriesOf(""), Strings());
  EXPECT_EQ(EntriesOf(std::string_view()), Strings());
  EXPECT_EQ(EntriesOf(" \t\r\n"), Strings());
}

TEST(ListReader, CommasMakeEmptyEntriesAtEitherEnd) {
  EXPECT_EQ(EntriesOf(","), Strings({"", ""}));
  EXPECT_EQ(EntriesOf("a,"), Strings({"a", ""}));
  EXPECT_EQ(EntriesOf(" , a"), Strings({"", "a"}));
  EXPECT_EQ(EntriesOf("a, ,b"), Strings({"a", "", "b"}));
}

TEST(Quoted, ShowsShortTextWhole) {
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("db1:5432"), "\"db1:5432\"");
  const std::string longest(kMaxQuotedBytes, 'x');
  EXPECT_EQ(Quoted(longest), '"' + longest + '"');
}

TEST(Quoted, CutsLongTextToTheBound) {
  const std::string quoted = Quoted(std::string(kMaxQuotedBytes + 1, 'x'));
  EXPECT_EQ(quoted, '"' + std::string(kMaxQuotedBytes - 3, 'x') + "...\"");
  // 26 characters of three bytes are 78 bytes: the last one does not fit beside the dots
  std::string euros;
  for (int i = 0; i < 30; ++i) euros += "\u20ac";
  EXPECT_EQ(Quoted(euros), '"' + euros.substr(0, 25 * 3) + "...\"");
}

TEST(Quoted, NeutralisesWhatWouldHarmALog) {
  EXPECT_EQ(Quoted("a\nb\x1b\xff"), "\"a b ?\"");
  EXPECT_EQ(Quoted(std::string_view("a\0b", 3)), "\"a b\"");
}

TEST(EntryErrors, AreSentences) {
  EXPECT_EQ(EntryError("db1", "is wrong").message, "entry \"db1\" is wrong");
  EXPECT_EQ(EmptyEntryError(2).message, "entry 2 of the list is empty");
}

}  // namespace
}  // namespace pg_status
