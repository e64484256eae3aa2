// Bytes to requests: every form of a request, every limit, and what is no request at all.
#include "answer/request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_status {
namespace {

using namespace std::string_view_literals;
using Status = RequestReader::Status;
using Query = std::vector<std::pair<std::string, std::string>>;

std::string Get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(fields) + "\r\n";
}

// The first thing found in the bytes, fed at once or one by one.
struct Found {
  Status status = Status::kNeedMore;
  Request request;
  std::size_t needed = 0;  // bytes until it was found
};

Found Read(std::string_view bytes) {
  RequestReader reader;
  reader.Feed(bytes);
  return {reader.Next(), reader.request(), bytes.size()};
}

Found Drip(std::string_view bytes) {
  RequestReader reader;
  Found found;
  for (const char& byte : bytes) {
    if (found.status != Status::kNeedMore) break;
    EXPECT_EQ(reader.Feed({&byte, 1}), 1U);
    found.status = reader.Next();
    ++found.needed;
  }
  found.request = reader.request();
  return found;
}

Request ReadRequest(std::string_view bytes) {
  const Found found = Read(bytes);
  EXPECT_EQ(found.status, Status::kRequest) << bytes;
  return found.request;
}

// ---- HTTP -------------------------------------------------------------------------------------

TEST(RequestHttp, PlainGet) {
  const Request request = ReadRequest("GET /master HTTP/1.1\r\nHost: a:8000\r\n\r\n");
  EXPECT_FALSE(request.line);
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_EQ(request.version_minor, 1);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.wants_json);
  EXPECT_FALSE(request.has_body);
  EXPECT_TRUE(request.path_ok);
  EXPECT_EQ(request.path, "/master");
  EXPECT_TRUE(request.query.empty());
}

TEST(RequestHttp, Methods) {
  const std::pair<std::string_view, Method> cases[] = {
      {"GET", Method::kGet},        {"HEAD", Method::kHead},     {"OPTIONS", Method::kOptions},
      {"POST", Method::kOther},     {"PUT", Method::kOther},     {"DELETE", Method::kOther},
      {"PATCH", Method::kOther},    {"TRACE", Method::kOther},   {"get", Method::kOther},
      {"M-SEARCH", Method::kOther}, {"MY_WORD", Method::kOther}, {"GETS", Method::kOther},
  };
  for (const auto& [word, method] : cases) {
    const Request request = ReadRequest(std::string(word) + " /x HTTP/1.1\r\n\r\n");
    EXPECT_EQ(request.method, method) << word;
    EXPECT_EQ(request.path, "/x");
  }
}

TEST(RequestHttp, ConnectHasNoPathAndIsStillARequestToRefuse) {
  const Request request = ReadRequest("CONNECT db:5432 HTTP/1.1\r\n\r\n");
  EXPECT_EQ(request.method, Method::kOther);
  EXPECT_FALSE(request.path_ok);
}

TEST(RequestHttp, KeepAlive) {
  struct Case {
    std::string_view version;
    std::string_view fields;
    bool keep_alive;
  };
  const Case cases[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "connection: CLOSE\r\n", false},
      {"1.1", "Connection: TE, close\r\n", false},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.1", "Connection: keep-alive\r\n", true},
      {"1.1", "Connection: closed\r\n", true},
      {"1.1", "Connection:\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: keep-alive\r\n", true},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: close\r\n", false},
      {"1.0", "Connection: keep-alive, close\r\n", false},
      {"1.0", "X-Connection: keep-alive\r\n", false},
  };
  for (const Case& c : cases) {
    const Request request = ReadRequest("GET / HTTP/" + std::string(c.version) + "\r\n" +
                                        std::string(c.fields) + "\r\n");
    EXPECT_EQ(request.keep_alive, c.keep_alive) << c.version << " " << c.fields;
    EXPECT_EQ(request.version_minor, c.version.back() - '0');
  }
}

