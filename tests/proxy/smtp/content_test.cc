#include "proxy/smtp/content.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace content_test {

using postern::config::BareNewline;
using postern::smtp::ContentScanner;
using Outcome = ContentScanner::Outcome;

struct Run {
  std::string output;
  std::vector<std::string> spans;
  Outcome outcome = Outcome::more;
  std::size_t consumed = 0;
  std::uint64_t size = 0;

  bool operator==(const Run& other) const {
    return output == other.output && outcome == other.outcome && consumed == other.consumed && size == other.size;
  }
};

Run run(BareNewline mode, const std::vector<std::string_view>& inputs) {
  ContentScanner scanner(mode);
  Run result;
  for (const std::string_view input : inputs) {
    const auto step = scanner.scan(input, [&](std::string_view span) {
      result.output += span;
      result.spans.emplace_back(span);
    });
    result.outcome = step.outcome;
    result.consumed += step.consumed;
    if (step.outcome != Outcome::more) break;
  }
  result.size = scanner.size();
  return result;
}

Run run(BareNewline mode, std::string_view input) {
  return run(mode, std::vector{input});
}

std::vector<std::string_view> octets(std::string_view input) {
  std::vector<std::string_view> result;
  for (std::size_t i = 0; i < input.size(); ++i) result.push_back(input.substr(i, 1));
  return result;
}

constexpr std::string_view end_of_data = "\r\n.\r\n";
constexpr auto none = std::string::npos;

// How many octets of `input` there are up to and with the end of data; none: it does not end.
std::size_t end_in(const std::string& input) {
  const std::size_t found = ("\r\n" + input).find(end_of_data);
  return found == none ? none : found + end_of_data.size() - 2;
}

// The first octet at which a bare CR or LF shows.
std::size_t bare_in(const std::string& input) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    const bool after_cr = i > 0 && input[i - 1] == '\r';
    if ((input[i] == '\n') != after_cr) return i;
  }
  return none;
}

// The slow and obvious way: cut into lines, stuff those that are a lone dot, join. `input` is whole content without
// its ".CRLF".
std::string normalized(const std::string& input) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (input[i] != '\r' && input[i] != '\n') {
      lines.back() += input[i];
      continue;
    }
    if (input.compare(i, 3, "\r\r\n") == 0) {
      i += 2;
    } else if (input.compare(i, 2, "\r\n") == 0) {
      i += 1;
    }
    lines.emplace_back();
  }
  std::string result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool is_last = i + 1 == lines.size();
    result += lines[i] == "." && !is_last ? ".." : lines[i];
    if (!is_last) result += "\r\n";
  }
  return result;
}

std::size_t count_ends(const std::string& output) {
  const std::string whole = "\r\n" + output;
  std::size_t count = 0;
  for (std::size_t at = whole.find(end_of_data); at != none; at = whole.find(end_of_data, at + 1)) ++count;
  return count;
}

// Everything that must hold for one stream, read at once.
bool properties_hold(BareNewline mode, const std::string& input, const Run& result) {
  const std::size_t end = end_in(input);
  const std::size_t bare = bare_in(input);
  if (mode == BareNewline::reject && bare != none && (end == none || bare < end)) {
    return result.outcome == Outcome::rejected && result.consumed == bare + 1 && count_ends(result.output) == 0 &&
           input.starts_with(result.output);
  }
  if (end == none) {
    const std::string continued = input + "x\r\n";
    return result.outcome == Outcome::more && result.consumed == input.size() && count_ends(result.output) == 0 &&
           (mode == BareNewline::normalize ? normalized(continued) : continued).starts_with(result.output) &&
           result.size == result.output.size();
  }
  const std::string content = input.substr(0, end - 3);
  const std::string expected = mode == BareNewline::normalize ? normalized(content) : content;
  return result.outcome == Outcome::end && result.consumed == end && result.output == expected + ".\r\n" &&
         result.size == expected.size() && count_ends(result.output) == 1 &&
         (mode != BareNewline::normalize || bare_in(result.output) == none);
}

