#include "proxy/sink/dot_decoder.h"

#include <string>

#include "tests/support/catch.h"

namespace dot_decoder_test {

struct Decoded {
  std::string content;
  std::size_t consumed = 0;
  bool end = false;
};

// Hands `input` over in pieces of `size` octets until it ends.
Decoded decode(std::string_view input, std::size_t size) {
  postern::sink::DotDecoder decoder;
  Decoded decoded;
  while (!input.empty() && !decoded.end) {
    const std::string_view piece = input.substr(0, size);
    const auto progress = decoder.decode(piece, [&](std::string_view text) { decoded.content += text; });
    decoded.consumed += progress.consumed;
    decoded.end = progress.end;
    input.remove_prefix(progress.consumed);
  }
  return decoded;
}

void check(std::string_view input, std::string_view content, std::size_t left_over = 0) {
  for (std::size_t size = 1; size <= input.size(); ++size) {
    const Decoded decoded = decode(input, size);
    CHECK(decoded.content == content);
    CHECK(decoded.end);
    CHECK(decoded.consumed == input.size() - left_over);
  }
}

TEST_CASE("dot decoder: content comes out as it was before dot-stuffing, however it is cut") {
  check(".\r\n", "");
  check("one\r\ntwo\r\n.\r\n", "one\r\ntwo\r\n");
  check("..\r\n...\r\n..x\r\n.\r\n", ".\r\n..\r\n.x\r\n");
  check("a.b\r\n\r\n\r\n.\r\n", "a.b\r\n\r\n\r\n");
}

TEST_CASE("dot decoder: only CRLF.CRLF ends") {
  check("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n");
  check("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n");
  check("a\r.\rb\r\n.\r\n", "a\r.\rb\r\n");
  check("a\r\r\n.\r\n", "a\r\r\n");
  check("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n");
  check("a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n");
  check("a\r\n.\n\r\n.\r\n", "a\r\n\n\r\n");
}

TEST_CASE("dot decoder: what follows the end is left alone") {
  check("x\r\n.\r\nQUIT\r\n", "x\r\n", 6);
}

TEST_CASE("dot decoder: without the end there is none") {
  CHECK_FALSE(decode("a\r\n.", 1).end);
  CHECK_FALSE(decode("a\r\n.\r", 3).end);
}

}  // namespace dot_decoder_test
