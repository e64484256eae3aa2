// Who was ordered what; see agent_memory.hpp. Knows nothing of what is asked, nor of any reply.
#include "answer/agent_memory.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>

namespace pg_status {
namespace {

// FNV-1a: two questions that fall together would cost one "ready" too many, no more.
constexpr std::uint64_t kHashStart = 0xCBF29CE484222325;
constexpr std::uint64_t kHashPrime = 0x100000001B3;

std::uint64_t Mix(std::uint64_t hash, std::uint8_t byte) { return (hash ^ byte) * kHashPrime; }

// With its end, so that "a=b" is not "ab=".
std::uint64_t Mix(std::uint64_t hash, std::string_view text) {
  for (const char byte : text) hash = Mix(hash, static_cast<std::uint8_t>(byte));
  return Mix(hash, std::uint8_t{0});
}

std::uint64_t KeyOf(const IpAddress& asker, const Request& question) {
  const IpAddress address = Unmapped(asker);
  std::uint64_t hash = Mix(kHashStart, static_cast<std::uint8_t>(address.family));
  for (const std::uint8_t byte : address.bytes) hash = Mix(hash, byte);
  hash = Mix(hash, question.path);
  for (const auto& [name, value] : question.query) hash = Mix(Mix(hash, name), value);
  return hash;
}

}  // namespace

AgentMemory::Asker* AgentMemory::Find(std::uint64_t key) {
  Asker* const found = std::find_if(askers_.begin(), askers_.end(), [key](const Asker& known) {
    return known.asked != 0 && known.key == key;
  });
  return found == askers_.end() ? nullptr : found;
}

// The asker of this key, who is added where he is not known.
AgentMemory::Asker& AgentMemory::Take(std::uint64_t key, MonoUs now) {
  Asker* asker = Find(key);
  if (asker == nullptr) {
    asker = std::min_element(askers_.begin(), askers_.end(), [](const Asker& a, const Asker& b) {
      return std::tie(a.ordered, a.asked) < std::tie(b.ordered, b.asked);
    });
    *asker = Asker{};
    asker->key = key;
  }
  asker->asked = now;
  return *asker;
}

void AgentMemory::Ordered(const IpAddress& asker, const Request& question, MonoUs now) {
  Take(KeyOf(asker, question), now).ordered = true;
}

bool AgentMemory::TakesBack(const IpAddress& asker, const Request& question, bool may_order,
                            MonoUs now) {
  const std::uint64_t key = KeyOf(asker, question);
  Asker* known = Find(key);
  if (known == nullptr) {
    if (!may_order || now - began_ >= kUncertainUs) return false;
    known = &Take(key, now);
    known->ordered = true;
  }
  known->asked = now;
  if (known->ordered) known->until = now + kTakeBackUs;
  known->ordered = false;
  return now < known->until;
}

}  // namespace pg_status
