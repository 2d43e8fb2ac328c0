#include "proxy/smtp/reply.h"

#include "tests/support/catch.h"

namespace reply_test {

using postern::smtp::parse_reply_line;

TEST_CASE("reply: code, continuation and text are told apart") {
  const auto more = parse_reply_line("250-SIZE 10");
  REQUIRE(more);
  CHECK(more->code == 250);
  CHECK_FALSE(more->last);
  CHECK(more->text == "SIZE 10");
  const auto last = parse_reply_line("554 no - really");
  REQUIRE(last);
  CHECK(last->code == 554);
  CHECK(last->last);
  CHECK(last->text == "no - really");
  const auto bare = parse_reply_line("221");
  REQUIRE(bare);
  CHECK(bare->last);
  CHECK(bare->text.empty());
}

TEST_CASE("reply: what is no reply line is nothing") {
  for (const char* line : {"", "2", "25", "25 ok", "199 x", "600 x", "2x0 ok", "250ok", "250\tok", "2500 ok", " 250 ok",
                           "-250", "EHLO x"}) {
    CHECK_FALSE(parse_reply_line(line));
  }
}

}  // namespace reply_test
