// What one recipient may cost: the dialogue and the session's choice together, with servers that come to no good end,
// each in its own way and at each step.
#include <string>
#include <vector>

#include "tests/proxy/outbound/judged_rig.h"
#include "tests/support/catch.h"

namespace outbound_budget_test {

using namespace postern;
using namespace postern::session::judged_rig;
using config::OutboundRoute;
using config::TlsLevel;

// What it does at the step in question: these octets, or one of the words below.
constexpr std::string_view closes = "closes";
constexpr std::string_view is_silent = "is silent";
const std::vector<std::string> misdeeds = {
    std::string(closes), std::string(is_silent), "what?\r\n",          "354 go ahead\r\n", "221 bye\r\n",
    "421 bye\r\n",       "250 a\r\n250 b\r\n",   "250-a\r\n251 b\r\n", "25O stored\r\n",   std::string(5000, '2')};

struct Server {
  std::string step;  // "" never
  std::string misdeed;
  bool pipelining = false;
  bool starttls = true;
};

class World {
 public:
  World(const Journey& journey, Server server, const Options& options = {})
      : judged_(journey, options), server_(std::move(server)) {}

  void play() {
    judged_.start();
    turn();
    for (const std::string_view said :
         {"EHLO client.example\r\n", "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@one.example>\r\n"}) {
      before_ = judged_.connections;
      judged_.client(said);
      turn();
      most_for_one_ = std::max(most_for_one_, judged_.connections - before_);
    }
    heard_ = judged_.rig().to_client;
    judged_.client("QUIT\r\n");
    turn();
  }

  std::size_t most_for_one_ = 0;  // connections for one command
  std::string heard_;
  std::size_t connections() const { return judged_.connections; }
  bool ended() { return judged_.rig().ended(); }

 private:
  void turn() {
    for (int step = 0; step < 1000 && !judged_.rig().ended(); ++step) {
      if (!move()) return;
    }
    REQUIRE(judged_.rig().ended());  // it goes on for ever
  }

  bool move() {
    Rig& rig = judged_.rig();
    if (judged_.dialing()) {
      rig.take_server();
      lines_.clear();
      tls_ = mail_ = false;
      judged_.connected();
      answer("GREETING", "220 mx.example\r\n");
      return true;
    }
    if (rig.link == Link::handshake) {
      if (at("HANDSHAKE")) {
        judged_.tell([](Rig& all) { all.tls_failed(Side::server); });
      } else {
        tls_ = true;
        judged_.secured();
      }
      return true;
    }
    lines_ += rig.take_server();
    const auto end = lines_.find("\r\n");
    if (end == std::string::npos || rig.link != Link::up) return false;
    const std::string line = lines_.substr(0, end);
    lines_.erase(0, end + 2);
    return obey(line);
  }

  bool obey(const std::string& line) {
    const std::string verb = line.substr(0, 4);
    if (verb == "EHLO") {
      std::string keywords = server_.pipelining ? "250-PIPELINING\r\n" : "";
      if (server_.starttls && !tls_) keywords += "250-STARTTLS\r\n";
      if (tls_) keywords += "250-AUTH PLAIN\r\n";
      answer(tls_ ? "TLS EHLO" : "EHLO", "250-mx.example\r\n" + keywords + "250 SIZE 0\r\n");
    } else if (verb == "AUTH") {
      answer("AUTH", "235 ok\r\n");
    } else if (verb == "STAR") {
      answer("STARTTLS", "220 go\r\n");
    } else if (verb == "MAIL") {
      answer("MAIL", "250 sender\r\n");
    } else if (verb == "RCPT") {
      answer("RCPT", "250 recipient\r\n");
    } else if (verb == "QUIT") {
      return true;
    } else {
      answer(verb, "250 ok\r\n");
    }
    return true;
  }

  bool at(std::string_view step) const { return server_.step == step; }

  void answer(std::string_view step, const std::string& usual) {
    if (!at(step)) return judged_.server(usual);
    if (server_.misdeed == closes) return judged_.tell([](Rig& rig) { rig.close(Side::server); });
    if (server_.misdeed == is_silent) return judged_.tell([](Rig& rig) { rig.time_out(); });
    judged_.server(server_.misdeed);
    // Whoever still trusts that connection sees its end.
    if (judged_.rig().link == Link::up) judged_.tell([](Rig& rig) { rig.close(Side::server); });
  }

