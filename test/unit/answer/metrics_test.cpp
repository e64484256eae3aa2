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

std::string Render(CheckScene& scene, const Traffic& traffic = Traffic()) {
  std::string text;
  AppendNodeMetrics(scene.world(), "1.0.0", traffic, text);
  AppendHostMetrics(scene.world(), text);
  return text;
}

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

std::string ValueOf(CheckScene& scene, const std::string& sample,
                    const Traffic& traffic = Traffic()) {
  const auto samples = Samples(Render(scene, traffic));
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

// The family that a sample is of: a histogram has three kinds of them.
std::string FamilyOf(const std::string& sample, const std::string& type) {
  const std::string of_histogram = Matched("^([a-z_]+)_(bucket|sum|count)$", sample);
  return type == "histogram" ? of_histogram : sample;
}

// The rules that a strict reader of the format holds us to.
void ExpectWellFormed(const std::string& text) {
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  std::set<std::string> families;
  std::string family;
  std::string type;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string helped = Matched("^# HELP ([a-z_]+) [^\\]+$", line);
    const std::string typed = Matched("^# TYPE ([a-z_]+) (gauge|counter|histogram)$", line);
    if (!helped.empty()) {
      family = helped;
      type.clear();
      EXPECT_TRUE(families.insert(family).second) << "twice: " << line;
    } else if (!typed.empty()) {
      EXPECT_EQ(typed, family) << line;
      EXPECT_EQ(type, "") << line;
      type = line.substr(line.rfind(' ') + 1);
    } else {
      EXPECT_NE(type, "") << line;
      const std::string sample =
          Matched("^([a-z_]+)(\\{" LABEL "(," LABEL ")*\\})? [0-9]+(\\.[0-9]+)?$", line);
      EXPECT_EQ(FamilyOf(sample, type), family) << line;
    }
    // What a linter says of names.
    EXPECT_EQ(Matched("_(count|sum|bucket|milliseconds)$", family), "") << family;
    if (!type.empty()) {
      EXPECT_EQ(type == "counter", Matched("_(total)$", family) == "total") << family;
    }
  }
}

TEST(Metrics, AllFamiliesOfAHealthyReplica) {
  CheckScene scene = CheckScene::OnReplica();
  scene.host(1).lag_ms = 1234;
  scene.host(1).lag_bytes = 77;
  scene.host(1).last_change_wall = 1500000;
  CopyFixedText(scene.host(1).dc, "x");
  CopyFixedText(scene.host(1).application_name, "n2");
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
      {"host_info{host=\"b\",dc=\"x\",geo=\"\",role=\"standby\",application_name=\"n2\"}", "1"},
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
  EXPECT_EQ(
      ValueOf(scene,
              "host_info{host=\"a\",dc=\"\",geo=\"\",role=\"unknown\",application_name=\"\"}"),
      "1");
  EXPECT_EQ(text.find("host_up"), std::string::npos);
  EXPECT_EQ(text.find("host_lag"), std::string::npos);
  ExpectWellFormed(text);
}

TEST(Metrics, BeforeAnythingWasPublished) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.Unpublish();
  scene.snapshot().host_count = 3;
  EXPECT_EQ(ValueOf(scene, "ready"), "0");
  for (const char* family : {"pg_status_host", "pg_status_poll", "pg_status_config"}) {
    EXPECT_EQ(Render(scene).find(family), std::string::npos) << family;
  }
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, NotReadyUntilEveryHostWasChecked) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().ready = 0;
  EXPECT_EQ(ValueOf(scene, "ready"), "0");
  EXPECT_EQ(ValueOf(scene, "host_up{host=\"a\"}"), "1");
}

