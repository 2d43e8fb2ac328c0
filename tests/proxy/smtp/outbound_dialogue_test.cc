#include "proxy/smtp/outbound_dialogue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/proxy/smtp/outbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::outbound_dialogue_test {

using outbound_rig::Options;
using outbound_rig::Rig;
using Events = std::vector<std::string>;

constexpr std::string_view greeting = "220 mx.example ESMTP\r\n";
constexpr std::string_view plain_hello = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
constexpr std::string_view tls_hello = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 CHUNKING\r\n";
constexpr std::string_view shown_hello = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 CHUNKING\r\n";

bool happened(const Rig& rig, std::string_view event) {
  return std::find(rig.events.begin(), rig.events.end(), event) != rig.events.end();
}

void greeted(Rig& rig) {
  rig.start();
  rig.connected();
  rig.server(greeting);
  CHECK(rig.take_client() == greeting);
}

// Up to the EHLO inside TLS.
void secured(Rig& rig, std::string_view reply = tls_hello) {
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  rig.server(plain_hello);
  CHECK(rig.take_server() == "STARTTLS\r\n");
  rig.server("220 go\r\n");
  rig.tls(Side::backend);
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  rig.server(reply);
}

// The client has been introduced over TLS, and nothing else was said.
void introduced(Rig& rig, std::string_view reply = tls_hello) {
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, reply);
  rig.proceed();
  rig.take_client();
  rig.take_server();
  rig.take_events();
}

// … and a recipient has been accepted.
void accepted(Rig& rig) {
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.take_client();
  rig.take_server();
  rig.take_events();
}

TEST_CASE("outbound: a whole session over STARTTLS") {
  for (const bool cut : {false, true}) {
    Options options;
    options.cut = cut;
    Rig rig(options);
    greeted(rig);
    rig.client("EHLO client.example\r\n");
    secured(rig);
    CHECK(rig.stage() == "open");
    CHECK(rig.take_client().empty());
    rig.proceed();
    CHECK(rig.take_client() == shown_hello);
    rig.client("MAIL FROM:<a@b.example> SIZE=10\r\n");
    CHECK(rig.take_client() == "250 2.1.0 Ok\r\n");
    rig.client("RCPT TO:<c@D.example>\r\n");
    CHECK(rig.take_server().empty());
    rig.proceed();
    CHECK(rig.take_server() == "MAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@D.example>\r\n");
    rig.server("250 sender\r\n250 recipient\r\n");
    CHECK(rig.take_client() == "250 recipient\r\n");
    rig.client("DATA\r\n");
    CHECK(rig.take_server() == "DATA\r\n");
    rig.server("354 go\r\n");
    CHECK(rig.take_client() == "354 go\r\n");
    rig.client("Subject: x\r\n\r\nbody\r\n.\r\n");
    CHECK(rig.take_server() == "Subject: x\r\n\r\nbody\r\n.\r\n");
    rig.server("250 queued\r\n");
    CHECK(rig.take_client() == "250 queued\r\n");
    rig.client("QUIT\r\n");
    CHECK(rig.take_client() == "221 2.0.0 Bye\r\n");
    CHECK(rig.take_server() == "QUIT\r\n");
    CHECK(rig.take_events() ==
          Events{"dial", "tls backend", "judge ", "judge d.example", "message accepted", "end quit"});
    CHECK(rig.dialogue().outcome().messages_accepted == 1);
  }
}

TEST_CASE("outbound: a pipelining client gets its replies in order") {
  Rig rig;
  greeted(rig);
  rig.client(
      "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\n"
      "RCPT TO:<f@g.example>\r\nDATA\r\n");
  secured(rig);
  rig.proceed();
  rig.proceed();
  CHECK(rig.take_server() == "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\n");
  rig.server("250 s\r\n250 c\r\n550 e\r\n");
  CHECK(rig.events.back() == "judge g.example");
  rig.refuse("451 4.7.5 no");
  CHECK(rig.take_server() == "DATA\r\n");
  rig.server("354 go\r\n");
  CHECK(rig.take_client() == std::string(shown_hello) + "250 2.1.0 Ok\r\n250 c\r\n550 e\r\n451 4.7.5 no\r\n354 go\r\n");
}

// --- the beginning

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
  CHECK(rig.take_events() == Events{"dial", "drop", "judge "});
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
  CHECK(rig.ending == "backend_unreachable");
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
  CHECK(rig.ending == "backend_unreachable");
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
  CHECK(rig.take_events() == Events{"dial", "drop", "judge "});
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
  rig.tls_failed(Side::backend);
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
  rig.tls(Side::backend);
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
      CHECK(rig.timer == Timer::greeting);
      rig.time_out();
    } else {
      rig.close(Side::backend);
    }
    CHECK(rig.stage() == "lost");
    CHECK(rig.take_events() == Events{"dial", "drop", "judge "});
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

