// Either end of a signer's connection takes any message apart, within bounds; what it accepts is what it would say
// itself; and whatever is asked, the answer can be heard.
#include "proxy/signing/messages.h"
#include "proxy/signing/signer.h"
#include "tests/fuzz/fuzz_input.h"

using namespace postern;
using namespace postern::signing;

namespace {

// Ed25519: quick, and it signs whatever it is given. The name is where the corpus has it, in octets of one value.
const Keys& keys() {
  static const Keys made = [] {
    constexpr const char* pem =
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
        "-----END PRIVATE KEY-----\n";
    auto key = tls::SigningKey::parse("key", pem, true);
    POSTERN_ASSERT(key.has_value(), "the key of RFC 8410 is one");
    Keys table;
    table[std::string(tls::KeyRequest::name_size, 'k')] = std::make_shared<const tls::SigningKey>(std::move(*key));
    return table;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message = postern::fuzz::Input(data, size).rest();
  const auto request = parse_request(message);
  if (request) {
    POSTERN_ASSERT(encode(*request) == message, "a request is said in one way");
    POSTERN_ASSERT(message.size() <= max_request, "requests are bounded");
  }
  const auto told = answer_to(message, keys());
  POSTERN_ASSERT(told.has_value() == request.has_value(), "who keeps the protocol is answered, and nobody else");
  if (told) {
    const auto heard = parse_answer(*told);
    POSTERN_ASSERT(heard && heard->id == request->id, "an answer can be heard");
    POSTERN_ASSERT(told->size() <= max_answer, "answers are bounded");
  }
  if (const auto heard = parse_answer(message)) {
    POSTERN_ASSERT(encode(*heard) == message, "an answer is said in one way");
  }
  return 0;
}
