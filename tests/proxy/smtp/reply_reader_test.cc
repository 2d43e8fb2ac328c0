#include "proxy/smtp/reply_reader.h"

#include <string>

#include "tests/support/catch.h"

namespace postern::smtp::reply_reader_test {

// What the reader makes of these octets: "250-a|250 b|error …"
std::string read(ReplyReader& reader, std::string_view octets) {
  std::string seen;
  while (const auto piece = reader.next(octets)) {
    seen += seen.empty() ? "" : "|";
    if (!*piece) return seen + "error: " + piece->error().message;
    seen += std::to_string((*piece)->code) + ((*piece)->last ? " " : "-") + std::string((*piece)->text);
  }
  return seen;
}
std::string read(std::string_view octets) {
  ReplyReader reader;
  return read(reader, octets);
}

std::string sent(const Effects& effects) {
  std::string all;
  for (const Effect& effect : effects.list()) all += effect.bytes;
  return all;
}

TEST_CASE("reply reader: lines without content are passed over and counted") {
  const std::string_view octets = "\r\n220 a\r\n\r\n \t\r\n\n250-b\r\r\n\r\r\n250 c\r\r\r\n";
  ReplyReader reader;
  CHECK(read(reader, octets) == "220 a|250-b|250 c");
  CHECK(reader.take_blank_lines() == 5);
  CHECK(reader.take_blank_lines() == 0);
  ReplyReader starved;
  std::string seen;
  for (const char& octet : octets) {
    const std::string part = read(starved, {&octet, 1});
    if (!part.empty()) seen += part + "|";
  }
  CHECK(seen == "220 a|250-b|250 c|");
}

TEST_CASE("reply reader: empty lines in a row are bounded") {
  std::string ten;
  for (int i = 0; i < 10; ++i) ten += "\r\n";
  CHECK(read(ten + "250 a\r\n" + ten + "250 b\r\n") == "250 a|250 b");
  CHECK(read(ten + "\r\n250 a\r\n") == "error: nothing but empty lines in place of a reply");
}

TEST_CASE("reply reader: what is no reply is quoted, harmlessly") {
  CHECK(read("what?\r\n") == "error: a line that is no reply: \"what?\"");
  CHECK(read("25O stored\r\n") == "error: a line that is no reply: \"25O stored\"");
  CHECK(read("250 a\rb\r\n") == "error: a reply holds NUL or a bare CR: \"250 a?b\"");
  CHECK(read("250-a\r\n251 b\r\n") == "250-a|error: a reply has two codes: \"251 b\"");
  CHECK(read("x\x1b[31m" + std::string(1000, 'y') + "\r\n").size() < 300);
}

TEST_CASE("reply reader: a reply is handed on when it is whole") {
  ReplyReader reader;
  Effects out;
  const auto hand_on = [&](std::string_view octets) {
    while (const auto piece = reader.next(octets)) reader.hand_on(**piece, out);
    return sent(out);
  };
  CHECK(hand_on("250-first\r\n250-second").empty());
  CHECK(hand_on("\r\n250 th").empty());
  CHECK(hand_on("ird\n") == "250-first\r\n250-second\r\n250 third\r\n");
}

TEST_CASE("reply reader: a reply of one line is sent from where it lies") {
  ReplyReader reader;
  Effects out;
  std::string_view octets = "250 a\r\n250 b\r\n";
  const char* begin = octets.data();
  while (const auto piece = reader.next(octets)) reader.hand_on(**piece, out);
  REQUIRE(out.list().size() == 1);
  CHECK(out.list()[0].bytes.data() == begin);
}

TEST_CASE("reply reader: what was withheld does not come with the next reply") {
  ReplyReader reader;
  Effects out;
  std::string_view octets = "503-no\r\n503 never\r\n250-a\r\n250 b\r\n";
  while (const auto piece = reader.next(octets)) {
    if ((*piece)->code == 503 && (*piece)->last) {
      reader.withhold();
    } else {
      reader.hand_on(**piece, out);
    }
  }
  CHECK(sent(out) == "250-a\r\n250 b\r\n");
}

}  // namespace postern::smtp::reply_reader_test