// --- our own credentials

TEST_CASE("outbound: our credentials go out inside TLS, and the client is shown no AUTH") {
  Options options;
  options.plan.auth_mechanism = "PLAIN";
  options.plan.auth_user = "user";
  options.plan.auth_secret = "secret";
  Rig rig(options);
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, "250-mx.example\r\n250 AUTH LOGIN PLAIN\r\n");
  CHECK(rig.take_server() == "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
  rig.server("235 ok\r\n");
  CHECK(rig.stage() == "open");
  rig.proceed();
  CHECK(rig.take_client() == "250-mx.example\r\n250 PIPELINING\r\n");
  rig.client("AUTH PLAIN eA==\r\n");
  CHECK(rig.take_client() == "502 5.5.1 Command not offered here\r\n");
}

TEST_CASE("outbound: credentials that are refused are a stage of their own") {
  Options options;
  options.plan.auth_mechanism = "XOAUTH2";
  options.plan.auth_secret = "token";
  Rig rig(options);
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, "250-mx.example\r\n250 AUTH XOAUTH2\r\n");
  rig.take_server();
  rig.server("334 eyJzdGF0dXMiOiI0MDAifQ==\r\n");
  CHECK(rig.take_server() == "\r\n");
  rig.server("535 5.7.8 no\r\n");
  CHECK(rig.stage() == "auth_failed");
  CHECK(rig.dialogue().remote().reply == "535 5.7.8 no");
  rig.refuse("451 4.7.8 credentials");
  CHECK(rig.to_client == "451 4.7.8 credentials\r\n");
}

TEST_CASE("outbound: a server that asks for ever is left") {
  Options options;
  options.plan.auth_mechanism = "PLAIN";
  Rig rig(options);
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, "250-mx.example\r\n250 AUTH PLAIN\r\n");
  rig.server("334 \r\n");
  CHECK(rig.to_server.ends_with("*\r\n"));
  rig.server("334 \r\n");
  CHECK(rig.stage() == "lost");
}

TEST_CASE("outbound: our credentials are never said in plaintext") {
  Options options;
  options.plan.auth_mechanism = "PLAIN";
  options.plan.auth_secret = "secret";
  for (const bool starttls : {false, true}) {
    options.plan.try_starttls = starttls;
    Rig rig(options);
    greeted(rig);
    rig.client("EHLO client.example\r\n");
    rig.server("250-mx.example\r\n250 AUTH PLAIN\r\n");
    CHECK(rig.stage() == (starttls ? "tls_not_offered" : "auth_failed"));
    CHECK(rig.to_server == "EHLO client.example\r\n");
  }
}

TEST_CASE("outbound: a client may authenticate for itself inside the server's TLS only") {
  Rig rig;
  introduced(rig, "250-mx.example\r\n250 AUTH PLAIN\r\n");
  rig.client("AUTH PLAIN\r\n");
  CHECK(rig.take_server() == "AUTH PLAIN\r\n");
  rig.server("334 \r\n");
  rig.client("AGEAYg==\r\n");
  CHECK(rig.take_server() == "AGEAYg==\r\n");
  rig.server("235 ok\r\n");
  CHECK(rig.take_client() == "334 \r\n235 ok\r\n");
  CHECK(rig.dialogue().outcome().authenticated);
  CHECK(!rig.dialogue().may_reconnect());
}

void authenticated(Rig& rig) {
  introduced(rig, "250-mx.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n");
  rig.client("AUTH PLAIN AGEAYg==\r\n");
  rig.server("235 ok\r\n");
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.take_client();
  rig.take_server();
  rig.take_events();
}

