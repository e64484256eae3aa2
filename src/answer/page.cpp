// Putting the page together; see page.hpp. All of it is one literal.
#include "answer/page.hpp"

namespace pg_status {
namespace {

// The icon is in the page, so that no browser asks for one.
constexpr std::string_view kPage =
    R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>pg_status</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23336791'/%3E%3Ccircle cx='8' cy='8' r='3' fill='%23fff'/%3E%3C/svg%3E">
<style>)html"
#include "answer/page/style.css.inc"
    "</style>\n</head>\n<body>"
#include "answer/page/body.html.inc"
    "<script>"
#include "answer/page/script.js.inc"
    "</script>\n</body>\n</html>\n";

}  // namespace

std::string_view Page() { return kPage; }

std::string_view PagePolicy() {
  return "default-src 'none'; "
         "script-src 'sha256-Uddurj40+k7VKVxemF5HfAA+iHyqO0HmlmeLUm/ePy0='; "
         "style-src 'sha256-ttkTBrnB6dEOxz/oaobdoq9mTFaae7WGTryfHRJTZ6M='; "
         "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'; require-trusted-types-for 'script'";
}

}  // namespace pg_status
