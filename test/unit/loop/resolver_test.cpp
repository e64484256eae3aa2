// Names to addresses, asked of name servers that live in the test: one that answers, one that never
// does. The system's name servers are not asked.
#include "loop/resolver.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loop/scene.hpp"

namespace pg_status {
namespace {

// A name server on a UDP port of 127.0.0.1 (RFC 1035, 4.1). It knows db1.test and, in IPv6 only,
// db2.test; other names do not exist.
class NameServer : public Part {
 public:
  NameServer() : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in place = Loopback(0);
    MustBe(bind(fd_, reinterpret_cast<sockaddr*>(&place), sizeof place) == 0, "bind");
    SetNonBlocking(fd_);
  }
  ~NameServer() override { close(fd_); }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  std::string place() const { return "127.0.0.1:" + std::to_string(PortOf(fd_)); }
  int queries() const { return queries_; }
  bool silent = false;

  void Watch(std::vector<pollfd>& fds) override { fds.push_back({fd_, POLLIN, 0}); }
  void Step() override {
    char bytes[1500];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto* address = reinterpret_cast<sockaddr*>(&from);
    for (ssize_t got = 0; (got = recvfrom(fd_, bytes, sizeof bytes, 0, address, &size)) > 0;) {
      ++queries_;
      if (silent) continue;
      const std::string answer = Answer(std::string(bytes, static_cast<std::size_t>(got)));
      sendto(fd_, answer.data(), answer.size(), 0, address, size);
    }
  }

 private:
  static constexpr std::size_t kHead = 12;

  static std::string Answer(const std::string& query) {
    // labels, each with its length before it; then two bytes each of type and class
    const std::size_t name_end = query.find('\0', kHead);
    MustBe(name_end != std::string::npos && query.size() >= name_end + 5, "a whole question");
    const std::string question = query.substr(kHead, name_end + 5 - kHead);
    std::string name = query.substr(kHead, name_end - kHead);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const char type = query[name_end + 2];

    const bool first = name == "\3db1\4test";
    const bool second = name == "\3db2\4test";
    std::string record;  // the name (where it stands in the question), type, class, 60 s, the data
    if (first && type == 1) {
      record = std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 16);
    } else if (second && type == 28) {
      record = std::string("\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\x0d\xb8\0\0\0\0", 20) +
               std::string("\0\0\0\0\0\0\0\2", 8);
    }
    const char code = first || second ? 0 : 3;  // NXDOMAIN
    std::string head = query.substr(0, 2);
    head += '\x81';
    head += static_cast<char>('\x80' | code);
    head += std::string("\0\1\0", 3) + static_cast<char>(record.empty() ? 0 : 1);
    head += std::string("\0\0\0\0", 4);
    return head + question + record;
  }

  int fd_;
  int queries_ = 0;
};

struct Lookup {
  int answers = 0;
  std::vector<std::string> addresses;
  std::string error;
  bool no_such_name = false;
  Resolver::Callback Take() {
    return [this](Resolver::Found found) {
      ++answers;
      addresses = std::move(found.addresses);
      error = std::move(found.error);
      no_such_name = found.no_such_name;
    };
  }
};

class ResolverTest : public testing::Test {
 protected:
  // Returns whether `lookup` was answered.
  bool Answered(const Lookup& one) {
    return RunUntil({&running, &server}, [&] { return one.answers > 0; });
  }

  static constexpr int kTryMs = 100;
  NameServer server;
  EventLoop loop;
  Running<EventLoop> running{loop, &EventLoop::Run};
  std::unique_ptr<Resolver> resolver = std::make_unique<Resolver>(loop, kTryMs, server.place());
  Lookup lookup;
};

using Addresses = std::vector<std::string>;

TEST_F(ResolverTest, ANameHasAnAddress) {
  resolver->Lookup(&lookup, "db1.test", lookup.Take());
  EXPECT_EQ(lookup.answers, 0) << "not without asking";
  ASSERT_TRUE(Answered(lookup));
  EXPECT_EQ(lookup.addresses, Addresses{"192.0.2.1"});
  EXPECT_GT(server.queries(), 0);
  RunFor({&running, &server}, 3 * kTryMs);
  EXPECT_EQ(lookup.answers, 1) << "once";
}