TEST_CASE("outbound: a client that has authenticated goes on with no other connection than that") {
  const std::string closed = "421 4.4.2 The remote server closed the connection\r\n";
  const std::string lost = "451 4.4.2 The connection to the remote server was lost\r\n";
  const std::string lost_message = "451 4.4.2 The connection was lost before the remote server took the message\r\n";
  SECTION("in a transaction") {
    Rig rig;
    authenticated(rig);
    rig.client("RCPT TO:<e@d.example>\r\n");
    rig.close(Side::backend);
    CHECK(rig.to_client == lost + closed);
    CHECK(rig.ending == "backend_lost");
  }
  SECTION("within content") {
    Rig rig;
    authenticated(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("half");
    rig.take_client();
    rig.close(Side::backend);
    rig.client("\r\n.\r\nMAIL FROM:<a@b.example>\r\n");
    CHECK(rig.to_client == lost_message);
    CHECK(rig.ended());
  }
  SECTION("behind content, before its reply") {
    Rig rig;
    authenticated(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("x\r\n.\r\n");
    rig.take_client();
    rig.close(Side::backend);
    CHECK(rig.to_client == lost_message + closed);
    CHECK(rig.ended());
  }
  SECTION("refused within content") {
    Rig rig;
    authenticated(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("half\r\n");
    rig.server("552 full\r\n");
    rig.take_client();
    rig.client(".\r\nMAIL FROM:<a@b.example>\r\n");
    CHECK(rig.to_client == "552 full\r\n");
    CHECK(rig.ended());
  }
}

TEST_CASE("outbound: AUTH that another connection offered does not go to the present one") {
  const std::string_view with_auth = "250-mx.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n";
  Rig rig;
  introduced(rig, with_auth);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.plan.demand_tls = true;
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  rig.server("250-mx.example\r\n250 AUTH PLAIN\r\n");
  CHECK(rig.stage() == "tls_not_offered");
  rig.refuse("451 4.7.4 no TLS there");
  rig.take_client();
  rig.take_server();
  rig.client("RSET\r\nAUTH PLAIN AGEAYg==\r\n");
  CHECK(rig.take_client() == "250 2.0.0 Ok\r\n451 4.4.1 The remote server cannot be used now\r\n");
  CHECK(rig.take_server().empty());
}

TEST_CASE("outbound: a server that nobody vouches for gets no password of the client's") {
  Rig rig;
  rig.vouched = false;
  introduced(rig, "250-mx.example\r\n250 AUTH PLAIN\r\n");
  rig.client("EHLO client.example\r\nAUTH PLAIN AGEAYg==\r\n");
  CHECK(rig.to_client == "250-mx.example\r\n250 PIPELINING\r\n502 5.5.1 Command not offered here\r\n");
  CHECK(rig.to_server.empty());
}

TEST_CASE("outbound: what another connection offered and the present one cannot do is no reason to bounce") {
  Rig rig;
  introduced(rig, "250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME\r\n");
  rig.client("MAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\n");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  rig.take_server();
  rig.server(plain_hello);
  rig.server("220 go\r\n");
  rig.tls(Side::backend);
  rig.server("250-mx2.example\r\n250 PIPELINING\r\n");
  rig.take_server();
  rig.proceed();
  rig.take_client();
  rig.server("555 what is BODY\r\n503 MAIL first\r\n");
  CHECK(rig.take_client() == "451 4.4.1 The remote server cannot be used now\r\n");
  rig.client("RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.take_client();
  rig.take_server();
  rig.client("BDAT 6 LAST\r\nQUIT\r\n");
  CHECK(rig.take_client() == "451 4.4.1 The remote server cannot be used now\r\n");
  CHECK(rig.take_server().empty());
}

// --- recipients

TEST_CASE("outbound: each domain is judged once on a connection") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.take_server().empty());
  rig.proceed();
  rig.server("250 s\r\n250 c\r\n");
  rig.client("RCPT TO:<e@D.EXAMPLE>\r\n");
  rig.server("250 e\r\n");
  rig.client("RCPT TO:<f@g.example.>\r\n");
  CHECK(rig.take_events() == Events{"judge d.example", "judge g.example"});
  CHECK(!rig.dialogue().may_reconnect());
}

TEST_CASE("outbound: recipients' domains as they are judged") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"<a@B.example>", "judge b.example"},
      {"<@x.example:a@b.example>", "judge b.example"},
      {"<a@[192.0.2.1]>", "judge [192.0.2.1]"},
      {"<a@[IPv6:2001:DB8::1]>", "judge [ipv6:2001:db8::1]"},
      {"<postmaster>", "judge ."},
      {"<\"x@y\"@b.example>", "judge b.example"},
      {"<a@b.example.>", "judge b.example"},
      {"<a@>", ""},
      {"<a@.>", ""},
      {"<>", ""},
      {"<a@b c>", ""},
      {"<a@b\x01>", ""},
      {"<a@b.example", ""},
      {"<a@[>", ""}};
  for (const auto& [path, event] : table) {
    INFO(path);
    Rig rig;
    introduced(rig);
    rig.client("MAIL FROM:<>\r\nRCPT TO:" + path + "\r\n");
    if (event.empty()) {
      CHECK(rig.to_client == "250 2.1.0 Ok\r\n501 5.5.4 Malformed address\r\n");
    } else {
      CHECK(rig.events == Events{event});
    }
  }
}

