#include "proxy/smtp/effects.h"

#include "tests/support/catch.h"

namespace postern::smtp::effects_test {

TEST_CASE("effects: bytes that continue the last send join it") {
  const std::string_view input = "MAIL\r\nRCPT\r\nDATA\r\n";
  Effects effects;
  effects.send(Side::server, input.substr(0, 6));
  effects.send(Side::server, input.substr(6, 6));
  REQUIRE(effects.list().size() == 1);
  CHECK(effects.list()[0].bytes == input.substr(0, 12));
  effects.send(Side::client, input.substr(12));
  CHECK(effects.list().size() == 2);
}

TEST_CASE("effects: bytes behind something else that happens stay behind it") {
  const std::string_view input = "220 go\r\nmore";
  Effects effects;
  effects.send(Side::client, input.substr(0, 8));
  effects.start_tls(Side::client);
  effects.send(Side::client, input.substr(8));
  REQUIRE(effects.list().size() == 3);
  CHECK(effects.list()[1].kind == Effect::Kind::start_tls);
}

TEST_CASE("effects: a copy outlives what it was made of") {
  Effects effects;
  {
    std::string text = "220 a name that is too long to live inside of a string object\r\n";
    effects.send_copy(Side::client, text);
    text.assign(text.size(), 'x');
  }
  CHECK(effects.list()[0].bytes.starts_with("220 a name"));
  effects.clear();
  CHECK(effects.empty());
}

TEST_CASE("effects: a reason outlives what it was made of") {
  Effects effects;
  {
    std::string text = "the server's reply was nothing that anybody could have made sense of";
    effects.because(text);
    text.assign(text.size(), 'x');
  }
  REQUIRE(effects.list().size() == 1);
  CHECK(effects.list()[0].kind == Effect::Kind::because);
  CHECK(effects.list()[0].bytes.starts_with("the server's"));
}

TEST_CASE("effects: nothing is sent for no bytes") {
  Effects effects;
  effects.send(Side::client, "");
  effects.send_copy(Side::client, "");
  CHECK(effects.empty());
}

}  // namespace postern::smtp::effects_test
