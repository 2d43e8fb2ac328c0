// OutboundDialogue: content, and the loss of the server that it goes to.
#include "proxy/smtp/outbound_dialogue.h"

#include "tests/proxy/smtp/outbound_openings.h"

namespace postern::smtp::outbound_content_test {

using namespace outbound_rig;

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

TEST_CASE("outbound: a server that takes its leave in the middle of content is the reason") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("half\r\n");
  rig.server("421 4.3.2 going down\r\n");
  rig.take_client();
  rig.client("other half\r\n.\r\n");
  CHECK(rig.to_client == "421 4.3.2 going down\r\n");
  CHECK(rig.ending == "server_closed");
  CHECK(rig.reason == "the server took its leave: \"421 4.3.2 going down\"");
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
    if (lost) rig.close(Side::server);
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
    rig.tls(Side::server);
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

TEST_CASE("outbound: a server that takes its leave with 421 is the reason") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("421 4.3.2 going down\r\n");
  CHECK(rig.ending == "server_closed");
  CHECK(rig.reason == "the server took its leave: \"421 4.3.2 going down\"");
}

TEST_CASE("outbound: a server lost after the final dot has taken nothing, and the session goes on") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  CHECK(rig.timer == Timer::data_end);
  rig.take_client();
  rig.close(Side::server);
  CHECK(rig.take_client() == "451 4.4.2 The connection was lost before the remote server took the message\r\n");
  CHECK(rig.take_events() == Events{"drop", "message in_doubt", "refused remote_lost_message"});
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
  rig.close(Side::server);
  CHECK(rig.take_client().empty());
  rig.client("\r\n.\r\nRSET\r\n");
  CHECK(rig.take_client() ==
        "451 4.4.2 The connection was lost before the remote server took the message\r\n250 2.0.0 Ok\r\n");
}

TEST_CASE("outbound: a server lost within a chunk is told of, and the chunk is no command") {
  Rig rig;
  accepted(rig);
  rig.client("BDAT 10 LAST\r\nQUIT");
  rig.close(Side::server);
  rig.client("\r\nQUIT.NOOP\r\n");
  CHECK(rig.to_client ==
        "451 4.4.2 The connection was lost before the remote server took the message\r\n500 5.5.2 Malformed command "
        "line\r\n");
}

TEST_CASE("outbound: a server lost in a transaction spoils the rest of it") {
  Rig rig;
  accepted(rig);
  rig.client("RCPT TO:<e@d.example>\r\n");
  rig.close(Side::server);
  rig.client("RCPT TO:<f@g.example>\r\nDATA\r\nRSET\r\nMAIL FROM:<a@b.example>\r\n");
  const std::string lost = "451 4.4.2 The connection to the remote server was lost\r\n";
  CHECK(rig.to_client == lost + lost + lost + "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n");
}

TEST_CASE("outbound: a server that leaves between transactions is told of at the client's next command") {
  for (const std::string_view last_words :
       {"", "421 4.3.2 bye\r\n", "221-so\r\n221 long\r\n", "250 what\r\n", "what?\r\n"}) {
    for (const std::string_view command : {"QUIT\r\n", "EHLO client.example\r\n", "MAIL FROM:<a@b.example>\r\n"}) {
      INFO(last_words << command);
      Rig rig;
      introduced(rig);
      if (last_words.empty()) rig.close(Side::server);
      rig.server(last_words);
      CHECK(rig.to_client.empty());
      CHECK(rig.dialogue().idle());
      CHECK(rig.take_events() == Events{"drop"});
      CHECK(!rig.dialogue().outcome().trouble.empty());
      rig.client(command);
      CHECK(rig.to_client ==
            (command == "QUIT\r\n" ? "221 2.0.0 Bye\r\n" : "421 4.4.2 The remote server closed the connection\r\n"));
      CHECK(rig.ended());
    }
  }
}

TEST_CASE("outbound: a server that leaves behind its last 250 fails nothing, and a drain still ends the session") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.take_client();
  rig.server("250 stored\r\n421 enough\r\n");
  CHECK(rig.take_client() == "250 stored\r\n");
  CHECK(rig.accepted == 1);
  CHECK(!happened(rig, "message lost"));
  rig.drain();
  rig.drain();
  CHECK(rig.ending == "draining");
}

TEST_CASE("outbound: a reply that is cut off reaches nobody") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.take_client();
  rig.server("250-first\r\n250 sec");
  CHECK(rig.to_client.empty());
  rig.close(Side::server);
  CHECK(rig.to_client.starts_with("451 4.4.2 "));
  CHECK(rig.reason.ends_with("it may be delivered twice"));
}

TEST_CASE("outbound: lines without content are passed over") {
  Rig rig;
  introduced(rig);
  rig.server("\r\n");
  rig.client("NOOP\r\n");
  rig.server("250-a\r\r\n\r\n250 b\r\r\n\r\n");
  CHECK(rig.take_client() == "250-a\r\n250 b\r\n");
  CHECK(rig.dialogue().outcome().blank_lines == 3);
  CHECK(!rig.ended());
}

TEST_CASE("outbound: what was no reply is said in the reply that it costs") {
  Rig rig;
  accepted(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.take_client();
  rig.server("25O stored\r\n");
  CHECK(rig.take_client() ==
        "451 4.4.2 The connection was lost before the remote server took the message: no reply to the message: a line "
        "that is no reply: \"25O stored\"\r\n");
  CHECK(rig.reason.find("\"25O stored\"") != std::string::npos);
}

TEST_CASE("outbound: TLS in place of a command ends the session") {
  Rig rig;
  introduced(rig);
  rig.client("\x16\x03\x01");
  CHECK(rig.to_client.starts_with("500 "));
  CHECK(rig.ending == "client_spoke_tls");
  CHECK(rig.reason.find("TLS") != std::string::npos);
}

TEST_CASE("outbound: a server lost while its judgement is awaited is judged anew") {
  Rig rig;
  introduced(rig);
  rig.client("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  rig.close(Side::server);
  rig.proceed();
  CHECK(rig.take_events() == Events{"ask_policy d.example", "drop", "ask_policy d.example"});
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
  CHECK(rig.ending == "server_closed");
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
    CHECK(rig.link == Link::down);
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

}  // namespace postern::smtp::outbound_content_test
