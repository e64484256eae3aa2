// What the fuzz targets of peers share: where texts of a peer end up, from facts and failures to
// the snapshot that SQL reads, JSON, metrics and lines of log, and what must hold of each of them
// whatever the peer said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <rapidjson/document.h>

#include "answer/host_json.hpp"
#include "answer/metrics.hpp"
#include "answer/node_json.hpp"
#include "base/fixed_text.hpp"
#include "judge/judge.hpp"
#include "probe/reply_rows.hpp"
#include "publish/build_snapshot.hpp"

namespace pg_status {

inline void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// One of the texts in the snapshot: ended, zero behind its end, one line of valid UTF-8.
template <std::size_t N>
void CheckText(const char (&text)[N]) {
  const std::string_view shown = FixedText(text);
  Require(shown.size() < N, "a text is ended");
  for (std::size_t i = shown.size(); i < N; ++i) Require(text[i] == '\0', "nothing is behind it");
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(shown[i]);
    Require(byte >= 0x20 && byte != 0x7F, "no control character is shown");
    const bool c1 =
        byte == 0xC2 && i + 1 < shown.size() && static_cast<std::uint8_t>(shown[i + 1]) < 0xA0;
    Require(!c1, "no control character of two bytes is shown");
  }
  Require(shown.find("\u2028") == std::string_view::npos &&
              shown.find("\u2029") == std::string_view::npos,
          "no line separator is shown");
}

// A line for the log as the wall hands it on.
inline void CheckLine(const LogLine& line) {
  char shown[512];
  for (const std::string* text : {&line.message, &line.detail, &line.hint}) {
    CopyFixedText(shown, *text);
    CheckText(shown);
  }
}

// RapidJSON's reader checks the encoding and the escapes, too.
inline void CheckJson(const std::string& json) {
  Require(json.find_first_of(std::string_view("\0\n\r\t\x1b\x7f", 6)) == std::string::npos,
          "JSON is one line without control characters");
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(json.data(), json.size());
  Require(!document.HasParseError(), "JSON can be parsed");
}

// name{label="value",...} value, or a comment. Returns what is behind the line.
inline std::string_view CheckMetric(std::string_view text) {
  const std::size_t end = text.find('\n');
  Require(end != std::string_view::npos, "each metric ends in a newline");
  const std::string_view line = text.substr(0, end);
  if (line.rfind("# HELP pg_status_", 0) != 0 && line.rfind("# TYPE pg_status_", 0) != 0) {
    Require(line.rfind("pg_status_", 0) == 0, "a metric is one of ours");
    bool quoted = false;
    std::size_t value = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\\' && quoted) {
        ++i;
        Require(i < line.size() && std::strchr("\\\"n", line[i]) != nullptr,
                "an escape is one of the three");
      } else if (line[i] == '"') {
        quoted = !quoted;
      } else if (line[i] == ' ' && !quoted) {
        value = i + 1;
      }
    }
    Require(!quoted && value != 0, "quotes are closed, and a value follows");
    char* rest = nullptr;
    const std::string number(line.substr(value));
    std::strtod(number.c_str(), &rest);
    Require(!number.empty() && *rest == '\0', "a value is a number");
  }
  return text.substr(end + 1);
}

inline void CheckMetrics(const std::string& metrics) {
  for (std::string_view rest = metrics; !rest.empty();) rest = CheckMetric(rest);
}

inline void CheckSnapshot(const PgstSnapshot& snapshot) {
  for (std::uint32_t i = 0; i < snapshot.host_count; ++i) {
    const PgstHost& host = snapshot.hosts[i];
    CheckText(host.name);
    CheckText(host.replication_state);
    CheckText(host.sync_state);
    CheckText(host.upstream);
    CheckText(host.last_error);
    Require(host.lag_ms == 0 || host.has_lag_ms != 0, "an unknown lag is 0");
    Require(!host.foreign || !host.primary, "a foreign host is never the primary");
    Require(!host.superseded || !host.primary, "a superseded primary is never named");
    Require(!host.diverged || (!host.primary && !host.has_lag_ms && !host.has_lag_bytes),
            "how far a diverged standby is behind is not known");
  }
  CheckText(snapshot.primary_reason);
  Require(snapshot.fork_count <= PGST_MAX_FORKS, "forks are bounded");
  Require(snapshot.sender_count <= PGST_MAX_SENDERS, "walsenders are bounded");
  for (std::uint32_t i = 0; i < snapshot.sender_count; ++i) {
    CheckText(snapshot.senders[i].usename);
    CheckText(snapshot.senders[i].application_name);
    CheckText(snapshot.senders[i].client_addr);
    CheckText(snapshot.senders[i].state);
    CheckText(snapshot.senders[i].sync_state);
  }
}

