// The page on the check port, and what it asks for.
#include "answer/check.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "answer/check_http.hpp"

namespace pg_status {
namespace {

TEST(CheckPage, IsOneDocumentThatMayNotLeaveItsPort) {
  CheckScene scene = CheckScene::Starting();
  const std::string response = Ask(scene, "GET", "/ui");
  EXPECT_EQ(StatusOf(response), "200") << "whatever the state";
  EXPECT_EQ(FieldOf(response, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(FieldOf(response, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(FieldOf(response, "Referrer-Policy"), "no-referrer");
  EXPECT_EQ(FieldOf(response, "X-Pg-Status-Port"), "check");
  const std::string policy = FieldOf(response, "Content-Security-Policy");
  EXPECT_EQ(policy.find("default-src 'none'; script-src 'sha256-"), 0U) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos) << policy;
  EXPECT_EQ(policy.find("http"), std::string::npos) << policy;
  const std::string page = BodyOf(response);
  EXPECT_EQ(page.substr(0, 15), "<!doctype html>");
  EXPECT_EQ(page.substr(page.size() - 8), "</html>\n");
  EXPECT_EQ(FieldOf(response, "Content-Length"), std::to_string(page.size()));
  const std::string head = Ask(scene, "HEAD", "/ui");
  EXPECT_EQ(HeadOf(head), HeadOf(response));
  EXPECT_EQ(BodyOf(head), "");
  EXPECT_EQ(StatusOf(Ask(scene, "POST", "/ui")), "405");
  EXPECT_EQ(StatusOf(Ask(scene, "GET", "/ui/")), "404");
  const std::string data = Ask(scene, "GET", "/ui/data");
  EXPECT_EQ(FieldOf(data, "Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'");
  EXPECT_EQ(FieldOf(data, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(FieldOf(data, "Content-Length"), std::to_string(BodyOf(data).size()));
  const std::string head_of_data = Ask(scene, "HEAD", "/ui/data");
  EXPECT_EQ(StatusOf(head_of_data), "200");
  EXPECT_EQ(FieldOf(head_of_data, "Content-Type"), "application/json");
  EXPECT_EQ(FieldOf(head_of_data, "Content-Length"), "none") << "nothing was written";
  EXPECT_EQ(BodyOf(head_of_data), "");
  EXPECT_EQ(StatusOf(Ask(scene, "HEAD", "/ui/data?since=x")), "400");
}

TEST(CheckPage, ItsDataIsWaitedFor) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.world().generation = 7;
  Traffic traffic;
  Check check(scene.world(), kNoPageSources, "1.0.0", traffic, 0);
  const std::string request = "GET /ui/data?wait=2&generation=7 HTTP/1.1\r\nHost: x\r\n\r\n";
  Client client(check, ClientLimits{}, CheckScene::kNow);
  client.Receive(request, CheckScene::kNow);
  ASSERT_TRUE(client.held());
  EXPECT_EQ(client.held()->generation, 7U);
  EXPECT_EQ(client.held()->until, CheckScene::kNow + 2 * kUsPerSecond);
  EXPECT_EQ(client.output(), "");
  scene.world().generation = 8;
  client.EndHold(CheckScene::kNow);
  const std::string response(client.output());
  EXPECT_EQ(StatusOf(response), "200");
  EXPECT_NE(BodyOf(response).find("\"generation\":8,"), std::string::npos);

  // what is known already is not waited for, nor is what has no body
  for (const char* at_once :
       {"GET /ui/data?wait=2&generation=7 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ui/data?wait=0&generation=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ui/data?generation=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        "HEAD /ui/data?wait=2&generation=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS /ui/data?wait=2&generation=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ui/data?wait=2&generation=8 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        "GET /cluster?wait=2&generation=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        "ui/data?wait=2&generation=8\n"}) {
    Client other(check, ClientLimits{}, CheckScene::kNow);
    other.Receive(at_once, CheckScene::kNow);
    EXPECT_FALSE(other.held()) << at_once;
    EXPECT_NE(other.output(), "") << at_once;
  }
}

TEST(CheckPage, WhatIsWrongIsNamed) {
  CheckScene scene = CheckScene::OnPrimary();
  const std::pair<std::string, std::string> wrong[] = {
      {"wait=x&generation=1", "wait"}, {"wait=301&generation=1", "wait"},
      {"wait=2", "generation"},        {"wait=2&generation=x", "generation"},
      {"generation=-1", "generation"}, {"since=x", "since"},
      {"since=-1", "since"},           {"since=18446744073709551616", "since"},
  };
  for (const auto& [query, name] : wrong) {
    const std::string response = Ask(scene, "GET", "/ui/data?" + query);
    EXPECT_EQ(StatusOf(response), "400") << query;
    EXPECT_EQ(BodyOf(response), R"({"error_text": "Invalid )" + name + "\"}") << query;
  }
  EXPECT_EQ(CodeIn(scene, "/ui/data?since=x"), 400);
  EXPECT_EQ(CodeIn(scene, "/ui"), 200);
  EXPECT_EQ(Talk(scene, "ui/data?since=x\n"), "fail # Invalid since\n");
  EXPECT_EQ(Talk(scene, "ui\n"), "up\n");
}

TEST(CheckHttp, CountsItsAnswers) {
  CheckScene scene = CheckScene::OnReplica();
  Traffic traffic;
  Check check(scene.world(), kNoPageSources, "1.0.0", traffic, 0);
  for (const char* request :
       {"GET /replica HTTP/1.0\r\n\r\n", "HEAD /replica?lag=1 HTTP/1.0\r\n\r\n", "replica\n",
        "GET /primary HTTP/1.0\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n",
        "DELETE /replica HTTP/1.0\r\n\r\n", "GET /replica HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
        "agent?role=replica\n", "agent?role=primary\n", "agent?role=x\n",
        "GET /agent HTTP/1.0\r\n\r\n", "GET /%zz HTTP/1.0\r\n\r\n", "\1\2\n"}) {
    Client client(check, ClientLimits{}, CheckScene::kNow);
    client.Receive(request, CheckScene::kNow);
  }
  std::map<std::string, std::uint64_t> counted;
  for (const Traffic::Requests& requests : traffic.requests()) {
    EXPECT_EQ(requests.port, Port::kCheck);
    counted[std::string(requests.path) + " " + std::string(requests.code)] = requests.count;
  }
  const std::map<std::string, std::uint64_t> expected = {
      {"/replica 200", 3}, {"/primary 503", 1}, {"other 404", 2},
      {"/replica 405", 1}, {"/replica 413", 1}, {"/agent 200", 1},
      {"/agent 503", 1},   {"/agent 400", 1},   {"other 400", 2}};
  EXPECT_EQ(counted, expected);
}

}  // namespace
}  // namespace pg_status
