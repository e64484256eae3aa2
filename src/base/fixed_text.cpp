// Text of a bounded size that is safe to show: in a line of log, in SQL, in an answer. Knows
// nothing of what the text means or where it came from.
#include "base/fixed_text.hpp"

#include <cstdint>
#include <cstring>

namespace pg_status {
namespace {

// Well-formed UTF-8 by first byte (Unicode Standard, table 3-7): the range of the second byte keeps
// out over-long forms, surrogates and what lies beyond U+10FFFF. Bytes after the second are 80..BF.
struct Utf8Form {
  std::uint8_t first_min, first_max;
  std::uint8_t second_min, second_max;
  std::uint8_t bytes;
};

constexpr Utf8Form kUtf8Forms[] = {
    {0x00, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

bool Fits(const Utf8Form& form, std::string_view text) {
  if (text.size() < form.bytes) return false;
  for (std::size_t i = 1; i < form.bytes; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    const std::uint8_t min = i == 1 ? form.second_min : 0x80;
    const std::uint8_t max = i == 1 ? form.second_max : 0xBF;
    if (byte < min || byte > max) return false;
  }
  return true;
}

// Bytes of the character that text (not empty) begins with; 0 when it is not valid UTF-8.
std::size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<std::uint8_t>(text.front());
  for (const Utf8Form& form : kUtf8Forms) {
    if (first < form.first_min || first > form.first_max) continue;
    return Fits(form, text) ? form.bytes : 0;
  }
  return 0;
}

// Whether the character that text begins with (valid UTF-8) moves a terminal or ends a line: C0 and
// C1 controls (U+009B is what ESC [ is), U+2028 and U+2029.
bool IsControl(std::string_view text, std::size_t bytes) {
  const auto first = static_cast<std::uint8_t>(text[0]);
  if (bytes == 1) return first < 0x20 || first == 0x7F;
  if (bytes == 2) return first == 0xC2 && static_cast<std::uint8_t>(text[1]) < 0xA0;
  return text.substr(0, bytes) == "\u2028" || text.substr(0, bytes) == "\u2029";
}

}  // namespace

void CopyFixedText(char* to, std::size_t size, std::string_view text) {
  const std::size_t room = size - 1;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t valid_bytes = CharacterBytes(text);
    const bool shown = valid_bytes > 0 && !IsControl(text, valid_bytes);
    const std::size_t bytes = shown ? valid_bytes : 1;
    if (used + bytes > room) break;
    if (shown) {
      std::memcpy(to + used, text.data(), bytes);
    } else {
      to[used] = valid_bytes == 0 ? '?' : ' ';
    }
    used += bytes;
    text.remove_prefix(valid_bytes == 0 ? 1 : valid_bytes);
  }
  std::memset(to + used, 0, size - used);
}

}  // namespace pg_status
