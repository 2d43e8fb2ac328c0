#include "proxy/smtp/expected_replies.h"

#include "tests/support/catch.h"

namespace postern::smtp::expected_replies_test {

TEST_CASE("expected replies: they come back in the order they were expected") {
  ExpectedReplies expected;
  CHECK(expected.empty());
  expected.push(Expected::mail);
  expected.push_own(Refusal::relay_denied);
  expected.push(Expected::end_of_data);
  CHECK(expected.size() == 3);
  CHECK_FALSE(expected.own_is_next());
  CHECK(expected.server() == Expected::mail);
  expected.pop();
  CHECK(expected.own_is_next());
  CHECK(expected.own() == Refusal::relay_denied);
  expected.pop();
  CHECK(expected.message_is_next());
  expected.pop();
  CHECK(expected.empty());
}

TEST_CASE("expected replies: verdicts on messages are counted, refusals of ours are not") {
  ExpectedReplies expected;
  expected.push(Expected::last_chunk);
  expected.push_own(static_cast<Refusal>(Expected::end_of_data));
  expected.push(Expected::chunk);
  expected.push(Expected::end_of_data);
  CHECK(expected.messages() == 2);
  expected.pop();
  CHECK(expected.messages() == 1);
  expected.clear();
  CHECK(expected.messages() == 0);
}

TEST_CASE("expected replies: a queue that never runs empty does not grow") {
  ExpectedReplies expected;
  expected.push(Expected::mail);
  for (int i = 0; i < 100000; ++i) {
    expected.push(i % 2 == 0 ? Expected::plain : Expected::reset);
    expected.pop();
    REQUIRE(expected.server() == (i % 2 == 0 ? Expected::plain : Expected::reset));
    REQUIRE(expected.size() == 1);
  }
}

}  // namespace postern::smtp::expected_replies_test
