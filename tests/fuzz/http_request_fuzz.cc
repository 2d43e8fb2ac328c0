// How the bytes of a request are cut changes nothing, and nothing but a GET within the limits is served.
#include "proxy/wire/http_request.h"

#include "tests/fuzz/fuzz_input.h"

using postern::wire::HttpRequest;
using postern::wire::HttpRequestReader;

namespace {

std::optional<HttpRequest> read(std::string_view bytes, std::size_t step) {
  HttpRequestReader reader;
  while (!bytes.empty()) {
    if (auto request = reader.feed(bytes.substr(0, step))) return request;
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = postern::fuzz::Input(data, size).rest();
  const auto whole = read(bytes, bytes.size() + 1);
  const auto cut = read(bytes, 1);
  // Which of its mistakes is told may hang on the cut: what is too long may end in something odd.
  POSTERN_ASSERT(whole.has_value() == cut.has_value(), "cuts do not make or break a request");
  if (!whole) {
    POSTERN_ASSERT(bytes.size() < HttpRequestReader::head_limit, "nobody reads on for ever");
    return 0;
  }
  POSTERN_ASSERT((whole->status == 200) == (cut->status == 200), "cuts do not make or break a good one");
  if (whole->status != 200) return 0;
  POSTERN_ASSERT(whole->path == cut->path, "cuts change nothing");
  POSTERN_ASSERT(whole->path.size() <= HttpRequestReader::target_limit, "within the limits");
  POSTERN_ASSERT(whole->path.find('?') == std::string::npos, "without the query");
  return 0;
}
