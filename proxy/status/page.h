// HTML as it is written: what is ours goes in as it stands, all else escaped. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/status/visible.h"

namespace postern::status {

class Page {
 public:
  // Of ours.
  Page& markup(std::string_view html) {
    out_ += html;
    return *this;
  }
  // Of anybody.
  Page& text(std::string_view text) {
    append_html(out_, text);
    return *this;
  }
  Page& number(std::uint64_t number) {
    out_ += grouped(number);
    return *this;
  }
  // `<td>text</td>`; with a class where one is given.
  Page& cell(std::string_view text, std::string_view kind = {}) { return open("td", kind).text(text).markup("</td>"); }
  Page& cell(std::uint64_t number) { return open("td", "n").number(number).markup("</td>"); }
  Page& open(std::string_view element, std::string_view kind = {}) {
    out_.append("<").append(element);
    if (!kind.empty()) out_.append(" class=\"").append(kind).append("\"");
    out_ += ">";
    return *this;
  }
  // Begins a table whose columns have these names; a name that begins with # stands over numbers.
  Page& table(std::initializer_list<std::string_view> columns) {
    markup("<div class=\"wide\"><table><thead><tr>");
    for (const std::string_view column : columns) {
      const bool numbers = column.starts_with('#');
      open("th", numbers ? "n" : "").text(column.substr(numbers ? 1 : 0)).markup("</th>");
    }
    return markup("</tr></thead><tbody>");
  }
  Page& end_table() { return markup("</tbody></table></div>\n"); }

  std::string take() { return std::move(out_); }

  // Three digits together, parted by narrow blanks.
  static std::string grouped(std::uint64_t number);

 private:
  std::string out_;
};

// What the page looks like, and what refreshes it: whole texts between <style> and <script>.
std::string_view page_style();
std::string_view page_script();

}  // namespace postern::status