TEST(RequestHttp, Accept) {
  const std::pair<std::string_view, bool> cases[] = {
      {"", false},
      {"Accept: application/json\r\n", true},
      {"accept:Application/JSON\r\n", true},
      {"Accept: */*\r\n", false},
      {"Accept: application/*\r\n", false},
      {"Accept: text/plain\r\n", false},
      {"Accept: application/jsonx\r\n", false},
      {"Accept: application/json-seq\r\n", false},
      {"Accept: xapplication/json\r\n", false},
      {"Accept:\r\n", false},
      {"Accept: ,,\r\n", false},
      {"Accept: text/html, application/json;q=0.9, */*;q=0.8\r\n", true},
      {"Accept: text/html,application/json\r\n", true},
      {"Accept: text/html ,\tapplication/json ; q=0.001\r\n", true},
      {"Accept: application/json;q=0\r\n", false},
      {"Accept: application/json;q=0.0\r\n", false},
      {"Accept: application/json;q=0.000\r\n", false},
      {"Accept: application/json;q=0.\r\n", false},
      {"Accept: application/json; Q=0\r\n", false},
      {"Accept: application/json;q=0.001\r\n", true},
      {"Accept: application/json;q=1\r\n", true},
      {"Accept: application/json;q=0,application/json;q=1\r\n", true},
      {"Accept: application/json;charset=utf-8\r\n", true},
      {"Accept: application/json;charset=utf-8;q=0\r\n", false},
      {"Accept: application/json;x=\"a,b;q=0\"\r\n", true},
      {"Accept: text/plain;x=\"a, application/json\"\r\n", false},
      {"Accept: text/plain;x=\"a\\\", application/json\"\r\n", false},
      {"Accept: text/plain;x=\"never closed, application/json\r\n", false},
      {"Accept: text/plain\r\nAccept: application/json\r\n", true},
      {"Accept: application/json\r\nAccept: text/plain\r\n", true},
      {"Accept: application/json;q=0\r\nAccept: text/plain\r\n", false},
      {"Accept: text/plain,\r\n application/json\r\n", true},
      {"Accept-Encoding: application/json\r\n", false},
      {"Content-Type: application/json\r\n", false},
  };
  for (const auto& [fields, json] : cases) {
    EXPECT_EQ(ReadRequest(Get("/master", fields)).wants_json, json) << fields;
  }
}

TEST(RequestHttp, BodyIsSeenButNotRead) {
  const std::pair<std::string_view, bool> cases[] = {
      {"Content-Length: 0\r\n", false},
      {"Content-Length: 0\r\nContent-Length: 0\r\n", false},
      {"Content-Length: 00\r\n", false},
      {"Content-Length: 1\r\n", true},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", true},
      {"Content-Length: 10000000\r\n", true},
      {"Content-Length: 18446744073709551615\r\n", true},
      {"Transfer-Encoding: chunked\r\n", true},
      {"Transfer-Encoding: gzip, chunked\r\n", true},
      {"Transfer-Encoding: gzip\r\n", true},
      {"Transfer-Encoding: identity\r\n", true},
  };
  for (const auto& [fields, has_body] : cases) {
    EXPECT_EQ(ReadRequest(Get("/master", fields)).has_body, has_body) << fields;
  }
}

TEST(RequestHttp, AfterABodyNothingIsParsed) {
  RequestReader reader;
  reader.Feed("POST /x HTTP/1.1\r\nContent-Length: 30\r\n\r\n" + Get("/smuggled"));
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.request().path, "/x");
  EXPECT_FALSE(reader.in_the_middle());
  EXPECT_EQ(reader.Feed(Get("/more")), Get("/more").size());
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.request().path, "/x");
}

