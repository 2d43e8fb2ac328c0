// InboundDialogue: credentials.
#include "proxy/smtp/inbound_dialogue.h"

#include <string>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_auth_test {

using namespace inbound_rig;

TEST_CASE("auth: a response may be long, other lines may not") {
  Rig rig(with_mode(config::TlsMode::implicit));
  rig.start();
  rig.connected();
  rig.server(greeting);
  rig.tls(Side::client);
  rig.client("EHLO client.example\r\n");
  rig.server(ehlo_reply);
  rig.take_client();
  rig.take_server();
  const std::string response(12000, 'A');
  rig.client("AUTH PLAIN " + response + "\r\n");
  CHECK(rig.take_server() == "AUTH PLAIN " + response + "\r\n");
  rig.server("334 \r\n");
  rig.client(response + "\r\n");
  CHECK(rig.take_server() == response + "\r\n");
  rig.server("535 no\r\n");
  rig.take_client();
  rig.client("NOOP " + response + "\r\n");
  CHECK(rig.take_client() == "500 5.5.2 Line too long\r\n");
  CHECK(rig.take_server().empty());
}

TEST_CASE("auth: what was proven before TLS is forgotten with it") {
  Options options;
  options.listener.auth_requires_tls = false;
  options.listener.recipients.allow_domains = {{"example.org"}};
  Rig rig(options);
  introduce(rig);
  rig.client("AUTH PLAIN AGEAYg==\r\n");
  rig.server("235 ok\r\n");
  CHECK(rig.dialogue().outcome().authenticated);
  rig.client("STARTTLS\r\n");
  rig.tls(Side::client);
  CHECK_FALSE(rig.dialogue().outcome().authenticated);
  rig.connected();
  rig.server(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server(ehlo_reply);
  rig.take_client();
  rig.client("RCPT TO:<b@elsewhere.example>\r\n");
  CHECK(rig.take_client() == "550 5.7.1 Relaying denied\r\n");
}

TEST_CASE("dialogue: SASL challenges and responses of 12,288 octets pass") {
  for (const bool cut : {false, true}) {
    Options options = with_mode(config::TlsMode::none);
    options.listener.auth_requires_tls = false;
    options.cut = cut;
    Rig rig(options);
    introduce(rig);
    const std::string longest(12288, 'x');
    rig.client("AUTH PLAIN " + longest + "\r\n");
    CHECK(rig.take_server() == "AUTH PLAIN " + longest + "\r\n");
    rig.server("334 " + longest + "\r\n");
    CHECK(rig.take_client() == "334 " + longest + "\r\n");
    rig.client(longest + "\r\n");
    CHECK(rig.take_server() == longest + "\r\n");
    rig.server("334 \r\n");
    rig.take_client();
    rig.client(longest + "x\r\n");
    CHECK(rig.take_server() == "*\r\n");
    rig.server("501 cancelled\r\n");
    CHECK(rig.take_client() == "501 cancelled\r\n");
    rig.client("NOOP\r\n");
    rig.server("250 " + longest + "\r\n");  // which only a challenge may be
    CHECK(rig.ending == "backend_protocol");
  }
}

}  // namespace postern::smtp::inbound_auth_test
