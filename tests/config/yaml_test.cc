#include "config/yaml.h"

#include "tests/support/catch.h"

namespace yaml_test {

using namespace postern;
using namespace postern::config;

TEST_CASE("yaml: a tree knows where everything stands") {
  Mistakes mistakes;
  const auto root = parse_yaml("a: 1\nb:\n  - x\n  - \"y\"\nc: { d: ~ }\n", mistakes);
  CHECK(mistakes.empty());
  REQUIRE(root.has_value());
  REQUIRE(root->kind == Node::Kind::mapping);
  REQUIRE(root->children.size() == 3);
  const Node& a = root->children[0];
  CHECK(a.key == "a");
  CHECK(a.scalar == "1");
  CHECK(a.key_place == Place{1, 1});
  CHECK(a.place == Place{1, 4});
  const Node& b = root->children[1];
  REQUIRE(b.kind == Node::Kind::sequence);
  CHECK(b.children.at(0).place == Place{3, 5});
  CHECK_FALSE(b.children.at(0).quoted);
  CHECK(b.children.at(1).quoted);
  CHECK(root->children[2].children.at(0).kind == Node::Kind::null);
}

TEST_CASE("yaml: columns count characters, not octets") {
  Mistakes mistakes;
  const auto root = parse_yaml("{ \"\xc3\xa4\xc3\xb6\": 1, b: 2 }", mistakes);
  REQUIRE(root.has_value());
  CHECK(root->children.at(1).place == Place{1, 15});
}

TEST_CASE("yaml: nothing at all is null") {
  for (const char* text : {"", "\n", "# comment\n", "---\n", "~", "---\n...\n"}) {
    Mistakes mistakes;
    const auto root = parse_yaml(text, mistakes);
    REQUIRE(root.has_value());
    CHECK(root->kind == Node::Kind::null);
    CHECK(mistakes.empty());
  }
}

TEST_CASE("yaml: a byte order mark is harmless") {
  Mistakes mistakes;
  // libyaml alone counts it as a column, and then finds all further keys in another.
  const auto root = parse_yaml("\xef\xbb\xbfworkers: 2\nlog:\n  level: info\n\xef\xbb\xbfuser: x\n", mistakes);
  CHECK(mistakes.empty());
  REQUIRE(root.has_value());
  REQUIRE(root->children.size() == 3);
  CHECK(root->children[0].key == "workers");
  CHECK(root->children[1].key_place == Place{2, 1});
  CHECK(root->children[2].key == "user");  // a second file, joined by `cat`
  CHECK(parse_yaml("\xef\xbb\xbf", mistakes)->kind == Node::Kind::null);
}

TEST_CASE("yaml: a file in UTF-16 or UTF-32 is called that") {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"\xff\xfew\0o\0"sv, "\xfe\xff\0w\0o"sv, "w\0o\0r\0"sv, "\0w\0o\0r"sv}) {
    Mistakes mistakes;
    CHECK_FALSE(parse_yaml(text, mistakes).has_value());
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].message == "the file is in UTF-16: save it in UTF-8");
  }
  for (const std::string_view text : {"\xff\xfe\0\0w\0\0\0"sv, "\0\0\xfe\xff\0\0\0w"sv, "w\0\0\0o\0\0\0"sv}) {
    Mistakes mistakes;
    CHECK_FALSE(parse_yaml(text, mistakes).has_value());
    CHECK(mistakes.at(0).message == "the file is in UTF-32: save it in UTF-8");
  }
}

TEST_CASE("yaml: line breaks of other systems are line breaks") {
  for (const char* text : {"a:\r\n  b: 1\r\nc: 2\r\n", "a:\r  b: 1\rc: 2\r"}) {
    Mistakes mistakes;
    const auto root = parse_yaml(text, mistakes);
    CHECK(mistakes.empty());
    REQUIRE(root.has_value());
    CHECK(root->children.at(0).children.at(0).scalar == "1");
    CHECK(root->children.at(1).scalar == "2");
  }
}

TEST_CASE("yaml: of a key given twice the first counts") {
  Mistakes mistakes;
  const auto root = parse_yaml("a: 1\na: 2\n", mistakes);
  REQUIRE(root.has_value());
  REQUIRE(root->children.size() == 1);
  CHECK(root->children[0].scalar == "1");
  CHECK(mistakes.size() == 1);
}

}  // namespace yaml_test