TEST_CASE("outbound: one reconnection for a recipient, with the client none the wiser") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.dialogue().may_reconnect());
  rig.take_client();
  rig.reconnect();
  CHECK(rig.take_events() == Events{"judge d.example", "drop", "dial"});
  CHECK(rig.take_server() == "QUIT\r\n");
  rig.connected();
  rig.server("220-other\r\n220 greeting\r\n");
  secured(rig);
  CHECK(rig.take_events() == Events{"tls backend", "judge d.example"});
  CHECK(rig.take_server().empty());
  rig.proceed();
  CHECK(rig.take_server() == "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.server("250 s\r\n250 c\r\n");
  CHECK(rig.take_client() == "250 c\r\n");
}

TEST_CASE("outbound: a reconnection that would lose a recipient is not made") {
  Rig rig;
  accepted(rig);
  rig.client("RCPT TO:<f@g.example>\r\n");
  rig.reconnect();
  CHECK(rig.to_client.starts_with("451 4.4.1 "));
  CHECK(!happened(rig, "dial"));
}

TEST_CASE("outbound: a recipient that must not go out is refused alone") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<f@g.example>\r\nDATA\r\n");
  rig.take_client();
  rig.refuse("451 4.7.5 d.example demands more");
  CHECK(rig.take_client() == "451 4.7.5 d.example demands more\r\n");
  rig.refuse("451 4.7.5 g.example too");
  CHECK(rig.take_client() == "451 4.7.5 g.example too\r\n503 5.5.1 No valid recipients\r\n");
  CHECK(rig.to_server.empty());
}

TEST_CASE("outbound: a judgement cannot smuggle a line, or a success, into the reply") {
  for (const std::string reply : {"250 2.1.5 Ok", "451 4.7.5 a\r\n250 b", "", "45", "354 go"}) {
    Rig rig;
    introduced(rig);
    rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    rig.take_client();
    rig.refuse(reply);
    CHECK(rig.to_client == "451 4.4.1 The remote server cannot be used now\r\n");
  }
}

TEST_CASE("outbound: the server's refusal of MAIL answers every recipient") {
  for (const bool pipelining : {true, false}) {
    Rig rig;
    introduced(rig, pipelining ? tls_hello : "250 mx.example\r\n");
    rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\nRSET\r\n");
    rig.proceed();
    rig.server("550-no\r\n550 sender\r\n");
    if (pipelining) rig.server("503 mail?\r\n503 mail?\r\n503 data?\r\n");
    CHECK(rig.to_client == "250 2.1.0 Ok\r\n550-no\r\n550 sender\r\n550-no\r\n550 sender\r\n" +
                               std::string(pipelining ? "503 data?" : "503 5.5.1 No valid recipients") +
                               "\r\n250 2.0.0 Ok\r\n");
    CHECK(rig.to_server.find("RSET") == std::string::npos);
  }
}

TEST_CASE("outbound: a whole group goes out at once where the domain is known and the server pipelines") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 m\r\n250 r\r\n");
  rig.client("RSET\r\n");
  rig.server("250 s\r\n");
  rig.take_client();
  rig.take_server();
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n");
  CHECK(rig.to_server == "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n");
  CHECK(rig.to_client.empty());
  rig.server("250 m\r\n250 r\r\n550 r\r\n354 go\r\n");
  CHECK(rig.to_client == "250 2.1.0 Ok\r\n250 r\r\n550 r\r\n354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.server("250 taken\r\n");
  CHECK(rig.dialogue().outcome().messages_accepted == 1);
}

TEST_CASE("outbound: 354 after every recipient was refused is the server's to make good") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  rig.proceed();
  rig.take_client();
  rig.server("250 m\r\n550 r\r\n354 go\r\n");
  rig.client(".\r\n");
  rig.server("554 no valid recipients\r\n");
  CHECK(rig.to_client == "550 r\r\n354 go\r\n554 no valid recipients\r\n");
  CHECK(rig.dialogue().outcome().messages_accepted == 0);
}

TEST_CASE("outbound: the answer to MAIL comes before any other, whatever follows it") {
  for (const std::string next : {"RCPT TO:<>\r\n", "NOOP\r\n", "RSET\r\n", "MAIL FROM:<x@y.example>\r\n", "FOO\r\n",
                                 "EHLO c\r\n", "DATA\r\n", "BDAT 0 LAST\r\n", "QUIT\r\n"}) {
    INFO(next);
    Rig rig;
    introduced(rig);
    rig.take_client();
    rig.client("MAIL FROM:<a@b.example>\r\n" + next);
    CHECK(rig.to_client.starts_with("250 2.1.0 Ok\r\n"));
  }
}

