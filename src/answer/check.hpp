// The check port: is this node the primary, a good replica, alive? Patroni's REST paths without a
// DCS, as bare lines HAProxy's agent replies, /metrics, and the page for people. Knows paths,
// parameters, codes and words; the facts are in World.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "answer/agent_memory.hpp"
#include "answer/client.hpp"
#include "answer/kept.hpp"
#include "answer/page_data.hpp"
#include "answer/traffic.hpp"
#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Check : public Service {
 public:
  // traffic: where its answers are counted; /metrics tells of all that is counted there. now: when
  // it begins to answer.
  Check(const World& world, PageSources page, std::string_view version, Traffic& traffic,
        MonoUs now);

  Port port() const override { return Port::kCheck; }

  // Of what the page shows only, when that is asked for.
  std::optional<Patience> PatienceOf(const Request& request) const override;
  void AnswerHttp(const Request& request, bool close, std::string& out) override;
  void AnswerLine(const Request& request, std::string& out) override;
  void AnswerBad(int status, std::string_view help, std::string& out) override;

 private:
  // An answer as GET would get it. What is long stays where it is kept.
  struct Answer {
    int status = 200;
    std::string_view type;
    std::string body;
    std::string_view rest;    // of the body
    std::string_view policy;  // "" none
    bool left_out = false;    // there is a body, but it was not written
  };

  Answer AnswerTo(const Request& request);
  void WritePageData(const Request& request, std::string& out);
  static void Append(const Answer& answer, const Request& request, bool close, std::string& out);

  const World& world_;
  const PageSources page_;
  const std::string version_;
  Traffic& traffic_;
  AgentMemory agents_;
  Kept cluster_;
  Kept host_metrics_;
  Kept page_hosts_{Kept::Ages::kTold};
};

// For SQL: the HTTP code that GET <path> would get, and the agent line for a command, without its
// newline. Both may have a leading slash or lack it. The line is the one for who asks for the first
// time: nobody here remembers.
int CheckCode(const World& world, std::string_view path_and_query);
std::string AgentReply(const World& world, std::string_view command);

// The agent line for a command such as "replica?lag=10MB" (without newline), its own newline
// included. `memory`: what was said before, and where this is noted.
std::string AgentLine(const World& world, const Request& command, AgentMemory& memory);

}  // namespace pg_status