TEST(RequestHttp, Targets) {
  struct Case {
    std::string_view target;
    std::string_view path;
    Query query;
  };
  const Case cases[] = {
      {"/", "/", {}},
      {"/%6daster", "/master", {}},
      {"/a%2Fb", "/a/b", {}},
      {"/a%2fb", "/a/b", {}},
      {"/a+b", "/a+b", {}},
      {"/a%3Fb?c", "/a?b", {{"c", ""}}},
      {"/a?", "/a", {}},
      {"/a?x", "/a", {{"x", ""}}},
      {"/a?x=", "/a", {{"x", ""}}},
      {"/a?=x", "/a", {{"", "x"}}},
      {"/a?x=1&y=2", "/a", {{"x", "1"}, {"y", "2"}}},
      {"/a?x=1&x=2&X=3", "/a", {{"x", "1"}, {"x", "2"}, {"X", "3"}}},
      {"/a?&&x=1&&", "/a", {{"x", "1"}}},
      {"/a?x=1=2?3", "/a", {{"x", "1=2?3"}}},
      {"/a?x=1+2%2B3%20", "/a", {{"x", "1 2+3 "}}},
      {"/a?l%61g+ms=%26%3d", "/a", {{"lag ms", "&="}}},
      {"/status?host=127.0.0.1%3A5701", "/status", {{"host", "127.0.0.1:5701"}}},
      {"/a?min_lsn=0/3000060", "/a", {{"min_lsn", "0/3000060"}}},
      {"/caf%C3%A9", "/caf\xC3\xA9", {}},
      {"//host/master", "//host/master", {}},
      {"http://host:8000/master?x=1", "/master", {{"x", "1"}}},
      {"HTTPS://host/%6daster", "/master", {}},
      {"http://host", "/", {}},
      {"http://host?x=1", "/", {{"x", "1"}}},
      {"http://[::1]:8000/a", "/a", {}},
      {"http:///a", "/a", {}},
      {"/http://host/a", "/http://host/a", {}},
  };
  for (const Case& c : cases) {
    const Request request = ReadRequest(Get(c.target));
    EXPECT_TRUE(request.path_ok) << c.target;
    EXPECT_EQ(request.path, c.path) << c.target;
    EXPECT_EQ(request.query, c.query) << c.target;
  }
}

TEST(RequestHttp, TargetsThatAreNoPath) {
  const std::string_view targets[] = {
      "/%",     "/%6",    "/%zz",      "/%6z",      "/%z6",     "/a%",         "/%00",
      "/a%00b", "/a?x=%", "/a?x=%0",   "/a?%gg=1",  "/a?x=%00", "/a?%00",      "/a?x&y=%4",
      "master", "a/b",    "?x",        "://host/a", "*",        "/%%36%31",    "/%+1",
      "/%-1",   "/%0x",   "%2Fmaster", "1_2://h/",  "http:/a",  "/a?x=1&y=%e",
  };
  for (std::string_view target : targets) {
    const Request request = ReadRequest(Get(target));
    EXPECT_FALSE(request.path_ok) << target;
    EXPECT_EQ(request.path, "/") << target;
    EXPECT_TRUE(request.query.empty()) << target;
  }
}

