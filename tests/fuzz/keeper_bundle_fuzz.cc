// The gateway takes whatever is sealed apart, within bounds; and what it accepts is what it would seal itself.
#include "proxy/keeper/bundle.h"
#include "tests/fuzz/fuzz_input.h"

using namespace postern;
using namespace postern::keeper;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets = postern::fuzz::Input(data, size).rest();
  const auto bundle = unpack(octets);
  if (!bundle) return 0;
  const auto packed = pack(*bundle);
  POSTERN_ASSERT(packed, "what was unpacked is within bounds");
  std::string again = packed->index;
  for (const std::string_view content : packed->contents) again += content;
  POSTERN_ASSERT(again == octets, "a bundle is said in one way");
  return 0;
}
