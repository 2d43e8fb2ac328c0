// InboundDialogue: what the server says, and what is made of it.
#include "proxy/smtp/inbound_dialogue.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_server_test {

using namespace inbound_rig;

TEST_CASE("server: a refusal to serve is the reason") {
  for (const std::string reply : {"554 5.7.1 not you", "421 4.3.2 not now"}) {
    Rig rig;
    rig.start();
    rig.connected();
    rig.server(reply + "\r\n");
    CHECK(rig.reason == "the server refused to serve: " + reply);
  }
}

TEST_CASE("server: what it said when it refused to serve is what the log says of the client's reply") {
  Options options;
  options.listener.greeting = config::GreetingMode::gateway;
  Rig rig(options);
  rig.start();
  rig.client("EHLO client.test\r\nMAIL FROM:<a@a.test>\r\n");
  rig.connected();
  rig.server("554 5.7.1 not you\r\n");
  CHECK(rig.to_client.ends_with("554 5.7.1 not you\r\n"));
  CHECK(rig.turned_away == ": 554 5.7.1 not you\r\n");
  CHECK_FALSE(happened(rig, "refused backend_unavailable"));
}

TEST_CASE("server: that it refused XCLIENT, and not the client's EHLO, is told the log") {
  Options options;
  options.listener.backend.client_address = config::ClientAddress::xclient;
  Rig rig(options);
  rig.start();
  rig.connected();
  rig.server("220 mx.test\r\n");
  rig.server("250-mx.test\r\n250 XCLIENT ADDR\r\n");
  rig.client("EHLO client.test\r\n");
  rig.server("550 5.7.0 not for you\r\n");
  CHECK(rig.to_client.ends_with("550 5.7.0 not for you\r\n"));
  CHECK(rig.reason == "the server answered XCLIENT with \"550 5.7.0 not for you\"");
}

TEST_CASE("server: the envelope is noted, with refusals of ours and of the server") {
  Options options;
  options.listener.recipients.allow_domains = {*config::parse_domain_pattern("x.example")};
  Rig rig(options);
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server("250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n");
  rig.client("RSET\r\n");
  rig.server("250 ok\r\n");
  rig.client("MAIL FROM:<a@y.example> SIZE=7\r\n");
  rig.server("250 ok\r\n");
  rig.client("RCPT TO:<b@x.example>\r\nRCPT TO:<c@z.example>\r\nRCPT TO:<d@x.example>\r\nDATA\r\n");
  rig.server("250 ok\r\n550 5.1.1 unknown\r\n354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.server("250 2.0.0 queued as 4711\r\n");
  const auto items = rig.dialogue().outcome().envelope.items();
  REQUIRE(!items.empty());
  CHECK(items.back() ==
        "from=<a@y.example> to=<b@x.example> refused=<c@z.example> (550 5.7.1 Relaying denied),<d@x.example> "
        "(550 5.1.1 unknown) reply=(250 2.0.0 queued as 4711)");
}

TEST_CASE("server: a success before the end of the message is not believed") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("hello\r\n");
  rig.take_client();
  rig.server("250 queued\r\n");
  rig.client("more\r\n.\r\n");
  CHECK(rig.take_client() == "421 4.3.2 Mail server not available, try again later\r\n");
  CHECK(rig.ending == "backend_protocol");
}

TEST_CASE("server: a success before the end of a chunk is not believed") {
  Rig rig;
  introduce(rig);
  rig.client("BDAT 10 LAST\r\nhello");
  rig.server("250 queued\r\n");
  rig.client("hello");
  CHECK(rig.take_client() == "421 4.3.2 Mail server not available, try again later\r\n");
}

TEST_CASE("server: only 354 makes content of what follows DATA") {
  for (const std::string reply : {"250 ok\r\n", "334 go\r\n", "350 go\r\n"}) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\n");
    rig.server(reply);
    CHECK(rig.ending == "backend_protocol");
  }
  for (const std::string reply : {"451 later\r\n", "503 no\r\n"}) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\nQUIT\r\n");
    CHECK(rig.take_server() == "DATA\r\n");
    rig.server(reply);
    CHECK(rig.take_server() == "QUIT\r\n");
  }
}

