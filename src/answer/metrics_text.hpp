// Prometheus' text format 0.0.4: the head of a family, samples with labels. Knows no family.
// Values are texts: whole numbers as they are, seconds with a fixed number of decimals.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "publish/snapshot.h"

#include "base/cpp_only.hpp"

namespace pg_status {

// "" no sample: what is not known is left out, never 0 or -1, because "0" is a claim.
using MetricValue = std::string;

inline MetricValue MetricFlag(bool value) { return value ? "1" : "0"; }
inline MetricValue MetricNumberIf(bool known, std::uint64_t value) {
  return known ? std::to_string(value) : MetricValue();
}
MetricValue MetricSeconds(std::uint64_t us);

inline constexpr std::string_view kGauge = "gauge";
inline constexpr std::string_view kCounter = "counter";
inline constexpr std::string_view kHistogram = "histogram";

// Names are given without the prefix that all of ours have. help: one line without backslashes.
void AppendMetricHead(std::string_view name, std::string_view type, std::string_view help,
                      std::string& out);

struct MetricLabel {
  std::string_view name;
  std::string_view value;  // as it is: it is escaped here
};

void AppendMetricSample(std::string_view name, std::initializer_list<MetricLabel> labels,
                        std::string_view value, std::string& out);

// The samples of a histogram of durations, counted in the classes of judge/tally.hpp. label:
// nullptr for none.
void AppendMetricDurations(std::string_view name, const MetricLabel* label,
                           const std::uint64_t (&classes)[PGST_DURATION_CLASSES],
                           std::uint64_t total_us, std::string& out);

}  // namespace pg_status
