#include "proxy/smtp/answers.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace postern::smtp::answers_test {

// What is said to the client, and what is noted, as text.
std::string text_of(const Effects& out) {
  std::string text;
  for (const Effect& effect : out.list()) {
    if (effect.kind == Effect::Kind::send) text += effect.bytes.substr(0, 3);
    if (effect.kind == Effect::Kind::refused) text += row(effect.refusal).label;
    if (effect.kind == Effect::Kind::because) text += "because";
    if (effect.kind == Effect::Kind::message) {
      constexpr std::string_view names[] = {"accepted", "temporarily", "permanently", "lost", "in_doubt"};
      text += names[static_cast<std::size_t>(effect.message_result)];
    }
    text += " ";
  }
  return text;
}

TEST_CASE("answers: a refusal waits for the replies that are owed before it") {
  DialogueOutcome outcome;
  Answers answers(20, outcome);
  Effects out;
  answers.expect(Expected::plain);
  CHECK(!answers.refuse(Refusal::verb_not_offered, Verb::vrfy, out));
  CHECK(!answers.release(out));
  CHECK(text_of(out) == "verb_not_offered ");
  answers.pop();
  CHECK(!answers.release(out));
  CHECK(text_of(out) == "verb_not_offered 502 ");
  CHECK(answers.empty());
}

TEST_CASE("answers: the session ends with a refusal that says so, when its turn has come") {
  DialogueOutcome outcome;
  Answers answers(20, outcome);
  Effects out;
  answers.expect(Expected::plain);
  CHECK(answers.refuse(Refusal::starttls_injection, Verb::starttls, out));
  CHECK(!answers.release(out));
  answers.pop();
  CHECK(answers.release(out) == Ending::starttls_injection);
}

TEST_CASE("answers: one error more than the limit is one too many, and what is no error does not count") {
  DialogueOutcome outcome;
  Answers answers(1, outcome);
  Effects out;
  CHECK(!answers.refuse(Refusal::tls_unavailable, Verb::starttls, out));
  CHECK(!answers.refuse(Refusal::tls_unavailable, Verb::starttls, out));
  CHECK(!answers.refuse(Refusal::verb_not_offered, Verb::vrfy, out));
  CHECK(answers.refuse(Refusal::verb_not_offered, Verb::vrfy, out));
  CHECK(answers.release(out) == Ending::too_many_errors);
  CHECK(text_of(out) == "tls_unavailable tls_unavailable verb_not_offered too_many_errors 454 454 502 421 ");
}

TEST_CASE("answers: 3yz is believed only where it asks for more, 2yz not of what is not there yet") {
  struct Case {
    Expected to;
    int code;
    bool in_chunk;
    bool believed;
  };
  for (const auto& [to, code, in_chunk, believed] : std::vector<Case>{
           {Expected::data, 354, false, true},
           {Expected::data, 350, false, false},
           {Expected::data, 250, false, false},
           {Expected::data, 554, false, true},
           {Expected::auth, 334, false, true},
           {Expected::auth, 354, false, false},
           {Expected::auth, 235, false, true},
           {Expected::mail, 354, false, false},
           {Expected::mail, 250, false, true},
           {Expected::last_chunk, 250, false, true},
           {Expected::last_chunk, 250, true, false},
           {Expected::last_chunk, 552, true, true},
           {Expected::end_of_data, 334, false, false},
       }) {
    DialogueOutcome outcome;
    Answers answers(20, outcome);
    answers.expect(to);
    INFO(to_string(to) << " " << code);
    CHECK(answers.believable(code, in_chunk) == believed);
  }
  DialogueOutcome outcome;
  Answers answers(20, outcome);
  answers.expect(Expected::chunk);
  answers.expect(Expected::last_chunk);
  CHECK(answers.believable(250, true));  // the one before is whole
}

TEST_CASE("answers: each message has one end, and is counted") {
  DialogueOutcome outcome;
  Answers answers(20, outcome);
  Effects out;
  answers.message_replied(250, out);
  answers.message_replied(451, out);
  answers.message_replied(554, out);
  answers.message_refused("552 5.3.4 Message too large\r\n", out);
  answers.message_refused("451 later\r\n", out);
  CHECK(text_of(out) == "accepted temporarily permanently permanently temporarily ");
}

TEST_CASE("answers: messages whose verdict will not come are in doubt, a half one is lost") {
  DialogueOutcome outcome;
  for (const bool half : {false, true}) {
    Answers answers(20, outcome);
    answers.expect(Expected::last_chunk);
    answers.expect(Expected::mail);
    answers.expect(Expected::last_chunk);
    Effects out;
    answers.doubt_messages("gone", half, out);
    CHECK(text_of(out) == (half ? "in_doubt lost because " : "in_doubt in_doubt because "));
  }
  Answers answers(20, outcome);
  Effects nothing;
  answers.doubt_messages("gone", true, nothing);
  CHECK(nothing.empty());
  answers.expect(Expected::last_chunk);
  Effects alone;
  answers.doubt_messages("gone", true, alone);
  CHECK(text_of(alone) == "lost ");
  answers.expect(Expected::end_of_data);
  Effects lost;
  answers.lose_messages(lost);
  CHECK(text_of(lost) == "lost lost ");
}

}  // namespace postern::smtp::answers_test
