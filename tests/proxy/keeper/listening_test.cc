#include "proxy/keeper/listening.h"

#include <sys/socket.h>

#include <map>

#include "config/load.h"
#include "tests/support/catch.h"

namespace keeper_listening_test {

using namespace postern;
using namespace postern::keeper;

config::Settings settings(const std::string& addresses) {
  const auto loaded = config::load_text("inbound:\n  mx: { mode: none, listen: [" + addresses +
                                            "], backend: { address: \"127.0.0.1:1\" }, allow_open_relay_risk: true }\n",
                                        "listening.yaml", {});
  for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
  REQUIRE(loaded.ok());
  return loaded.settings;
}

TEST_CASE("listening: each worker gets a socket for each address, in as many messages as that takes") {
  Listening listening(65);
  REQUIRE(listening.bind(settings("\"127.0.0.1:0\", \"[::1]:0\"")));
  std::map<std::pair<std::string, std::uint32_t>, int> found;
  std::size_t messages = 0;
  REQUIRE(listening.send_all(7, [&](const Order& order, const net::Descriptors& descriptors) {
    ++messages;
    CHECK(parse_order(encode(order), descriptors.size()));
    const auto& sockets = std::get<Sockets>(order);
    CHECK(sockets.version == 7);
    for (const auto& entry : sockets.entries) {
      ++found[{config::to_string(entry.endpoint), entry.worker}];
      CHECK(entry.listener == "inbound.mx");
    }
  }));
  CHECK(messages == 3);
  CHECK(found.size() == 130);
}

TEST_CASE("listening: an address that somebody has is refused by its name, and nothing has changed") {
  const auto taken = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
  REQUIRE(::listen(taken->sockets[0].get(), 1) == 0);
  const std::string port = std::to_string(taken->address.port);
  Listening listening(2);
  REQUIRE(listening.bind(settings("\"127.0.0.1:0\"")));
  const auto refused = listening.bind(settings("\"127.0.0.1:0\", \"127.0.0.1:" + port + "\""));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find(port) != std::string::npos);
  std::size_t sockets = 0;
  REQUIRE(
      listening.send_all(1, [&](const Order&, const net::Descriptors& descriptors) { sockets += descriptors.size(); }));
  CHECK(sockets == 2);
}

}  // namespace keeper_listening_test
