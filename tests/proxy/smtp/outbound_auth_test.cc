// OutboundDialogue: credentials, the gateway's and the client's.
#include "proxy/smtp/outbound_dialogue.h"

#include "tests/proxy/smtp/outbound_openings.h"

namespace postern::smtp::outbound_auth_test {

using namespace outbound_rig;

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
    rig.close(Side::server);
    CHECK(rig.to_client == lost + closed);
    CHECK(rig.ending == "server_lost");
  }
  SECTION("within content") {
    Rig rig;
    authenticated(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("half");
    rig.take_client();
    rig.close(Side::server);
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
    rig.close(Side::server);
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
  introduced(rig, "250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250 8BITMIME\r\n");
  rig.client("MAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\n");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  rig.take_server();
  rig.server(plain_hello);
  rig.server("220 go\r\n");
  rig.tls(Side::server);
  rig.server("250-mx2.example\r\n250 PIPELINING\r\n");
  rig.take_server();
  rig.proceed();
  rig.take_client();
  rig.server("555 what is BODY\r\n503 MAIL first\r\n");
  CHECK(rig.take_client() == "451 4.4.1 The remote server cannot be used now\r\n");
  rig.client("RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<e@d.example> NOTIFY=NEVER\r\n");
  CHECK(rig.take_client() == "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n451 4.4.1 The remote server cannot be used now\r\n");
  rig.client("RCPT TO:<c@d.example>\r\n");
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.take_client();
  rig.take_server();
  rig.client("BDAT 6 LAST\r\nQUIT\r\n");
  CHECK(rig.take_client() == "451 4.4.1 The remote server cannot be used now\r\n");
  CHECK(rig.take_server().empty());
}

TEST_CASE("outbound: SASL challenges and responses of 12,288 octets pass, and no mechanism that was not shown") {
  Rig rig;
  introduced(rig, "250-mx.example\r\n250 AUTH GSSAPI\r\n");
  const std::string longest(12288, 'x');
  rig.client("AUTH PLAIN AGEAYg==\r\n");
  CHECK(rig.take_client() == "504 5.5.4 Authentication mechanism not offered here\r\n");
  rig.client("AUTH GSSAPI\r\n");
  rig.server("334 " + longest + "\r\n");
  CHECK(rig.take_client() == "334 " + longest + "\r\n");
  rig.take_server();
  rig.client(longest + "\r\n");
  CHECK(rig.take_server() == longest + "\r\n");
}

TEST_CASE("outbound: a relay's long challenge is answered") {
  Options options;
  options.plan.auth_mechanism = "PLAIN";
  options.plan.auth_secret = std::string(1000, 's');
  Rig rig(options);
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  secured(rig, "250-mx.example\r\n250 AUTH PLAIN\r\n");
  CHECK(rig.take_server() == "AUTH PLAIN\r\n");
  rig.server("334 " + std::string(12288, 'x') + "\r\n");
  CHECK(rig.take_server().size() > 1300);
  rig.server("235 ok\r\n");
  CHECK(rig.stage() == "open");
}

TEST_CASE("outbound: parameters that the client was not shown do not wait for a server") {
  Rig rig;
  introduced(rig, "250-mx.example\r\n250-PIPELINING\r\n250-PRDR\r\n250-XFOO\r\n250-HELP\r\n250 DSN\r\n");
  rig.client("EHLO client.example\r\n");
  CHECK(rig.take_client() == "250-mx.example\r\n250-PIPELINING\r\n250 DSN\r\n");
  rig.client("MAIL FROM:<a@b.example> PRDR\r\nMAIL FROM:<a@b.example> XFOO=1\r\nMAIL FROM:<a@b.example> SIZE=1\r\n");
  const std::string refused = "555 5.5.4 Parameter not offered here\r\n";
  CHECK(rig.take_client() == refused + refused + refused);
  rig.client("MAIL FROM:<a@b.example> RET=HDRS\r\nRCPT TO:<c@d.example> RRVS=x\r\n");
  CHECK(rig.take_client() == "250 2.1.0 Ok\r\n" + refused);
  CHECK(rig.take_server().empty());
}

TEST_CASE("outbound: after HELO, SIZE and BODY are said as to any other server") {
  Rig rig;
  introduced(rig);
  rig.client("HELO client.example\r\nMAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\n");
  rig.proceed();
  CHECK(rig.to_server.starts_with("MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\n"));
}

TEST_CASE("outbound: SIZE that only we offer is not said to a server that has none") {
  for (const bool greets_itself : {false, true}) {
    Options options;
    options.greets_itself = greets_itself;
    options.listener.ehlo.size_limit = config::ByteSize{1000};
    options.plan.try_starttls = false;
    Rig rig(options);
    rig.start();
    if (!greets_itself) {
      rig.connected();
      rig.server(greeting);
    }
    rig.client("EHLO client.example\r\n");
    if (!greets_itself) {
      rig.server("250 mx.example\r\n");
      rig.proceed();
    }
    CHECK(rig.to_client.find("SIZE 1000\r\n") != std::string::npos);
    rig.client("MAIL FROM:<a@b.example> SIZE=9\r\nRCPT TO:<c@d.example>\r\n");
    if (greets_itself) {
      rig.reconnect();
      rig.connected();
      rig.server(greeting);
      rig.server("250 mx.example\r\n");
    }
    rig.take_server();
    rig.proceed();
    CHECK(rig.to_server == "MAIL FROM:<a@b.example>\r\n");
  }
}

TEST_CASE("outbound: for a client without a name the server is told ours") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO\r\n");
  CHECK(rig.take_server() == "EHLO gateway.example\r\n");
  CHECK(rig.dialogue().outcome().helo.empty());
  rig.server("250-mx.example\r\n250 PIPELINING\r\n");
  rig.proceed();
  CHECK(rig.to_client == "250-mx.example\r\n250 PIPELINING\r\n");
}

}  // namespace postern::smtp::outbound_auth_test
