#include "proxy/keeper/listening.h"

#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

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

// Where the sockets are bound, in the order in which they are sent.
std::vector<std::string> bound_at(const net::Descriptors& descriptors) {
  std::vector<std::string> found;
  for (const UniqueFd& fd : descriptors) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) == 0);
    found.push_back(net::to_string(*net::from_sockaddr(storage)));
  }
  return found;
}

// The listeners and addresses of what is sent.
std::pair<std::vector<std::string>, std::vector<std::string>> sent(
    const std::function<Result<void>(const Listening::Send&)>& send) {
  std::pair<std::vector<std::string>, std::vector<std::string>> found;
  REQUIRE(send([&](const Order& order, const net::Descriptors& descriptors) {
    for (const auto& entry : std::get<Sockets>(order).entries) found.first.push_back(entry.listener);
    for (const auto& each : bound_at(descriptors)) found.second.push_back(each);
  }));
  return found;
}

TEST_CASE("listening: what stays configured stays bound, whoever has it, and what is new is sent alone") {
  const auto listeners = [](const std::string& text) {
    const std::string rest = "], backend: { address: \"127.0.0.1:1\" }, allow_open_relay_risk: true }\n";
    std::string yaml = "inbound:\n";
    std::istringstream words(text);
    for (std::string name, addresses; words >> name >> addresses;) {
      yaml += "  " + name + ": { mode: none, listen: [" + addresses + rest;
    }
    const auto loaded = config::load_text(yaml, "listening.yaml", {});
    REQUIRE(loaded.ok());
    return loaded.settings;
  };
  const auto free_port = [] {
    return std::to_string(net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1)->address.port);
  };
  const std::string fixed = "127.0.0.1:" + free_port();
  Listening listening(1);
  REQUIRE(listening.bind(listeners("a '" + fixed + "' b '127.0.0.1:0'")));
  const auto all = [&] { return sent([&](const auto& send) { return listening.send_all(1, send); }); };
  const auto before = all();
  CHECK(before.first == std::vector<std::string>{"inbound.a", "inbound.b"});

  // The fixed one changes hands; of those that the kernel chose, b has its own still, and a gets another.
  auto change = listening.plan(listeners("b '127.0.0.1:0','" + fixed + "' a '127.0.0.1:0'"));
  REQUIRE(change);
  CHECK(all() == before);
  const auto added = sent([&](const auto& send) { return listening.send_added(*change, 2, send); });
  CHECK(added.first == std::vector<std::string>{"inbound.a"});
  CHECK(added.second[0] != before.second[1]);
  listening.take(std::move(*change));
  CHECK(all().first == std::vector<std::string>{"inbound.b", "inbound.b", "inbound.a"});
  CHECK(all().second == std::vector<std::string>{before.second[0], before.second[1], added.second[0]});

  // One goes: its port is free.
  REQUIRE(listening.bind(listeners("b '127.0.0.1:0'")));
  CHECK(all().second == std::vector<std::string>{before.second[1]});
  CHECK(net::bind_address(*config::parse_endpoint(fixed), 1));
}

TEST_CASE("listening: an address may take the port of one that goes, and of one that stays it may not") {
  const std::string port = std::to_string(net::bind_address(*config::parse_endpoint("0.0.0.0:0"), 1)->address.port);
  Listening listening(2);
  const auto listen = [&] {  // as the gateway does
    REQUIRE(listening.send_all(1, [](const Order&, const net::Descriptors& descriptors) {
      for (const UniqueFd& fd : descriptors) REQUIRE(::listen(fd.get(), 1) == 0);
    }));
  };
  REQUIRE(listening.bind(settings("\"0.0.0.0:" + port + "\"")));
  listen();
  CHECK_FALSE(listening.plan(settings("\"0.0.0.0:" + port + "\", \"127.0.0.1:" + port + "\"")));
  REQUIRE(listening.bind(settings("\"127.0.0.1:" + port + "\"")));
  listen();
  CHECK_FALSE(net::bind_address(*config::parse_endpoint("127.0.0.1:" + port), 1));
  CHECK(net::bind_address(*config::parse_endpoint("127.0.0.2:" + port), 1));
}

// Bound and listened on by somebody else, as a service manager does.
Listening::Given given_by_others(const std::string& name, const std::string& address = "127.0.0.1:0") {
  auto bound = net::bind_address(*config::parse_endpoint(address), 1);
  REQUIRE(bound);
  REQUIRE(::listen(bound->sockets[0].get(), 16) == 0);
  Listening::Given given{{}, name, std::move(bound->sockets[0])};
  given.endpoint = *net::bound_to(given.fd);
  return given;
}

TEST_CASE("listening: a socket that was handed over is every worker's, and is not bound again") {
  Listening listening(3);
  std::vector<Listening::Given> given;
  given.push_back(given_by_others(GENERATE("mx", "inbound.mx", "postern.socket")));
  const std::string address = config::to_string(given[0].endpoint);
  const auto wanted = settings("\"" + address + "\", \"127.0.0.1:0\"");
  REQUIRE(listening.inherit(std::move(given), wanted, false));
  REQUIRE(listening.bind(wanted));
  const auto [listeners, addresses] = sent([&](const auto& send) { return listening.send_all(1, send); });
  CHECK(std::ranges::count(addresses, address) == 3);
  CHECK(addresses.size() == 6);
}

TEST_CASE("listening: of more sockets than there are workers none is left alone") {
  Listening listening(2);
  std::vector<Listening::Given> given;
  auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 5);
  REQUIRE(bound);
  for (UniqueFd& fd : bound->sockets)
    given.push_back({*config::parse_endpoint("127.0.0.1:0"), "inbound.mx", std::move(fd)});
  const auto wanted = settings("\"127.0.0.1:0\"");
  REQUIRE(listening.inherit(std::move(given), wanted, true));
  REQUIRE(listening.bind(wanted));
  std::map<std::uint32_t, int> of_worker;
  REQUIRE(listening.send_all(1, [&](const Order& order, const net::Descriptors&) {
    for (const auto& entry : std::get<Sockets>(order).entries) ++of_worker[entry.worker];
  }));
  CHECK(of_worker == std::map<std::uint32_t, int>{{0, 3}, {1, 2}});
}

TEST_CASE("listening: a socket that is nobody's, or another's than its name says, is a mistake") {
  const auto why = [](Listening::Given given, const std::string& addresses, bool some) {
    Listening listening(1);
    std::vector<Listening::Given> all;
    all.push_back(std::move(given));
    const auto inherited = listening.inherit(std::move(all), settings(addresses), some);
    return inherited ? std::string() : inherited.error().message;
  };
  auto stray = given_by_others("postern.socket");
  const std::string address = config::to_string(stray.endpoint);
  CHECK(why(std::move(stray), "\"127.0.0.1:0\"", false) ==
        "the socket \"postern.socket\" that was handed over is bound to " + address + ", where no listener listens");
  CHECK(why(given_by_others("inbound.mx"), "\"127.0.0.1:0\"", true).empty());
}

}  // namespace keeper_listening_test
