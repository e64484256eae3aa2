// Text of a bounded size, for structures that are shared between processes.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// Copies text into to[size] (size > 0), always NUL-terminated; the rest of the array is zeroed, so
// that two equal texts are equal byte for byte. What does not fit is cut, at the start of a UTF-8
// character, never within. Control characters (U+0000 to U+001F, U+007F to U+009F, U+2028, U+2029)
// become a blank each: what a peer sends may not break a line of log, nor move a terminal. Bytes
// that are not valid UTF-8 become '?', because the text ends up in SQL results.
void CopyFixedText(char* to, std::size_t size, std::string_view text);

template <std::size_t N>
void CopyFixedText(char (&to)[N], std::string_view text) {
  CopyFixedText(to, N, text);
}

// The text in such an array; never reads beyond it, even if nothing ends the text.
template <std::size_t N>
std::string_view FixedText(const char (&text)[N]) {
  return std::string_view(text, strnlen(text, N));
}

}  // namespace pg_status
