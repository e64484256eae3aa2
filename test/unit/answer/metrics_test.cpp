// /metrics: every family, what is left out when it is not known, and the rules of the text format.
#include "answer/metrics.hpp"

#include <gtest/gtest.h>
#include <regex.h>

#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "answer/check_scene.hpp"

namespace pg_status {
namespace {

std::string Render(CheckScene& scene) { return RenderMetrics(scene.world(), "1.0.0"); }

// Sample (with its labels) -> value.
std::map<std::string, std::string> Samples(const std::string& text) {
  std::map<std::string, std::string> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    const std::size_t blank = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, blank), line.substr(blank + 1)).second) << line;
  }
  return samples;
}

std::string ValueOf(CheckScene& scene, const std::string& sample) {
  const auto samples = Samples(Render(scene));
  const auto found = samples.find("pg_status_" + sample);
  return found == samples.end() ? "none" : found->second;
}

// The first group of a POSIX expression that has to match the whole line; "" when it does not.
std::string Matched(const char* expression, const std::string& line) {
  regex_t compiled;
  if (regcomp(&compiled, expression, REG_EXTENDED) != 0) return "cannot compile";
  regmatch_t groups[2];
  const bool found = regexec(&compiled, line.c_str(), 2, groups, 0) == 0;
  regfree(&compiled);
  if (!found) return "";
  return line.substr(static_cast<std::size_t>(groups[1].rm_so),
                     static_cast<std::size_t>(groups[1].rm_eo - groups[1].rm_so));
}

#define LABEL "[a-z_]+=\"([^\"\\\\]|\\\\[\\\\\"n])*\""

// The rules that a strict reader of the format holds us to.
void ExpectWellFormed(const std::string& text) {
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  std::set<std::string> families;
  std::string family;
  bool typed = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string helped = Matched("^# HELP ([a-z_]+) [^\\]+$", line);
    const std::string type_of = Matched("^# TYPE ([a-z_]+) gauge$", line);
    if (!helped.empty()) {
      family = helped;
      typed = false;
      EXPECT_TRUE(families.insert(family).second) << "twice: " << line;
    } else if (!type_of.empty()) {
      EXPECT_EQ(type_of, family) << line;
      EXPECT_FALSE(typed) << line;
      typed = true;
    } else {
      EXPECT_EQ(Matched("^([a-z_]+)(\\{" LABEL "(," LABEL ")*\\})? [0-9]+(\\.[0-9]+)?$", line),
                family)
          << line;
      EXPECT_TRUE(typed) << line;
    }
    // What a linter says of a gauge's name.
    EXPECT_EQ(Matched("_(total|count|sum|bucket|milliseconds)$", family), "") << family;
  }
}

TEST(Metrics, AllFamiliesOfAHealthyReplica) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(1).lag_ms = 1234;
  scene.host(1).lag_bytes = 77;
  scene.host(1).last_change_wall = 1500000;
  CopyFixedText(scene.host(1).dc, "x");
  CopyFixedText(scene.host(1).sync_state, "sync");
  const std::map<std::string, std::string> expected = {
      {"build_info{version=\"1.0.0\",server_version=\"150007\"}", "1"},
      {"ready", "1"},
      {"primaries", "1"},
      {"split_brain", "0"},
      {"local_primary", "0"},
      {"local_in_recovery", "1"},
      {"local_streaming", "1"},
      {"local_replay_paused", "0"},
      {"host_info{host=\"b\",dc=\"x\",geo=\"\",role=\"standby\"}", "1"},
      {"host_up{host=\"b\"}", "1"},
      {"host_possibly_down{host=\"b\"}", "0"},
      {"host_primary{host=\"a\"}", "1"},
      {"host_primary{host=\"b\"}", "0"},
      {"host_sync_standby{host=\"a\"}", "none"},
      {"host_sync_standby{host=\"b\"}", "1"},
      {"host_sync_standby{host=\"c\"}", "0"},
      {"host_lag_bytes{host=\"b\"}", "77"},
      {"host_lag_seconds{host=\"a\"}", "0.000"},
      {"host_lag_seconds{host=\"b\"}", "1.234"},
      {"host_wal_position_bytes{host=\"b\"}", "1000000"},
      {"host_timeline{host=\"b\"}", "3"},
      {"host_last_success_timestamp_seconds{host=\"b\"}", "1784883598.000000"},
      {"host_last_change_timestamp_seconds{host=\"b\"}", "1.500000"},
      {"host_last_change_timestamp_seconds{host=\"a\"}", "none"},
  };
  for (const auto& [sample, value] : expected) EXPECT_EQ(ValueOf(scene, sample), value) << sample;
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, OfThisServerInEachState) {
  struct Row {
    CheckScene scene;
    const char* primary;
    const char* in_recovery;
    const char* streaming;
  };
  Row rows[] = {{CheckScene::OnPrimary(), "1", "0", "none"},
                {CheckScene::OnReplica(), "0", "1", "1"},
                {CheckScene::Starting(), "0", "1", "none"},
                {CheckScene::OnPrimary(), "1", "0", "none"},
                {CheckScene::OnReplica(), "0", "1", "1"},
                {CheckScene::OnPrimary(), "none", "none", "none"}};
  rows[3].scene.node().state = NodeState::kStopping;
  rows[4].scene.node().state = NodeState::kStopping;
  rows[5].scene.node().state = NodeState::kStopping;
  rows[5].scene.node().written = kNoLsn;
  for (Row& row : rows) {
    EXPECT_EQ(ValueOf(row.scene, "local_primary"), row.primary);
    EXPECT_EQ(ValueOf(row.scene, "local_in_recovery"), row.in_recovery);
    EXPECT_EQ(ValueOf(row.scene, "local_streaming"), row.streaming);
    ExpectWellFormed(Render(row.scene));
  }
}

