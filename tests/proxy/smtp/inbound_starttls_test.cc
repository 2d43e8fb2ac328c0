// InboundDialogue: TLS with the client and with the server.
#include "proxy/smtp/inbound_dialogue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_starttls_test {

using namespace inbound_rig;

// Lets so many handshakes begin.
struct CountingGate final : HandshakeGate {
  explicit CountingGate(int may_begin) : left(may_begin) {}
  bool may_begin_handshake() override {
    ++asked;
    return left-- > 0;
  }
  int left;
  int asked = 0;
};

TEST_CASE("starttls: where the client may begin no handshake now it is told so, and goes on in plaintext") {
  CountingGate gate(1);
  Options options;
  options.gate = &gate;
  {
    Rig rig(options);
    rig.start_with("220 server.example ESMTP\r\n");
    rig.client("STARTTLS x\r\n");
    CHECK(gate.asked == 0);  // refused for something else
    rig.client("STARTTLS\r\n");
    CHECK(rig.take_client().ends_with("220 2.0.0 Ready to start TLS\r\n"));
  }
  Rig rig(options);
  rig.start_with("220 server.example ESMTP\r\n");
  rig.client("STARTTLS\r\nNOOP\r\n");
  CHECK(gate.asked == 2);
  rig.server("250 ok\r\n");
  CHECK(rig.take_client() == "454 4.7.0 Too many TLS handshakes from your address, try again later\r\n250 ok\r\n");
  CHECK(rig.counted_as == dialogue_rig::Events{"client_handshakes"});
  CHECK_FALSE(rig.ended());
}

TEST_CASE("starttls: nothing the client said in plaintext reaches the server afterwards") {
  const std::vector<std::string> before = {
      "",
      "EHLO secret.example\r\n",
      "HELO secret.example\r\n",
      "EHLO secret.example\r\nMAIL FROM:<secret@example.com>\r\n",
      "EHLO secret.example\r\nMAIL FROM:<secret@example.com>\r\nRSET\r\n",
      "EHLO secret.example\r\nMAIL FROM:<secret@example.com>\r\nRCPT TO:<s@s.s>\r\n",
      "EHLO secret.example\r\nAUTH PLAIN AHNlY3JldA==\r\n",
      "EHLO secret.example\r\nVRFY secret\r\n"};
  for (const bool cut : {false, true}) {
    for (const auto mode : {config::GreetingMode::backend, config::GreetingMode::gateway}) {
      for (const std::string& plaintext : before) {
        INFO(plaintext);
        Options options;
        options.cut = cut;
        options.listener.greeting = mode;
        options.listener.auth_requires_tls = false;
        Rig rig(options);
        std::string all_heard;
        const auto answer_all = [&] {
          for (std::string heard = rig.take_server(); !heard.empty(); heard = rig.take_server()) {
            all_heard += heard;
            while (!heard.empty()) {
              const std::string line = heard.substr(0, heard.find('\n') + 1);
              heard.erase(0, line.size());
              rig.server(line.starts_with("EHLO")   ? ehlo_reply
                         : line.starts_with("AUTH") ? "235 ok\r\n"
                                                    : "250 ok\r\n");
            }
          }
        };
        rig.start();
        if (mode == config::GreetingMode::backend) {
          rig.connected();
          rig.server(greeting);
        }
        for (std::string rest = plaintext; !rest.empty();) {
          const std::string line = rest.substr(0, rest.find('\n') + 1);
          rest.erase(0, line.size());
          const auto dials = std::count(rig.events.begin(), rig.events.end(), "dial");
          rig.client(line);
          if (std::count(rig.events.begin(), rig.events.end(), "dial") > dials) {
            rig.connected();
            rig.server(greeting);
          }
          answer_all();
        }
        rig.take_client();
        rig.client("STARTTLS\r\n");
        REQUIRE(rig.take_client() == "220 2.0.0 Ready to start TLS\r\n");
        rig.to_server.clear();
        rig.events.clear();
        rig.tls(Side::client);
        if (happened(rig, "dial")) {
          rig.connected();
          rig.server(greeting);
        }
        // What left a trace with the server took the connection with it.
        const bool trace = all_heard.find("MAIL") != std::string::npos || all_heard.find("AUTH") != std::string::npos ||
                           all_heard.find("VRFY") != std::string::npos;
        if (trace) CHECK(happened(rig, "drop"));
        CHECK(rig.dialogue().outcome().helo.empty());
        CHECK_FALSE(rig.dialogue().outcome().authenticated);
        rig.client("MAIL FROM:<a@example.com>\r\n");
        CHECK(rig.take_client() == "503 5.5.1 EHLO or HELO comes first\r\n");
        CHECK(rig.to_server.empty());
        rig.client("EHLO inside.example\r\n");
        CHECK(rig.take_server() == "EHLO inside.example\r\n");
        rig.server(ehlo_reply);
        rig.client("MAIL FROM:<a@example.com>\r\n");
        CHECK(rig.take_server() == "MAIL FROM:<a@example.com>\r\n");
      }
    }
  }
}

TEST_CASE("starttls: what was injected behind it is never used, however it comes") {
  const std::string injected = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nhello\r\n.\r\n";
  for (std::size_t together = 1; together <= injected.size(); ++together) {
    Rig rig;
    introduce(rig);
    rig.client("NOOP\r\n");  // its reply holds back the 220
    rig.client("STARTTLS\r\n" + injected.substr(0, together));
    rig.client(injected.substr(together));
    CHECK(rig.take_server() == "NOOP\r\n");
    rig.server("250 ok\r\n");
    CHECK(rig.take_client() == "250 ok\r\n503 5.5.1 Nothing may follow STARTTLS before its reply\r\n");
    CHECK(rig.take_server().empty());
    CHECK(rig.ending == "starttls_injection");
    CHECK_FALSE(happened(rig, "tls client"));
  }
}

TEST_CASE("starttls: octets that come before its 220 has gone out are an injection, octet by octet as well") {
  Options options;
  options.cut = true;
  Rig rig(options);
  introduce(rig);
  rig.client("NOOP\r\nSTARTTLS\r\n");
  rig.client("M");
  rig.client("AIL FROM:<evil@example.com>\r\n");
  rig.server("250 ok\r\n");
  CHECK(rig.to_server == "NOOP\r\n");
  CHECK(rig.ending == "starttls_injection");
}

TEST_CASE("starttls: it waits for every earlier reply") {
  Rig rig;
  introduce(rig);
  rig.client("NOOP\r\nRSET\r\nSTARTTLS\r\n");
  CHECK(rig.to_client.empty());
  rig.server("250 one\r\n");
  rig.server("250 two\r\n");
  CHECK(rig.to_client == "250 one\r\n250 two\r\n220 2.0.0 Ready to start TLS\r\n");
}

TEST_CASE("starttls: octets behind the server's own 220 are never used") {
  Options options = with_mode(config::TlsMode::none);
  options.listener.backend.tls = config::TlsMode::starttls;
  Rig rig(options);
  rig.start();
  rig.connected();
  rig.server(greeting);
  rig.server("250-mx.example\r\n250 STARTTLS\r\n");
  rig.server("220 go\r\n250 injected\r\n");
  CHECK(rig.ending == "backend_tls_failed");
  CHECK_FALSE(happened(rig, "tls server"));
}

}  // namespace postern::smtp::inbound_starttls_test
