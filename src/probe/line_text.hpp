// Lines of words, as the nodes of a cluster tell each other things: words are printable ASCII
// without a blank, and any other byte in a name is written as %XX. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

// A name as one word. Of "" there is none: it gives "".
std::string Escaped(std::string_view name);

// The name that such a word stands for, 1 to `max` bytes of any kind. nullopt when it stands for
// none: empty, longer, or with what is not escaped as above.
std::optional<std::string> Unescaped(std::string_view word, std::size_t max);

// Cuts the text up to `end`, or all of it, off the front of `rest`, and `end` with it.
std::string_view Take(std::string_view& rest, char end);

}  // namespace pg_status
