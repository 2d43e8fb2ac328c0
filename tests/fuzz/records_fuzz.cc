// A DNS message is taken apart without leaving it, and says "exists" only with records.
#include "proxy/dns/records.h"

#include "tests/fuzz/fuzz_input.h"

using namespace postern::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message = postern::fuzz::Input(data, size).rest();
  for (const Type type : {Type::a, Type::cname, Type::mx, Type::txt, Type::tlsa}) {
    const Answer answer = parse_message(message, {"a.example", type});
    POSTERN_ASSERT(answer.exists() == !answer.rdata.empty(), "existence is records");
    POSTERN_ASSERT(!answer.secure && answer.status != Status::bogus, "only a validator can say that");
    POSTERN_ASSERT(answer.status != Status::failed || !answer.reason.empty(), "a failure has a reason");
    POSTERN_ASSERT(answer.rdata.size() <= max_records, "records are bounded");
    for (const std::string& rdata : answer.rdata) {
      POSTERN_ASSERT(type != Type::mx || parse_mx(rdata), "MX records that are given out can be read");
      static_cast<void>(parse_txt(rdata));
      static_cast<void>(parse_address(type, rdata));
    }
  }
  const auto mx = parse_mx(message);
  POSTERN_ASSERT(!mx || name_to_wire(mx->exchange), "an exchange that is read can be written");
  return 0;
}
