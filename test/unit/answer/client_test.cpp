// A client connection from its first byte to its last: order, limits, time and memory.
#include "answer/client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
// Not every compiler that has these functions has their header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           std::size_t),
                                                         void (*on_free)(const volatile void*));
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace pg_status {
namespace {

using namespace std::string_view_literals;

// Answers with what it was asked, so that a conversation can be read.
class Echo : public Service {
 public:
  Port port() const override { return Port::kCheck; }
  // For half a minute, while the generation is this one: what has the parameter "wait".
  std::optional<Patience> PatienceOf(const Request& request) const override {
    if (!request.Parameter("wait")) return std::nullopt;
    return Patience{7, 30 * kUsPerSecond};
  }
  void AnswerHttp(const Request& request, bool close, std::string& out) override {
    constexpr std::string_view kMethods[] = {"GET", "HEAD", "OPTIONS", "other"};
    out += "[";
    out += kMethods[static_cast<int>(request.method)];
    Say(request, out);
    if (request.has_body) out += " body";
    if (close) out += " close";
    out += "]";
    out.append(padding, '.');
  }
  void AnswerLine(const Request& request, std::string& out) override {
    out += "[line";
    Say(request, out);
    out += "]\n";
  }
  void AnswerBad(int status, std::string_view help, std::string& out) override {
    out += "[" + std::to_string(status) + (help.empty() ? "" : " help") + "]";
  }

  std::size_t padding = 0;

 private:
  static void Say(const Request& request, std::string& out) {
    out += request.path_ok ? " " : " broken ";
    out += request.path;
    for (const auto& [name, value] : request.query) {
      out.append(" ").append(name).append("=").append(value);
    }
  }
};

constexpr MonoUs kStart = 1000 * kUsPerSecond;
constexpr ClientLimits kLimits;
constexpr std::string_view kClosingGet = "GET /z HTTP/1.1\r\nConnection: close\r\n\r\n";

std::string Get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

struct Connection {
  Echo service;
  Client client{service, kLimits, kStart};

  std::string Take() {
    std::string taken(client.output());
    client.Sent(taken.size(), kStart);
    return taken;
  }
};

// ---- conversations ----------------------------------------------------------------------------

struct Conversation {
  std::string_view name;
  std::string sent;
  std::string answered;
  bool ends;  // without the client ending its side
};

std::vector<Conversation> Conversations() {
  const std::string a = Get("/a");
  const std::string line(RequestReader::kMaxLine, 'x');
  return {
      {"one request", a, "[GET /a]", false},
      {"three pipelined requests", a + Get("/b?x=1") + "HEAD /c HTTP/1.1\r\n\r\n",
       "[GET /a][GET /b x=1][HEAD /c]", false},
      {"empty lines between requests", a + "\r\n" + a + "\r\n\r\n" + a, "[GET /a][GET /a][GET /a]",
       false},
      {"a request and half of the next", a + "GET /b HTT", "[GET /a]", false},
      {"close is the last one", a + std::string(kClosingGet) + a, "[GET /a][GET /z close]", true},
      {"1.0 closes", "GET /a HTTP/1.0\r\n\r\n" + a, "[GET /a close]", true},
      {"1.0 stays when asked to", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + a,
       "[GET /a][GET /a]", false},
      {"broken escape does not end it", Get("/%zz") + a, "[GET broken /][GET /a]", false},
      {"httpchk", "OPTIONS / HTTP/1.0\r\n\r\n", "[OPTIONS / close]", true},
      {"other method", "DELETE /a HTTP/1.1\r\n\r\n" + a, "[other /a][GET /a]", false},
      {"content-length 0", "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + a,
       "[other /a][GET /a]", false},
      {"body", "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" + a, "[other /a body close]",
       true},
      {"chunked body", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + a,
       "[other /a body close]", true},
      {"two lengths", "GET /a HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + a,
       "[400]", true},
      {"negative length", a + "GET /a HTTP/1.1\r\nContent-Length: -5\r\n\r\n" + a, "[GET /a][400]",
       true},
      {"line", "replica?lag_ms=5\r\n", "[line /replica lag_ms=5]\n", true},
      {"only the first line", "master\nreplica\n" + a, "[line /master]\n", true},
      {"enter", "\r\n", "[line /]\n", true},
      {"enter, then HTTP", "\n" + a, "[line /]\n", true},
      {"unfinished line", "replica", "", false},
      {"line at the limit", line + "\n", "[line /" + line + "]\n", true},
      {"line over the limit", line + "x\n", "[431]", true},
      {"LF alone", "GET /a HTTP/1.1\nHost: x\n\n", "[400 help]", true},
      {"LF alone later", a + "GET /a HTTP/1.1\r\nHost: x\n\n", "[GET /a][400 help]", true},
      {"a line after HTTP", a + "master\n", "[GET /a][400]", true},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00"sv), "[400]", true},
      {"NULs", std::string(20, '\0'), "[400]", true},
      {"HTTP, then TLS", a + std::string("\x16\x03\x01\r\n\r\n"), "[GET /a][400]", true},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "[400]", true},
      {"nothing", "", "", false},
  };
}

// Sends the pieces one after the other, taking all output in between.
std::string Talk(Connection& connection, const std::vector<std::string_view>& pieces) {
  std::string answered;
  for (std::string_view piece : pieces) {
    connection.client.Receive(piece, kStart);
    answered += connection.Take();
  }
  return answered;
}

TEST(ClientConversation, AtOnce) {
  for (const Conversation& c : Conversations()) {
    Connection connection;
    EXPECT_EQ(Talk(connection, {c.sent}), c.answered) << c.name;
    EXPECT_EQ(connection.client.finished(), c.ends) << c.name;
    EXPECT_EQ(connection.client.wants_input(), !c.ends) << c.name;
  }
}

TEST(ClientConversation, CutInTwoAnywhere) {
  for (const Conversation& c : Conversations()) {
    const std::string_view sent = c.sent;
    for (std::size_t cut = 0; cut <= sent.size(); ++cut) {
      Connection connection;
      ASSERT_EQ(Talk(connection, {sent.substr(0, cut), sent.substr(cut)}), c.answered)
          << c.name << " at " << cut;
      ASSERT_EQ(connection.client.finished(), c.ends) << c.name << " at " << cut;
    }
  }
}

TEST(ClientConversation, ByteByByte) {
  for (const Conversation& c : Conversations()) {
    Connection connection;
    std::vector<std::string_view> bytes;
    for (const char& byte : c.sent) bytes.emplace_back(&byte, 1);
    EXPECT_EQ(Talk(connection, bytes), c.answered) << c.name;
    EXPECT_EQ(connection.client.finished(), c.ends) << c.name;
  }
}

TEST(ClientConversation, EndOfInputAtAnyByteEndsItOnceWhatIsCompleteIsAnswered) {
  for (const Conversation& c : Conversations()) {
    for (std::size_t end = 0; end <= c.sent.size(); ++end) {
      Connection connection;
      connection.client.Receive(std::string_view(c.sent).substr(0, end), kStart);
      connection.client.EndOfInput(kStart);
      EXPECT_FALSE(connection.client.wants_input());
      const std::string answered = connection.Take();
      ASSERT_EQ(c.answered.substr(0, answered.size()), answered) << c.name << " until " << end;
      ASSERT_TRUE(connection.client.finished()) << c.name << " until " << end;
      if (end == c.sent.size()) {
        EXPECT_EQ(answered, c.answered) << c.name;
      }
    }
  }
}

TEST(ClientConversation, FiftyPipelinedRequestsInOrder) {
  Connection connection;
  std::string sent;
  std::string answered;
  for (int i = 0; i < 50; ++i) {
    sent += Get("/" + std::to_string(i));
    answered += "[GET /" + std::to_string(i) + "]";
  }
  EXPECT_EQ(Talk(connection, {sent}), answered);
  EXPECT_TRUE(connection.client.wants_input());
}

TEST(ClientConversation, HeadAtTheEdge) {
  const std::string begin = "GET /a HTTP/1.1\r\nCookie: ";
  const std::string edge(RequestReader::kMaxHead - begin.size() - 4, 'c');
  Connection exact;
  EXPECT_EQ(Talk(exact, {begin + edge + "\r\n\r\n" + Get("/b")}), "[GET /a][GET /b]");
  Connection over;
  EXPECT_EQ(Talk(over, {begin + edge + "c\r\n\r\n" + Get("/b")}), "[431]");
  EXPECT_TRUE(over.client.finished());
}

TEST(ClientConversation, NothingIsSaidAfterTheLastAnswer) {
  Connection connection;
  connection.client.Receive(kClosingGet, kStart);
  EXPECT_FALSE(connection.client.wants_input());
  EXPECT_FALSE(connection.client.finished());
  connection.client.Receive(Get("/more"), kStart);
  connection.client.EndOfInput(kStart);
  EXPECT_EQ(connection.Take(), "[GET /z close]");
  EXPECT_TRUE(connection.client.finished());
  connection.client.Receive(Get("/more"), kStart);
  EXPECT_EQ(connection.client.output(), "");
}

TEST(ClientConversation, BytesAfterTheEndOfInputAreNotRead) {
  Connection connection;
  connection.client.EndOfInput(kStart);
  EXPECT_TRUE(connection.client.finished());
  connection.client.Receive(Get("/a"), kStart);
  EXPECT_TRUE(connection.client.finished());
}

// ---- requests that are held back --------------------------------------------------------------

// What is answered before a hold ends, and after each that does.
std::vector<std::string> HoldByHold(Connection& connection,
                                    const std::vector<std::string_view>& pieces) {
  std::vector<std::string> answered(1);
  for (const std::string_view piece : pieces) {
    // what comes while it reads nothing lies in the kernel until then
    while (connection.client.held()) {
      connection.client.EndHold(kStart);
      answered.push_back(connection.Take());
    }
    connection.client.Receive(piece, kStart);
    answered.back() += connection.Take();
  }
  while (connection.client.held()) {
    EXPECT_FALSE(connection.client.wants_input());
    EXPECT_FALSE(connection.client.idle());
    EXPECT_FALSE(connection.client.finished());
    connection.client.EndHold(kStart);
    answered.push_back(connection.Take());
  }
  return answered;
}

TEST(ClientHold, AnswersStayInTheirOrder) {
  Connection connection;
  const std::string sent = Get("/a") + Get("/b?wait=1") + Get("/c") + Get("/d?wait") + Get("/e");
  EXPECT_EQ(
      HoldByHold(connection, {sent}),
      std::vector<std::string>({"[GET /a]", "[GET /b wait=1][GET /c]", "[GET /d wait=][GET /e]"}));
  EXPECT_TRUE(connection.client.wants_input());
  EXPECT_TRUE(connection.client.idle());
}

TEST(ClientHold, TellsWhatItWaitsFor) {
  Connection connection;
  connection.client.Receive(Get("/a?wait"), kStart);
  ASSERT_TRUE(connection.client.held());
  EXPECT_EQ(connection.client.held()->generation, 7u);
  EXPECT_EQ(connection.client.held()->until, kStart + 30 * kUsPerSecond);
}

TEST(ClientHold, CutInTwoAnywhere) {
  const struct {
    std::string sent;
    std::vector<std::string> answered;
    bool ends;
  } kCases[] = {
      {Get("/a?wait") + Get("/b"), {"", "[GET /a wait=][GET /b]"}, false},
      {Get("/a") + "GET /b?wait HTTP/1.0\r\n\r\n", {"[GET /a]", "[GET /b wait= close]"}, true},
      {"hosts?wait=1\n", {"", "[line /hosts wait=1]\n"}, true},
      {"hosts?wait=1\r\nmore\n", {"", "[line /hosts wait=1]\n"}, true},
  };
  for (const auto& c : kCases) {
    const std::string_view sent = c.sent;
    std::string all;
    for (const std::string& answered : c.answered) all += answered;
    for (std::size_t cut = 0; cut <= sent.size(); ++cut) {
      Connection connection;
      std::string answered;
      for (const std::string& part :
           HoldByHold(connection, {sent.substr(0, cut), sent.substr(cut)})) {
        answered += part;
      }
      ASSERT_EQ(answered, all) << sent << " at " << cut;
      ASSERT_EQ(connection.client.finished(), c.ends) << sent << " at " << cut;
    }
    Connection connection;
    EXPECT_EQ(HoldByHold(connection, {sent}), c.answered) << sent;
  }
}

TEST(ClientHold, WhatWasToBeSentIsStillSent) {
  Connection connection;
  connection.service.padding = 100;
  connection.client.Receive(Get("/a") + Get("/b?wait"), kStart);
  ASSERT_TRUE(connection.client.held());
  EXPECT_EQ(connection.client.output().size(), 8u + 100u);
  connection.client.EndHold(kStart);
  const std::string all(connection.client.output());
  EXPECT_NE(all.find("[GET /b wait=]"), std::string::npos) << "behind the other";
}

// A client that goes away ends its side, as one does that has said all it wants.
TEST(ClientHold, WhoEndsHisSideIsAnsweredAtOnceOverHttp) {
  Connection connection;
  connection.client.Receive(Get("/a?wait"), kStart);
  connection.client.Leaves(kStart);
  EXPECT_FALSE(connection.client.held());
  EXPECT_EQ(connection.Take(), "[GET /a wait=]");
  EXPECT_TRUE(connection.client.wants_input()) << "there may be more that was sent before";
  connection.client.Receive(Get("/b?wait"), kStart);
  EXPECT_EQ(connection.Take(), "[GET /b wait=]") << "which is not waited for, either";
  connection.client.EndOfInput(kStart);
  EXPECT_TRUE(connection.client.finished());
}

TEST(ClientHold, NobodyWaitsBehindTheEndOfTheInput) {
  Connection connection;
  connection.client.Receive(Get("/a?wait") + Get("/b?wait") + "GET /half", kStart);
  connection.client.EndOfInput(kStart);
  EXPECT_EQ(connection.Take(), "[GET /a wait=][GET /b wait=]");
  EXPECT_TRUE(connection.client.finished());
}

TEST(ClientHold, AScriptsLineWaitsAfterTheEndOfItsInput) {
  for (const bool is_told : {false, true}) {
    Connection connection;
    connection.client.Receive("hosts?wait=1\n", kStart);
    if (is_told) {
      connection.client.Leaves(kStart);
    } else {
      connection.client.EndOfInput(kStart);
    }
    ASSERT_TRUE(connection.client.held());
    EXPECT_FALSE(connection.client.finished());
    connection.client.EndHold(kStart);
    EXPECT_EQ(connection.Take(), "[line /hosts wait=1]\n");
    EXPECT_TRUE(connection.client.finished());
  }
}

TEST(ClientHold, NothingIsHeldNothingEnds) {
  Connection connection;
  connection.client.Receive(Get("/a"), kStart);
  EXPECT_EQ(connection.Take(), "[GET /a]");
  connection.client.EndHold(kStart);
  connection.client.Leaves(kStart);
  EXPECT_EQ(connection.client.output(), "");
}

// ---- output -----------------------------------------------------------------------------------

TEST(ClientOutput, IsTakenInPieces) {
  Connection connection;
  connection.client.Receive(Get("/abc") + Get("/d"), kStart);
  std::string taken;
  while (!connection.client.output().empty()) {
    taken += connection.client.output()[0];
    connection.client.Sent(1, kStart);
  }
  EXPECT_EQ(taken, "[GET /abc][GET /d]");
  connection.client.Sent(5, kStart);  // more than there is
  EXPECT_EQ(connection.client.output(), "");
}

// A client that sends and sends and takes its answers only bit by bit.
TEST(ClientOutput, BacklogHoldsBackInputButLosesNothing) {
  constexpr int kRequests = 3000;
  constexpr std::size_t kPadding = 1000;
  Connection connection;
  connection.service.padding = kPadding;
  std::string sent;
  std::string expected;
  for (int i = 0; i < kRequests; ++i) {
    sent += Get("/" + std::to_string(i));
    expected += "[GET /" + std::to_string(i) + "]" + std::string(kPadding, '.');
  }

  Client& client = connection.client;
  std::string_view unsent = sent;
  std::string taken;
  std::size_t longest = 0;
  bool was_held_back = false;
  while (!unsent.empty() || !client.output().empty()) {
    if (client.wants_input() && !unsent.empty()) {
      const std::string_view piece = unsent.substr(0, 50000);
      client.Receive(piece, kStart);
      unsent.remove_prefix(piece.size());
    } else {
      was_held_back |= !unsent.empty();
      const std::string_view piece = client.output().substr(0, 7001);
      taken += piece;
      client.Sent(piece.size(), kStart);
    }
    longest = std::max(longest, client.output().size());
    if (unsent.empty() && was_held_back) client.EndOfInput(kStart);
  }
  EXPECT_TRUE(was_held_back);
  EXPECT_TRUE(taken == expected);
  EXPECT_GE(longest, Client::kMaxOutput);
  EXPECT_LT(longest, Client::kMaxOutput + kPadding + 20);
  EXPECT_TRUE(client.finished());
}

TEST(ClientOutput, RequestsHeldBackAreAnsweredAfterTheEndOfInput) {
  Connection connection;
  connection.service.padding = Client::kMaxOutput;
  connection.client.Receive(Get("/a") + Get("/b") + Get("/c") + "GET /half", kStart);
  connection.client.EndOfInput(kStart);
  connection.client.Receive(" HTTP/1.1\r\n\r\n", kStart);  // cannot be: not read
  EXPECT_FALSE(connection.client.finished());
  EXPECT_EQ(connection.Take().substr(0, 8), "[GET /a]");
  EXPECT_EQ(connection.Take().substr(0, 8), "[GET /b]");
  EXPECT_FALSE(connection.client.finished());
  EXPECT_EQ(connection.Take().substr(0, 8), "[GET /c]");
  EXPECT_TRUE(connection.client.finished());
}

TEST(ClientOutput, ClosingRequestBehindABacklogStillCloses) {
  Connection connection;
  connection.service.padding = Client::kMaxOutput;
  connection.client.Receive(Get("/a") + std::string(kClosingGet) + Get("/b"), kStart);
  EXPECT_FALSE(connection.client.wants_input());
  EXPECT_EQ(connection.Take().substr(0, 8), "[GET /a]");
  EXPECT_EQ(connection.Take().substr(0, 14), "[GET /z close]");
  EXPECT_TRUE(connection.client.finished());
}

TEST(ClientOutput, SmallRequestsUseTheSameMemoryAgain) {
#if !defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "allocations are counted by the address sanitizer";
#else
  static int allocations = 0;
  Connection connection;
  const std::string sent = Get("/replica?lag_ms=1000&min_lsn=0/3000060");
  Talk(connection, {sent});
  ASSERT_NE(
      __sanitizer_install_malloc_and_free_hooks(
          [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {}),
      0);
  allocations = 0;
  for (int i = 0; i < 100; ++i) {
    connection.client.Receive(sent, kStart);
    connection.client.Sent(connection.client.output().size(), kStart);
  }
  EXPECT_EQ(allocations, 0);
  Talk(connection, {sent});  // makes a string: the counter does count
  EXPECT_GT(allocations, 0);
#endif
}

#if defined(__SANITIZE_ADDRESS__)

TEST(ClientOutput, LargeMemoryIsGivenBack) {
  Connection connection;
  const std::string small = Get("/a");
  const std::string large = Get("/b" + std::string(12000, 'x'));
  const std::size_t before = __sanitizer_get_current_allocated_bytes();
  connection.service.padding = Client::kMaxOutput / 2;
  connection.client.Receive(large + small + small + large + small, kStart);
  EXPECT_GT(__sanitizer_get_current_allocated_bytes(), before + Client::kMaxOutput);
  connection.service.padding = 0;
  while (!connection.client.output().empty()) {
    connection.client.Sent(connection.client.output().size(), kStart);
  }
  EXPECT_TRUE(connection.client.wants_input());
  EXPECT_LT(__sanitizer_get_current_allocated_bytes(), before + 2000);
}

// Something is always unsent, so that the output is never simply empty.
TEST(ClientOutput, NeverQuiteTakenDoesNotGrow) {
  Connection connection;
  connection.service.padding = 1000;
  const std::string sent = Get("/a");
  connection.client.Receive(sent, kStart);
  const std::size_t before = __sanitizer_get_current_allocated_bytes();
  for (int i = 0; i < 10000; ++i) {
    connection.client.Receive(sent, kStart);
    connection.client.Sent(connection.client.output().size() - 1, kStart);
    ASSERT_EQ(connection.client.output(), ".");
  }
  EXPECT_LT(__sanitizer_get_current_allocated_bytes(), before + 20000);
}

#endif

// ---- deadlines --------------------------------------------------------------------------------

constexpr MonoUs After(double seconds) {
  return kStart + static_cast<MonoUs>(seconds * static_cast<double>(kUsPerSecond));
}

TEST(ClientDeadline, FirstRequestHasItsTimeFromTheStart) {
  Connection connection;
  Client& client = connection.client;
  EXPECT_EQ(client.deadline(), kStart + kLimits.head_us);
  client.Receive("", After(1));
  EXPECT_EQ(client.deadline(), kStart + kLimits.head_us);
  client.Receive("G", After(2));
  EXPECT_EQ(client.deadline(), kStart + kLimits.head_us);
}

TEST(ClientDeadline, DrippingDoesNotMoveIt) {
  Connection connection;
  Client& client = connection.client;
  const std::string first = Get("/a");
  client.Receive(first, After(1));
  client.Sent(client.output().size(), After(1));
  const std::string second = Get("/b");
  for (std::size_t i = 0; i + 1 < second.size(); ++i) {
    client.Receive(std::string_view(second).substr(i, 1), After(10 + 0.1 * static_cast<double>(i)));
    EXPECT_EQ(client.deadline(), After(10) + kLimits.head_us);
  }
}

TEST(ClientDeadline, IdleBetweenRequests) {
  Connection connection;
  Client& client = connection.client;
  client.Receive(Get("/a"), After(1));
  client.Sent(client.output().size(), After(2));
  EXPECT_EQ(client.deadline(), After(2) + kLimits.idle_us);
  client.Receive("\r\n", After(3));  // skipped: no request has begun
  EXPECT_EQ(client.deadline(), After(2) + kLimits.idle_us);
  client.Receive("G", After(20));
  EXPECT_EQ(client.deadline(), After(20) + kLimits.head_us);
  client.Receive("ET /b HTTP/1.1\r\n\r\n", After(21));
  client.Sent(client.output().size(), After(22));
  EXPECT_EQ(client.deadline(), After(22) + kLimits.idle_us);
}

TEST(ClientDeadline, NotTakingAnswers) {
  Connection connection;
  Client& client = connection.client;
  client.Receive(Get("/a"), After(1));
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us);
  client.Receive(Get("/b"), After(2));  // asking for more is not taking any
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us);
  client.Sent(0, After(3));
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us);
  client.Sent(3, After(4));
  EXPECT_EQ(client.deadline(), After(4) + kLimits.head_us);
  client.Sent(client.output().size(), After(5));
  EXPECT_EQ(client.deadline(), After(5) + kLimits.idle_us);
}

