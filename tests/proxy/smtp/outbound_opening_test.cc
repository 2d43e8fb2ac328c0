// OutboundDialogue: from the connection to the reply to EHLO, and TLS with the client.
#include "proxy/smtp/outbound_dialogue.h"

#include "tests/proxy/smtp/outbound_openings.h"

namespace postern::smtp::outbound_opening_test {

using namespace outbound_rig;

TEST_CASE("outbound: a greeting of several lines is passed on as it is") {
  Rig rig;
  rig.start();
  rig.connected();
  rig.server("220-mx.example\r\n220 hello\r\n");
  CHECK(rig.to_client == "220-mx.example\r\n220 hello\r\n");
}

TEST_CASE("outbound: nothing of the client is read before it has been greeted") {
  Rig rig;
  rig.start();
  rig.client("EHLO early.example\r\n");
  rig.connected();
  CHECK(rig.to_server.empty());
  rig.server(greeting);
  CHECK(rig.to_server == "EHLO early.example\r\n");
}

TEST_CASE("outbound: an address that cannot be reached is judged, and another one may be tried") {
  Rig rig;
  rig.start();
  rig.connect_failed();
  CHECK(rig.stage() == "connect_failed");
  CHECK(rig.take_events() == Events{"dial", "drop", "ask_policy "});
  rig.reconnect();
  CHECK(rig.take_events() == Events{"dial"});
  rig.connected();
  rig.server(greeting);
  CHECK(rig.take_client() == greeting);
}

TEST_CASE("outbound: what no address can be reached for is told in place of a greeting") {
  Rig rig;
  rig.start();
  rig.connect_failed();
  rig.refuse("421 4.4.1 cannot reach it");
  CHECK(rig.to_client == "421 4.4.1 cannot reach it\r\n");
  CHECK(rig.ending == "server_unreachable");
}

TEST_CASE("outbound: a refusal to greet is passed on unless the session knows better") {
  Rig rig;
  rig.start();
  rig.connected();
  rig.server("554-go\r\n554 away\r\n");
  CHECK(rig.stage() == "greeting_failed");
  CHECK(rig.dialogue().remote().reply == "554 go");
  rig.proceed();
  CHECK(rig.to_client == "554 go\r\n");
  CHECK(rig.ending == "server_unreachable");
}

TEST_CASE("outbound: with implicit TLS the dial hides behind the client's handshake") {
  Options options;
  options.listener.mode = config::TlsMode::implicit;
  for (const bool server_first : {false, true}) {
    Rig rig(options);
    rig.start();
    CHECK(rig.take_events() == Events{"tls client", "dial"});
    if (server_first) rig.connected(), rig.server(greeting);
    CHECK(rig.to_client.empty());
    rig.tls(Side::client);
    if (!server_first) rig.connected(), rig.server(greeting);
    CHECK(rig.to_client == greeting);
  }
}

TEST_CASE("outbound: a server that fails behind the client's handshake is judged after it") {
  Options options;
  options.listener.mode = config::TlsMode::implicit;
  Rig rig(options);
  rig.start();
  rig.connect_failed();
  CHECK(!rig.judging);
  rig.tls(Side::client);
  CHECK(rig.judging);
  rig.refuse("421 4.4.1 no");
  CHECK(rig.to_client == "421 4.4.1 no\r\n");
}

TEST_CASE("outbound: a server that knows only HELO is spoken to in plaintext") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.server("502 what\r\n");
  CHECK(rig.to_server == "EHLO client.example\r\nHELO client.example\r\n");
  rig.server("250 old.example\r\n");
  CHECK(rig.stage() == "tls_not_offered");
  rig.proceed();
  CHECK(rig.to_client == "250-old.example\r\n250 PIPELINING\r\n");
}

TEST_CASE("outbound: a HELO client gets EHLO and TLS done for it") {
  Rig rig;
  greeted(rig);
  rig.client("HELO client.example\r\n");
  secured(rig);
  rig.proceed();
  CHECK(rig.to_client == "250 mx.example\r\n");
  rig.client("BDAT 3\r\nabc");
  CHECK(rig.take_client().ends_with("502 5.5.1 Command not offered here\r\n"));
}

