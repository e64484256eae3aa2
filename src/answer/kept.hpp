// Answers that speak of the hosts alone are the same for as long as the snapshot is, and hosts
// change far less often than they are asked for: so such texts are written once and kept. Those
// that tell ages grow old by themselves, and are kept for as long as these are the same.
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
  // Whether the text says how long ago something was, in milliseconds.
  enum class Ages : std::uint8_t { kNone, kTold };

  explicit Kept(Ages ages = Ages::kNone) : ages_(ages) {}

  // Brings the text up to date: when it is of another snapshot, or of an older moment and tells
  // ages, it is what `write` appends.
  template <typename Write>
  const std::string& Update(const World& world, Write write) {
    const Stamp now = {world.snapshot->generation, world.snapshot->made_mono, world.generation,
                       ages_ == Ages::kTold ? world.now / StepOf(world) : 0, IsFresh(world)};
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
  // How old the ages of a kept text may be: of a few hosts a millisecond; a list of thousands takes
  // several to write, and is not to be written for each who asks.
  static std::int64_t StepOf(const World& world) {
    return kUsPerMs * (1 + world.snapshot->host_count / 8);
  }

  // Tells apart what is known of the hosts.
  struct Stamp {
    std::uint64_t generation;
    MonoUs made_mono;       // a poller that was started anew may count its generations anew
    std::uint64_t changes;  // the number of an event comes a moment after the snapshot
    std::int64_t step;      // of the answer's time, where that matters
    bool fresh;             // the same snapshot says less once it is too old

    bool operator==(const Stamp& other) const {
      return generation == other.generation && made_mono == other.made_mono &&
             changes == other.changes && step == other.step && fresh == other.fresh;
    }
  };

  Ages ages_;
  std::optional<Stamp> stamp_;  // nullopt: never written
  std::string text_;
};

}  // namespace pg_status
