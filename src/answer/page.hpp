// The page that people look at: one HTML document with its style and its script inside, the same
// for everybody. What it shows it asks for itself (page_data.hpp). Its three parts are in page/,
// each as one raw string literal.
#pragma once

#include <string_view>

#include "base/cpp_only.hpp"

namespace pg_status {

inline constexpr std::string_view kPageType = "text/html; charset=utf-8";

// The document.
std::string_view Page();

// What a browser may do with it (Content Security Policy, W3C): run this script and no other, ask
// the port that it came from, and nothing else. The hashes are checked by test/lint.
std::string_view PagePolicy();

}  // namespace pg_status