TEST(ClientDeadline, HalfARequestBehindAnAnswer) {
  Connection connection;
  Client& client = connection.client;
  client.Receive(Get("/a") + "GET /b", After(1));
  client.Sent(client.output().size(), After(2));
  EXPECT_EQ(client.deadline(), After(2) + kLimits.head_us);
  client.Receive("HTT", After(3));
  EXPECT_EQ(client.deadline(), After(2) + kLimits.head_us);
}

TEST(ClientDeadline, OfARequestThatIsHeldBack) {
  Connection connection;
  Client& client = connection.client;
  client.Receive(Get("/a") + Get("/b?wait"), After(1));
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us) << "an answer is to be taken first";
  client.Sent(client.output().size(), After(2));
  EXPECT_EQ(client.deadline(), After(1 + 30)) << "its own time, from when it came";
  client.EndHold(After(20));
  EXPECT_EQ(client.deadline(), After(20) + kLimits.head_us);
  client.Sent(client.output().size(), After(21));
  EXPECT_EQ(client.deadline(), After(21) + kLimits.idle_us);
}

TEST(ClientDeadline, LastAnswerMustBeTakenInTime) {
  Connection connection;
  Client& client = connection.client;
  client.Receive("master\n", After(1));
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us);
  client.Receive("more and more", After(4));
  EXPECT_EQ(client.deadline(), After(1) + kLimits.head_us);
}

}  // namespace
}  // namespace pg_status
