// Either end of the resolver's connections takes any message apart, within bounds; and what it accepts is what it would
// say itself.
#include "proxy/resolver/messages.h"

#include "tests/fuzz/fuzz_input.h"

using namespace postern;
using namespace postern::resolver;

namespace {

void check_answer(std::string_view message) {
  const auto heard = parse_answer(message);
  if (!heard) return;
  const dns::Answer& answer = heard->answer;
  const bool known = answer.exists() || answer.absent();
  POSTERN_ASSERT(answer.exists() == !answer.rdata.empty(), "existence is records");
  POSTERN_ASSERT(known || !answer.secure, "what is not known is not proven");
  POSTERN_ASSERT(known == answer.reason.empty(), "a failure has a reason");
  POSTERN_ASSERT(answer.ttl.count() >= 0, "time does not run backwards");
  POSTERN_ASSERT(answer.reason.size() <= max_text && answer.asked.size() <= max_text, "sentences are bounded");
  const std::string again = encode(*heard);
  POSTERN_ASSERT(again.size() == message.size(), "an answer is said in one way");
  POSTERN_ASSERT(encode(*parse_answer(again)) == again, "an answer that was heard can be handed on");
}

void check_settings(std::string_view message) {
  const auto heard = parse_settings(message);
  if (!heard) return;
  const auto again = encode(*heard);
  POSTERN_ASSERT(again && again->size() == message.size(), "settings are said in one way");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message = postern::fuzz::Input(data, size).rest();
  if (const auto heard = parse_question(message)) {
    POSTERN_ASSERT(can_be_asked(heard->question), "only what can be asked is heard");
    POSTERN_ASSERT(encode(*heard) == message, "a question is said in one way");
  }
  check_answer(message);
  check_settings(message);
  POSTERN_ASSERT(!parse_new_clients(message) || encode(NewClients{}) == message, "more are announced in one way");
  if (const auto heard = parse_report(message)) {
    POSTERN_ASSERT(encode(*heard).size() == message.size(), "a report is said in one way");
  }
  return 0;
}