TEST(Metrics, OfASuspectOfOneThatIsDownAndOfOneThatWasNeverChecked) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(0).state = PGST_STATE_SUSPECT;
  scene.host(1).state = PGST_STATE_DOWN;
  scene.host(1).has_lag_bytes = scene.host(1).has_lag_ms = scene.host(1).has_lsn = 0;
  CopyFixedText(scene.host(1).sync_state, "");
  scene.host(2).checked = 0;
  EXPECT_EQ(ValueOf(scene, "host_up{host=\"a\"}"), "1");
  EXPECT_EQ(ValueOf(scene, "host_possibly_down{host=\"a\"}"), "1");
  EXPECT_EQ(ValueOf(scene, "host_up{host=\"b\"}"), "0");
  EXPECT_EQ(ValueOf(scene, "host_possibly_down{host=\"b\"}"), "1");
  for (const char* family : {"lag_bytes", "lag_seconds", "wal_position_bytes", "sync_standby"}) {
    EXPECT_EQ(ValueOf(scene, "host_" + std::string(family) + "{host=\"b\"}"), "none") << family;
  }
  EXPECT_EQ(ValueOf(scene, "host_up{host=\"c\"}"), "none");
  EXPECT_EQ(ValueOf(scene, "host_primary{host=\"c\"}"), "none");
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, OnceThePollerIsSilentNothingIsClaimedOfHosts) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.MakeStale();
  const std::string text = Render(scene);
  EXPECT_EQ(ValueOf(scene, "ready"), "0");
  EXPECT_EQ(ValueOf(scene, "primaries"), "none");
  EXPECT_EQ(ValueOf(scene, "split_brain"), "none");
  EXPECT_EQ(ValueOf(scene, "local_primary"), "1");
  EXPECT_EQ(ValueOf(scene, "host_info{host=\"a\",dc=\"\",geo=\"\",role=\"unknown\"}"), "1");
  EXPECT_EQ(text.find("host_up"), std::string::npos);
  EXPECT_EQ(text.find("host_lag"), std::string::npos);
  ExpectWellFormed(text);
}

TEST(Metrics, BeforeAnythingWasPublished) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.Unpublish();
  scene.snapshot().host_count = 3;
  EXPECT_EQ(ValueOf(scene, "ready"), "0");
  EXPECT_EQ(Render(scene).find("pg_status_host"), std::string::npos);
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, NotReadyUntilEveryHostWasChecked) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().ready = 0;
  EXPECT_EQ(ValueOf(scene, "ready"), "0");
  EXPECT_EQ(ValueOf(scene, "host_up{host=\"a\"}"), "1");
}

TEST(Metrics, SaysSplitBrain) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().live_primaries = 2;
  scene.snapshot().split_brain = 1;
  EXPECT_EQ(ValueOf(scene, "primaries"), "2");
  EXPECT_EQ(ValueOf(scene, "split_brain"), "1");
}

TEST(Metrics, LabelValuesAreEscaped) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.host(0).dc, "a\"b\\c");
  scene.host(0).geo[0] = '\n';
  EXPECT_EQ(ValueOf(scene, R"(host_info{host="a",dc="a\"b\\c",geo="\n",role="primary"})"), "1");
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, TimesBeforeOurEraAreNotKnown) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(0).last_success_wall = -5;
  EXPECT_EQ(ValueOf(scene, "host_last_success_timestamp_seconds{host=\"a\"}"), "none");
}

TEST(Metrics, NeverLooksBeyondTheRoomThereIs) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().host_count = 1000;
  for (std::uint32_t i = 3; i < scene.snapshot().max_hosts; ++i) {
    CopyFixedText(scene.host(i).name, "h" + std::to_string(i));
  }
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, LargeNumbersAreWrittenInFull) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(0).lsn = 18446744073709551615U;
  scene.host(0).lag_ms = 18446744073709551615U;
  EXPECT_EQ(ValueOf(scene, "host_wal_position_bytes{host=\"a\"}"), "18446744073709551615");
  EXPECT_EQ(ValueOf(scene, "host_lag_seconds{host=\"a\"}"), "18446744073709551.615");
}

}  // namespace
}  // namespace pg_status