TEST_CASE("outbound: a server lost before it answered MAIL leaves no command unanswered") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 m\r\n250 r\r\n");
  rig.client("RSET\r\n");
  rig.server("250 s\r\n");
  rig.take_client();
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  rig.close(Side::backend);
  CHECK(rig.to_client.starts_with("250 2.1.0 Ok\r\n451 4.4.2 "));
  CHECK(std::count(rig.to_client.begin(), rig.to_client.end(), '\n') == 3);
}

TEST_CASE("outbound: a server without PIPELINING hears one command at a time") {
  Rig rig;
  introduced(rig, "250 mx.example\r\n");
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nNOOP\r\nDATA\r\n");
  rig.proceed();
  const std::vector<std::string> lines = {"MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n",
                                          "RCPT TO:<e@d.example>\r\n", "NOOP\r\n"};
  for (const std::string& line : lines) {
    CHECK(rig.take_server() == line);
    rig.server("250 to " + line.substr(0, 4) + "\r\n");
  }
  CHECK(rig.take_server() == "DATA\r\n");
  CHECK(rig.to_client == "250 2.1.0 Ok\r\n250 to RCPT\r\n250 to RCPT\r\n250 to NOOP\r\n");
}

TEST_CASE("outbound: RSET reaches the server only where MAIL has, and is answered by us") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRSET\r\n");
  CHECK(rig.to_server.empty());
  CHECK(rig.take_client() == "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n");
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.server("250 s\r\n250 c\r\n");
  rig.take_server();
  rig.take_client();
  rig.client("RSET\r\n");
  CHECK(rig.take_server() == "RSET\r\n");
  CHECK(rig.take_client().empty());
  rig.server("250-flushed\r\n250 all\r\n");
  CHECK(rig.take_client() == "250 2.0.0 Ok\r\n");
}

TEST_CASE("outbound: a transaction that EHLO ended is reset before the next MAIL") {
  for (const bool pipelining : {true, false}) {
    Rig rig;
    introduced(rig, pipelining ? tls_hello : "250 mx.example\r\n");
    rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    rig.proceed();
    rig.server("250 s\r\n");
    rig.server("250 c\r\n");
    rig.client("EHLO client.example\r\nMAIL FROM:<x@b.example>\r\n");
    rig.take_server();
    rig.take_client();
    rig.client("RCPT TO:<y@d.example>\r\n");
    for (int replies = 0; replies < 3; ++replies) rig.server("250 ok\r\n");
    CHECK(rig.to_server == "RSET\r\nMAIL FROM:<x@b.example>\r\nRCPT TO:<y@d.example>\r\n");
    CHECK(rig.to_client == "250 ok\r\n");
  }
}

TEST_CASE("outbound: MAIL is checked before it is kept") {
  Rig rig;
  introduced(rig);
  rig.client(
      "MAIL\r\nMAIL FROM:<a\r\nMAIL FROM:<a@b.example> SIZE=1001\r\n"
      "MAIL FROM:<a@b.example> SIZE=99999999999999999999999\r\nMAIL FROM:<a@b.example> SIZE=1000\r\nMAIL FROM:<>\r\n");
  CHECK(rig.to_client ==
        "501 5.5.4 Malformed address\r\n501 5.5.4 Malformed address\r\n"
        "552 5.3.4 Message too large\r\n552 5.3.4 Message too large\r\n250 2.1.0 Ok\r\n"
        "503 5.5.1 A transaction is under way\r\n");
}

TEST_CASE("outbound: commands out of order") {
  Rig rig;
  introduced(rig);
  rig.client("RCPT TO:<c@d.example>\r\nDATA\r\nMAIL FROM:<a@b.example>\r\nDATA\r\nBDAT 3 LAST\r\nabcNOOP\r\n");
  CHECK(rig.to_client ==
        "503 5.5.1 MAIL comes first\r\n503 5.5.1 MAIL comes first\r\n250 2.1.0 Ok\r\n"
        "503 5.5.1 No valid recipients\r\n503 5.5.1 No valid recipients\r\n");
  CHECK(rig.to_server == "NOOP\r\n");
}

// --- content

TEST_CASE("outbound: content leaves in one piece") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.sends = 0;
  rig.client("Subject: x\r\n\r\nbody\r\n.\r\n");
  CHECK(rig.sends == 1);
}