TEST(RequestHttp, AsteriskIsForOptionsOnly) {
  const Request request = ReadRequest("OPTIONS * HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(request.path_ok);
  EXPECT_EQ(request.path, "*");
  EXPECT_FALSE(ReadRequest("OPTIONS ** HTTP/1.0\r\n\r\n").path_ok);
}

TEST(RequestHttp, ParametersAreBounded) {
  std::string target = "/a?";
  for (std::size_t i = 0; i < RequestReader::kMaxParameters; ++i) target += "x=1&";
  EXPECT_EQ(ReadRequest(Get(target)).query.size(), RequestReader::kMaxParameters);
  EXPECT_FALSE(ReadRequest(Get(target + "y")).path_ok);
}

TEST(RequestHttp, FirstParameterOfANameWins) {
  const Request request = ReadRequest(Get("/a?lag_ms=abc&lag_ms=1&Lag_ms=2&empty"));
  EXPECT_EQ(request.Parameter("lag_ms"), "abc");
  EXPECT_EQ(request.Parameter("empty"), "");
  EXPECT_EQ(request.Parameter("lag"), std::nullopt);
}

TEST(RequestHttp, OneRequestLeavesNothingToTheNext) {
  RequestReader reader;
  reader.Feed(
      "HEAD /first?x=1 HTTP/1.0\r\nAccept: application/json\r\nConnection: keep-alive\r\n\r\n"
      "GET /%00 HTTP/1.1\r\nConnection: close\r\n\r\n" +
      Get("/third"));
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_FALSE(reader.request().path_ok);
  EXPECT_FALSE(reader.request().keep_alive);
  EXPECT_EQ(reader.Next(), Status::kRequest);
  const Request& request = reader.request();
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_EQ(request.version_minor, 1);
  EXPECT_TRUE(request.keep_alive && request.path_ok && !request.wants_json && !request.line);
  EXPECT_EQ(request.path, "/third");
  EXPECT_TRUE(request.query.empty());
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
}

// ---- lines ------------------------------------------------------------------------------------

TEST(RequestLine, BareLines) {
  struct Case {
    std::string_view bytes;
    std::string_view path;
    Query query;
  };
  const Case cases[] = {
      {"master\n", "/master", {}},
      {"master\r\n", "/master", {}},
      {"master \t\r\n", "/master", {}},
      {"master\r\r\n", "/master", {}},
      {"\n", "/", {}},
      {"\r\n", "/", {}},
      {"  \r\n", "/", {}},
      {"?x=1\n", "/", {{"x", "1"}}},
      {"replica?min_lsn=0/3000060\n", "/replica", {{"min_lsn", "0/3000060"}}},
      {"replica?lag=10+MB&mode=apply\r\n", "/replica", {{"lag", "10 MB"}, {"mode", "apply"}}},
      {"%6daster\n", "/master", {}},
      {"a+b\n", "/a+b", {}},
      {" master\n", "/ master", {}},
      {"/master\n", "//master", {}},
      {"GET /master\n", "/GET /master", {}},
      {"GET HTTP/1.1\r\n", "/GET HTTP/1.1", {}},
      {"GET / http/1.1\r\n", "/GET / http/1.1", {}},
      {"/ HTTP/1.1\r\n", "// HTTP/1.1", {}},
      {"a\tb\n", "/a\tb", {}},
      {"\tmaster\n", "/\tmaster", {}},
  };
  for (const Case& c : cases) {
    for (const Found& found : {Read(c.bytes), Drip(c.bytes)}) {
      EXPECT_EQ(found.status, Status::kRequest) << c.bytes;
      EXPECT_EQ(found.needed, c.bytes.size()) << c.bytes;
      EXPECT_TRUE(found.request.line && found.request.path_ok) << c.bytes;
      EXPECT_FALSE(found.request.has_body || found.request.keep_alive);
      EXPECT_EQ(found.request.path, c.path) << c.bytes;
      EXPECT_EQ(found.request.query, c.query) << c.bytes;
    }
  }
}

TEST(RequestLine, BrokenEscapesAndNuls) {
  const std::string_view lines[] = {"%\n"sv,    "a%0\n"sv,      "a?x=%zz\r\n"sv,
                                    "a%00\n"sv, "mas\0ter\n"sv, "a?x=\0\n"sv};
  for (std::string_view line : lines) {
    const Request request = ReadRequest(line);
    EXPECT_TRUE(request.line);
    EXPECT_FALSE(request.path_ok) << line;
  }
}

TEST(RequestLine, NothingIsReadAfterALine) {
  RequestReader reader;
  reader.Feed("master\n" + Get("/replica"));
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_FALSE(reader.in_the_middle());
  EXPECT_EQ(reader.Feed("replica\n"), 8U);
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.request().path, "/master");
}

TEST(RequestLine, IsNotUnderstoodAfterAnHttpRequest) {
  RequestReader reader;
  reader.Feed(Get("/a") + "master\n");
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.Next(), Status::kBad);
}

// ---- limits -----------------------------------------------------------------------------------

TEST(RequestLimits, LineAtTheEdge) {
  const std::string edge(RequestReader::kMaxLine, 'x');
  EXPECT_EQ(Read(edge + "\n").status, Status::kRequest);
  EXPECT_EQ(Read(edge + "\n").request.path, "/" + edge);
  EXPECT_EQ(Drip(edge + "\n").status, Status::kRequest);
  EXPECT_EQ(Read(edge).status, Status::kNeedMore);
  for (const Found& found : {Read(edge + "x\n"), Drip(edge + "x\n"), Read(edge + "x")}) {
    EXPECT_EQ(found.status, Status::kTooLarge);
  }
  EXPECT_EQ(Drip(edge + "x\n").needed, RequestReader::kMaxLine + 1);
}

TEST(RequestLimits, LineThatBeginsLikeHttpMayNotBeLongerEither) {
  const std::string line = "GET /" + std::string(RequestReader::kMaxLine, 'x');
  EXPECT_EQ(Drip(line).status, Status::kNeedMore);
  EXPECT_EQ(Drip(line + "\n").status, Status::kTooLarge);
  EXPECT_EQ(Read(line + "\n").status, Status::kTooLarge);
}

TEST(RequestLimits, EndlessMethodIsNoRequestLine) {
  const std::string bytes = std::string(RequestReader::kMaxLine, 'G') + " / HTTP/1.1\r\n\r\n";
  EXPECT_EQ(Read(bytes).status, Status::kTooLarge);
  EXPECT_EQ(Drip(bytes).needed, RequestReader::kMaxLine + 1);
}

