// Either end of descriptor 3 of the gateway takes any message apart, within bounds; and what it accepts is what it
// would say itself.
#include "proxy/keeper/messages.h"

#include "tests/fuzz/fuzz_input.h"

using namespace postern;
using namespace postern::keeper;

namespace {

void check_order(std::string_view message, std::size_t descriptors) {
  const auto heard = parse_order(message, descriptors);
  if (!heard) return;
  POSTERN_ASSERT(encode(*heard) == message, "an order is said in one way");
  if (const auto* sockets = std::get_if<Sockets>(&*heard)) {
    POSTERN_ASSERT(sockets->entries.size() == descriptors, "each socket has its descriptor");
    for (const auto& entry : sockets->entries) {
      POSTERN_ASSERT(entry.worker < max_workers, "sockets are for workers that there may be");
      POSTERN_ASSERT(entry.listener.empty() == (entry.kind != Sockets::Kind::listening), "listeners have names");
    }
  }
  if (const auto* resolver = std::get_if<Resolver>(&*heard)) {
    POSTERN_ASSERT(resolver->first + descriptors <= max_workers, "connections are for workers that there may be");
  }
  POSTERN_ASSERT(descriptors <= max_descriptors, "descriptors are bounded");
}

void check_report(std::string_view message) {
  const auto heard = parse_report(message);
  if (!heard) return;
  POSTERN_ASSERT(encode(*heard).size() == message.size(), "a report is said in one way");
  if (const auto* refused = std::get_if<Refused>(&*heard)) {
    POSTERN_ASSERT(refused->text.size() <= max_text, "sentences are bounded");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  postern::fuzz::Input input(data, size);
  const std::size_t descriptors = input.octet() % 80;
  check_order(input.rest(), descriptors);
  check_report(input.rest());
  return 0;
}