TEST_CASE("server: replies beyond all bounds end the session") {
  SECTION("a line") {
    Rig rig;
    introduce(rig);
    rig.client("NOOP\r\n");
    rig.server("250 " + std::string(5000, 'x'));
    rig.server("\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
  SECTION("lines") {
    Rig rig;
    introduce(rig);
    rig.client("HELP\r\n");
    for (int i = 0; i < 1001 && !rig.ended(); ++i) rig.server("214-x\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
  SECTION("octets") {
    Rig rig;
    introduce(rig);
    rig.client("HELP\r\n");
    for (int i = 0; i < 100 && !rig.ended(); ++i) rig.server("214-" + std::string(1000, 'x') + "\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
}

TEST_CASE("server: why it was given up is said") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"what?\r\n", "a line that is no reply: \"what?\""},
      {"354 go\r\n", "the server answered EHLO with \"354 go\""},
      {"421 no\r\n", "the server took its leave: \"421 no\""}};
  for (const auto& [reply, reason] : table) {
    Rig rig;
    rig.start_with(greeting);
    rig.client("EHLO client.example\r\n");
    rig.server(reply);
    CHECK(rig.to_client.starts_with("421 "));
    CHECK(rig.reason == reason);
  }
}

TEST_CASE("the record: who went, and who let the time run out") {
  const auto reason = [](std::string_view said, bool closes) {
    Rig rig;
    introduce(rig);
    rig.client(said);
    if (said == "DATA\r\n") rig.server("354 go\r\n");
    closes ? rig.close(Side::server) : rig.time_out();
    return rig.reason;
  };
  CHECK(reason("", true) == "the server went while nothing was asked of it");
  CHECK(reason("MAIL FROM:<a@example.com>\r\n", true) == "the server went before its reply to MAIL");
  CHECK(reason("DATA\r\n", true) == "the server went in the middle of a message");
  CHECK(reason("", false) == "the client was silent too long");
  CHECK(reason("DATA\r\n", false) == "the client was silent too long");
  CHECK(reason("EHLO again.example\r\n", false) == "the server did not reply in time to EHLO");
}

TEST_CASE("server: it takes no second EHLO, and is asked on other connections so often and no more") {
  Rig rig(with_mode(config::TlsMode::none));
  introduce(rig);
  int dialled = 0;
  for (int i = 0; i < 20 && !rig.ended(); ++i) {
    rig.client("EHLO client.example\r\n");
    rig.server("503 already\r\n250 behind it, of a connection that is gone\r\n");
    if (rig.events.empty() || rig.events.back() != "dial") break;
    ++dialled;
    rig.connected();
    rig.server(greeting);
    CHECK(rig.take_server().ends_with("EHLO client.example\r\n"));
    rig.server(ehlo_reply);
    CHECK(rig.take_client().starts_with("250-mx.example\r\n"));
  }
  CHECK(dialled == 8);
  CHECK(rig.take_client() == "503 already\r\n");
}

TEST_CASE("server: a refusal of the first EHLO, or of one after AUTH, is the client's to see") {
  Rig rig;
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server("503 no\r\n");
  CHECK(rig.take_client() == "503 no\r\n");
  auto options = with_mode(config::TlsMode::none);
  options.listener.auth_requires_tls = false;
  Rig second(options);
  introduce(second);
  second.client("AUTH PLAIN AGEAYg==\r\n");
  second.server("235 ok\r\n");
  second.take_client();
  second.client("EHLO client.example\r\n");
  second.server("502 what\r\n");
  CHECK(second.take_client() == "502 what\r\n");
  Rig third(with_mode(config::TlsMode::none));
  introduce(third);
  third.client("EHLO bad.example\r\n");
  third.server("550 not by that name\r\n");
  third.connected();
  third.server(greeting);
  third.server("550-not\r\n550 at all\r\n");
  CHECK(third.take_client() == "550-not\r\n550 at all\r\n");
  CHECK(std::count(third.events.begin(), third.events.end(), "dial") == 1);
}

}  // namespace postern::smtp::inbound_server_test
