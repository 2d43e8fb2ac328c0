#include "proxy/dns/trust_anchor.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "config/diagnostic.h"
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

bool is_number(std::string_view word, unsigned most) {
  const auto number = config::whole_number<unsigned>(word);
  return number && *number <= most;
}

// By its number or by a name, which libunbound knows.
bool is_algorithm(std::string_view word) {
  return is_number(word, 255) || config::is_letter(word.front());
}

bool is_owner(std::string_view name) {
  if (name == "." || name.find('\\') != std::string_view::npos) return true;  // what is escaped is libunbound's to read
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > 253) return false;  // RFC 1035 2.3.4, less what stands around the labels
  while (true) {
    const std::size_t label = std::min(name.find('.'), name.size());
    if (label == 0 || label > 63) return false;
    if (label == name.size()) return true;
    name.remove_prefix(label + 1);
  }
}

bool is_hex(std::span<const std::string_view> words) {
  std::size_t digits = 0;
  for (const std::string_view word : words) {
    digits += word.size();
    if (!std::ranges::all_of(word, [](char c) { return config::hex_value(c) >= 0; })) return false;
  }
  return digits % 2 == 0;
}

// Its alphabet: how the end is filled up is not the same everywhere.
bool is_base64(std::span<const std::string_view> words) {
  return std::ranges::all_of(words, [](std::string_view word) {
    return std::ranges::all_of(word,
                               [](char c) { return config::is_alphanumeric(c) || c == '+' || c == '/' || c == '='; });
  });
}

// What keeps a record from being an anchor; empty: nothing. Part of it libunbound would refuse without a word about
// where, and part it would take, and then trust nothing.
std::string what_is_wrong(const Words& words, std::size_t type) {
  if (words.size() - type <= fields_of_either_type) return "cut short";
  const auto bad = [](std::string_view word, const char* what) { return config::quote(word) + " is " + what; };
  if (!is_owner(words.front())) return bad(words.front(), "no name");
  for (std::size_t i = 1; i < type; ++i) {
    if (!config::is_digit(words[i].front()) && !config::same_ignoring_case(words[i], "IN")) {
      return bad(words[i], "neither TTL nor class IN");
    }
  }
  const auto fields = std::span(words).subspan(type + 1);
  if (fields[0] == "\\#") return {};  // RFC 3597 5
  const auto rest = fields.subspan(3);
  if (config::same_ignoring_case(words[type], "DS")) {
    if (!is_number(fields[0], 65'535)) return bad(fields[0], "no key tag");
    if (!is_algorithm(fields[1])) return bad(fields[1], "no algorithm");
    if (!is_number(fields[2], 255)) return bad(fields[2], "no number of a digest type");
    return is_hex(rest) ? "" : "the digest is not hexadecimal";
  }
  if (!is_number(fields[0], 65'535)) return bad(fields[0], "no flags");
  if (fields[1] != "3") return bad(fields[1], "no protocol of DNSSEC's");  // RFC 4034 2.1.2
  if (!is_algorithm(fields[2])) return bad(fields[2], "no algorithm");
  return is_base64(rest) ? "" : "the key is not base64";
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
      const std::string wrong = type == 0 ? std::string() : what_is_wrong(words, type);
      if (!wrong.empty()) return fail(Errc::invalid_argument, wrong + ": " + join(words));
      if (type != 0) anchor.push_back(join(words));
    }
    words.clear();
  }
  if (depth > 0) return fail(Errc::invalid_argument, "a parenthesis is not closed");
  if (anchor.empty()) return fail(Errc::invalid_argument, "there is no DNSKEY or DS record in it");
  return anchor;
}

}  // namespace postern::dns