// A cluster of three: the host that is fuzzed, a good primary that it may belong to, and a good
// standby. The first is also this very server, so that its walsenders are shown.
class FuzzedCluster {
 public:
  static constexpr std::uint32_t kHosts = 3;

  FuzzedCluster() : memory_(pgst_snapshot_size(kHosts) / sizeof(std::uint64_t) + 1) {
    limits_.max_fails = 2;
    for (std::size_t i = 0; i < kHosts; ++i) {
      HostEntry entry;
      entry.name = "db" + std::to_string(i + 1);
      entry.hostname = entry.name;
      entry.port = 5432;
      entry.application_name = "app" + std::to_string(i + 1);
      entries_.push_back(entry);
    }
    before_.hosts.resize(kHosts);
    after_.hosts.resize(kHosts);
    Record(1, ParseReply(FakeRows({WithSender(PrimaryCells(), "app1")}), 150020));
    Record(2, ParseReply(FakeRows({StandbyCells()}), 150020));
    reinterpret_cast<PgstSnapshot*>(memory_.data())->max_hosts = kHosts;
  }

  // What the host said, or why it said nothing; the snapshot and the log's lines are looked at each
  // time.
  void Hears(const Observation& observation) {
    RecordObservation(after_.hosts[0], observation, limits_);
    Judge();
  }
  void Hears(const Result<Facts>& reply) {
    Record(0, reply);
    Judge();
  }

  // What HTTP would answer now.
  void CheckAnswers() const {
    const auto& snapshot = *reinterpret_cast<const PgstSnapshot*>(memory_.data());
    World world;
    world.snapshot = &snapshot;
    world.poller_alive = now_;
    world.now = now_;
    world.wall_now = kWallNow;
    world.node.state = NodeState::kPrimary;
    std::string json, node, cluster, metrics;
    AppendHostList(snapshot, kWallNow, json);
    CheckJson(json);
    AppendNode(world, "1", node);
    CheckJson(node);
    AppendCluster(world, cluster);
    CheckJson(cluster);
    AppendHostMetrics(world, metrics);
    AppendNodeMetrics(world, "1", Traffic(), metrics);
    CheckMetrics(metrics);
    // each text may grow sixfold by escaping, and there are a few of them
    Require(json.size() + node.size() + cluster.size() < 200000, "JSON is bounded");
    Require(metrics.size() < 200000, "metrics are bounded");
  }

 private:
  void Record(std::size_t host, const Result<Facts>& reply) {
    Observation observation;
    observation.outcome = reply ? Outcome::kOk : Outcome::kGarbled;
    observation.started = now_;
    observation.asked = now_ + 1;
    observation.finished = now_ += 1000;
    if (reply) {
      observation.facts = *reply;
    } else {
      observation.error = reply.error();
    }
    RecordObservation(after_.hosts[host], observation, limits_);
  }

  void Judge() {
    now_ += 1000;
    const HostVerdict& heard = after_.hosts[0];
    LocalNode local;
    local.own.system_identifier = heard.facts ? heard.facts->system_identifier : 0;
    local.own.postmaster_start = heard.facts ? heard.facts->postmaster_start : 0;
    JudgeCluster(after_, entries_, limits_, local.own, now_);
    for (const LogLine& line : DescribeChanges(before_, after_, entries_, true)) CheckLine(line);
    before_ = after_;
    CheckVotes();

    auto* snapshot = reinterpret_cast<PgstSnapshot*>(memory_.data());
    BuildSnapshot(after_, entries_, limits_, local, now_, kWallNow, *snapshot);
    CheckSnapshot(*snapshot);
  }

  // As another node would judge: the fuzzed host has a voice there.
  void CheckVotes() const {
    ClusterVerdict elsewhere = after_;
    JudgeCluster(elsewhere, entries_, limits_, {}, now_);
    const Quorum& quorum = elsewhere.quorum;
    Require(quorum.voters <= static_cast<int>(kHosts) + 1, "nobody votes twice");
    Require(quorum.in_sight <= quorum.voters, "who is in sight has a vote");
    for (const HostVerdict& host : elsewhere.hosts) {
      Require(host.votes_up >= 0 && host.votes_down >= 0, "votes are counted");
      Require(host.votes_up + host.votes_down <= quorum.voters, "each voter has one vote");
    }
  }

  static constexpr WallUs kWallNow = 1700000200 * kUsPerSecond;

  Limits limits_;
  std::vector<HostEntry> entries_;
  ClusterVerdict before_, after_;
  std::vector<std::uint64_t> memory_;  // a snapshot
  MonoUs now_ = 1000 * kUsPerSecond;
};

}  // namespace pg_status
