#include "proxy/programs/messages.h"

#include "tests/support/catch.h"

namespace program_messages_test {

using namespace postern;
using namespace postern::programs;

Start a_start() {
  return {7, "mx", {"PROTO=TCP", "TCPREMOTEIP=192.0.2.7", "SSL_CLIENT_S_DN=CN=a, O=b=c"}};
}

TEST_CASE("program messages: what one end says the other hears") {
  const auto start = parse_request(*encode(a_start()));
  REQUIRE(start);
  CHECK(std::get<Start>(*start).id == 7);
  CHECK(std::get<Start>(*start).listener == "mx");
  CHECK(std::get<Start>(*start).environment == a_start().environment);
  for (const auto what : {Order::What::terminate, Order::What::kill}) {
    const auto order = parse_request(encode(Order{4711, what}));
    REQUIRE(order);
    CHECK(std::get<Order>(*order).id == 4711);
    CHECK(std::get<Order>(*order).what == what);
  }
  for (const auto kind : {News::Kind::started, News::Kind::refused, News::Kind::ended}) {
    const auto news = parse_news(encode(News{5, kind, "why\nnot"}));
    REQUIRE(news);
    CHECK(news->id == 5);
    CHECK(news->kind == kind);
    CHECK(news->text == (kind == News::Kind::refused ? "why?not" : ""));
  }
}

TEST_CASE("program messages: an environment has the variables of a session, each once, and no NUL") {
  const auto refused = [](std::vector<std::string> environment) {
    Start start = a_start();
    start.environment = std::move(environment);
    return !encode(start).has_value();
  };
  CHECK_FALSE(refused({}));
  CHECK_FALSE(refused({"PROTO="}));
  CHECK(refused({"LD_PRELOAD=/tmp/x.so"}));
  CHECK(refused({"PATH=/tmp"}));
  CHECK(refused({"RELAYCLIENT="}));
  CHECK(refused({"PROTO"}));
  CHECK(refused({""}));
  CHECK(refused({"=TCP"}));
  CHECK(refused({"PROTO=TCP", "PROTO=TCP6"}));
  CHECK(refused({std::string("PROTO=TCP\0X", 11)}));
  CHECK_FALSE(refused({"SSL_CIPHER=" + std::string(max_value, 'x')}));
  CHECK(refused({"SSL_CIPHER=" + std::string(max_value + 1, 'x')}));
  const std::string large(max_value, 'x');
  CHECK(refused({"SSL_CIPHER=" + large, "SSL_TLS_SNI=" + large, "HTTPS=" + large, "PROTO=" + large}));
  // The other end believes nothing of that.
  std::string message = *encode(Start{1, "mx", {"PROTO=TCP"}});
  message.replace(message.find("PROTO"), 5, "SHELL");
  CHECK_FALSE(parse_request(message));
}

TEST_CASE("program messages: one that was cut, lengthened, or is another's is none") {
  const std::string messages[] = {*encode(a_start()), encode(Order{1, Order::What::kill}),
                                  encode(News{1, News::Kind::refused, "no"})};
  for (const std::string& message : messages) {
    for (std::size_t size = 0; size < message.size(); ++size) {
      CHECK_FALSE(parse_request(message.substr(0, size)));
      CHECK_FALSE(parse_news(message.substr(0, size)));
    }
    CHECK_FALSE(parse_request(message + "x"));
    CHECK_FALSE(parse_news(message + "x"));
  }
  CHECK_FALSE(parse_news(messages[0]));
  CHECK_FALSE(parse_request(messages[2]));
  CHECK(encode(Start{1, std::string(max_listener + 1, 'x'), {}}).error().code == Errc::limit_exceeded);
}

}  // namespace program_messages_test
