// The bytes of response heads, exactly.
#include "answer/http_head.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <string>

namespace pg_status {
namespace {

std::string StatusOf(int status, Persistence persistence) {
  std::string out;
  AppendStatus(status, persistence, out);
  return out;
}

std::string FieldsOf(const HeadFields& fields) {
  std::string out;
  AppendFields(fields, out);
  return out;
}

TEST(HttpHead, StatusLines) {
  const struct {
    int status;
    const char* line;
  } kCases[] = {
      {200, "HTTP/1.1 200 OK\r\n"},
      {400, "HTTP/1.1 400 Bad Request\r\n"},
      {404, "HTTP/1.1 404 Not Found\r\n"},
      {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
      {413, "HTTP/1.1 413 Payload Too Large\r\n"},
      {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
      {503, "HTTP/1.1 503 Service Unavailable\r\n"},
      {599, "HTTP/1.1 599 \r\n"},  // the blank before an empty reason is part of the grammar
  };
  for (const auto& c : kCases) EXPECT_EQ(StatusOf(c.status, Persistence::kUnsaid), c.line);
}

TEST(HttpHead, ConnectionFollowsTheStatusLine) {
  EXPECT_EQ(StatusOf(200, Persistence::kUnsaid), "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(StatusOf(200, Persistence::kKeepAlive),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n");
  EXPECT_EQ(StatusOf(404, Persistence::kClose), "HTTP/1.1 404 Not Found\r\nConnection: close\r\n");
}

TEST(HttpHead, OnlyAnOldClientIsToldThatTheConnectionStays) {
  Request request;
  request.version_minor = 1;
  EXPECT_EQ(PersistenceFor(request, false), Persistence::kUnsaid);
  EXPECT_EQ(PersistenceFor(request, true), Persistence::kClose);
  request.version_minor = 0;
  EXPECT_EQ(PersistenceFor(request, false), Persistence::kKeepAlive);
  EXPECT_EQ(PersistenceFor(request, true), Persistence::kClose);
}

TEST(HttpHead, FieldsOfAText) {
  HeadFields fields;
  fields.port = "discovery";
  fields.content_type = kTextType;
  fields.content_length = 12;
  EXPECT_EQ(FieldsOf(fields),
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 12\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: discovery\r\n"
            "\r\n");
}

TEST(HttpHead, FieldsOfJsonOnTheOtherPort) {
  HeadFields fields;
  fields.port = "check";
  fields.content_type = kJsonType;
  fields.content_length = 2;
  EXPECT_EQ(FieldsOf(fields),
            "Content-Type: application/json\r\n"
            "Content-Length: 2\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: check\r\n"
            "\r\n");
}

TEST(HttpHead, AGenerationIsTheLastField) {
  HeadFields fields;
  fields.port = "discovery";
  fields.generation = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(FieldsOf(fields),
            "Content-Length: 0\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: discovery\r\n"
            "X-Pg-Status-Generation: 18446744073709551615\r\n"
            "\r\n");
}

TEST(HttpHead, EmptyBodyHasALengthAndNoType) {
  HeadFields fields;
  fields.port = "check";
  fields.allow = "GET, HEAD, OPTIONS";
  EXPECT_EQ(FieldsOf(fields),
            "Content-Length: 0\r\n"
            "Allow: GET, HEAD, OPTIONS\r\n"
            "Cache-Control: no-store\r\n"
            "X-Pg-Status-Port: check\r\n"
            "\r\n");
}

TEST(HttpHead, LengthHasRoomForAnyNumber) {
  HeadFields fields;
  fields.content_length = std::numeric_limits<std::size_t>::max();
  EXPECT_NE(FieldsOf(fields).find("Content-Length: 18446744073709551615\r\n"), std::string::npos);
}

TEST(HttpHead, IsAppended) {
  std::string out = "before";
  AppendStatus(200, Persistence::kUnsaid, out);
  AppendFields({}, out);
  EXPECT_EQ(out, "beforeHTTP/1.1 200 OK\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n");
}

}  // namespace
}  // namespace pg_status
