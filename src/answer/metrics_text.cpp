// Writing Prometheus' text format.
#include "answer/metrics_text.hpp"

#include <fmt/format.h>

#include "base/clock.hpp"
#include "judge/tally.hpp"

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

std::string BoundText(std::size_t duration_class) {
  if (duration_class == kDurationBoundsUs.size()) return "+Inf";
  return fmt::format("{}", static_cast<double>(kDurationBoundsUs[duration_class]) /
                               static_cast<double>(kUsPerSecond));
}

void AppendSample(std::string_view name, std::string_view suffix, const MetricLabel* labels,
                  std::size_t count, std::string_view value, std::string& out) {
  AppendAll(out, {kPrefix, name, suffix});
  char before = '{';
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(before);
    AppendAll(out, {labels[i].name, "="});
    AppendQuoted(labels[i].value, out);
    before = ',';
  }
  if (before == ',') out.push_back('}');
  AppendAll(out, {" ", value, "\n"});
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
  AppendSample(name, "", labels.begin(), labels.size(), value, out);
}

// A bucket of the format holds all that is shorter, too.
void AppendMetricDurations(std::string_view name, const MetricLabel* label,
                           const std::uint64_t (&classes)[PGST_DURATION_CLASSES],
                           std::uint64_t total_us, std::string& out) {
  const std::size_t own = label != nullptr ? 1 : 0;
  MetricLabel labels[2];
  if (own > 0) labels[0] = *label;
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < kDurationClasses; ++i) {
    so_far += classes[i];
    const std::string bound = BoundText(i);
    labels[own] = {"le", bound};
    AppendSample(name, "_bucket", labels, own + 1, std::to_string(so_far), out);
  }
  AppendSample(name, "_sum", labels, own, MetricSeconds(total_us), out);
  AppendSample(name, "_count", labels, own, std::to_string(so_far), out);
}

}  // namespace pg_status