std::string stream(std::size_t number, std::size_t length) {
  std::string result;
  for (std::size_t i = 0; i < length; ++i, number /= 4) result += "\r\n.a"[number % 4];
  return result;
}

constexpr BareNewline modes[] = {BareNewline::normalize, BareNewline::reject, BareNewline::pass};

TEST_CASE("content: well-formed content leaves untouched, as one span") {
  const std::string message = "Subject: x\r\n\r\n..stuffed\r\n.dot\r\nbody\r\n.\r\n";
  for (const BareNewline mode : modes) {
    const auto result = run(mode, message + "QUIT\r\n");
    CHECK(result.outcome == Outcome::end);
    CHECK(result.consumed == message.size());
    CHECK(result.spans == std::vector{message});
    CHECK(result.size == message.size() - 3);
  }
}

TEST_CASE("content: an empty message is a lone dot") {
  for (const BareNewline mode : modes) {
    const auto result = run(mode, ".\r\n");
    CHECK(result.outcome == Outcome::end);
    CHECK(result.output == ".\r\n");
    CHECK(result.size == 0);
  }
}

TEST_CASE("content: a cut in the end of data makes two spans of well-formed content") {
  const std::string message = "a line\r\n.\r\n";
  for (const BareNewline mode : modes) {
    for (std::size_t cut = 7; cut < message.size(); ++cut) {
      const auto result = run(mode, {std::string_view(message).substr(0, cut), std::string_view(message).substr(cut)});
      CHECK(result.output == message);
      CHECK(result.spans.front() == "a line");
      CHECK(result.spans.size() <= 3);
    }
  }
}

TEST_CASE("content: what could be the end of data is held back until it is known") {
  for (const BareNewline mode : modes) {
    for (const std::string_view held : {"\r", "\r\n", "\r\n.", "\r\n.\r"}) {
      const auto result = run(mode, "text" + std::string(held));
      CHECK(result.output == "text");
      CHECK(result.size == 4);
    }
  }
}

TEST_CASE("content: smuggled ends of data are made harmless") {
  struct Case {
    std::string_view smuggled;
    std::string_view leaves;
  };
  const Case cases[] = {
      {"\n.\n", "\r\n..\r\n"},       {"\n.\r\n", "\r\n..\r\n"},         {"\r\n.\n", "\r\n..\r\n"},
      {"\r.\r", "\r\n..\r\n"},       {"\r.\r\n", "\r\n..\r\n"},         {"\r\n.\r", "\r\n..\r\n"},
      {"\r\n.\r\r\n", "\r\n..\r\n"}, {"\n\n.\r\n", "\r\n\r\n..\r\n"},   {"\r\n\n.\r\n", "\r\n\r\n..\r\n"},
      {"\r.\n", "\r\n..\r\n"},       {"\n.\r\r\n", "\r\n..\r\n"},       {"\r\r.\r\n", "\r\n\r\n..\r\n"},
      {"\r\r\n.\r", "\r\n..\r\n"},   {"\r\n\r.\r\n", "\r\n\r\n..\r\n"}, {"\n.\n.\r\n", "\r\n..\r\n..\r\n"},
  };
  for (const Case& each : cases) {
    const std::string message = "text" + std::string(each.smuggled) + "MAIL FROM:<x>\r\n.\r\n";
    const auto result = run(BareNewline::normalize, message);
    CHECK(result.output == "text" + std::string(each.leaves) + "MAIL FROM:<x>\r\n.\r\n");
    CHECK(result.outcome == Outcome::end);
    CHECK(run(BareNewline::reject, message).outcome == Outcome::rejected);
    CHECK(run(BareNewline::pass, message).output == message);
  }
}

