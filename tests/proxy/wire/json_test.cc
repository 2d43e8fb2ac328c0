#include "proxy/wire/json.h"

#include <limits>
#include <vector>

#include "tests/support/catch.h"

namespace json_test {

using postern::wire::JsonWriter;

std::string quoted(std::string_view text, JsonWriter::NotUtf8 not_utf8) {
  JsonWriter json({}, not_utf8);
  json.value({}, text);
  return json.take();
}

TEST_CASE("json: commas stand between values, and nowhere else") {
  JsonWriter json;
  json.begin_object();
  json.begin_object("none");
  json.end_object();
  json.begin_array("numbers");
  json.value({}, std::uint64_t{1});
  json.value({}, std::int64_t{-2});
  json.value({}, 0.5);
  json.value({}, std::numeric_limits<double>::infinity());
  json.end_array();
  json.flag("yes", true);
  json.values("texts", std::vector<std::string>{"a", "b"});
  json.values("nothing", {});
  json.end_object();
  CHECK(json.take() == R"({"none":{},"numbers":[1,-2,0.5,null],"yes":true,"texts":["a","b"],"nothing":[]})");
}

TEST_CASE("json: members go on behind what stands there") {
  JsonWriter json(R"({"time":0,)", JsonWriter::NotUtf8::shown);
  json.value("message", "x");
  json.value("n", std::uint64_t{2});
  CHECK(json.take() == R"({"time":0,"message":"x","n":2)");
}

TEST_CASE("json: what must be escaped is, the rest is as it was") {
  for (const auto not_utf8 : {JsonWriter::NotUtf8::replaced, JsonWriter::NotUtf8::shown}) {
    CHECK(quoted("a\"b\\c\r\n\x01\x7f", not_utf8) == R"("a\"b\\c\u000d\u000a\u0001\u007f")");
    CHECK(quoted("ü€😀", not_utf8) == "\"ü€😀\"");
    CHECK(quoted("\xe2\x80\xae\xc2\x9b", not_utf8) == R"("\u202e\u009b")");
    CHECK(quoted(std::string_view("\0", 1), not_utf8) == R"("\u0000")");
  }
}

TEST_CASE("json: octets that are not UTF-8 are replaced or shown, one by one") {
  CHECK(quoted("a\xff\xc3z", JsonWriter::NotUtf8::replaced) == "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
  CHECK(quoted("a\xff\xc3z", JsonWriter::NotUtf8::shown) == R"("a\\xff\\xc3z")");
}

}  // namespace json_test
