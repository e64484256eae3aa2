// Facts as text: what is written is read back, what others write is not trusted.
#include "probe/server_facts.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

ServerFacts Standby() {
  ServerFacts facts;
  facts.timeline = 3;
  facts.history = TimelineHistory{1, {{1, 0x5000000}, {2, 0x7000148}}};
  facts.receiver = ReceiverState::kStreaming;
  facts.upstream_host = "10.0.0.1";
  facts.upstream_port = 5432;
  facts.receiver_name = "db2";
  facts.receiver_slot = "db2_slot";
  facts.promoting_since = 1700000000250000;
  facts.oldest_wal = 0x3000000;
  facts.read_only = false;
  facts.address = "10.0.0.2";
  facts.system_identifier = 7000000000000000001;
  facts.postmaster_start = 1700000000250000;
  return facts;
}

constexpr const char* kStandby =
    "facts 1\n"
    "timeline 3\n"
    "history 1\n"
    "fork 1 0/5000000\n"
    "fork 2 0/7000148\n"
    "receiver streaming\n"
    "upstream 10.0.0.1 5432\n"
    "name db2\n"
    "slot db2_slot\n"
    "promoting 1700000000250000\n"
    "oldest_wal 0/3000000\n"
    "read_only off\n"
    "address 10.0.0.2\n"
    "system 7000000000000000001\n"
    "started 1700000000250000\n";

TEST(ServerFacts, AreWrittenALineEach) { EXPECT_EQ(WriteServerFacts(Standby()), kStandby); }

TEST(ServerFacts, AreReadAsTheyWereWritten) {
  EXPECT_EQ(ReadServerFacts(kStandby), Standby());

  ServerFacts facts;
  EXPECT_EQ(WriteServerFacts(facts), "facts 1\n");
  EXPECT_EQ(ReadServerFacts("facts 1\n"), facts) << "nothing is known";

  facts = Standby();
  facts.timeline = std::numeric_limits<std::uint32_t>::max();
  facts.history = TimelineHistory{7, {}};
  facts.receiver = ReceiverState::kConnecting;
  facts.upstream_host = "/tmp/a b%\xC3\xA4\n";
  facts.upstream_port = 0;
  facts.receiver_name = std::string("a\0b", 3);
  facts.promoting_since = std::numeric_limits<WallUs>::max();
  facts.oldest_wal = std::numeric_limits<Lsn>::max();
  facts.read_only = true;
  facts.system_identifier = std::numeric_limits<std::uint64_t>::max();
  facts.postmaster_start = std::numeric_limits<WallUs>::max();
  EXPECT_EQ(ReadServerFacts(WriteServerFacts(facts)), facts);
}

TEST(ServerFacts, OfALaterVersionAreLeftOut) {
  EXPECT_EQ(ReadServerFacts("facts 1\ntimeline 3 live\nweather fine and dry\nread_only on 1\nx\n"),
            ReadServerFacts("facts 1\ntimeline 3\nread_only on\n"));
  EXPECT_EQ(ReadServerFacts("facts 1\ntimeline 3")->timeline, 3U) << "the last newline is missing";
}

TEST(ServerFacts, WithAnotherTitleAreNone) {
  for (const char* text : {"", "facts 1", "facts 2\ntimeline 3\n", "facts 1 \n", "Facts 1\n",
                           "opinions 1\n", "\nfacts 1\n", "facts 10\n"}) {
    EXPECT_FALSE(ReadServerFacts(text)) << text;
  }
}

TEST(ServerFacts, ThatMakeNoSenseAreNone) {
  for (const char* lines : {
           "\n",
           " timeline 3\n",
           "timeline\n",
           "timeline 0\n",
           "timeline -1\n",
           "timeline x\n",
           "timeline  3\n",
           "timeline 4294967296\n",
           "timeline 3\ntimeline 3\n",
           "timeline 3\nhistory 0\n",
           "timeline 3\nhistory 4\n",
           "timeline 3\nhistory x\n",
           "timeline 3\nhistory 1\nhistory 1\n",
           "history 1\n",               // of which timeline?
           "timeline 3\nfork 1 0/5\n",  // without its history
           "timeline 3\nhistory 1\nfork 1\n",
           "timeline 3\nhistory 1\nfork 1 5\n",
           "timeline 3\nhistory 1\nfork 1 0/0\n",
           "timeline 3\nhistory 1\nfork 0 0/5\n",
           "timeline 3\nhistory 1\nfork 3 0/5\n",  // is not older
           "timeline 3\nhistory 1\nfork 4 0/5\n",
           "timeline 3\nhistory 2\nfork 1 0/5\n",              // nothing is known of it
           "timeline 3\nhistory 1\nfork 2 0/5\nfork 1 0/6\n",  // does not rise
           "timeline 3\nhistory 1\nfork 1 0/5\nfork 1 0/6\n",
           "timeline 3\nhistory 1\nfork 1 0/6\nfork 2 0/5\n",  // goes back
           "receiver\n",
           "receiver waiting\n",
           "receiver none\nreceiver none\n",
           "upstream\n",
           "upstream db1\n",
           "upstream db1 0\n",
           "upstream db1 65536\n",
           "upstream  5432\n",
           "upstream db1 5432\nupstream db1 5432\n",
           "name\n",
           "name %\n",
           "name \xC3\xA4\n",
           "name a\nname b\n",
           "slot \n",
           "slot a\nslot a\n",
           "promoting 0\n",
           "promoting -1\n",
           "promoting 9223372036854775808\n",
           "promoting 1\npromoting 1\n",
           "oldest_wal 0/0\n",
           "oldest_wal 5\n",
           "oldest_wal 0/5\noldest_wal 0/5\n",
           "read_only\n",
           "read_only true\n",
           "system 0\n",
           "system -1\n",
           "system 1\nsystem 2\n",
           "started\n",
           "started 1 \nstarted 1\n",
           "read_only on\nread_only off\n",
       }) {
    EXPECT_FALSE(ReadServerFacts(std::string("facts 1\n") + lines)) << lines;
  }
}

