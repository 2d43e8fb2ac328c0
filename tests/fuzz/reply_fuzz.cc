// A reply line that is understood can be put together again.
#include "proxy/smtp/reply.h"

#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line = postern::fuzz::Input(data, size).rest();
  const auto reply = postern::smtp::parse_reply_line(line);
  if (!reply) return 0;
  POSTERN_ASSERT(reply->code >= 200 && reply->code <= 599, "codes have a range");
  const std::string separator = line.size() == 3 ? "" : reply->last ? " " : "-";
  POSTERN_ASSERT(std::to_string(reply->code) + separator + std::string(reply->text) == line, "nothing is lost");
  return 0;
}
