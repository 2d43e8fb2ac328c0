// Content leaves with exactly one CRLF.CRLF, at its end; cuts change nothing; no bare CR or LF survives normalize.
#include "proxy/smtp/content.h"

#include <string>

#include "tests/fuzz/fuzz_input.h"

namespace {

using postern::config::BareNewline;
using postern::smtp::ContentScanner;
using Outcome = ContentScanner::Outcome;

constexpr std::string_view end_of_data = "\r\n.\r\n";

struct Run {
  std::string output = "\r\n";  // what counts as being before the first line
  Outcome outcome = Outcome::more;
  std::size_t consumed = 0;
  std::uint64_t size = 0;
  bool operator==(const Run&) const = default;
};

struct Scan {
  ContentScanner scanner;
  Run run{};

  bool take(std::string_view piece) {
    const auto result = scanner.scan(piece, [&](std::string_view span) { run.output += span; });
    run.outcome = result.outcome;
    run.consumed += result.consumed;
    run.size = scanner.size();
    return result.outcome == Outcome::more;
  }
};

bool has_bare_newline(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if ((bytes[i] == '\n') != (i > 0 && bytes[i - 1] == '\r')) return true;
  }
  return bytes.ends_with('\r');
}

void check(BareNewline mode, std::string_view input, const Run& run) {
  const std::string whole = "\r\n" + std::string(input);
  const std::size_t end = whole.find(end_of_data);
  const bool ended = run.outcome == Outcome::end;
  const std::size_t sent_end = run.output.find(end_of_data);
  POSTERN_ASSERT(!ended || run.consumed == end + 3, "CRLF.CRLF alone ends content");
  POSTERN_ASSERT(run.outcome != Outcome::more || end == std::string::npos, "CRLF.CRLF always ends content");
  POSTERN_ASSERT(sent_end == (ended ? run.output.size() - 5 : std::string::npos), "one end of data, at the end");
  POSTERN_ASSERT(run.size == run.output.size() - 2 - (ended ? 3 : 0), "what is sent is counted");
  if (mode == BareNewline::normalize) {
    POSTERN_ASSERT(!has_bare_newline(run.output), "no bare CR or LF survives");
  } else {
    POSTERN_ASSERT(whole.starts_with(run.output), "nothing is changed");
  }
  const bool bare = has_bare_newline(input.substr(0, run.consumed));
  if (mode == BareNewline::reject && ended) POSTERN_ASSERT(!bare, "nothing bare is accepted");
  if (run.outcome == Outcome::rejected)
    POSTERN_ASSERT(mode == BareNewline::reject && bare, "only bare newlines reject");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  postern::fuzz::Input input(data, size);
  const std::uint8_t seed = input.octet();
  for (const BareNewline mode : {BareNewline::normalize, BareNewline::reject, BareNewline::pass}) {
    Scan whole{ContentScanner(mode)};
    whole.take(input.rest());
    check(mode, input.rest(), whole.run);
    Scan cut{ContentScanner(mode)};
    postern::fuzz::in_pieces(input.rest(), seed, [&](std::string_view piece) { return cut.take(piece); });
    POSTERN_ASSERT(whole.run == cut.run, "cuts change nothing");
  }
  return 0;
}