TEST_F(ResolverTest, AnIpv6AddressIsOneToo) {
  resolver->Lookup(&lookup, "db2.test", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  EXPECT_EQ(lookup.addresses, Addresses{"2001:db8::2"});
}

TEST_F(ResolverTest, ANameThatDoesNotExistIsAnError) {
  resolver->Lookup(&lookup, "nobody.test.", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  EXPECT_EQ(lookup.addresses, Addresses{});
  EXPECT_EQ(lookup.error.rfind("could not resolve the name: ", 0), 0u) << lookup.error;
  EXPECT_NE(lookup.error.find("nsswitch"), std::string::npos)
      << "psql may know it: " << lookup.error;
  EXPECT_TRUE(lookup.no_such_name);
}

// A host that moves is looked for when it is gone, and what it was may be kept for hours.
TEST_F(ResolverTest, AnswersAreNotKept) {
  resolver->Lookup(&lookup, "db1.test.", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  const int queries = server.queries();
  Lookup again;
  resolver->Lookup(&again, "db1.test.", again.Take());
  ASSERT_TRUE(Answered(again));
  EXPECT_GT(server.queries(), queries) << "though the record may be kept for a minute";
}

// (c-ares itself finds it wrong, as it does what "search ." in resolv.conf makes of a good one)
TEST_F(ResolverTest, ANameThatIsNoneIsAnErrorAndNotAskedForEver) {
  resolver->Lookup(&lookup, "db1..test", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  EXPECT_EQ(lookup.addresses, Addresses{});
  EXPECT_TRUE(lookup.no_such_name);
}

// An IPv4 address is answered, too, but c-ares 1.18 asks for it all the same; hosts that are given
// by address are never looked up.
TEST_F(ResolverTest, AnAddressNeedsNoQuery) {
  resolver->Lookup(&lookup, "2001:db8::7", lookup.Take());
  EXPECT_EQ(lookup.answers, 1) << "at once";
  EXPECT_EQ(lookup.addresses, Addresses{"2001:db8::7"});
  EXPECT_EQ(server.queries(), 0);
}

TEST_F(ResolverTest, ASilentNameServerFailsInTimeAndHoldsUpNobody) {
  server.silent = true;
  const MonoUs start = EventLoop::Now();
  resolver->Lookup(&lookup, "db1.test.", lookup.Take());
  Lookup other;
  resolver->Lookup(&other, "2001:db8::8", other.Take());
  EXPECT_EQ(other.answers, 1) << "another lookup is answered meanwhile";
  EXPECT_EQ(lookup.answers, 0);
  int rounds = 0;
  ASSERT_TRUE(RunUntil({&running, &server}, [&] {
    ++rounds;
    return lookup.answers > 0;
  }));
  EXPECT_GE(EventLoop::Now() - start, kTryMs * kUsPerMs);
  EXPECT_LE(EventLoop::Now() - start, 5 * kUsPerSecond);
  EXPECT_GT(rounds, 3) << "the loop ran meanwhile: it did not wait for the answer itself";
  EXPECT_EQ(lookup.addresses, Addresses{});
  EXPECT_NE(lookup.error, "");
  EXPECT_FALSE(lookup.no_such_name) << "nobody has said so";
  EXPECT_GE(server.queries(), 2) << "it is asked more than once";
}

TEST_F(ResolverTest, ANameServerThatIsNotThereFails) {
  std::string nowhere;
  {
    NameServer gone;
    nowhere = gone.place();
  }
  Resolver lost(loop, kTryMs, nowhere);
  lost.Lookup(&lookup, "db1.test.", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  EXPECT_NE(lookup.error, "");
}

TEST_F(ResolverTest, NameServersThatAreNoneAreAnErrorNotTheSystems) {
  Resolver broken(loop, kTryMs, "no address");
  broken.Lookup(&lookup, "db1.test.", lookup.Take());
  ASSERT_TRUE(Answered(lookup));
  EXPECT_EQ(lookup.error, "the resolver could not be set up");
}

TEST_F(ResolverTest, TheEndOfTheResolverDuringAQueryIsNoAnswer) {
  server.silent = true;
  resolver->Lookup(&lookup, "db1.test.", lookup.Take());
  ASSERT_TRUE(RunUntil({&running, &server}, [&] { return server.queries() > 0; }));
  resolver.reset();
  loop.Run();
  EXPECT_EQ(lookup.answers, 0);
  EXPECT_EQ(loop.timeout_ms(), -1) << "nothing is left behind";
}

TEST_F(ResolverTest, WhoIsForgottenGetsNoAnswerAndMayAskAgain) {
  server.silent = true;
  resolver->Lookup(&lookup, "db1.test.", lookup.Take());
  ASSERT_TRUE(RunUntil({&running, &server}, [&] { return server.queries() > 0; }));
  resolver->Forget(&lookup);
  server.silent = false;
  Lookup again;
  resolver->Lookup(&lookup, "db2.test.", again.Take());
  ASSERT_TRUE(Answered(again));
  EXPECT_EQ(again.addresses, Addresses{"2001:db8::2"}) << "the answer to the later wish";
  RunFor({&running, &server}, 4 * kTryMs);
  EXPECT_EQ(lookup.answers, 0);
  EXPECT_EQ(again.answers, 1);
}

TEST_F(ResolverTest, ASecondWishIsServedByTheLookupThatRuns) {
  Lookup second;
  resolver->Lookup(this, "db1.test.", lookup.Take());
  resolver->Lookup(this, "db1.test.", second.Take());
  ASSERT_TRUE(Answered(second));
  EXPECT_EQ(second.addresses, Addresses{"192.0.2.1"});
  EXPECT_EQ(lookup.answers, 0) << "who asked earlier is the same owner";
}

TEST_F(ResolverTest, ManyNamesAtOnce) {
  std::vector<Lookup> lookups(100);
  for (Lookup& one : lookups) resolver->Lookup(&one, "db1.test.", one.Take());
  EXPECT_TRUE(RunUntil({&running, &server}, [&] {
    return std::all_of(lookups.begin(), lookups.end(),
                       [](const Lookup& one) { return one.answers == 1; });
  }));
  for (const Lookup& one : lookups) EXPECT_EQ(one.addresses, Addresses{"192.0.2.1"});
}

TEST_F(ResolverTest, SettingsAreReadAnewWhenNothingIsUnderWay) {
  resolver->Lookup(&lookup, "db1.test.", lookup.Take());
  resolver->Reload();
  ASSERT_TRUE(Answered(lookup)) << "what is under way is not disturbed";
  EXPECT_EQ(lookup.addresses, Addresses{"192.0.2.1"});
  resolver->Reload();
  Lookup again;
  resolver->Lookup(&again, "db2.test.", again.Take());
  ASSERT_TRUE(Answered(again));
  EXPECT_EQ(again.addresses, Addresses{"2001:db8::2"});
}

}  // namespace
}  // namespace pg_status
