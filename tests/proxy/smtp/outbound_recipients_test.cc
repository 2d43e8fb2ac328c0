// OutboundDialogue: judgements, and the envelope.
#include "proxy/smtp/outbound_dialogue.h"

#include "tests/proxy/smtp/outbound_openings.h"

namespace postern::smtp::outbound_recipients_test {

using namespace outbound_rig;

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
  CHECK(rig.take_events() == Events{"ask_policy d.example", "ask_policy g.example"});
  CHECK(!rig.dialogue().may_reconnect());
}

TEST_CASE("outbound: recipients' domains as they are judged") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"<a@B.example>", "ask_policy b.example"},
      {"<@x.example:a@b.example>", "ask_policy b.example"},
      {"<a@[192.0.2.1]>", "ask_policy [192.0.2.1]"},
      {"<a@[IPv6:2001:DB8::1]>", "ask_policy [ipv6:2001:db8::1]"},
      {"<postmaster>", "ask_policy ."},
      {"<\"x@y\"@b.example>", "ask_policy b.example"},
      {"<a@b.example.>", "ask_policy b.example"},
      {"<a@>", ""},
      {"<a@.>", ""},
      {"<a@mail_1.b_c.example>", "ask_policy mail_1.b_c.example"},
      {"<a@b.example..>", ""},
      {"<a@..>", ""},
      {"<a@.b.example>", ""},
      {"<a@b..example>", ""},
      {"<a@b\xe3\x80\x82"
       "example\xe3\x80\x82>",
       "ask_policy b\xe3\x80\x82"
       "example"},
      {"<a@b.example\xe3\x80\x82.>", ""},
      {"<a@b.example.\xef\xbc\x8e>", ""},
      {"<a@b\xef\xbd\xa1.example>", ""},
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
  CHECK(rig.take_events() == Events{"ask_policy d.example", "drop", "dial"});
  CHECK(rig.take_server() == "QUIT\r\n");
  rig.connected();
  rig.server("220-other\r\n220 greeting\r\n");
  secured(rig);
  CHECK(rig.take_events() == Events{"tls server", "ask_policy d.example"});
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

TEST_CASE("outbound: what policy refuses is counted by its row, each time that the client is told") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.refuse("451 4.7.5 mx.d.example: it says why", Refusal::tls_failed);
  rig.client("RCPT TO:<c@e.example>\r\n");
  rig.refuse("556 5.1.10 e.example: it takes no mail", Refusal::null_mx);
  rig.take_client();
  rig.client("RCPT TO:<c@f.example>\r\n");
  rig.refuse({}, Refusal::own_connection);
  CHECK(rig.take_client() == row(Refusal::own_connection).reply);
  rig.client("RCPT TO:<c@g.example>\r\n");
  rig.proceed();
  rig.server("550 sender\r\n550 recipient\r\n");  // what it says to MAIL answers the recipients
  CHECK(rig.take_client() == "550 sender\r\n");
  rig.client("RCPT TO:<c@g.example>\r\n");
  CHECK(rig.take_client() == "550 sender\r\n");
  CHECK(rig.counted_as == Events{"tls_failed", "null_mx", "own_connection", "server_refused", "server_refused"});
}

TEST_CASE("outbound: where there is no server, every EHLO and MAIL is told, and counted") {
  Rig rig;
  greeted(rig);
  rig.client("EHLO client.example\r\n");
  rig.close(Side::server);
  rig.refuse("451 4.4.1 mx.example: why", Refusal::unreachable);
  rig.client("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n");
  CHECK(rig.take_client() == "451 4.4.1 mx.example: why\r\n451 4.4.1 mx.example: why\r\n451 4.4.1 mx.example: why\r\n");
  CHECK(rig.counted_as == Events{"unreachable", "unreachable", "unreachable"});
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
  CHECK(rig.accepted == 1);
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
  CHECK(rig.accepted == 0);
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
  rig.close(Side::server);
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
  CHECK(rig.take_events() == Events{"ask_policy d.example"});
  CHECK(rig.stage() == "none");
  rig.reconnect();
  rig.connected();
  rig.server(greeting);
  secured(rig);
  CHECK(rig.take_events() == Events{"dial", "tls server", "ask_policy d.example"});
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
  CHECK(rig.take_events() == Events{"ask_policy f.example"});
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
  CHECK(rig.take_events() == Events{"ask_policy f.example"});
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
  CHECK(rig.take_events() == Events{"ask_policy "});
  rig.proceed();
  CHECK(rig.take_client() == "250-mx.example\r\n250-PIPELINING\r\n250 DSN\r\n");
}

}  // namespace postern::smtp::outbound_recipients_test