std::string HeadOfSize(std::size_t size) {
  const std::string begin = "GET / HTTP/1.1\r\nCookie: ";
  return begin + std::string(size - begin.size() - 4, 'c') + "\r\n\r\n";
}

TEST(RequestLimits, HeadAtTheEdge) {
  for (std::size_t size : {std::size_t{3000}, std::size_t{8192}, RequestReader::kMaxHead}) {
    EXPECT_EQ(Read(HeadOfSize(size)).status, Status::kRequest) << size;
    EXPECT_EQ(Drip(HeadOfSize(size)).needed, size);
  }
  const std::string over = HeadOfSize(RequestReader::kMaxHead + 1);
  EXPECT_EQ(Read(over).status, Status::kTooLarge);
  EXPECT_EQ(Drip(over).status, Status::kTooLarge);
  EXPECT_EQ(Drip(over).needed, RequestReader::kMaxHead);
}

TEST(RequestLimits, TargetMayBeAsLongAsTheHead) {
  const std::string around = "GET / HTTP/1.1\r\n\r\n";
  const std::string x(RequestReader::kMaxHead - around.size(), 'x');
  EXPECT_EQ(ReadRequest(Get("/" + x)).path, "/" + x);
  EXPECT_EQ(Read(Get("/" + x + "x")).status, Status::kTooLarge);
}

TEST(RequestLimits, HeadHasItsWholeSizeWhenOthersCameBefore) {
  RequestReader reader;
  const std::string bytes = Get("/a") + HeadOfSize(RequestReader::kMaxHead) + Get("/b");
  std::string_view rest = bytes;
  int found = 0;
  while (found < 3) {
    const Status status = reader.Next();
    ASSERT_TRUE(status == Status::kRequest || status == Status::kNeedMore);
    if (status == Status::kRequest) {
      ++found;
      continue;
    }
    const std::size_t taken = reader.Feed(rest);
    ASSERT_GT(taken, 0U);
    rest.remove_prefix(taken);
  }
  EXPECT_EQ(reader.request().path, "/b");
}

TEST(RequestLimits, FeedTakesWhatThereIsRoomFor) {
  RequestReader reader;
  const std::string many(RequestReader::kMaxHead + 5, 'x');
  EXPECT_EQ(reader.Feed(many), RequestReader::kMaxHead);
  EXPECT_EQ(reader.Feed(many), 0U);
  EXPECT_EQ(reader.Next(), Status::kTooLarge);
  EXPECT_EQ(reader.Feed(many), many.size());
}

TEST(RequestLimits, HugeFoldedFieldIsTooLarge) {
  const std::string half(3000, 'a');
  EXPECT_EQ(Read(Get("/", "X: " + half + "\r\n " + half + "\r\n")).status, Status::kTooLarge);
}

TEST(RequestLimits, ManyFields) {
  std::string fields;
  while (fields.size() < 16000) fields += "a:b\r\n";
  EXPECT_EQ(ReadRequest(Get("/many", fields)).path, "/many");
}

// ---- what is no request -----------------------------------------------------------------------