TEST_CASE("outbound: BDAT passes as it is, and needs a recipient") {
  for (const bool cut : {false, true}) {
    Options options;
    options.cut = cut;
    Rig rig(options);
    accepted(rig);
    rig.client("BDAT 4\r\n.\r\n.BDAT 2 LAST\r\nxyNOOP\r\n");
    CHECK(rig.take_server() == "BDAT 4\r\n.\r\n.BDAT 2 LAST\r\nxyNOOP\r\n");
    rig.server("250 4\r\n250 queued\r\n250 noop\r\n");
    CHECK(rig.take_client() == "250 4\r\n250 queued\r\n250 noop\r\n");
    CHECK(rig.take_events() == Events{"message accepted"});
    rig.client("BDAT 2 LAST\r\nxy");
    CHECK(rig.to_server.empty());
    CHECK(rig.to_client == "503 5.5.1 MAIL comes first\r\n");
  }
}

TEST_CASE("outbound: after a refused BDAT LAST the server is reset before the next MAIL") {
  Rig rig;
  accepted(rig);
  rig.client("BDAT 2 LAST\r\nxy");
  rig.server("554 no\r\n");
  CHECK(happened(rig, "message refused_permanently"));
  rig.take_server();
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.to_server == "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
}

TEST_CASE("outbound: content over the operator's limit never gets an end") {
  Options options;
  options.listener.ehlo.size_limit = config::ByteSize{20};
  {
    Rig rig(options);
    accepted(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.take_server();
    rig.client(std::string(100, 'x') + "\r\n.\r\n");
    CHECK(rig.to_server.empty());
    CHECK(rig.to_client.ends_with("552 5.3.4 Message too large\r\n"));
    CHECK(rig.ending == "message_too_large");
  }
  Rig rig(options);
  accepted(rig);
  rig.client("BDAT 10\r\n0123456789BDAT 11 LAST\r\n0123456789xBDAT 1 LAST\r\nxRSET\r\n");
  rig.server("250 10\r\n");
  CHECK(rig.to_server == "BDAT 10\r\n0123456789RSET\r\n");
  rig.server("250 flushed\r\n");
  CHECK(rig.to_client == "250 10\r\n552 5.3.4 Message too large\r\n552 5.3.4 Message too large\r\n250 2.0.0 Ok\r\n");
}

TEST_CASE("outbound: a bare newline is refused where the operator wants that") {
  Options options;
  options.listener.bare_newline = config::BareNewline::reject;
  Rig rig(options);
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\n.\r\n");
  CHECK(rig.to_client.ends_with("521 5.5.2 Lines must end with CR LF, closing\r\n"));
  CHECK(rig.ending == "bare_newline");
}

TEST_CASE("outbound: a server that refuses in the middle of content is heard at its end") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("half\r\n");
  rig.server("552 full\r\n");
  rig.take_client();
  rig.client("other half\r\n.\r\nNOOP\r\n");
  CHECK(rig.to_client == "552 full\r\n250 2.0.0 Ok\r\n");
  CHECK(happened(rig, "message refused_permanently"));
}

TEST_CASE("outbound: the rest of a message that was refused early is content, whatever stands in it") {
  // Its author may run the server that refused it.
  const std::string rest = "text\nMAIL FROM:<x@y.example>\r\nRCPT TO:<z@d.example>\r\nDATA\r\n\n.\n\r.\r\r\n.\r\n";
  for (const bool lost : {false, true}) {
    Options options;
    options.listener.bare_newline = config::BareNewline::reject;
    Rig rig(options);
    accepted(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("half\r\n");
    if (lost) rig.close(Side::backend);
    rig.server("552 full\r\n");
    rig.take_client();
    rig.client(rest.substr(0, 30));
    CHECK(rig.take_client().empty());
    rig.client(rest.substr(30) + "NOOP\r\n");
    CHECK(rig.take_client() ==
          (lost ? "451 4.4.2 The connection was lost before the remote server took the message\r\n250 2.0.0 Ok\r\n"
                : "552 full\r\n250 2.0.0 Ok\r\n"));
    // The next message is as strict as any.
    rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    rig.reconnect();
    rig.connected();
    rig.server(greeting);
    rig.take_server();
    rig.server(plain_hello);
    rig.server("220 go\r\n");
    rig.tls(Side::backend);
    rig.server(tls_hello);
    rig.proceed();
    rig.server("250 sender\r\n250 recipient\r\n");
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("a\nb");
    CHECK(rig.ending == "bare_newline");
  }
}

// --- loss

TEST_CASE("outbound: a server lost after the final dot has taken nothing, and the session goes on") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  CHECK(rig.timer == Timer::data_end);
  rig.take_client();
  rig.close(Side::backend);
  CHECK(rig.take_client() == "451 4.4.2 The connection was lost before the remote server took the message\r\n");
  CHECK(rig.take_events() == Events{"drop", "message lost", "refused remote_lost_message"});
  CHECK(!rig.ended());
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.stage() == "lost");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  rig.take_server();
  rig.server("250 mx.example\r\n");
  rig.proceed();
  CHECK(rig.to_server == "MAIL FROM:<a@b.example>\r\n");
}

