#include "proxy/observe/log_line.h"

#include "tests/support/catch.h"

namespace log_line_test {

using postern::log::Field;

std::string text(std::initializer_list<Field> fields, std::string_view message = "session ended") {
  std::string out;
  postern::log::append_text(out, message, {fields.begin(), fields.size()});
  return out;
}
std::string json(std::initializer_list<Field> fields, std::string_view message = "session ended") {
  std::string out;
  postern::log::append_json(out, message, {fields.begin(), fields.size()});
  return out;
}

TEST_CASE("log line: text values are quoted only where they must be") {
  CHECK(text({}) == "session ended");
  CHECK(text({{"client", "192.0.2.1:25"}, {"messages", 3}, {"resumed", false}}) ==
        "session ended client=192.0.2.1:25 messages=3 resumed=false");
  CHECK(text({{"why", "the peer left"}, {"sni", ""}, {"q", "a=b"}}) ==
        R"(session ended why="the peer left" sni="" q="a=b")");
}

TEST_CASE("log line: a line stays one line whatever the network put into it") {
  CHECK(text({{"helo", "a\r\nfake level=error"}}) == R"(session ended helo="a\x0d\x0afake level=error")");
  CHECK(text({{"helo", "say \"hi\" \\"}}) == R"(session ended helo="say \"hi\" \\")");
  CHECK(text({{"helo", "\x1b[2J\x7f"}}) == R"(session ended helo="\x1b[2J\x7f")");
  CHECK(text({}, "two\nlines") == R"(two\x0alines)");
  CHECK(json({{"helo", "a\r\n\"\\"}}) == R"("message":"session ended","helo":"a\u000d\u000a\"\\")");
}

TEST_CASE("log line: UTF-8 passes, other octets and C1 controls are escaped") {
  CHECK(text({{"helo", "müller.example"}}) == "session ended helo=\"müller.example\"");
  CHECK(json({{"helo", "€😀"}}) == R"("message":"session ended","helo":"€😀")");
  CHECK(text({{"helo", "\xff\xc3"}}) == R"(session ended helo="\xff\xc3")");
  CHECK(json({{"helo", "\xff"}}) == R"("message":"session ended","helo":"\\xff")");
  CHECK(text({{"helo", "\xc2\x9b"}}) == R"(session ended helo="\xc2\x9b")");                  // CSI
  CHECK(text({{"helo", "\xc0\xaf"}}) == R"(session ended helo="\xc0\xaf")");                  // overlong
  CHECK(text({{"helo", "\xed\xa0\x80"}}) == R"(session ended helo="\xed\xa0\x80")");          // surrogate
  CHECK(text({{"helo", "\xf4\x90\x80\x80"}}) == R"(session ended helo="\xf4\x90\x80\x80")");  // beyond U+10FFFF
}

TEST_CASE("log line: what would turn a line around or break it is escaped as other controls are") {
  CHECK(text({{"helo",
               "a\xe2\x80\xae"
               "b"}}) == R"(session ended helo="a\xe2\x80\xaeb")");  // U+202E
  CHECK(json({{"helo",
               "a\xe2\x80\xae"
               "b"}}) == R"("message":"session ended","helo":"a\u202eb")");
  CHECK(json({{"helo", "\xe2\x80\xa8\xe2\x80\xa9"}}, "x") == R"("message":"x","helo":"\u2028\u2029")");  // separators
  CHECK(json({{"helo", "\xc2\x85\xc2\x9b"}}, "x") == R"("message":"x","helo":"\u0085\u009b")");          // C1
  CHECK(json({{"helo", "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f"}}, "x") == R"("message":"x","helo":"\u061c\u200e\u200f")");
  CHECK(json({{"helo", "\xe2\x81\xa6\xe2\x81\xa9"}}, "x") == R"("message":"x","helo":"\u2066\u2069")");
  CHECK(json({{"helo", "\xc2\xa0\xe2\x80\x94\xe2\x81\xaa"}}, "x") ==
        "\"message\":\"x\",\"helo\":\"\xc2\xa0\xe2\x80\x94\xe2\x81\xaa\"");  // neighbours pass
}

TEST_CASE("log line: several texts are one value in text, an array in JSON") {
  const std::vector<std::string> texts = {"from=<a@x>", "say \"x\"\n"};
  CHECK(text({{"envelope", texts}}, "x") == R"(x envelope="from=<a@x>; say \"x\"\x0a")");
  CHECK(json({{"envelope", texts}}, "x") == R"("message":"x","envelope":["from=<a@x>","say \"x\"\u000a"])");
  const std::vector<std::string> one = {"word"};
  CHECK(text({{"refused", one}}, "x") == R"(x refused="word")");
}

TEST_CASE("log line: numbers keep their type in JSON") {
  CHECK(json({{"a", -1}, {"b", ~std::uint64_t{0}}, {"c", 0.25}, {"d", true}}) ==
        R"("message":"session ended","a":-1,"b":18446744073709551615,"c":0.25,"d":true)");
  CHECK(json({{"a", 1.0 / 0.0}}, "x") == R"("message":"x","a":null)");
  CHECK(json({{"name", std::string("owned")}}, "x") == R"("message":"x","name":"owned")");
}

}  // namespace log_line_test
