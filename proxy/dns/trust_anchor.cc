#include "proxy/dns/trust_anchor.h"

#include <algorithm>
#include <cstddef>

#include "config/text.h"

namespace postern::dns {

namespace {

constexpr std::string_view blanks = " \t\r\f\v";
constexpr std::size_t fields_of_either_type = 4;

using Words = std::vector<std::string_view>;

// Appends the words of a line up to its comment. `depth` counts the parentheses that are open behind it.
void take_words(std::string_view line, Words& words, int& depth) {
  std::size_t begin = 0;
  line = line.substr(0, line.find(';'));
  while ((begin = line.find_first_not_of(blanks, begin)) != std::string_view::npos) {
    if (line[begin] == '(' || line[begin] == ')') {
      depth += line[begin++] == '(' ? 1 : -1;
      continue;
    }
    const std::size_t end = std::min(line.find_first_of(" \t\r\f\v()", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = end;
  }
}

// Where the type stands, or 0: it is neither DNSKEY nor DS. Before it there may be a TTL and a class, in either order.
std::size_t find_type(const Words& words) {
  for (std::size_t i = 1; i < std::min<std::size_t>(words.size(), 4); ++i) {
    if (config::same_ignoring_case(words[i], "DNSKEY") || config::same_ignoring_case(words[i], "DS")) return i;
  }
  return 0;
}

std::string join(const Words& words) {
  std::string text;
  for (const std::string_view word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

}  // namespace

Result<TrustAnchor> parse_trust_anchor(std::string_view text) {
  TrustAnchor anchor;
  std::string_view owner = ".";
  Words words;
  int depth = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));

    const bool repeats_owner = words.empty() && !line.empty() && blanks.find(line.front()) != std::string_view::npos;
    if (repeats_owner) words.push_back(owner);
    take_words(line, words, depth);
    if (depth > 0) continue;
    if (depth < 0) return fail(Errc::invalid_argument, "a parenthesis is closed that was not opened");
    if (!words.empty() && config::same_ignoring_case(words.front(), "$ORIGIN")) {
      return fail(Errc::invalid_argument, "$ORIGIN is not understood: write whole names");
    }
    if (!words.empty() && !words.front().starts_with('$')) {
      owner = words.front();
      const std::size_t type = find_type(words);
      // libunbound takes a key or a digest of no octets for one that it need not understand, and trusts nothing.
      if (type != 0 && words.size() - type <= fields_of_either_type) {
        return fail(Errc::invalid_argument, "cut short: " + join(words));
      }
      if (type != 0) anchor.push_back(join(words));
    }
    words.clear();
  }
  if (depth > 0) return fail(Errc::invalid_argument, "a parenthesis is not closed");
  if (anchor.empty()) return fail(Errc::invalid_argument, "there is no DNSKEY or DS record in it");
  return anchor;
}

}  // namespace postern::dns
