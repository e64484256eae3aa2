// Who was ordered what: HAProxy keeps a "drain" or "maint" of its agent until the agent says
// "ready", and that word takes back as well what HAProxy's own operator has set. So it is said to
// whom such an order was given, for a while after the first yes that follows, and to nobody else.
//
// An asker is an address together with its question, word for word. Of fixed size, and allocates
// nothing; when it is full, who has heard his "ready" makes room first, then who has been silent
// for longest. It is not kept over a restart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "answer/request.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class AgentMemory {
 public:
  // For how long an order is taken back: two backends of one HAProxy that ask the same question
  // have to hear it both, and HAProxy may lose an answer.
  static constexpr std::int64_t kTakeBackUs = 30 * kUsPerSecond;
  // For so long after its beginning, whoever is not known may have been ordered something before.
  static constexpr std::int64_t kUncertainUs = 300 * kUsPerSecond;
  static constexpr std::size_t kMost = 256;

  // `began`: since when it remembers, in terms of `now` below.
  explicit AgentMemory(MonoUs began) : began_(began) {}

  // "drain" or "maint" was said in reply to this question.
  void Ordered(const IpAddress& asker, const Request& question, MonoUs now);

  // A yes is about to be said: whether it has to take an order back. may_order: one may have been
  // given before `began`, as some replies to this question are orders; it is taken back once.
  bool TakesBack(const IpAddress& asker, const Request& question, bool may_order, MonoUs now);

 private:
  struct Asker {
    std::uint64_t key = 0;
    bool ordered = false;  // and no yes was said since
    MonoUs until = 0;      // orders are taken back until then
    MonoUs asked = 0;      // last; 0: nobody
  };

  Asker* Find(std::uint64_t key);
  Asker& Take(std::uint64_t key, MonoUs now);

  MonoUs began_;
  std::array<Asker, kMost> askers_{};
};

}  // namespace pg_status
