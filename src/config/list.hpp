// What the comma lists among the settings have in common: cutting them into entries, and quoting an
// entry in an error. Knows nothing of what the entries mean.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Blanks may stand around entries: people write long lists on several lines.
inline constexpr std::string_view kBlanks = " \t\r\n\v\f";

std::string_view Trimmed(std::string_view text);

// Takes the entries of a comma list one by one. Blank text has no entries; otherwise there is one
// more than there are commas, so that a trailing comma makes an empty one.
class ListReader {
 public:
  explicit ListReader(std::string_view text);

  // Moves to the next entry. False at the end.
  bool Next();

  std::string_view entry() const { return entry_; }   // without the blanks around it
  std::size_t position() const { return position_; }  // 1, 2 ...

 private:
  std::string_view rest_;
  std::string_view entry_;
  std::size_t position_ = 0;
  bool at_end_;
};

// Text in double quotes, fit for a line of log: at most kMaxQuotedBytes of it, cut with "...",
// without control characters, valid UTF-8.
inline constexpr std::size_t kMaxQuotedBytes = 80;
std::string Quoted(std::string_view text);

// entry "TEXT" PROBLEM, which should read as a sentence.
Error EntryError(std::string_view entry, std::string_view problem);

Error EmptyEntryError(std::size_t position);

}  // namespace pg_status
