// How bytes are cut changes nothing about their lines.
#include <string>
#include <vector>

#include "proxy/smtp/lines.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using postern::smtp::Line;
using postern::smtp::LineReader;

void keep(const Line& line, std::size_t limit, std::vector<std::string>& lines) {
  POSTERN_ASSERT(line.raw.size() <= limit, "a line keeps the limit");
  POSTERN_ASSERT(line.too_long == line.raw.empty(), "a line has octets unless it is too long");
  POSTERN_ASSERT(line.text.find('\n') == std::string_view::npos, "a line holds no LF");
  POSTERN_ASSERT(line.too_long || line.raw == std::string(line.text) + (line.bare_lf ? "\n" : "\r\n"),
                 "raw is the text and its end");
  lines.push_back(line.too_long ? "too long"
                                : std::string(line.raw) + (line.bare_cr ? "C" : "") + (line.nul ? "N" : ""));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  postern::fuzz::Input input(data, size);
  const std::uint8_t seed = input.octet();
  const std::size_t limit = input.octet();
  LineReader whole;
  LineReader cut;
  std::vector<std::string> lines;
  std::vector<std::string> cut_lines;
  std::string_view rest = input.rest();
  while (const auto line = whole.next(rest, limit)) keep(*line, limit, lines);
  postern::fuzz::in_pieces(input.rest(), seed, [&](std::string_view piece) {
    while (const auto line = cut.next(piece, limit)) keep(*line, limit, cut_lines);
    POSTERN_ASSERT(piece.empty(), "without a line all input is consumed");
    return true;
  });
  POSTERN_ASSERT(lines == cut_lines, "cuts change nothing");
  POSTERN_ASSERT(whole.partial() == cut.partial(), "cuts change nothing about what is unfinished");
  return 0;
}
