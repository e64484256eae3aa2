// The check port over HTTP as a client has it: what is said, and the parts of what is answered.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "answer/check.hpp"
#include "answer/check_scene.hpp"
#include "answer/client.hpp"
#include "answer/health.hpp"

namespace pg_status {

inline int CodeIn(CheckScene& scene, std::string_view path) {
  return CheckCode(scene.world(), path);
}

// All that a client is sent for these bytes.
inline std::string Talk(CheckScene& scene, std::string_view bytes) {
  Traffic traffic;
  Check check(scene.world(), kNoPageSources, "1.0.0", traffic, 0);
  Client client(check, ClientLimits{}, CheckScene::kNow);
  client.Receive(bytes, CheckScene::kNow);
  return std::string(client.output());
}

// Of a port that has answered before.
inline std::string AskAgain(Check& check, const std::string& target) {
  std::string out;
  RequestReader reader;
  reader.Feed("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(reader.Next(), RequestReader::Status::kRequest);
  check.AnswerHttp(reader.request(), false, out);
  return out;
}

inline std::string Ask(CheckScene& scene, std::string_view method, std::string_view target) {
  return Talk(scene,
              std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

inline std::string BodyOf(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "no head" : response.substr(end + 4);
}
inline std::string HeadOf(const std::string& response) {
  return response.substr(0, response.find("\r\n\r\n") + 2);
}
inline std::string StatusOf(const std::string& response) { return response.substr(9, 3); }
inline std::string FieldOf(const std::string& response, const std::string& name) {
  const std::string head = HeadOf(response);
  const std::size_t begin = head.find("\r\n" + name + ": ");
  if (begin == std::string::npos) return "none";
  const std::size_t value = begin + name.size() + 4;
  return head.substr(value, head.find("\r\n", value) - value);
}

}  // namespace pg_status
