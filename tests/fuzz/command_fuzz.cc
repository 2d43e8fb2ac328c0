// Whatever a line holds, what is taken from it lies in it, and is well-formed.
#include "proxy/smtp/command.h"

#include "tests/fuzz/fuzz_input.h"

using namespace postern::smtp;
using postern::fuzz::lies_in;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line = postern::fuzz::Input(data, size).rest();
  const Command command = parse_command(line);
  POSTERN_ASSERT(lies_in(command.name, line) && lies_in(command.argument, line), "views lie in the line");
  const bool has_control =
      std::any_of(command.name.begin(), command.name.end(), [](char c) { return c <= ' ' || c == 127; });
  POSTERN_ASSERT(command.verb == Verb::invalid || !(command.name.empty() || has_control), "a verb is visible");
  POSTERN_ASSERT(!to_string(command.verb).empty(), "every verb has a name");
  for (const std::string_view keyword : {"FROM", "TO"}) {
    const auto parsed = parse_path_argument(command.argument, keyword);
    if (!parsed) continue;
    POSTERN_ASSERT(lies_in(parsed->path, line) && lies_in(parsed->parameters, line), "views lie in the line");
    POSTERN_ASSERT(lies_in(domain_of(parsed->path), line), "views lie in the line");
    for (const std::string_view key : {"SIZE", "BODY", "SMTPUTF8"}) {
      POSTERN_ASSERT(lies_in(parameter(parsed->parameters, key).value_or(""), line), "views lie in the line");
    }
  }
  const auto bdat = parse_bdat_argument(command.argument);
  POSTERN_ASSERT(!bdat || bdat->size <= INT64_MAX, "a BDAT size is bounded");
  return 0;
}
