// Parameters of requests that more than one port understands: numbers, and the wish to wait for a
// change.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "answer/client.hpp"
#include "answer/request.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// False: there is such a parameter, and it is no number (decimal digits, up to 2^64-1).
bool ReadNumber(const Request& request, std::string_view name, std::optional<std::uint64_t>& to);

// wait=SECONDS&generation=N: the answer is wanted when the generation of changes is not N any more,
// or that time is up.
struct Waiting {
  enum class Fault : std::uint8_t { kNone, kWait, kGeneration };

  Fault fault = Fault::kNone;               // the first parameter that is wrong
  std::optional<std::uint64_t> generation;  // as given
  std::optional<Patience> patience;         // nullopt: the answer is due now
};

// `generation`: what it is now. Who waits tells what generation it knows, so that it misses no
// change between two requests: what it does not know yet is answered at once, and a wait without a
// generation is a fault. A wait is 0 to 300 seconds, fractions are allowed.
Waiting ReadWaiting(const Request& request, std::uint64_t generation);

}  // namespace pg_status