  Judged judged_;
  Server server_;
  std::string lines_;
  std::size_t before_ = 0;
  bool tls_ = false;
  bool mail_ = false;
};

const std::vector<std::string> steps = {"GREETING", "EHLO", "STARTTLS", "HANDSHAKE", "TLS EHLO", "MAIL", "RCPT"};

TEST_CASE("outbound budget: no misdeed of a server costs more connections than the itinerary has addresses") {
  for (const auto route : {OutboundRoute::relay, OutboundRoute::mx, OutboundRoute::original_destination}) {
    for (const auto level : {TlsLevel::may, TlsLevel::encrypt, TlsLevel::none}) {
      for (const std::size_t addresses : {1U, 3U}) {
        if (route == OutboundRoute::original_destination && addresses > 1) continue;
        const Journey journey(route, level, addresses);
        for (const bool pipelining : {false, true}) {
          for (const bool starttls : {true, false}) {
            for (const std::string& step : steps) {
              for (const std::string& misdeed : misdeeds) {
                INFO(static_cast<int>(route)
                     << " level " << static_cast<int>(level) << ", " << addresses << " addresses, pipelining "
                     << pipelining << ", STARTTLS " << starttls << ": at " << step << " " << misdeed.substr(0, 20));
                World world(journey, {step, misdeed, pipelining, starttls});
                world.play();
                CHECK(world.most_for_one_ <= journey.most_connections());
                CHECK(world.connections() <= 2 * journey.most_connections());
                CHECK(world.ended());
                CHECK(world.heard_.find("550 ") == std::string::npos);  // nothing is for good
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("outbound budget: nor do misdeeds at AUTH") {
  for (const std::size_t addresses : {1U, 3U}) {
    const Journey journey(OutboundRoute::relay, TlsLevel::encrypt, addresses);
    Options options;
    options.plan.auth_mechanism = "PLAIN";
    options.plan.auth_user = options.plan.auth_secret = "x";
    for (const std::string step : {"TLS EHLO", "AUTH", "MAIL"}) {
      for (const std::string& misdeed : misdeeds) {
        INFO(addresses << " addresses, at " << step << " " << misdeed.substr(0, 20));
        World world(journey, {step, misdeed, false, true}, options);
        world.play();
        CHECK(world.most_for_one_ <= journey.most_connections());
        CHECK(world.ended());
        CHECK(world.heard_.find("550 ") == std::string::npos);
      }
    }
  }
}

TEST_CASE("outbound budget: a relay that closes at MAIL is called once, and the recipient waits") {
  World world(Journey(OutboundRoute::relay, TlsLevel::may), {"MAIL", std::string(closes), false, false});
  world.play();
  CHECK(world.connections() == 1);
  CHECK(world.heard_.ends_with(
      "250 2.1.0 Ok\r\n451 4.4.2 relay.example: no reply to MAIL: the connection was closed\r\n"));
}

TEST_CASE("outbound budget: each mail host is called once, and the last one's misdeed is told") {
  World world(Journey(OutboundRoute::mx, TlsLevel::may, 3), {"MAIL", "354 go ahead\r\n", false, false});
  world.play();
  CHECK(world.connections() == 3);
  CHECK(world.heard_.ends_with("451 4.4.2 mx2.example: wrong reply to MAIL: \"354 go ahead\"\r\n"));
}

TEST_CASE("outbound budget: a mail host that takes its leave at MAIL is left for the next") {
  World world(Journey(OutboundRoute::mx, TlsLevel::none, 2), {"MAIL", "421 4.3.2 not now\r\n", false, false});
  world.play();
  CHECK(world.connections() == 2);
  CHECK(world.heard_.ends_with("451 4.4.2 mx0.example: wrong reply to MAIL: \"421 4.3.2 not now\"\r\n"));
}

TEST_CASE("outbound budget: a connection that has served before, and is lost at MAIL, is made once more") {
  const Journey journey(OutboundRoute::relay, TlsLevel::none);
  Judged judged(journey, Options());
  const auto opened = [&] {
    judged.connected();
    judged.server("220 relay.example\r\n");
    judged.server("250 relay.example\r\n");
  };
  judged.start();
  judged.connected();
  judged.server("220 relay.example\r\n");
  judged.client("EHLO client.example\r\n");
  judged.server("250 relay.example\r\n");
  judged.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@one.example>\r\n");
  judged.server("250 m\r\n");
  judged.server("550 nobody\r\n");
  judged.client("RSET\r\n");
  judged.server("250 reset\r\n");
  judged.rig().take_client();
  judged.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<y@one.example>\r\n");
  judged.tell([](Rig& rig) { rig.close(Side::server); });
  CHECK(judged.dialing());
  opened();
  CHECK(judged.rig().take_server().ends_with("MAIL FROM:<a@b.example>\r\n"));
  judged.tell([](Rig& rig) { rig.close(Side::server); });
  CHECK_FALSE(judged.dialing());
  CHECK(judged.connections == 2);
  CHECK(judged.rig().to_client ==
        "250 2.1.0 Ok\r\n451 4.4.2 relay.example: no reply to MAIL: the connection was closed\r\n");
}

TEST_CASE("outbound budget: a client that asks again has a budget of its own again") {
  World world(Journey(OutboundRoute::relay, TlsLevel::none), {"MAIL", std::string(closes), false, false});
  world.play();
  Judged judged(Journey(OutboundRoute::mx, TlsLevel::none), Options());
  judged.start();
  judged.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n");
  for (std::size_t recipient = 1; recipient < 4; ++recipient) {
    judged.client("RCPT TO:<x@one.example>\r\n");
    REQUIRE(judged.dialing());
    judged.connect_failed();
    CHECK_FALSE(judged.dialing());
    CHECK(judged.connections == recipient);
  }
}

TEST_CASE("outbound budget: a process that stops tries nothing again") {
  const Journey journey(OutboundRoute::mx, TlsLevel::none, 3);
  for (const bool before : {false, true}) {
    Judged judged(journey, Options());
    judged.start();
    judged.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@one.example>\r\n");
    if (before) judged.tell([](Rig& rig) { rig.drain(); });
    REQUIRE(judged.dialing());  // the transaction may still come to an end
    judged.connect_failed();
    if (!before) {
      REQUIRE(judged.dialing());
      judged.tell([](Rig& rig) { rig.drain(); });
    }
    CHECK(judged.connections == 1);
    CHECK(judged.rig().ending == "draining");
    CHECK(judged.rig().to_client.ends_with("421 4.3.2 Service is shutting down, try again\r\n"));
  }
}

}  // namespace outbound_budget_test
