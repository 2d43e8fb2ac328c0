// OutboundDialogue: whole sessions, and how they end.
#include "proxy/smtp/outbound_dialogue.h"

#include "tests/proxy/smtp/outbound_openings.h"

namespace postern::smtp::outbound_dialogue_test {

using namespace outbound_rig;

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
          Events{"dial", "tls server", "ask_policy ", "ask_policy d.example", "message accepted", "end quit"});
    CHECK(rig.accepted == 1);
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
  CHECK(rig.events.back() == "ask_policy g.example");
  rig.refuse("451 4.7.5 no");
  CHECK(rig.take_server() == "DATA\r\n");
  rig.server("354 go\r\n");
  CHECK(rig.take_client() == std::string(shown_hello) + "250 2.1.0 Ok\r\n250 c\r\n550 e\r\n451 4.7.5 no\r\n354 go\r\n");
}

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
  CHECK(rig.timer == Timer::reply);
  rig.time_out();
  CHECK(rig.to_client.ends_with("421 4.4.2 Timeout, closing\r\n"));
}

}  // namespace postern::smtp::outbound_dialogue_test
