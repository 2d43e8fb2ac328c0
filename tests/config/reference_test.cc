#include "config/reference.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/load.h"
#include "config/schema.h"
#include "tests/support/catch.h"

namespace reference_test {

using namespace postern::config;

Loaded load(const std::string& yaml) {
  return load_text(yaml, "reference.yaml", [](const std::string&) -> const char* { return nullptr; });
}

std::string report(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_string(diagnostic) + "\n";
  return text;
}

// Options without a default are commented out as "#key: example", explanations as "# text".
std::string with_examples(std::string reference) {
  for (std::size_t at = 0; (at = reference.find('#', at)) != std::string::npos; ++at) {
    if (reference.at(at + 1) != ' ') reference.erase(at, 1);
  }
  return reference;
}

// All examples at once include what nobody can want at once.
bool is_about_alternatives(const std::string& message) {
  for (const char* known : {"address and exec exclude each other", "internet.relay: not used by route",
                            "fingerprints: only level fingerprint compares them"}) {
    if (message.find(known) != std::string::npos) return true;
  }
  return false;
}

TEST_CASE("reference: the printed file loads as it is, with every default") {
  const Loaded loaded = load(print_reference());
  CHECK(report(loaded) == "");
  REQUIRE(loaded.ok());
  const Settings defaults;
  CHECK(loaded.settings.workers == defaults.workers);
  CHECK(loaded.settings.tls.groups == defaults.tls.groups);
  CHECK(loaded.settings.inbound.at(0).timeouts.data_end == InboundListener().timeouts.data_end);
  CHECK(loaded.settings.outbound.at(0).allow_clients == OutboundListener().allow_clients);
  CHECK_FALSE(loaded.settings.outbound.at(0).relay.auth.has_value());
  CHECK(loaded.settings.dns.trust_anchor == defaults.dns.trust_anchor);
}

TEST_CASE("reference: the documentation has it as it is") {
  std::ifstream file(POSTERN_TESTS "/../docs/postern.yaml", std::ios::binary);
  const std::string documented{std::istreambuf_iterator<char>(file), {}};
  INFO("postern check --print-reference > docs/postern.yaml brings it up to date");
  CHECK(documented == print_reference());
}

TEST_CASE("reference: every row appears, and every example is valid") {
  const Loaded loaded = load(with_examples(print_reference()));
  for (const Option& option : list_options(loaded.settings)) {
    INFO(option.path);
    CHECK(loaded.place_of(option.path).line != 0);
    CHECK((option.is_section() || !option.value.empty()));
  }
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    INFO(to_string(diagnostic));
    CHECK((is_about_alternatives(diagnostic.message) || diagnostic.severity == Diagnostic::Severity::warning));
  }
}

// The text with another value behind the key on this line.
std::string with_value(const std::string& text, std::size_t line, const std::string& key, const std::string& value) {
  std::size_t begin = 0;
  for (; line > 1; --line) begin = text.find('\n', begin) + 1;
  const std::size_t colon = text.find(key + ":", begin) + key.size() + 1;
  return text.substr(0, colon) + " " + value + text.substr(text.find('\n', colon));
}

bool ends_with_any(const std::string& path, const std::vector<std::string>& endings) {
  return std::ranges::any_of(endings, [&](const std::string& ending) { return path.ends_with("." + ending); });
}

TEST_CASE("reference: every list may be empty, which means none, but for those without which nothing works") {
  const std::string text = with_examples(print_reference());
  const Loaded whole = load(text);
  std::size_t lists = 0;
  for (const Option& option : list_options(whole.settings)) {
    if (option.expected.find("a list") != 0 && option.expected.find("or a list") == std::string::npos) continue;
    if (option.path == "tls.cipher_list" || option.key == "cipher_list") continue;
    ++lists;
    const std::size_t line = whole.place_of(option.path).line;
    const auto refusal_of = [&](const std::string& value, const std::string& words) {
      return report(load(with_value(text, line, option.key, value))).find(option.path + ": " + words) !=
             std::string::npos;
    };
    INFO(option.path);
    const bool policy = option.path.find("policies") != std::string::npos;
    const bool needed = ends_with_any(option.path, {"listen", "groups"}) && !policy;
    CHECK(refusal_of("[]", "the list is empty: give at least one item") == needed);
    CHECK(refusal_of("{}", "the list is empty: give at least one item") == needed);
    // Where leaving it out is something else than none, which of the two is meant has to be said.
    const bool stated = needed || ends_with_any(option.path, {"allow_domains", "allow_clients", "address"});
    CHECK(refusal_of("", "has no value") == stated);
    CHECK(refusal_of("~", "has no value") == stated);
  }
  CHECK(lists >= 16);
}

// Without the lines below this one that are indented deeper.
std::string without_content(const std::string& text, std::size_t line, const std::string& key,
                            const std::string& value) {
  const std::string emptied = with_value(text, line, key, value);
  std::size_t begin = 0;
  for (; line > 1; --line) begin = emptied.find('\n', begin) + 1;
  const std::size_t indentation = emptied.find_first_not_of(' ', begin) - begin;
  std::size_t end = emptied.find('\n', begin) + 1;
  const std::size_t rest = end;
  while (end < emptied.size()) {
    const std::size_t first = emptied.find_first_not_of(' ', end);
    if (emptied[first] != '\n' && first - end <= indentation) break;
    end = emptied.find('\n', first) + 1;
  }
  return emptied.substr(0, rest) + emptied.substr(end);
}

TEST_CASE("reference: a section may be empty, with braces or without") {
  const std::string text = print_reference();
  const Loaded whole = load(text);
  std::size_t sections = 0;
  for (const Option& option : list_options(whole.settings)) {
    const bool is_list = option.path == "outbound.internet.policies" || option.path.starts_with("certificates.");
    if (!option.is_section() || option.absent || is_list) continue;
    ++sections;
    for (const char* value : {"", "{}", "[]", "~"}) {
      const std::string said = report(load(without_content(text, whole.place_of(option.path).line, option.key, value)));
      INFO(option.path << ":" << value << " -> " << said);
      const bool needs_something = said.find("is missing") != std::string::npos || option.key == "backend";
      CHECK((needs_something || said.find(option.path + ": ") == std::string::npos));
    }
  }
  CHECK(sections >= 10);
}

TEST_CASE("reference: lists of sections may be empty") {
  const Loaded loaded = load(
      "certificates: { mx: [], other: }\ndns: { servers: [] }\noutbound:\n"
      "  internet: { listen: [\"127.0.0.1:10025\"], route: mx, policies: [], ehlo: { hide: [], add: } }\n"
      "  office: { listen: [\"127.0.0.1:10026\"], route: mx, policies: , certificates: [] }\n");
  CHECK(report(loaded) == "");
  CHECK(loaded.settings.dns.servers.empty());
  CHECK_FALSE(loaded.settings.dns.recursive);
}

TEST_CASE("reference: lines are short enough to read") {
  const std::string reference = print_reference();
  for (std::size_t begin = 0; begin < reference.size();) {
    const std::size_t end = reference.find('\n', begin);
    CHECK(end - begin <= 120);
    begin = end + 1;
  }
}

}  // namespace reference_test