TEST_CASE("outbound: where TLS is demanded nothing but EHLO and STARTTLS is said without it") {
  for (const std::string_view reply : {"502 what\r\n", "250 mx.example\r\n"}) {
    Options options;
    options.plan.demand_tls = true;
    Rig rig(options);
    greeted(rig);
    rig.client("EHLO client.example\r\n");
    rig.server(reply);
    CHECK(rig.stage() == "tls_not_offered");
    rig.proceed();  // not believed
    CHECK(rig.to_client.starts_with("451 4.4.1 "));
    rig.client("MAIL FROM:<secret@b.example>\r\nRCPT TO:<secret@d.example>\r\nNOOP\r\n");
    CHECK(rig.to_server == "EHLO client.example\r\nQUIT\r\n");
  }
}

TEST_CASE("outbound: octets behind the 220 to STARTTLS end the connection") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.server(plain_hello);
  rig.take_server();
  rig.server("220 go\r\n250 injected\r\n");
  CHECK(rig.stage() == "tls_injected");
  CHECK(rig.take_events() == Events{"dial", "drop", "ask_policy "});
  rig.proceed();  // not believed
  CHECK(rig.take_client() == "451 4.4.1 The remote server cannot be used now\r\n");
  rig.client("MAIL FROM:<a@b.example>\r\nQUIT\r\n");
  CHECK(rig.to_client == "451 4.4.1 The remote server cannot be used now\r\n221 2.0.0 Bye\r\n");
  CHECK(rig.to_server.empty());
}

TEST_CASE("outbound: a plain text retry after a failed handshake begins afresh") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.server(plain_hello);
  rig.server("220 go\r\n");
  rig.take_server();
  rig.tls_failed(Side::server);
  CHECK(rig.stage() == "tls_failed");
  rig.plan.try_starttls = false;
  rig.reconnect();
  CHECK(rig.stage() == "none");
  rig.connected();
  rig.server(greeting);
  CHECK(rig.take_client().empty());  // it has had one
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  rig.server(plain_hello);
  CHECK(rig.stage() == "open");
  rig.proceed();
  CHECK(rig.take_client() == "250-mx.example\r\n250 PIPELINING\r\n");
}

TEST_CASE("outbound: STARTTLS refused leaves a connection in plaintext to be judged") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.server(plain_hello);
  rig.server("454 4.7.0 not now\r\n");
  CHECK(rig.stage() == "tls_refused");
  CHECK(rig.dialogue().remote().reply == "454 4.7.0 not now");
  rig.proceed();
  CHECK(rig.to_client == "250-mx.example\r\n250 PIPELINING\r\n");
}

TEST_CASE("outbound: what the server offered before TLS is forgotten") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.take_server();
  rig.server("250-mx.example\r\n250-CHUNKING\r\n250-AUTH PLAIN\r\n250-SIZE 7\r\n250 STARTTLS\r\n");
  rig.server("220 go\r\n");
  rig.tls(Side::server);
  rig.server("250-inner.example\r\n250 8BITMIME\r\n");
  rig.proceed();
  CHECK(rig.to_client == "250-inner.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
}

TEST_CASE("outbound: keywords that the gateway could not honour are not shown") {
  Rig rig;
  introduced(rig,
             "250-mx.example\r\n250-VRFY\r\n250-ETRN\r\n250-REQUIRETLS\r\n250-XCLIENT ADDR\r\n250-STARTTLS\r\n"
             "250 DSN\r\n");
  rig.client("EHLO client.example\r\n");
  CHECK(rig.take_client() == "250-mx.example\r\n250-PIPELINING\r\n250 DSN\r\n");
  rig.client("VRFY secret\r\nXCLIENT ADDR=1.2.3.4\r\nETRN x\r\n");
  CHECK(rig.take_client() ==
        "502 5.5.1 Command not offered here\r\n550 5.7.0 This command is not for clients\r\n"
        "502 5.5.1 Command not offered here\r\n");
  CHECK(rig.to_server.empty());
}

TEST_CASE("outbound: a second EHLO is answered from memory") {
  Rig rig;
  introduced(rig);
  rig.client("EHLO other.example\r\nMAIL FROM:<a@b.example>\r\nEHLO other.example\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.to_client ==
        std::string(shown_hello) + "250 2.1.0 Ok\r\n" + std::string(shown_hello) + "503 5.5.1 MAIL comes first\r\n");
  CHECK(rig.to_server.empty());
  CHECK(rig.dialogue().outcome().helo == "other.example");
}