TEST_CASE("outbound: a server lost within content is told of at its end") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("half");
  rig.take_client();
  rig.close(Side::backend);
  CHECK(rig.take_client().empty());
  rig.client("\r\n.\r\nRSET\r\n");
  CHECK(rig.take_client() ==
        "451 4.4.2 The connection was lost before the remote server took the message\r\n250 2.0.0 Ok\r\n");
}

TEST_CASE("outbound: a server lost within a chunk is told of, and the chunk is no command") {
  Rig rig;
  accepted(rig);
  rig.client("BDAT 10 LAST\r\nQUIT");
  rig.close(Side::backend);
  rig.client("\r\nQUIT.NOOP\r\n");
  CHECK(rig.to_client ==
        "451 4.4.2 The connection was lost before the remote server took the message\r\n500 5.5.2 Malformed command "
        "line\r\n");
}

TEST_CASE("outbound: a server lost in a transaction spoils the rest of it") {
  Rig rig;
  accepted(rig);
  rig.client("RCPT TO:<e@d.example>\r\n");
  rig.close(Side::backend);
  rig.client("RCPT TO:<f@g.example>\r\nDATA\r\nRSET\r\nMAIL FROM:<a@b.example>\r\n");
  const std::string lost = "451 4.4.2 The connection to the remote server was lost\r\n";
  CHECK(rig.to_client == lost + lost + lost + "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n");
}

TEST_CASE("outbound: a server lost between transactions ends the session") {
  for (const std::string_view last_words : {"", "421 4.3.2 bye\r\n", "250 what\r\n"}) {
    Rig rig;
    introduced(rig);
    if (last_words.empty()) rig.close(Side::backend);
    rig.server(last_words);
    CHECK(rig.to_client == "421 4.4.2 The remote server closed the connection\r\n");
    CHECK(rig.ended());
  }
}

TEST_CASE("outbound: a server lost while its judgement is awaited is judged anew") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.close(Side::backend);
  rig.proceed();
  CHECK(rig.take_events() == Events{"judge d.example", "drop", "judge d.example"});
  CHECK(rig.stage() == "lost");
  rig.take_client();
  rig.proceed();
  CHECK(rig.to_client == "451 4.4.1 The remote server cannot be used now\r\n");
}

TEST_CASE("outbound: 421 to a command is passed on and ends the session") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  rig.take_client();
  rig.server("421 busy\r\n");
  CHECK(rig.to_client == "421 busy\r\n");
  CHECK(rig.ending == "backend_closed");
}

TEST_CASE("outbound: replies that cannot be true are not passed on") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"DATA\r\n", "250 queued\r\n"}, {"NOOP\r\n", "354 go\r\n"}, {"BDAT 9 LAST\r\nabc", "250 queued\r\n"},
      {"RSET\r\n", "500 what\r\n"},   {"DATA\r\n", "334 \r\n"},   {"NOOP\r\n", "gibberish\r\n"}};
  for (const auto& [command, reply] : table) {
    INFO(command << reply);
    Rig rig;
    accepted(rig);
    rig.client(command);
    rig.server(reply);
    CHECK(rig.link == Rig::Link::down);
    CHECK(rig.to_client.find(reply) == std::string::npos);
    CHECK(!happened(rig, "message accepted"));
  }
}

TEST_CASE("outbound: a client that goes is not waited for, nor is its message taken back") {
  {
    Rig rig;
    introduced(rig);
    rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    rig.close(Side::client);
    CHECK(rig.ending == "client_lost");
  }
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.close(Side::client);
  CHECK(!rig.ended());
  rig.server("250 queued\r\n");
  CHECK(happened(rig, "message accepted"));
  CHECK(rig.ending == "client_closed");
}

// --- route mx

Options by_mx() {
  Options options;
  options.greets_itself = true;
  return options;
}

