// Histories of a cluster for the tests of the election: servers that vote, named by their place
// ("a" is 0), and how a few well-known histories begin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "judge/scene.hpp"

namespace pg_status {

using Index = std::optional<std::size_t>;

inline const Index kNobody = std::nullopt;

// Servers that vote; each run is told apart by when it was started.
struct Story : Scene {
  explicit Story(std::size_t hosts) : Scene(hosts) {}

  static WallUs StartOf(std::size_t host, int run = 0) {
    return kStart + static_cast<WallUs>(100 * host) + run;
  }
  static Facts PrimaryOf(std::size_t host, std::uint32_t timeline, int run = 0) {
    return Voting(Primary(timeline, 1000, StartOf(host, run)));
  }
  // One that streams from host `upstream`.
  static Facts StandbyOf(std::size_t host, std::uint32_t timeline, std::size_t upstream,
                         int run = 0) {
    return Streaming(Voting(Standby(timeline, 1000, StartOf(host, run))),
                     std::string(1, static_cast<char>('a' + upstream)));
  }
  // The same without a WAL receiver.
  static Facts Unconnected(std::size_t host, std::uint32_t timeline, int run = 0) {
    return Voting(Standby(timeline, 1000, StartOf(host, run)));
  }
  void Dies(std::size_t host, std::int64_t ms) {
    for (int i = 0; i < limits.max_fails; ++i) Fails(host, ms + i);
  }
  Index Named() const { return cluster.primary; }
};

// The primary and two standbys, all asked twice.
inline Story Three() {
  Story story(3);
  for (const int ms : {1000, 2000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(1, Story::StandbyOf(1, 1, 0), ms);
    story.Answers(2, Story::StandbyOf(2, 1, 0), ms);
  }
  return story;
}

// `c` was promoted, and nothing else has changed; all have been asked since.
inline Story WrongOnePromoted() {
  Story story = Three();
  for (const int ms : {3000, 4000}) {
    story.Answers(2, Story::PrimaryOf(2, 2), ms);
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(1, Story::StandbyOf(1, 1, 0), ms);
  }
  return story;
}

// b was promoted while a runs, c follows b.
inline Story Superseded() {
  Story story = Three();
  for (const int ms : {3000, 4000}) {
    story.Answers(0, Story::PrimaryOf(0, 1), ms);
    story.Answers(1, Story::PrimaryOf(1, 2), ms);
    story.Answers(2, Story::StandbyOf(2, 2, 1), ms);
  }
  return story;
}

}  // namespace pg_status
