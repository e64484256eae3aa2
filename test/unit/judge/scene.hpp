// A cluster for the tests of judge/: hosts "a:5432", "b:5432" ..., probed by hand at times in
// milliseconds. Knows how to set a scene, not what is right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "judge/judge.hpp"

namespace pg_status {

inline constexpr std::uint64_t kSystem = 7000000000000000001;
inline constexpr std::uint64_t kOtherSystem = 7000000000000000002;
inline constexpr WallUs kStart = 1700000000 * kUsPerSecond;  // some server's start, and "wall 0"

inline MonoUs Ms(std::int64_t ms) { return ms * kUsPerMs; }

inline Facts Primary(std::uint32_t timeline, Lsn write_lsn, WallUs postmaster_start = kStart) {
  Facts facts;
  facts.system_identifier = kSystem;
  facts.timeline = timeline;
  facts.timeline_exact = true;
  facts.postmaster_start = postmaster_start;
  facts.write_lsn = write_lsn;
  return facts;
}

inline Facts Standby(std::uint32_t timeline, Lsn replay_lsn, WallUs postmaster_start = kStart + 5) {
  Facts facts;
  facts.in_recovery = true;
  facts.system_identifier = kSystem;
  facts.timeline = timeline;
  facts.timeline_exact = true;
  facts.postmaster_start = postmaster_start;
  facts.receive_lsn = replay_lsn;
  facts.replay_lsn = replay_lsn;
  return facts;
}

inline Facts Streaming(Facts facts, std::string sender_host = "a", int sender_port = 5432) {
  WalReceiver receiver;
  receiver.details_known = true;
  receiver.streaming = true;
  receiver.sender_host = std::move(sender_host);
  receiver.sender_port = sender_port;
  facts.receiver = std::move(receiver);
  return facts;
}

// As SQL alone tells it to a role that may not see the WAL receiver.
inline Facts WithoutExactTimeline(Facts facts) {
  facts.timeline_exact = false;
  return facts;
}

// With the history of its timeline, as its own pg_status tells it.
inline Facts WithHistory(Facts facts, std::vector<Fork> forks, std::uint32_t from = 1) {
  auto inside = std::make_shared<ServerFacts>();
  inside->timeline = facts.timeline;
  inside->history = TimelineHistory{from, std::move(forks)};
  facts.inside = std::move(inside);
  return facts;
}

// A node with a vote, which holds this host (of this run) to be the primary; "" nobody.
inline Facts Voting(Facts facts, const std::string& host = "", WallUs host_start = 0,
                    Rank rank = Rank::kPrimary) {
  facts.gives_opinions = true;
  auto opinions = std::make_shared<Opinions>();
  if (!host.empty()) {
    Opinion opinion;
    opinion.host = host;
    opinion.reachable = true;
    opinion.system_identifier = kSystem;
    opinion.postmaster_start = host_start;
    opinion.rank = rank;
    opinions->push_back(opinion);
  }
  facts.opinions = std::move(opinions);
  return facts;
}

// A good probe that took 2 ms, read at `finished_ms`.
inline Observation Answer(Facts facts, std::int64_t finished_ms) {
  Observation observation;
  observation.outcome = Outcome::kOk;
  observation.started = Ms(finished_ms - 2);
  observation.asked = Ms(finished_ms - 2);
  observation.finished = Ms(finished_ms);
  observation.facts = std::move(facts);
  return observation;
}

inline Observation Failure(Outcome outcome, std::int64_t finished_ms,
                           std::string error = "connection refused") {
  Observation observation;
  observation.outcome = outcome;
  observation.error = std::move(error);
  observation.started = Ms(finished_ms - 2);
  observation.finished = Ms(finished_ms);
  return observation;
}

struct Scene {
  std::vector<HostEntry> entries;
  ClusterVerdict cluster;
  Limits limits;
  std::uint64_t own_system = kSystem;
  WallUs own_start = 0;  // unknown: this server is none of the hosts

  explicit Scene(std::size_t hosts) {
    cluster.hosts.resize(hosts);
    for (std::size_t i = 0; i < hosts; ++i) {
      HostEntry entry;
      entry.hostname = std::string(1, static_cast<char>('a' + i));
      entry.name = entry.hostname + ":5432";
      entry.port = 5432;
      entries.push_back(entry);
    }
  }

  HostVerdict& operator[](std::size_t i) { return cluster.hosts[i]; }

  void Judge(std::int64_t now_ms) {
    JudgeCluster(cluster, entries, limits, {own_system, own_start}, Ms(now_ms));
  }

  // A probe ends, and everything is judged at once.
  void See(std::size_t host, const Observation& observation) {
    RecordObservation(cluster.hosts[host], observation, limits);
    JudgeCluster(cluster, entries, limits, {own_system, own_start}, observation.finished);
  }
  void Answers(std::size_t host, Facts facts, std::int64_t finished_ms) {
    See(host, Answer(std::move(facts), finished_ms));
  }
  void Fails(std::size_t host, std::int64_t finished_ms, Outcome outcome = Outcome::kRefused) {
    See(host, Failure(outcome, finished_ms));
  }
};

}  // namespace pg_status