TEST_CASE("outbound mx: nobody is dialled before the first recipient") {
  Rig rig(by_mx());
  rig.start();
  rig.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n");
  CHECK(rig.take_client() ==
        "220 gateway.example ESMTP\r\n250-gateway.example\r\n250-PIPELINING\r\n"
        "250-ENHANCEDSTATUSCODES\r\n250 LIMITS RCPTDOMAINMAX=1\r\n250 2.1.0 Ok\r\n");
  CHECK(rig.events.empty());
  rig.client("RCPT TO:<c@d.example>\r\n");
  CHECK(rig.take_events() == Events{"judge d.example"});
  CHECK(rig.stage() == "none");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  CHECK(rig.take_events() == Events{"dial", "tls backend", "judge d.example"});
  rig.proceed();
  CHECK(rig.take_server() == "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.server("250 s\r\n250 c\r\n");
  CHECK(rig.take_client() == "250 c\r\n");
}

TEST_CASE("outbound mx: one recipient domain in each transaction") {
  Rig rig(by_mx());
  rig.start();
  rig.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@f.example>\r\n");
  rig.take_client();
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  rig.proceed();
  rig.server("250 s\r\n250 c\r\n");
  CHECK(rig.take_client() == "250 c\r\n452 4.5.3 One recipient domain in each message, send this one again\r\n");
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client(".\r\n");
  rig.server("250 queued\r\n");
  rig.take_client();
  rig.take_server();
  rig.take_events();
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<e@f.example>\r\n");
  CHECK(rig.take_events() == Events{"judge f.example"});
  rig.reconnect();
  CHECK(rig.take_server() == "QUIT\r\n");
  CHECK(rig.take_events() == Events{"drop", "dial"});
}

TEST_CASE("outbound mx: a domain whose every recipient was refused gives way to another") {
  Rig rig(by_mx());
  rig.start();
  rig.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  rig.proceed();
  rig.server("250 s\r\n550 c\r\n");
  rig.take_events();
  rig.client("RCPT TO:<e@f.example>\r\n");
  CHECK(rig.take_events() == Events{"judge f.example"});
  CHECK(rig.dialogue().may_reconnect());
}

TEST_CASE("outbound mx: no such domain") {
  Rig rig(by_mx());
  rig.start();
  rig.client("HELO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nQUIT\r\n");
  rig.take_client();
  rig.refuse("550 5.1.2 no such domain");
  CHECK(rig.to_client == "550 5.1.2 no such domain\r\n503 5.5.1 No valid recipients\r\n221 2.0.0 Bye\r\n");
}

TEST_CASE("outbound mx: a server that goes between transactions is missed by nobody") {
  Rig rig(by_mx());
  rig.start();
  rig.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  rig.proceed();
  rig.server("250 s\r\n250 c\r\n");
  rig.client("RSET\r\n");
  rig.server("250 ok\r\n");
  rig.take_client();
  rig.server("421 bye\r\n");
  CHECK(rig.take_client().empty());
  rig.client("NOOP\r\n");
  CHECK(rig.to_client == "250 2.0.0 Ok\r\n");
}

TEST_CASE("outbound: EHLO on a connection that was opened for a recipient in vain asks about that connection") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  rig.take_server();
  rig.server("250-mx.example\r\n250 DSN\r\n");
  rig.refuse("451 4.7.4 no");
  rig.take_client();
  rig.take_events();
  rig.client("EHLO client.example\r\n");
  CHECK(rig.take_events() == Events{"judge "});
  rig.proceed();
  CHECK(rig.take_client() == "250-mx.example\r\n250-PIPELINING\r\n250 DSN\r\n");
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
  CHECK(rig.take_client() == "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
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

// --- the rest

TEST_CASE("outbound: draining ends a session at the command after the transaction") {
  Rig rig;
  accepted(rig);
  rig.drain();
  CHECK(!rig.dialogue().idle());
  rig.client("RSET\r\n");
  rig.server("250 ok\r\n");
  rig.client("NOOP\r\n");
  CHECK(rig.to_client.ends_with("421 4.3.2 Service is shutting down, try again\r\n"));
  CHECK(rig.ending == "draining");
}

TEST_CASE("outbound: an idle session may be drained at once") {
  Rig rig;
  introduced(rig);
  rig.drain();
  rig.drain();
  CHECK(rig.ending == "draining");
}

TEST_CASE("outbound: errors are counted, long lines and browsers refused") {
  Options options;
  options.listener.limits.errors = 1;
  Rig rig(options);
  greeted(rig);
  rig.client(std::string(5000, 'x') + "\r\n");
  CHECK(rig.take_client() == "500 5.5.2 Line too long\r\n");
  rig.client("VRFY x\r\n");
  CHECK(rig.take_client() == "421 4.7.0 Too many errors, closing\r\n");
  Rig other;
  greeted(other);
  other.client("GET / HTTP/1.1\r\n");
  CHECK(other.to_client == "221 2.7.0 This is a mail server\r\n");
}

TEST_CASE("outbound: no clock runs while the session judges") {
  Rig rig;
  introduced(rig);
  CHECK(rig.timer == Timer::command);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  CHECK(rig.timer == Timer::none);
  rig.proceed();
  CHECK(rig.timer == Timer::command);
  rig.time_out();
  CHECK(rig.to_client.ends_with("421 4.4.2 Timeout, closing\r\n"));
}

}  // namespace postern::smtp::outbound_dialogue_test
