// How the bytes of a response are cut changes nothing, and only 200 is a success, within the limits.
#include "proxy/wire/http.h"

#include "tests/fuzz/fuzz_input.h"

using postern::Result;
using postern::wire::HttpResponse;
using postern::wire::HttpResponseReader;

namespace {

Result<HttpResponse> read(std::string_view bytes, std::size_t step) {
  HttpResponseReader::Limits limits;
  limits.body = 200;
  limits.head = 300;
  HttpResponseReader reader(limits);
  while (!bytes.empty()) {
    if (auto outcome = reader.feed(bytes.substr(0, step))) return *outcome;
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  return reader.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = postern::fuzz::Input(data, size).rest();
  const auto whole = read(bytes, bytes.size() + 1);
  const auto cut = read(bytes, 1);
  POSTERN_ASSERT(whole.has_value() == cut.has_value(), "cuts do not make or break a response");
  if (!whole) return 0;
  POSTERN_ASSERT(whole->status == 200 && whole->body.size() <= 200, "200, within the limits");
  POSTERN_ASSERT(whole->body == cut->body && whole->content_type == cut->content_type, "cuts change nothing");
  return 0;
}
