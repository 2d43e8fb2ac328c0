#include "config/reference.h"

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

TEST_CASE("reference: lines are short enough to read") {
  const std::string reference = print_reference();
  for (std::size_t begin = 0; begin < reference.size();) {
    const std::size_t end = reference.find('\n', begin);
    CHECK(end - begin <= 120);
    begin = end + 1;
  }
}

}  // namespace reference_test
