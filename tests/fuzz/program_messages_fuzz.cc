// Either end of the connections about programs takes any message apart, within bounds; and what it accepts is what it
// would say itself.
#include <algorithm>

#include "proxy/programs/messages.h"
#include "tests/fuzz/fuzz_input.h"

using namespace postern;
using namespace postern::programs;

namespace {

void check_start(const Start& start, std::string_view message) {
  POSTERN_ASSERT(start.listener.size() <= max_listener, "a listener's name is bounded");
  for (const std::string& variable : start.environment) {
    const std::size_t equals = variable.find('=');
    POSTERN_ASSERT(equals != std::string::npos && is_variable(std::string_view(variable).substr(0, equals)),
                   "no variable is set but those of a session");
    POSTERN_ASSERT(variable.find('\0') == std::string::npos, "a variable is a C string");
    POSTERN_ASSERT(variable.size() - equals - 1 <= max_value, "a variable is bounded");
    const auto same_name = [&](const std::string& other) {
      return other.starts_with(std::string_view(variable).substr(0, equals + 1));
    };
    POSTERN_ASSERT(std::ranges::count_if(start.environment, same_name) == 1, "a variable is set once");
  }
  const auto again = encode(start);
  POSTERN_ASSERT(again && *again == message, "a start is said in one way");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message = postern::fuzz::Input(data, size).rest();
  if (const auto heard = parse_request(message)) {
    if (const auto* start = std::get_if<Start>(&*heard)) check_start(*start, message);
    if (const auto* order = std::get_if<Order>(&*heard)) {
      POSTERN_ASSERT(encode(*order) == message, "an order is said in one way");
    }
  }
  if (const auto heard = parse_news(message)) {
    POSTERN_ASSERT(heard->text.size() <= max_text, "sentences are bounded");
    POSTERN_ASSERT(heard->kind == News::Kind::refused || heard->text.empty(), "only a refusal has a reason");
    POSTERN_ASSERT(encode(*heard).size() == message.size(), "news are said in one way");
  }
  return 0;
}
