// Cuts comma lists and words the errors about their entries. Knows nothing of what they mean.
#include "config/list.hpp"

#include <fmt/format.h>

#include "base/fixed_text.hpp"

namespace pg_status {

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

ListReader::ListReader(std::string_view text) : rest_(Trimmed(text)), at_end_(rest_.empty()) {}

bool ListReader::Next() {
  if (at_end_) return false;
  const std::size_t comma = rest_.find(',');
  entry_ = Trimmed(rest_.substr(0, comma));
  ++position_;
  if (comma == std::string_view::npos) {
    at_end_ = true;
  } else {
    rest_.remove_prefix(comma + 1);
  }
  return true;
}

std::string Quoted(std::string_view text) {
  constexpr std::string_view kCut = "...";
  const bool cut = text.size() > kMaxQuotedBytes;
  char shown[kMaxQuotedBytes + 1];
  CopyFixedText(shown, cut ? sizeof(shown) - kCut.size() : sizeof(shown), text);
  return fmt::format("\"{}{}\"", static_cast<const char*>(shown), cut ? kCut : "");
}

Error EntryError(std::string_view entry, std::string_view problem) {
  return Error{fmt::format("entry {} {}", Quoted(entry), problem)};
}

Error EmptyEntryError(std::size_t position) {
  return Error{fmt::format("entry {} of the list is empty", position)};
}

}  // namespace pg_status
