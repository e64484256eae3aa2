// Writing Prometheus' text format.
#include "answer/metrics_text.hpp"

#include <fmt/format.h>

#include "base/clock.hpp"

namespace pg_status {
namespace {

constexpr std::string_view kPrefix = "pg_status_";

void AppendAll(std::string& out, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) out.append(part);
}

// With the three escapes that the format has.
void AppendQuoted(std::string_view value, std::string& out) {
  out.push_back('"');
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    out.append(c == '\n' ? std::string_view("\\n") : std::string_view(&c, 1));
  }
  out.push_back('"');
}

}  // namespace

MetricValue MetricSeconds(std::uint64_t us) {
  return fmt::format("{}.{:06}", us / kUsPerSecond, us % kUsPerSecond);
}

void AppendMetricHead(std::string_view name, std::string_view type, std::string_view help,
                      std::string& out) {
  AppendAll(out, {"# HELP ", kPrefix, name, " ", help, "\n"});
  AppendAll(out, {"# TYPE ", kPrefix, name, " ", type, "\n"});
}

void AppendMetricSample(std::string_view name, std::initializer_list<MetricLabel> labels,
                        std::string_view value, std::string& out) {
  AppendAll(out, {kPrefix, name});
  char before = '{';
  for (const MetricLabel& label : labels) {
    out.push_back(before);
    AppendAll(out, {label.name, "="});
    AppendQuoted(label.value, out);
    before = ',';
  }
  if (before == ',') out.push_back('}');
  AppendAll(out, {" ", value, "\n"});
}

}  // namespace pg_status