TEST_CASE("content: the first line counts as preceded by CRLF, but only CRLF ends it") {
  CHECK(run(BareNewline::normalize, ".\nx\r\n.\r\n").output == "..\r\nx\r\n.\r\n");
  CHECK(run(BareNewline::normalize, ".\rx\r\n.\r\n").output == "..\r\nx\r\n.\r\n");
  CHECK(run(BareNewline::normalize, "\n.\r\nx\r\n.\r\n").output == "\r\n..\r\nx\r\n.\r\n");
  CHECK(run(BareNewline::pass, ".\nx\r\n.\r\n").output == ".\nx\r\n.\r\n");
}

TEST_CASE("content: CR CR LF is one line end, and the CRLF in it may begin the end of data") {
  CHECK(run(BareNewline::normalize, "a\r\r\nb\r\n.\r\n").output == "a\r\nb\r\n.\r\n");
  CHECK(run(BareNewline::normalize, "a\r\r\n.\r\n").output == "a\r\n.\r\n");
  CHECK(run(BareNewline::normalize, "a\r\r\rb\r\n.\r\n").output == "a\r\n\r\n\r\nb\r\n.\r\n");
  CHECK(run(BareNewline::normalize, "a\r\r\r\nb\r\n.\r\n").output == "a\r\n\r\nb\r\n.\r\n");
}

TEST_CASE("content: reject names the first bare CR or LF, and only before the end") {
  CHECK(run(BareNewline::reject, "a\nb").outcome == Outcome::rejected);
  CHECK(run(BareNewline::reject, "a\rb").outcome == Outcome::rejected);
  CHECK(run(BareNewline::reject, "a\r").outcome == Outcome::more);
  CHECK(run(BareNewline::reject, "a\r\n.\r\n\n").outcome == Outcome::end);
}

TEST_CASE("content: every stream of eight octets obeys the rules, however it is cut") {
  constexpr std::size_t length = 8;
  std::size_t failures = 0;
  for (std::size_t number = 0; number < std::size_t{1} << (2 * length); ++number) {
    const std::string input = stream(number, length);
    for (const BareNewline mode : modes) {
      const auto whole = run(mode, input);
      bool good = properties_hold(mode, input, whole) && run(mode, octets(input)) == whole;
      for (std::size_t cut = 1; cut < length; ++cut) {
        good &= run(mode, {std::string_view(input).substr(0, cut), std::string_view(input).substr(cut)}) == whole;
      }
      if (!good && ++failures < 5) {
        INFO("stream " << number << " mode " << static_cast<int>(mode));
        CHECK(good);
      }
    }
  }
  CHECK(failures == 0);
}

TEST_CASE("content: long streams obey the rules wherever in a block the odd octets lie") {
  std::size_t failures = 0;
  for (std::size_t number = 0; number < 1 << 10; ++number) {
    const std::string odd = stream(number, 5);
    for (const std::size_t before : {0, 1, 58, 60, 61, 62, 63, 64, 65, 127, 128}) {
      const std::string input = std::string(before, 'b') + odd + std::string(70, 'c') + "\r\n.\r\nQUIT";
      for (const BareNewline mode : modes) {
        const auto whole = run(mode, input);
        const std::size_t cut = before + number % 6;
        const std::vector parts = {std::string_view(input).substr(0, cut), std::string_view(input).substr(cut)};
        const bool good =
            properties_hold(mode, input, whole) && run(mode, parts) == whole && run(mode, octets(input)) == whole;
        if (!good && ++failures < 5) CHECK(good);
      }
    }
  }
  CHECK(failures == 0);
}

TEST_CASE("content: the next message begins afresh") {
  ContentScanner scanner(BareNewline::normalize);
  const auto ignore = [](std::string_view) {};
  CHECK(scanner.scan("a\r\n.\r\n", ignore).outcome == Outcome::end);
  CHECK(scanner.size() == 3);
  scanner.reset();
  CHECK(scanner.size() == 0);
  CHECK(scanner.scan(".\r\n", ignore).outcome == Outcome::end);
}

}  // namespace content_test