TEST_CASE("outbound: MAIL needs EHLO or HELO before it") {
  Rig rig;
  greeted(rig);
  rig.client("MAIL FROM:<a@b.example>\r\n");
  CHECK(rig.to_client == "503 5.5.1 EHLO or HELO comes first\r\n");
}

TEST_CASE("outbound: a server that is silent or goes while it is opened is judged as lost") {
  for (const bool silent : {false, true}) {
    Rig rig;
    greeted(rig);
    rig.client("EHLO client.example\r\n");
    if (silent) {
      CHECK(rig.timer == Timer::reply);
      rig.time_out();
    } else {
      rig.close(Side::server);
    }
    CHECK(rig.stage() == "lost");
    CHECK(rig.take_events() == Events{"dial", "drop", "ask_policy "});
    rig.refuse("451 4.4.1 gone");
    CHECK(rig.to_client == "451 4.4.1 gone\r\n");
  }
}

TEST_CASE("outbound: a server that goes before the client's EHLO is dealt with at the EHLO") {
  Rig rig;
  greeted(rig);
  rig.server("421 bye\r\n");
  CHECK(!rig.judging);
  rig.client("EHLO client.example\r\n");
  CHECK(rig.judging);
  CHECK(rig.stage() == "lost");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  rig.proceed();
  CHECK(rig.to_client == shown_hello);
}

// --- TLS with the client

TEST_CASE("outbound: STARTTLS for the client, and the remote connection opened anew") {
  Options options;
  options.listener.mode = config::TlsMode::starttls;
  Rig rig(options);
  greeted(rig);
  rig.client("EHLO plain.example\r\n");
  rig.server("250 mx.example\r\n");
  rig.proceed();
  CHECK(rig.take_client() == "250-mx.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n");
  rig.client("MAIL FROM:<secret@b.example>\r\nSTARTTLS\r\n");
  CHECK(rig.take_client() == "250 2.1.0 Ok\r\n220 2.0.0 Ready to start TLS\r\n");
  rig.take_events();
  rig.take_server();
  rig.tls(Side::client);
  CHECK(rig.take_events() == Events{"drop"});
  rig.client("MAIL FROM:<a@b.example>\r\nEHLO client.example\r\n");
  CHECK(rig.take_client() == "503 5.5.1 EHLO or HELO comes first\r\n");
  rig.connected();
  rig.server(greeting);
  secured(rig);
  rig.proceed();
  CHECK(rig.take_client() == shown_hello);
  rig.client("RCPT TO:<c@d.example>\r\nSTARTTLS\r\n");
  CHECK(rig.take_client() == "503 5.5.1 MAIL comes first\r\n503 5.5.1 TLS is already active\r\n");
}

TEST_CASE("outbound: STARTTLS before EHLO keeps the connection that was made") {
  Options options;
  options.listener.mode = config::TlsMode::starttls;
  Rig rig(options);
  greeted(rig);
  rig.client("STARTTLS\r\n");
  rig.tls(Side::client);
  rig.client("EHLO client.example\r\n");
  secured(rig);
  CHECK(!happened(rig, "drop"));
}

TEST_CASE("outbound: octets behind the client's STARTTLS are never used") {
  Options options;
  options.listener.mode = config::TlsMode::starttls;
  Rig rig(options);
  greeted(rig);
  rig.client("STARTTLS\r\nEHLO injected.example\r\n");
  CHECK(rig.to_server.empty());
  CHECK(rig.ending == "starttls_injection");
}

TEST_CASE("outbound: STARTTLS that cannot be") {
  Options options;
  {
    Rig rig(options);
    greeted(rig);
    rig.client("STARTTLS\r\n");
    CHECK(rig.to_client.starts_with("502 5.5.1 "));
  }
  options.listener.mode = config::TlsMode::starttls;
  options.tls_available = false;
  Rig rig(options);
  greeted(rig);
  rig.client("STARTTLS\r\nSTARTTLS x\r\n");
  CHECK(rig.to_client.starts_with("454 4.7.0 "));
}

}  // namespace postern::smtp::outbound_opening_test
