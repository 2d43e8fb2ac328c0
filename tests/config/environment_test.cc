#include "config/environment.h"

#include "config/yaml.h"
#include "tests/support/catch.h"

namespace environment_test {

using namespace postern;
using namespace postern::config;

const char* variable(const std::string& name) {
  if (name == "HOST") return "mail.example.org";
  if (name == "EMPTY") return "";
  if (name == "NESTED") return "${HOST}$$";
  if (name == "_x1") return "underscore";
  return nullptr;
}

std::string expanded(std::string_view text) {
  const auto result = expand(text, variable);
  return result ? *result : "error: " + result.error().message;
}

TEST_CASE("environment: variables, defaults and doubled dollars are replaced") {
  CHECK(expanded("plain") == "plain");
  CHECK(expanded("") == "");
  CHECK(expanded("${HOST}") == "mail.example.org");
  CHECK(expanded("a${HOST}b${_x1}c") == "amail.example.orgbunderscorec");
  CHECK(expanded("${EMPTY}") == "");
  CHECK(expanded("${EMPTY:-x}") == "x");
  CHECK(expanded("${UNSET:-x y}") == "x y");
  CHECK(expanded("${UNSET:-}") == "");
  CHECK(expanded("${HOST:-x}") == "mail.example.org");
  CHECK(expanded("a$$b") == "a$b");
  CHECK(expanded("$${HOST}") == "${HOST}");
}

TEST_CASE("environment: what a variable holds is not expanded again") {
  CHECK(expanded("${NESTED}") == "${HOST}$$");
}

TEST_CASE("environment: an unset variable without default is named") {
  CHECK(expanded("${UNSET}").starts_with("error: the environment variable 'UNSET' is not set"));
}

TEST_CASE("environment: what is no reference is an error") {
  for (const char* text : {"$", "a$", "$HOST", "${", "${HOST", "${}", "${1X}", "${A B}", "${A-b}", "$$$", "${:-x}"}) {
    INFO(text);
    CHECK(expanded(text).starts_with("error: "));
  }
}

TEST_CASE("environment: the sum of what variables add is bounded") {
  const std::string large(600 * 1024, 'x');
  const auto large_variable = [&](const std::string&) { return large.c_str(); };
  CHECK(expand("${A}", large_variable).has_value());
  CHECK_FALSE(expand("${A}${A}", large_variable).has_value());
  Mistakes mistakes;
  auto root = parse_yaml("a: ${A}\nb: ${A}\n", mistakes);
  REQUIRE(root.has_value());
  expand_values(*root, large_variable, mistakes);
  REQUIRE(mistakes.size() == 1);
  CHECK(mistakes[0].place == Place{2, 4});
  CHECK(root->children.at(1).kind == Node::Kind::invalid);
}

TEST_CASE("environment: what was used is noted, and does for the same text elsewhere") {
  Variables used;
  const Environment environment = variable;
  const std::string text = "${HOST} ${EMPTY:-x} ${UNSET:-y}";
  REQUIRE(expand(text, recording(environment, used)) == "mail.example.org x y");
  CHECK(used == Variables{{"EMPTY", ""}, {"HOST", "mail.example.org"}});
  CHECK(expand(text, environment_of(used)) == "mail.example.org x y");
}

}  // namespace environment_test