TEST(RequestBad, BytesThatBeginNoTextAreRefusedAtOnce) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool text = (byte >= 32 && byte < 127) || byte == '\t' || byte == '\r' || byte == '\n';
    const char c = static_cast<char>(byte);
    const Status status = Read({&c, 1}).status;
    EXPECT_EQ(status == Status::kBad, !text) << byte;
  }
  EXPECT_EQ(Read("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv).status, Status::kBad);
  EXPECT_EQ(Drip("\0\0\0\x08\x04\xd2\x16\x2f"sv).needed, 1U);
}

TEST(RequestBad, Heads) {
  const std::string_view heads[] = {
      "GET / HTTP/2.0\r\n\r\n"sv,
      "GET / HTTP/1.2\r\n\r\n"sv,
      "GET / HTTP/0.9\r\n\r\n"sv,
      "GET / HTTP/11\r\n\r\n"sv,
      "GET / HTTP/1.1x\r\n\r\n"sv,
      "GET / HTTP/1.1 \r\n\r\n"sv,
      "GET / HTTP/\r\n\r\n"sv,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv,
      "GET  / HTTP/1.1\r\n\r\n"sv,
      "GET /a b HTTP/1.1\r\n\r\n"sv,
      "GET /a\tb HTTP/1.1\r\n\r\n"sv,
      "GET /a\0b HTTP/1.1\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nno colon\r\n\r\n"sv,
      "GET / HTTP/1.1\r\n: x\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nHost : x\r\n\r\n"sv,
      "GET / HTTP/1.1\r\n Host: x\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nHo\xc3\xb6: x\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 0x0\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 0, 5\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
      "GET / HTTP/1.1\r\nConnection: @\r\n\r\n"sv,
  };
  for (std::string_view head : heads) {
    EXPECT_EQ(Read(head).status, Status::kBad) << head;
    EXPECT_EQ(Drip(head).status, Status::kBad) << head;
  }
}

TEST(RequestBad, StaysBad) {
  RequestReader reader;
  reader.Feed("\x16\x03\x01");
  EXPECT_EQ(reader.Next(), Status::kBad);
  EXPECT_FALSE(reader.in_the_middle());
  reader.Feed(Get("/master"));
  EXPECT_EQ(reader.Next(), Status::kBad);
}

TEST(RequestBadEnding, IsSeenAtTheFirstLineThatHasIt) {
  const std::pair<std::string_view, std::size_t> cases[] = {
      {"GET / HTTP/1.1\nHost: x\n\n", 15},     {"GET / HTTP/1.0\n\n", 15},
      {"GET / HTTP/1.1\r\nHost: x\n\n", 24},   {"GET / HTTP/1.1\r\n\n", 17},
      {"GET / HTTP/1.1\r\nHost: x\r\n\n", 26},
  };
  for (const auto& [bytes, needed] : cases) {
    EXPECT_EQ(Read(bytes).status, Status::kBadEnding) << bytes;
    EXPECT_EQ(Drip(bytes).status, Status::kBadEnding) << bytes;
    EXPECT_EQ(Drip(bytes).needed, needed) << bytes;
  }
}

// ---- several requests -------------------------------------------------------------------------

TEST(RequestPipeline, EmptyLinesBetweenRequestsAreSkipped) {
  struct Case {
    std::string_view between;
    Status second;
  };
  const Case cases[] = {
      {"", Status::kRequest},         {"\r\n", Status::kRequest},     {"\n", Status::kRequest},
      {"\r\n\r\n", Status::kRequest}, {"\r\n\r\n\r\n", Status::kBad}, {"\n\n\n", Status::kBad},
      {" \r\n", Status::kBad},        {"\r\r\n", Status::kBad},
  };
  for (const Case& c : cases) {
    RequestReader reader;
    reader.Feed(Get("/a") + std::string(c.between) + Get("/b") + std::string(c.between) +
                Get("/c"));
    EXPECT_EQ(reader.Next(), Status::kRequest);
    EXPECT_EQ(reader.Next(), c.second) << c.between;
    if (c.second != Status::kRequest) continue;
    EXPECT_EQ(reader.request().path, "/b");
    EXPECT_EQ(reader.Next(), Status::kRequest);
    EXPECT_EQ(reader.request().path, "/c");
  }
}

TEST(RequestPipeline, SkippedLinesAreNotTheMiddleOfARequest) {
  RequestReader reader;
  reader.Feed(Get("/a"));
  EXPECT_EQ(reader.Next(), Status::kRequest);
  reader.Feed("\r\n");
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  EXPECT_FALSE(reader.in_the_middle());
  reader.Feed("\r");
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  EXPECT_TRUE(reader.in_the_middle());
  reader.Feed("\n" + Get("/b"));
  EXPECT_EQ(reader.Next(), Status::kRequest);
  EXPECT_EQ(reader.request().path, "/b");
}

TEST(RequestPipeline, FiftyRequestsInOneGo) {
  std::string bytes;
  for (int i = 0; i < 50; ++i) bytes += Get("/" + std::to_string(i));
  RequestReader reader;
  EXPECT_EQ(reader.Feed(bytes), bytes.size());
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(reader.Next(), Status::kRequest);
    EXPECT_EQ(reader.request().path, "/" + std::to_string(i));
  }
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  EXPECT_FALSE(reader.in_the_middle());
}

}  // namespace
}  // namespace pg_status
