// The check port: is this node the primary, a good replica, alive? Patroni's REST paths without a
// DCS, as bare lines HAProxy's agent replies, and /metrics. Knows paths, parameters, codes and
// words; the facts are in World.
#pragma once

#include <string>
#include <string_view>

#include "answer/client.hpp"
#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Check : public Service {
 public:
  Check(const World& world, std::string_view version);

  void AnswerHttp(const Request& request, bool close, std::string& out) override;
  void AnswerLine(const Request& request, std::string& out) override;
  void AnswerBad(int status, std::string_view help, std::string& out) override;

  // The HTTP code that GET <path> would get, for SQL; the path may lack its leading slash.
  int Code(std::string_view path_and_query) const;

 private:
  const World& world_;
  const std::string version_;
};

// The agent line for a command such as "replica?lag=10MB" (without newline), its own newline
// included.
std::string AgentLine(const World& world, const Request& command);

}  // namespace pg_status
