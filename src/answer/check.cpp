// The check port's answers: findings put into HTTP. Knows methods, heads and which body goes with
// what; what a path demands is health's matter.
#include "answer/check.hpp"

#include <utility>

#include "answer/health.hpp"
#include "answer/http_head.hpp"
#include "answer/metrics.hpp"
#include "answer/node_json.hpp"
#include "answer/page.hpp"
#include "answer/parameters.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kMethods = "GET, HEAD, OPTIONS";
constexpr std::string_view kAgentPath = "/agent";

// For whoever opens it in a browser: it has texts of operators in it, and is nothing to be run.
constexpr std::string_view kDataPolicy = "default-src 'none'; frame-ancestors 'none'";

// Texts of complaints need no escaping: they are all ours. To what is no path there is nothing to
// say.
std::string ErrorJson(Complaint complaint) {
  if (complaint == Complaint::kBrokenPath) return {};
  std::string json = R"({"error_text": ")";
  json.append(TextOf(complaint));
  json.append(R"("})");
  return json;
}

std::string_view PathLabel(const Request& request) {
  if (!request.path_ok) return Traffic::kOtherPath;
  if (request.line && request.path == kAgentPath) return kAgentPath;
  const std::string_view path = KnownPath(request.path);
  return path.empty() ? Traffic::kOtherPath : path;
}

// The status that says the same as an agent's reply. Its word of health comes first.
int StatusOfReply(std::string_view reply) {
  const std::string_view word = reply.substr(0, reply.find_first_of(" \n"));
  if (word == "up") return 200;
  return word == "fail" ? 400 : 503;
}

}  // namespace

Check::Check(const World& world, PageSources page, std::string_view version, Traffic& traffic,
             MonoUs now)
    : world_(world), page_(std::move(page)), version_(version), traffic_(traffic), agents_(now) {}

std::optional<Patience> Check::PatienceOf(const Request& request) const {
  const bool may_wait = !request.line && request.method == Method::kGet && request.path_ok &&
                        !request.has_body && request.path == kPageDataPath;
  if (!may_wait || Examine(world_, request).code() != 200) return std::nullopt;
  return ReadWaiting(request, world_.generation).patience;
}

void Check::WritePageData(const Request& request, std::string& out) {
  PageReader reader;
  ReadNumber(request, "generation", reader.generation);
  ReadNumber(request, "since", reader.since);
  const std::string& hosts =
      page_hosts_.Update(world_, [this](std::string& list) { AppendPageHosts(world_, list); });
  AppendPageData(world_, page_, reader, version_, hosts, out);
}

Check::Answer Check::AnswerTo(const Request& request) {
  const Finding finding = Examine(world_, request);
  Answer answer;
  answer.status = finding.code();
  answer.type = kJsonType;
  // It gets no body, and it is how HAProxy asks, several times a second.
  if (request.method == Method::kOptions) return answer;
  if (answer.status != 200 && answer.status != 503) {
    answer.body = ErrorJson(finding.complaint);
    return answer;
  }
  switch (finding.content) {
    case Content::kNothing:
      break;
    case Content::kNode:
      AppendNode(world_, version_, answer.body);
      break;
    case Content::kCluster:
      answer.rest =
          cluster_.Update(world_, [this](std::string& out) { AppendCluster(world_, out); });
      break;
    case Content::kMetrics:
      answer.type = kMetricsType;
      AppendNodeMetrics(world_, version_, traffic_, answer.body);
      answer.rest = host_metrics_.Update(
          world_, [this](std::string& out) { AppendHostMetrics(world_, out); });
      break;
    case Content::kPage:
      answer.type = kPageType;
      answer.rest = Page();
      answer.policy = PagePolicy();
      break;
    case Content::kPageData:
      answer.policy = kDataPolicy;
      // It may take milliseconds, and who sends many of these in one piece gets little for each.
      answer.left_out = request.method == Method::kHead;
      if (!answer.left_out) WritePageData(request, answer.body);
      break;
  }
  return answer;
}

void Check::Append(const Answer& answer, const Request& request, bool close, std::string& out) {
  const bool options = request.method == Method::kOptions;
  HeadFields fields;
  fields.port = PortWord(Port::kCheck);
  const std::size_t size = options ? 0 : answer.body.size() + answer.rest.size();
  if (size > 0 || answer.left_out) fields.content_type = answer.type;
  fields.content_length = size;
  if (answer.left_out) fields.content_length.reset();
  if (options || answer.status == 405) fields.allow = kMethods;
  fields.policy = answer.policy;
  AppendStatus(answer.status, PersistenceFor(request, close), out);
  AppendFields(fields, out);
  if (request.method == Method::kHead || options) return;
  out.append(answer.body);
  out.append(answer.rest);
}

void Check::AnswerHttp(const Request& request, bool close, std::string& out) {
  Answer answer;
  if (request.method == Method::kOther) {
    answer.status = 405;
  } else if (request.path_ok && request.has_body) {
    answer.status = 413;
    close = true;
  } else {
    answer = AnswerTo(request);
  }
  traffic_.Count(port(), PathLabel(request), answer.status);
  Append(answer, request, close, out);
}

void Check::AnswerLine(const Request& request, std::string& out) {
  const std::string reply = AgentLine(world_, request, agents_);
  traffic_.Count(port(), PathLabel(request), StatusOfReply(reply));
  out.append(reply);
}

void Check::AnswerBad(int status, std::string_view help, std::string& out) {
  traffic_.Count(port(), Traffic::kOtherPath, status);
  HeadFields fields;
  fields.port = PortWord(Port::kCheck);
  if (!help.empty()) fields.content_type = kTextType;
  fields.content_length = help.size();
  AppendStatus(status, Persistence::kClose, out);
  AppendFields(fields, out);
  out.append(help);
}

namespace {

// Read as a line command, so that SQL and a person at a terminal may write the same. False when
// that is not what it is.
bool ReadCommand(std::string_view text, RequestReader& reader) {
  if (!text.empty() && text.front() == '/') text.remove_prefix(1);
  if (text.find('\n') != std::string::npos) return false;
  reader.Feed(std::string(text) + '\n');
  return reader.Next() == RequestReader::Status::kRequest && reader.request().line;
}

}  // namespace

int CheckCode(const World& world, std::string_view path_and_query) {
  RequestReader reader;
  if (!ReadCommand(path_and_query, reader)) return CodeOf(Complaint::kBrokenPath);
  return Examine(world, reader.request()).code();
}

std::string AgentReply(const World& world, std::string_view command) {
  RequestReader reader;
  if (!ReadCommand(command, reader)) {
    return "fail # " + std::string(TextOf(Complaint::kBrokenPath));
  }
  AgentMemory nothing(world.now);
  std::string line = AgentLine(world, reader.request(), nothing);
  line.pop_back();
  return line;
}

}  // namespace pg_status
