#include "proxy/smtp/lines.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace lines_test {

using postern::smtp::forgive_end;
using postern::smtp::is_no_command;
using postern::smtp::Line;
using postern::smtp::LineReader;

// A line with bytes of its own.
struct Kept {
  std::string text;
  std::string raw;
  std::string flags;
  bool operator==(const Kept&) const = default;
};

Kept keep(const Line& line) {
  Kept kept{std::string(line.text), std::string(line.raw), ""};
  if (line.bare_lf) kept.flags += "bare_lf ";
  if (line.bare_cr) kept.flags += "bare_cr ";
  if (line.nul) kept.flags += "nul ";
  if (line.too_long) kept.flags += "too_long ";
  return kept;
}

std::vector<Kept> read(const std::vector<std::string_view>& inputs, std::size_t limit) {
  LineReader reader;
  std::vector<Kept> lines;
  for (std::string_view input : inputs) {
    while (const auto line = reader.next(input, limit)) lines.push_back(keep(*line));
    CHECK(input.empty());
  }
  return lines;
}

std::vector<Kept> read(std::string_view input, std::size_t limit = 100) {
  return read(std::vector{input}, limit);
}

TEST_CASE("lines: pipelined lines come one by one, without and with their ends") {
  CHECK(read("EHLO x\r\n\r\nQUIT\r\nhalf") ==
        std::vector<Kept>{{"EHLO x", "EHLO x\r\n", ""}, {"", "\r\n", ""}, {"QUIT", "QUIT\r\n", ""}});
}

TEST_CASE("lines: a whole line is a view of its input") {
  const std::string bytes = "QUIT\r\n";
  std::string_view input = bytes;
  LineReader reader;
  const auto line = reader.next(input, 100);
  REQUIRE(line);
  CHECK(line->raw.data() == bytes.data());
  CHECK(line->in_input);
}

TEST_CASE("lines: one that was cut does not lie in the input") {
  std::string_view begin = "QU";
  std::string_view end = "IT\r\n";
  LineReader reader;
  CHECK(!reader.next(begin, 100));
  const auto line = reader.next(end, 100);
  REQUIRE(line);
  CHECK(!line->in_input);
}

TEST_CASE("lines: bare CR, bare LF and NUL are told") {
  using namespace std::string_view_literals;
  CHECK(read("a\n") == std::vector<Kept>{{"a", "a\n", "bare_lf "}});
  CHECK(read("\n") == std::vector<Kept>{{"", "\n", "bare_lf "}});
  CHECK(read("a\rb\r\n") == std::vector<Kept>{{"a\rb", "a\rb\r\n", "bare_cr "}});
  CHECK(read("a\r\r\n") == std::vector<Kept>{{"a\r", "a\r\r\n", "bare_cr "}});
  CHECK(read("a\0b\r\n"sv) == std::vector<Kept>{{std::string("a\0b"sv), std::string("a\0b\r\n"sv), "nul "}});
}

TEST_CASE("lines: the limit counts the line end") {
  CHECK(read("12345678\r\n", 10).front().flags.empty());
  CHECK(read("123456789\n", 10).front().flags == "bare_lf ");
  CHECK(read("123456789\r\n", 10) == std::vector<Kept>{{"", "", "too_long "}});
  CHECK(read("1234567890\n", 10) == std::vector<Kept>{{"", "", "too_long "}});
}

TEST_CASE("lines: a line that is too long is skipped whole and reported once, however it is cut") {
  const std::string bytes = "RSET\r\n" + std::string(50, 'x') + "\r\nNOOP\r\n" + std::string(9, 'y') + "\r\nQUIT\r\n";
  const auto whole = read(bytes, 10);
  REQUIRE(whole.size() == 5);
  CHECK(whole[1].flags == "too_long ");
  CHECK(whole[2].text == "NOOP");
  CHECK(whole[3].flags == "too_long ");
  for (std::size_t first = 0; first < bytes.size(); ++first) {
    for (std::size_t second = first; second < bytes.size(); ++second) {
      const std::string_view view = bytes;
      if (read({view.substr(0, first), view.substr(first, second - first), view.substr(second)}, 10) != whole) {
        FAIL("cut at " << first << " and " << second);
      }
    }
  }
}

TEST_CASE("lines: a cut changes nothing, not even between CR and LF") {
  const std::string bytes = "a\r\nb\rc\n\n\r\r\nd\r\n";
  std::vector<std::string_view> octets;
  for (std::size_t i = 0; i < bytes.size(); ++i) octets.push_back(std::string_view(bytes).substr(i, 1));
  CHECK(read(octets, 100) == read(bytes));
}

TEST_CASE("lines: an unfinished line is known as such, and can be forgotten") {
  LineReader reader;
  const auto feed = [&](std::string_view input) { return reader.next(input, 10).has_value(); };
  CHECK_FALSE(reader.partial());
  CHECK_FALSE(feed("QU"));
  CHECK(reader.partial());
  CHECK(feed("IT\r\n"));
  CHECK_FALSE(reader.partial());
  CHECK_FALSE(feed("far too long to be a line"));
  CHECK(reader.partial());
  reader.reset();
  CHECK_FALSE(reader.partial());
  CHECK(feed("\r\n"));
}

TEST_CASE("lines: CRs before the terminator are part of it, where that is wanted") {
  LineReader lines;
  std::string_view input = "NOOP\r\r\r\nNO\rOP\r\r\nQUIT\r\n";
  auto line = *lines.next(input, 100);
  CHECK(line.bare_cr);
  forgive_end(line);
  CHECK(line.text == "NOOP");
  CHECK(line.bare_lf);
  CHECK_FALSE(line.bare_cr);
  line = *lines.next(input, 100);
  forgive_end(line);
  CHECK(line.text == "NO\rOP");
  CHECK(line.bare_cr);
  line = *lines.next(input, 100);
  forgive_end(line);
  CHECK(line.text == "QUIT");
  CHECK_FALSE(line.bare_lf);
}

TEST_CASE("lines: what begins like TLS, or like nothing that SMTP knows, is no command") {
  for (const std::string_view line :
       {std::string_view("\x16\x03\x01"), std::string_view("\0", 1), std::string_view("\x80")}) {
    CHECK(is_no_command(line));
  }
  for (const std::string_view line : {"EHLO \xc3\xa4", "", "\r\n", "\x15", " \xff"}) CHECK_FALSE(is_no_command(line));
}

}  // namespace lines_test
