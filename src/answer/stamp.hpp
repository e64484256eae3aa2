// Tells apart what is known of the hosts: answers that speak of hosts alone are the same for as
// long as the stamp is, so they are written once and kept.
#pragma once

#include <cstdint>

#include "answer/standing.hpp"
#include "answer/world.hpp"
#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

struct Stamp {
  std::uint64_t generation = 0;
  MonoUs made_mono = 0;  // a poller that was started anew may count its generations anew
  bool fresh = false;    // the same snapshot says less once it is too old

  static Stamp Of(const World& world) {
    return {world.snapshot->generation, world.snapshot->made_mono, IsFresh(world)};
  }
  bool operator==(const Stamp& other) const {
    return generation == other.generation && made_mono == other.made_mono && fresh == other.fresh;
  }
};

}  // namespace pg_status