TEST(ServerFacts, AreBounded) {
  const std::string comment = "later " + std::string(kMaxFactsBytes - 15, 'x') + "\n";
  ASSERT_EQ(comment.size() + 8, kMaxFactsBytes);
  EXPECT_TRUE(ReadServerFacts("facts 1\n" + comment));
  EXPECT_FALSE(ReadServerFacts("facts 1\n" + comment + "\n"));
  EXPECT_TRUE(ReadServerFacts("facts 1\nname " + std::string(kMaxFactText, 'x') + "\n"));
  EXPECT_FALSE(ReadServerFacts("facts 1\nname " + std::string(kMaxFactText + 1, 'x') + "\n"));

  std::string forks = "facts 1\ntimeline 100\nhistory 1\n";
  for (std::size_t i = 1; i <= kMaxForks; ++i) forks += "fork " + std::to_string(i) + " 0/5\n";
  EXPECT_TRUE(ReadServerFacts(forks));
  EXPECT_FALSE(ReadServerFacts(forks + "fork 99 0/5\n"));
}

TEST(ServerFacts, OfManyForksAreTheNewest) {
  ServerFacts facts;
  facts.timeline = 1000;
  facts.history = TimelineHistory{};
  for (std::uint32_t i = 1; i < 1000; ++i) facts.history->forks.push_back({i, i});
  const auto read = ReadServerFacts(WriteServerFacts(facts));
  ASSERT_TRUE(read && read->history);
  EXPECT_EQ(read->history->from, 1000 - kMaxForks);
  ASSERT_EQ(read->history->forks.size(), kMaxForks);
  EXPECT_EQ(read->history->forks.front().timeline, 1000 - kMaxForks);
  EXPECT_EQ(read->history->forks.back().timeline, 999U);
}

TEST(ServerFacts, AtTheirLongestFit) {
  ServerFacts facts = Standby();
  facts.timeline = std::numeric_limits<std::uint32_t>::max();
  facts.history = TimelineHistory{};
  for (std::uint32_t i = 0; i < kMaxForks; ++i) {
    facts.history->forks.push_back({facts.timeline - 100 + i, std::numeric_limits<Lsn>::max()});
  }
  for (std::string* text :
       {&facts.upstream_host, &facts.receiver_name, &facts.receiver_slot, &facts.address}) {
    text->assign(kMaxFactText, '\n');
  }
  facts.promoting_since = std::numeric_limits<WallUs>::max();
  const std::string text = WriteServerFacts(facts);
  EXPECT_LE(text.size(), kMaxFactsBytes);
  EXPECT_EQ(ReadServerFacts(text), facts);
}

TEST(ServerFacts, WhatTheReaderWouldRefuseIsNotWritten) {
  ServerFacts facts = Standby();
  facts.history->forks[1].end = 1;
  facts.upstream_host.assign(kMaxFactText + 1, 'x');
  facts.upstream_port = 5432;
  facts.receiver_name.clear();
  facts.receiver_slot.assign(kMaxFactText + 1, 'x');
  facts.address.assign(kMaxFactText + 1, 'x');
  facts.promoting_since = 0;
  facts.oldest_wal = kNoLsn;
  facts.system_identifier = 0;
  facts.postmaster_start = -1;
  EXPECT_EQ(WriteServerFacts(facts), "facts 1\ntimeline 3\nreceiver streaming\nread_only off\n");
  facts = ServerFacts();
  facts.upstream_host = "db1";
  facts.upstream_port = 65536;
  EXPECT_EQ(WriteServerFacts(facts), "facts 1\nupstream db1 -\n");
}

}  // namespace
}  // namespace pg_status
