// A TLSA record from the wire prints and reads as itself; judging it, and a chain by it, ends.
#include "tls/tlsa.h"

#include "tests/fuzz/fuzz_input.h"
#include "tls/verify_dane.h"
#include "tls/verify_name.h"

using namespace postern::tls;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view rdata = postern::fuzz::Input(data, size).rest();
  const auto record = parse_tlsa_rdata(rdata);
  POSTERN_ASSERT(record.has_value() == (rdata.size() >= 3 && rdata.size() <= 65535), "three octets make a record");
  if (record && !record->data.empty()) {
    const auto again = parse_tlsa_text(to_string(*record));
    POSTERN_ASSERT(again && *again == *record, "a printed record reads as the same");
    const std::vector<TlsaRecord> records = {*record};
    POSTERN_ASSERT(any_usable(records) != effective_records(records).empty(), "usable records count");
    POSTERN_ASSERT(verify_dane(records, nullptr, {}, 0).outcome != DaneOutcome::matched, "no chain matches nothing");
  }
  static_cast<void>(parse_tlsa_text(rdata));
  POSTERN_ASSERT(!name_matches(rdata, "192.0.2.1"), "no name is an address");
  return 0;
}
