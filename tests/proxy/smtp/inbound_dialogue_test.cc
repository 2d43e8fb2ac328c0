// InboundDialogue: what its parts come to together; the other nouns have files of their own.
#include "proxy/smtp/inbound_dialogue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_dialogue_test {

using namespace inbound_rig;

TEST_CASE("dialogue: nothing of the client is read before the server has greeted it") {
  Rig rig;
  rig.start();
  rig.client("EHLO early.example\r\n");
  rig.connected();
  CHECK(rig.to_server.empty());
  rig.server(greeting);
  CHECK(rig.to_server == "EHLO early.example\r\n");
}

TEST_CASE("dialogue: commands of one input reach the server as one piece") {
  Rig rig;
  introduce(rig);
  rig.sends = 0;
  rig.client("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n");
  CHECK(rig.sends == 1);
  rig.sends = 0;
  rig.server("250 ok\r\n250 ok\r\n354 go\r\n");
  CHECK(rig.sends == 1);
  rig.sends = 0;
  rig.client("Subject: x\r\n\r\nbody\r\n.\r\n");
  CHECK(rig.sends == 1);
}

TEST_CASE("dialogue: ten thousand pipelined recipients are bounded and all answered") {
  Rig rig;
  introduce(rig);
  std::string all = "MAIL FROM:<a@example.com>\r\n";
  std::vector<std::string> replies = {"250 sender\r\n"};
  for (int i = 0; i < 10000; ++i) {
    all += "RCPT TO:<user" + std::to_string(i) + "@example.org>\r\n";
    replies.push_back("250 recipient " + std::to_string(i) + "\r\n");
  }
  rig.client(all);
  CHECK(rig.unread.size() > all.size() / 2);
  CHECK(std::count(rig.to_server.begin(), rig.to_server.end(), '\n') == 1000);
  std::string said;
  for (const std::string& reply : replies) {
    rig.server(reply);
    said += reply;
  }
  CHECK(rig.unread.empty());
  CHECK((rig.to_server == all));
  CHECK((rig.to_client == said));
}

TEST_CASE("dialogue: a server without PIPELINING hears one command at a time") {
  Rig rig;
  rig.start_with(greeting);
  rig.client("HELO client.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n");
  CHECK(rig.take_server() == "HELO client.example\r\n");
  rig.server("250 mx.example\r\n");
  CHECK(rig.take_server() == "MAIL FROM:<a@example.com>\r\n");
  rig.server("250 ok\r\n");
  CHECK(rig.take_server() == "RCPT TO:<b@example.org>\r\n");
}

TEST_CASE("ehlo: STARTTLS as the name of a server is not taken for a keyword") {
  Options options = with_mode(config::TlsMode::none);
  options.listener.backend.tls = config::TlsMode::starttls;
  Rig rig(options);
  rig.start();
  rig.connected();
  rig.server(greeting);
  rig.server("250 STARTTLS\r\n");
  CHECK(rig.ending == "backend_tls_failed");
}

TEST_CASE("outcome: messages and errors are counted") {
  Rig rig;
  introduce(rig);
  rig.client("BDAT 1 LAST\r\nx");
  rig.server("250 queued\r\n");
  rig.client("BDAT 1 LAST\r\nx");
  rig.server("554 no\r\n");
  rig.client("XCLIENT ADDR=1.2.3.4\r\n");
  CHECK(rig.dialogue().outcome().helo == "client.example");
  CHECK(rig.accepted == 1);
  CHECK(rig.messages_refused == 1);
  CHECK(rig.errors == 1);
}

TEST_CASE("idle: only between transactions, and with nothing owed") {
  Rig rig;
  rig.start();
  CHECK_FALSE(rig.dialogue().idle());
  rig.connected();
  rig.server(greeting);
  CHECK(rig.dialogue().idle());
  rig.client("MAIL FROM:<a@example.com>\r\n");
  CHECK_FALSE(rig.dialogue().idle());
  rig.server("250 ok\r\n");
  CHECK_FALSE(rig.dialogue().idle());
  rig.client("RSET\r\n");
  rig.server("250 ok\r\n");
  CHECK(rig.dialogue().idle());
}

TEST_CASE("memory: a dialogue is small") {
  CHECK(sizeof(InboundDialogue) <= 512);
}

}  // namespace postern::smtp::inbound_dialogue_test
