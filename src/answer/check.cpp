// The check port's answers: findings put into HTTP. Knows methods, heads and which body goes with
// what; what a path demands is health's matter.
#include "answer/check.hpp"

#include "answer/health.hpp"
#include "answer/http_head.hpp"
#include "answer/metrics.hpp"
#include "answer/node_json.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kPort = "check";
constexpr std::string_view kMethods = "GET, HEAD, OPTIONS";

// An answer as GET would get it.
struct Answer {
  int status = 200;
  std::string_view type;
  std::string body;
};

void Append(const Answer& answer, const Request& request, bool close, std::string& out) {
  const bool options = request.method == Method::kOptions;
  HeadFields fields;
  fields.port = kPort;
  if (!options && !answer.body.empty()) fields.content_type = answer.type;
  fields.content_length = options ? 0 : answer.body.size();
  if (options || answer.status == 405) fields.allow = kMethods;
  AppendStatus(answer.status, PersistenceFor(request, close), out);
  AppendFields(fields, out);
  if (request.method != Method::kHead && !options) out.append(answer.body);
}

// Texts of complaints need no escaping: they are all ours. To what is no path there is nothing to
// say.
std::string ErrorJson(Complaint complaint) {
  if (complaint == Complaint::kBrokenPath) return {};
  std::string json = R"({"error_text": ")";
  json.append(TextOf(complaint));
  json.append(R"("})");
  return json;
}

Answer AnswerTo(const World& world, std::string_view version, const Request& request) {
  const Finding finding = Examine(world, request);
  Answer answer{finding.code(), kJsonType, ""};
  if (answer.status != 200 && answer.status != 503) {
    answer.body = ErrorJson(finding.complaint);
    return answer;
  }
  switch (finding.content) {
    case Content::kNothing:
      break;
    case Content::kNode:
      AppendNode(world, version, answer.body);
      break;
    case Content::kCluster:
      AppendCluster(world, answer.body);
      break;
    case Content::kMetrics:
      answer.type = kMetricsType;
      answer.body = RenderMetrics(world, version);
      break;
  }
  return answer;
}

}  // namespace

Check::Check(const World& world, std::string_view version) : world_(world), version_(version) {}

void Check::AnswerHttp(const Request& request, bool close, std::string& out) {
  if (request.method == Method::kOther) {
    Append({405, "", ""}, request, close, out);
  } else if (request.path_ok && request.has_body) {
    Append({413, "", ""}, request, true, out);
  } else {
    Append(AnswerTo(world_, version_, request), request, close, out);
  }
}

void Check::AnswerLine(const Request& request, std::string& out) {
  out.append(AgentLine(world_, request));
}

void Check::AnswerBad(int status, std::string_view help, std::string& out) {
  HeadFields fields;
  fields.port = kPort;
  if (!help.empty()) fields.content_type = kTextType;
  fields.content_length = help.size();
  AppendStatus(status, Persistence::kClose, out);
  AppendFields(fields, out);
  out.append(help);
}

// Read as a line command, so that SQL and a person at a terminal may write the same.
int Check::Code(std::string_view path_and_query) const {
  if (!path_and_query.empty() && path_and_query.front() == '/') path_and_query.remove_prefix(1);
  std::string line(path_and_query);
  if (line.find('\n') != std::string::npos) return CodeOf(Complaint::kBrokenPath);
  line += '\n';
  RequestReader reader;
  reader.Feed(line);
  const bool understood = reader.Next() == RequestReader::Status::kRequest && reader.request().line;
  if (!understood) return CodeOf(Complaint::kBrokenPath);
  return Examine(world_, reader.request()).code();
}

}  // namespace pg_status
