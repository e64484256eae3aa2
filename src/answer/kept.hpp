// Answers that speak of the hosts alone are the same for as long as the snapshot is, and hosts
// change far less often than they are asked for: so such texts are written once and kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "answer/standing.hpp"
#include "answer/world.hpp"
#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class Kept {
 public:
  // Brings the text up to date: when it is of another snapshot, it is what `write` appends.
  template <typename Write>
  const std::string& Update(const World& world, Write write) {
    const Stamp now = {world.snapshot->generation, world.snapshot->made_mono, world.generation,
                       IsFresh(world)};
    if (stamp_ == now) return text_;
    // The stamp is put on last: what running out of memory left unfinished must not count as
    // written.
    stamp_.reset();
    text_.clear();
    write(text_);
    stamp_ = now;
    return text_;
  }

  const std::string& text() const { return text_; }

 private:
  // Tells apart what is known of the hosts.
  struct Stamp {
    std::uint64_t generation;
    MonoUs made_mono;       // a poller that was started anew may count its generations anew
    std::uint64_t changes;  // the number of an event comes a moment after the snapshot
    bool fresh;             // the same snapshot says less once it is too old

    bool operator==(const Stamp& other) const {
      return generation == other.generation && made_mono == other.made_mono &&
             changes == other.changes && fresh == other.fresh;
    }
  };

  std::optional<Stamp> stamp_;  // nullopt: never written
  std::string text_;
};

}  // namespace pg_status