TEST(Metrics, CountsTheChecksOfAHostAlsoOfOneThatIsDownOrLongUnheardOf) {
  CheckScene scene = CheckScene::OnPrimary();
  PgstTally& tally = scene.host(1).tally;
  tally.succeeded = 10;
  tally.failed = 2;
  tally.timed_out = 1;
  tally.reconnects = 4;
  tally.state_changes = 3;
  tally.duration_us = 2000123;
  tally.durations[0] = 7;
  tally.durations[3] = 5;
  tally.durations[PGST_DURATION_CLASSES - 1] = 1;
  scene.host(1).state = PGST_STATE_DOWN;
  for (const bool stale : {false, true}) {
    if (stale) scene.MakeStale();
    const std::map<std::string, std::string> expected = {
        {"polls_total{host=\"b\",result=\"ok\"}", "10"},
        {"polls_total{host=\"b\",result=\"error\"}", "2"},
        {"polls_total{host=\"b\",result=\"timeout\"}", "1"},
        {"polls_total{host=\"a\",result=\"ok\"}", "0"},
        {"reconnects_total{host=\"b\"}", "4"},
        {"state_changes_total{host=\"b\"}", "3"},
        {"poll_duration_seconds_bucket{host=\"b\",le=\"0.0005\"}", "7"},
        {"poll_duration_seconds_bucket{host=\"b\",le=\"0.001\"}", "7"},
        {"poll_duration_seconds_bucket{host=\"b\",le=\"0.005\"}", "12"},
        {"poll_duration_seconds_bucket{host=\"b\",le=\"5\"}", "12"},
        {"poll_duration_seconds_bucket{host=\"b\",le=\"+Inf\"}", "13"},
        {"poll_duration_seconds_sum{host=\"b\"}", "2.000123"},
        {"poll_duration_seconds_count{host=\"b\"}", "13"},
    };
    for (const auto& [sample, value] : expected) EXPECT_EQ(ValueOf(scene, sample), value) << sample;
    ExpectWellFormed(Render(scene));
  }
}

TEST(Metrics, TellsOfReloads) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(ValueOf(scene, "config_reloads_total"), "0");
  EXPECT_EQ(ValueOf(scene, "config_last_reload_success"), "1");
  scene.snapshot().reloads = 3;
  scene.snapshot().reload_refused = 1;
  EXPECT_EQ(ValueOf(scene, "config_reloads_total"), "3");
  EXPECT_EQ(ValueOf(scene, "config_last_reload_success"), "0");
}

TEST(Metrics, TellsHowLateProbesBegan) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().lateness[0] = 90;
  scene.snapshot().lateness[4] = 9;
  scene.snapshot().lateness[PGST_DURATION_CLASSES - 1] = 1;
  scene.snapshot().lateness_us = 6100000;
  scene.snapshot().lateness_max_us = 6000000;
  const std::map<std::string, std::string> expected = {
      {R"(poll_lateness_seconds_bucket{le="0.0005"})", "90"},
      {R"(poll_lateness_seconds_bucket{le="0.01"})", "99"},
      {R"(poll_lateness_seconds_bucket{le="+Inf"})", "100"},
      {"poll_lateness_seconds_sum", "6.100000"},
      {"poll_lateness_seconds_count", "100"},
      {"poll_lateness_max_seconds", "6.000000"},
  };
  for (const auto& [sample, value] : expected) EXPECT_EQ(ValueOf(scene, sample), value) << sample;
  ExpectWellFormed(Render(scene));
}

TEST(Metrics, TellsOfClients) {
  CheckScene scene = CheckScene::OnPrimary();
  Traffic traffic;
  traffic.Count(Port::kRaw, "", "MASTER");
  for (int i = 0; i < 3; ++i) traffic.Count(Port::kCheck, "/primary", 200);
  traffic.Count(Port::kCheck, "/primary", 503);
  traffic.Count(Port::kDiscovery, Traffic::kOtherPath, 404);
  traffic.of(Port::kDiscovery).open = 5;
  traffic.of(Port::kCheck).rejected = 6;
  traffic.of(Port::kRaw).write_failures = 7;
  const std::map<std::string, std::string> expected = {
      {R"(requests_total{port="raw",path="",code="MASTER"})", "1"},
      {R"(requests_total{port="check",path="/primary",code="200"})", "3"},
      {R"(requests_total{port="check",path="/primary",code="503"})", "1"},
      {R"(requests_total{port="discovery",path="other",code="404"})", "1"},
      {R"(connections{port="discovery"})", "5"},
      {R"(connections{port="raw"})", "0"},
      {R"(connections_rejected_total{port="check"})", "6"},
      {R"(write_failures_total{port="raw"})", "7"},
  };
  for (const auto& [sample, value] : expected) {
    EXPECT_EQ(ValueOf(scene, sample, traffic), value) << sample;
  }
  ExpectWellFormed(Render(scene, traffic));
}

