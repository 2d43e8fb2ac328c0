// A header is the same however little of it has come and whatever follows it; what is read can be printed and read
// again.
#include "proxy/wire/proxy_protocol.h"

#include "tests/fuzz/fuzz_input.h"

using namespace postern::wire;

namespace {

bool same(const ProxyAddresses& left, const ProxyAddresses& right) {
  return left.source == right.source && left.destination == right.destination &&
         left.source_port == right.source_port && left.destination_port == right.destination_port;
}

void reads_back(const ProxyAddresses& addresses, const std::string& printed) {
  const auto again = parse_proxy_header(printed);
  POSTERN_ASSERT(again && *again && (*again)->size == printed.size() && (*again)->addresses,
                 "what we print is a header");
  POSTERN_ASSERT(same(*(*again)->addresses, addresses), "what we print says the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = postern::fuzz::Input(data, size).rest();
  const auto whole = parse_proxy_header(bytes);
  const bool found = whole && *whole;
  const std::size_t decided = found ? (*whole)->size : bytes.size();
  POSTERN_ASSERT(decided <= bytes.size(), "a header lies in its bytes");
  POSTERN_ASSERT(!found || decided <= max_proxy_header, "a header is bounded");
  POSTERN_ASSERT(whole.has_value() == found || bytes.size() < max_proxy_header, "waiting is bounded");
  POSTERN_ASSERT(!found || ProxyHeaderWatch().sees_header(bytes), "a header looks like one");
  bool failed = false;
  for (std::size_t cut = 0; cut < decided; ++cut) {
    const auto part = parse_proxy_header(bytes.substr(0, cut));
    POSTERN_ASSERT(!part || !*part, "part of a header is none");
    POSTERN_ASSERT(part || !whole, "part of a header is no error");
    POSTERN_ASSERT(!(failed && part), "an error stays one");
    failed = !part;
  }
  if (!found || !(*whole)->addresses) return 0;
  const auto& addresses = *(*whole)->addresses;
  reads_back(addresses, print_proxy_v1(addresses));
  reads_back(addresses, print_proxy_v2(addresses, std::nullopt));
  reads_back(addresses, print_proxy_v2(addresses, ProxyTls{bytes, bytes, bytes, bytes, true, false}));
  return 0;
}
