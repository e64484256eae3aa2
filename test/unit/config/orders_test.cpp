// Operators' orders as text: what was written is read again, and nothing else is.
#include "config/orders.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

PgstOrder OrderOf(std::string_view host, std::string_view reason) {
  PgstOrder order{};
  CopyFixedText(order.host, host);
  CopyFixedText(order.hostname, "10.0.0.1");
  order.port = 5432;
  CopyFixedText(order.reason, reason);
  order.maintenance = PGST_MAINT;
  order.since_wall = 1700000000000000;
  return order;
}

bool Same(const PgstOrder& a, const PgstOrder& b) {
  return FixedText(a.host) == FixedText(b.host) && FixedText(a.hostname) == FixedText(b.hostname) &&
         a.port == b.port && FixedText(a.reason) == FixedText(b.reason) &&
         a.maintenance == b.maintenance && a.forced == b.forced && a.self == b.self &&
         a.since_wall == b.since_wall;
}

TEST(Orders, AreReadAsTheyWereWritten) {
  PgstOrder plain = OrderOf("10.0.0.1:5432", "kernel update,  until noon");
  PgstOrder drained = OrderOf("[::1]:5433", "");
  drained.maintenance = PGST_DRAIN;
  drained.self = 1;
  drained.forced = 1;
  PgstOrder long_one = OrderOf(std::string(263, 'h'), std::string(200, 'r'));
  PgstOrder foreign = OrderOf("knoten-ä", "größer – ☃");
  const std::string text =
      WriteOrder(plain) + WriteOrder(drained) + WriteOrder(long_one) + WriteOrder(foreign);

  const auto read = ParseOrders(text, 4);
  ASSERT_TRUE(read) << read.error();
  ASSERT_EQ(read->size(), 4U);
  EXPECT_TRUE(Same(read.value()[0], plain));
  EXPECT_TRUE(Same(read.value()[1], drained));
  EXPECT_TRUE(Same(read.value()[2], long_one));
  EXPECT_TRUE(Same(read.value()[3], foreign));
}

TEST(Orders, HaveALinePeopleCanRead) {
  PgstOrder order = OrderOf("db1", "new disks");
  order.self = 1;
  EXPECT_EQ(WriteOrder(order), "maint here plain 1700000000000000 db1 10.0.0.1 5432 new disks\n");
}

TEST(Orders, OfWeightAloneAreNotKept) {
  PgstOrder order{};
  CopyFixedText(order.host, "db1");
  order.has_weight = 1;
  EXPECT_EQ(WriteOrder(order), "");
}

TEST(Orders, NoTextIsNoOrders) {
  const auto read = ParseOrders("", 0);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->empty());
}

TEST(Orders, AReasonThatBeginsWithABlankKeepsIt) {
  const auto read = ParseOrders("maint there plain 1 db1 h 1  x \n", 1);
  ASSERT_TRUE(read);
  EXPECT_EQ(FixedText(read->at(0).reason), " x ");
}

class DamagedOrders : public testing::TestWithParam<const char*> {};

TEST_P(DamagedOrders, AreRefused) {
  const auto read = ParseOrders(GetParam(), 2);
  EXPECT_FALSE(read);
}

INSTANTIATE_TEST_SUITE_P(
    Each, DamagedOrders,
    testing::Values("maint there plain 1 db1 h 1 why",         // no line end
                    "\n", "maint\n", "maint there plain 1\n",  // too short
                    "maint there plain 1 db1\n", "maint there plain 1 db1 h\n",
                    "maint there plain 1  h 1\n", "maint there plain 1 db1  1\n",  // no host
                    "stop there plain 1 db1 h 1\n",                                // unknown words
                    "maint everywhere plain 1 db1 h 1\n", "maint there hard 1 db1 h 1\n",
                    "maint there plain -1 db1 h 1\n",                   // no time
                    "maint there plain 9223372036854775808 db1 h 1\n",  // beyond every time
                    "maint there plain 1 db1 h x\n", "maint there plain 1 db1 h 65536\n",
                    "maint there plain 1 db\x01 h 1 x\n",  // what no name has
                    "maint there plain 1 db1 h\x01 1 x\n", "maint there plain 1 db1 h 1 a\tb\n",
                    "maint there plain 1 db1 h 1 \xff\n",
                    "maint there plain 1 a h 1\nmaint there plain 2 a g 1\n",  // twice
                    "maint there plain 1 a h 1\nmaint there plain 1 b h 2\n"
                    "maint there plain 1 c h 3\n"));

TEST(Orders, AreForAHostByItsNameOrItsPlace) {
  const PgstOrder order = OrderOf("db1", "");
  EXPECT_TRUE(IsFor(order, "db1", "10.0.0.1", 5432));
  EXPECT_TRUE(IsFor(order, "db1", "10.0.0.2", 5433)) << "it has moved";
  EXPECT_TRUE(IsFor(order, "other", "10.0.0.1", 5432)) << "it is called something else now";
  EXPECT_FALSE(IsFor(order, "other", "10.0.0.1", 5433));
  EXPECT_FALSE(IsFor(order, "other", "10.0.0.2", 5432));
}

TEST(Orders, TheErrorNamesTheLine) {
  const auto read = ParseOrders("maint there plain 1 a h 1\nmaint there plain x b h 2\n", 4);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), "line 2 is no order");
}

TEST(Orders, TooLongAReasonIsDamage) {
  const std::string reason(201, 'r');
  EXPECT_FALSE(ParseOrders("maint there plain 1 db1 h 1 " + reason + "\n", 1));
}

}  // namespace
}  // namespace pg_status