TEST(Metrics, SaysSplitBrain) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.snapshot().live_primaries = 2;
  scene.snapshot().split_brain = 1;
  EXPECT_EQ(ValueOf(scene, "primaries"), "2");
  EXPECT_EQ(ValueOf(scene, "split_brain"), "1");
}

TEST(Metrics, SaysWhoseHistoryHasLost) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).diverged = 1;
  scene.host(2).superseded = 1;
  EXPECT_EQ(ValueOf(scene, "host_diverged{host=\"a\"}"), "0");
  EXPECT_EQ(ValueOf(scene, "host_diverged{host=\"b\"}"), "1");
  EXPECT_EQ(ValueOf(scene, "host_superseded{host=\"b\"}"), "0");
  EXPECT_EQ(ValueOf(scene, "host_superseded{host=\"c\"}"), "1");
  scene.MakeStale();
  EXPECT_EQ(ValueOf(scene, "host_diverged{host=\"b\"}"), "none");
}

TEST(Metrics, TellWhereSessionsAreReadOnly) {
  CheckScene scene = CheckScene::OnPrimary();
  EXPECT_EQ(ValueOf(scene, "local_read_only"), "none") << "not known";
  EXPECT_EQ(ValueOf(scene, "host_read_only{host=\"a\"}"), "none");
  scene.node().read_only = true;
  scene.host(0).has_read_only = scene.host(0).read_only = 1;
  scene.host(1).has_read_only = 1;
  EXPECT_EQ(ValueOf(scene, "local_read_only"), "1");
  EXPECT_EQ(ValueOf(scene, "host_read_only{host=\"a\"}"), "1");
  EXPECT_EQ(ValueOf(scene, "host_read_only{host=\"b\"}"), "0");
}

TEST(Metrics, LabelValuesAreEscaped) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.host(0).dc, "a\"b\\c");
  scene.host(0).geo[0] = '\n';
  EXPECT_EQ(
      ValueOf(scene,
              R"(host_info{host="a",dc="a\"b\\c",geo="\n",role="primary",application_name=""})"),
      "1");
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

TEST(Metrics, OfTheMajority) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.SeeVoters(2, 2, true);
  EXPECT_EQ(ValueOf(scene, "quorum"), "none") << "of two nodes there is none";
  EXPECT_EQ(ValueOf(scene, "voters"), "2");
  scene.SeeVoters(2, 3, true);
  EXPECT_EQ(ValueOf(scene, "quorum"), "1");
  EXPECT_EQ(ValueOf(scene, "local_fenced"), "0");
  scene.SeeVoters(1, 3, true);
  EXPECT_EQ(ValueOf(scene, "quorum"), "0");
  EXPECT_EQ(ValueOf(scene, "voters"), "3");
  EXPECT_EQ(ValueOf(scene, "voters_in_sight"), "1");
  EXPECT_EQ(ValueOf(scene, "local_fenced"), "1");
  EXPECT_EQ(ValueOf(scene, "local_primary"), "1") << "it is one all the same";
  scene.snapshot().made_mono = 0;
  scene.snapshot().stale_after = 1;
  for (const char* name : {"quorum", "voters", "voters_in_sight"}) {
    EXPECT_EQ(ValueOf(scene, name), "none") << name;
  }
}

}  // namespace
}  // namespace pg_status
