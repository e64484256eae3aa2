// Words in lines; see line_text.hpp.
#include "probe/line_text.hpp"

#include <fmt/format.h>

namespace pg_status {
namespace {

bool IsPlain(char c) { return c > ' ' && c <= '~' && c != '%'; }

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

}  // namespace

std::string Escaped(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (IsPlain(c)) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

std::optional<std::string> Unescaped(std::string_view word, std::size_t max) {
  std::string name;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      if (!IsPlain(word[i])) return std::nullopt;
      name += word[i];
      continue;
    }
    if (word.size() - i < 3) return std::nullopt;
    const auto high = HexDigit(word[i + 1]);
    const auto low = HexDigit(word[i + 2]);
    if (!high || !low) return std::nullopt;
    name += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  if (name.empty() || name.size() > max) return std::nullopt;
  return name;
}

std::string_view Take(std::string_view& rest, char end) {
  const std::size_t at = rest.find(end);
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return taken;
}

}  // namespace pg_status
