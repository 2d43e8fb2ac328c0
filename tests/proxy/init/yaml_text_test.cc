#include "proxy/init/yaml_text.h"

#include "config/environment.h"
#include "config/yaml.h"
#include "tests/support/catch.h"

namespace postern::init {
namespace yaml_text_test {

// As the configuration reads it.
std::string read_back(const std::string& text) {
  config::Mistakes mistakes;
  auto root = config::parse_yaml("key: " + yaml_scalar(text) + "\nlist: " + yaml_list({text, text}) + "\n", mistakes);
  REQUIRE(root);
  config::expand_values(*root, config::environment_of({{"NAME", "value"}}), mistakes);
  REQUIRE(mistakes.empty());
  REQUIRE(root->children.size() == 2);
  CHECK(root->children[0].kind == config::Node::Kind::scalar);
  for (const config::Node& item : root->children[1].children) CHECK(item.scalar == root->children[0].scalar);
  return root->children[0].scalar;
}

TEST_CASE("init: every text is read back as it was") {
  for (const std::string text : {"/etc/postern/mx.pem",
                                 "mx.example.org",
                                 "",
                                 " ",
                                 "null",
                                 "~",
                                 "Yes",
                                 "127.0.0.1:25",
                                 "[::]:25",
                                 "a: b",
                                 "a #b",
                                 "'",
                                 "\"",
                                 "\\",
                                 "\\n",
                                 "${NAME}",
                                 "$$",
                                 "$",
                                 "- a",
                                 "{a}",
                                 "[a, b]",
                                 "*",
                                 "&a",
                                 "!a",
                                 "%a",
                                 "@a",
                                 "`a",
                                 ",",
                                 "?",
                                 "|",
                                 ">",
                                 "---",
                                 "...",
                                 "<<",
                                 "grüß",
                                 "\xe2\x80\xa8",
                                 "\xc2\x85",
                                 "\xef\xbb\xbfx",
                                 "\xf0\x9f\x93\xa7",
                                 "\xef\xbf\xbe",
                                 "a\tb\nc\rd\x01\x7f"}) {
    CHECK(read_back(text) == text);
  }
}

TEST_CASE("init: what is plain stays plain") {
  CHECK(yaml_scalar("/etc/postern/mx.pem") == "/etc/postern/mx.pem");
  CHECK(yaml_scalar("127.0.0.1:25") == "\"127.0.0.1:25\"");
  CHECK(yaml_list({"a", "b c"}) == "[a, \"b c\"]");
}

TEST_CASE("init: no configuration takes control characters, nor what is no UTF-8") {
  CHECK(can_be_written("grüß $ \" ' \\"));
  for (const std::string& text : {std::string("\n"), std::string(1, '\0'), std::string("\x7f"), std::string("\xff"),
                                  std::string("\xc0\x80"), std::string("\xed\xa0\x80")}) {
    CHECK_FALSE(can_be_written(text));
  }
}

TEST_CASE("init: a comment is wrapped, and ends where it ends") {
  CHECK(yaml_comment("a  b\nc\x1b[31m\xff", 2) == "  # a b\n  # c\\x1b[31m\\xff\n");
  const std::string long_one = yaml_comment(std::string(100, 'x') + " " + std::string(100, 'y'), 0);
  CHECK(long_one == "# " + std::string(100, 'x') + "\n# " + std::string(100, 'y') + "\n");
}

}  // namespace yaml_text_test
}  // namespace postern::init
