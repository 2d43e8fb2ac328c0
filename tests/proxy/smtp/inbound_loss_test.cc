// InboundDialogue: whoever goes away, whenever.
#include "proxy/smtp/inbound_dialogue.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_loss_test {

using namespace inbound_rig;

struct Turn {
  std::string client;
  std::string server;
};

// One session with all that can be under way; replies in the order in which the server gives them.
const std::vector<Turn>& session() {
  static const std::vector<Turn> turns = {{"", "220 mx.example\r\n"},
                                          {"EHLO client.example\r\n", std::string(ehlo_reply)},
                                          {"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
                                          {"c2VjcmV0\r\n", "235 ok\r\n"},
                                          {"MAIL FROM:<a@example.com>\r\n", "250 sender\r\n"},
                                          {"RCPT TO:<b@example.org>\r\n", "250 recipient\r\n"},
                                          {"DATA\r\n", "354 go\r\n"},
                                          {"Subject: x\r\n\r\nbody\r\n.\r\n", "250 queued\r\n"},
                                          {"MAIL FROM:<a@example.com>\r\n", "250 sender\r\n"},
                                          {"BDAT 5\r\nabcde", "250 chunk\r\n"},
                                          {"BDAT 5 LAST\r\nabcde", "250 queued\r\n"},
                                          {"QUIT\r\n", "221 bye\r\n"}};
  return turns;
}

std::size_t count_lines(const std::string& text, std::string_view start) {
  std::size_t found = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    if (std::string_view(text).substr(at).starts_with(start)) ++found;
  }
  return found;
}

TEST_CASE("server lost: at every octet of a session, the client never gets a success that the server did not give") {
  const auto& turns = session();
  Options options = with_mode(config::TlsMode::none);
  options.listener.auth_requires_tls = false;
  std::size_t tried = 0;
  for (std::size_t last = 0; last < turns.size(); ++last) {
    const std::size_t steps = turns[last].client.size() + turns[last].server.size();
    for (std::size_t octets = 0; octets < steps; ++octets) {
      for (const bool time_runs_out : {false, true}) {
        INFO("turn " << last << ", octet " << octets);
        Rig rig(options);
        rig.start();
        rig.connected();
        std::size_t given = 0;
        for (std::size_t i = 0; i < last; ++i) {
          rig.client(turns[i].client);
          rig.server(turns[i].server);
          given += turns[i].server == "250 queued\r\n" ? 1 : 0;
        }
        const std::string said = turns[last].client.substr(0, octets);
        const std::string heard = turns[last].server.substr(0, octets - said.size());
        rig.client(said);
        rig.server(heard);
        rig.take_server();
        if (time_runs_out) {
          rig.time_out();
        } else {
          rig.close(Side::server);
        }
        // A client in the middle of its content is heard to the end of it first.
        if (!rig.ended()) rig.client(turns[last].client.substr(said.size()));
        // One that was owed nothing is told at its next command.
        if (!rig.ended()) rig.client("NOOP\r\n");
        REQUIRE(rig.ended());
        CHECK(rig.to_server.empty());
        CHECK(count_lines(rig.to_client, "250 queued") == given);
        CHECK(count_lines(rig.to_client, "421 4.") + count_lines(rig.to_client, "221 2.") == 1);
        CHECK(rig.accepted == given);
        ++tried;
      }
    }
  }
  CHECK(tried > 500);
}

TEST_CASE("server lost: a message whose verdict is missing is in doubt") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("hello\r\n.\r\nNOOP\r\n");
  rig.close(Side::server);
  CHECK(happened(rig, "message in_doubt"));
  CHECK(rig.to_client.ends_with("421 4.3.2 Mail server not available, try again later\r\n"));
  CHECK(rig.ending == "backend_lost");
}

TEST_CASE("server lost: a message that was not sent whole is lost, those before it are in doubt") {
  Rig rig;
  introduce(rig);
  rig.client("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n");
  rig.server("250 sender\r\n250 recipient\r\n");
  rig.client("BDAT 5 LAST\r\nhelloMAIL FROM:<c@x.example>\r\nRCPT TO:<b@x.example>\r\nBDAT 5 LAST\r\nhel");
  rig.close(Side::server);
  CHECK(happened(rig, "message in_doubt"));
  CHECK(happened(rig, "message lost"));
  const auto items = rig.dialogue().outcome().envelope.items();
  REQUIRE(items.size() >= 2);
  CHECK(items[items.size() - 2].ends_with("to=<b@x.example> possibly delivered twice"));
  CHECK(items.back().ends_with("unanswered=<b@x.example> lost"));
}

TEST_CASE("server lost: a message behind the command that it answered with 421 is lost, and counted") {
  Rig rig;
  introduce(rig);
  rig.client("BDAT 3\r\nabcBDAT 3 LAST\r\nabc");
  rig.server("421 4.3.2 bye\r\n");
  CHECK(rig.take_client() == "421 4.3.2 bye\r\n");
  CHECK(rig.events == std::vector<std::string>{"message lost", "end backend_closed"});
}

TEST_CASE("server lost: the rest of a message is not looked at for bare newlines, and its end is waited for") {
  const auto in_content = [](std::string_view then) {
    Options options;
    options.listener.bare_newline = config::BareNewline::reject;
    auto rig = std::make_unique<Rig>(options);
    introduce(*rig);
    rig->client("DATA\r\n");
    rig->server("354 go\r\n");
    rig->client("hello\r\n");
    rig->take_client();
    if (then.empty()) {
      rig->close(Side::server);
    } else {
      rig->server(then);
    }
    return rig;
  };
  for (const std::string said : {"", "552 5.3.4 enough\r\n"}) {
    const auto rig = in_content(said);
    rig->client("a\nMAIL FROM:<x@y.example>\n.\n");
    CHECK(rig->take_client().empty());
    CHECK(!rig->ended());
    rig->client("\r\n.\r\n");
    CHECK(rig->take_client() == (said.empty() ? "421 4.3.2 Mail server not available, try again later\r\n" : said));
    CHECK(rig->ending == "backend_lost");
  }
}

TEST_CASE("server lost: cut off at every octet of a reply, the client is told nothing of it") {
  const std::vector<std::pair<std::string, std::string>> turns = {
      {"", "220-mx.example\r\n220 ESMTP\r\n"},
      {"EHLO client.example\r\n", "250-mx.example\r\n250 AUTH PLAIN\r\n"},
      {"AUTH PLAIN\r\n", "334-go\r\n334 on\r\n"},
      {"AGEAYg==\r\n", "235-you\r\n235 are\r\n"},
      {"MAIL FROM:<a@example.com>\r\n", "250-yes\r\n250 yes\r\n"},
      {"RCPT TO:<b@example.org>\r\n", "550-no\r\n550 no\r\n"},
      {"DATA\r\n", "354-go\r\n354 on\r\n"},
      {".\r\n", "250-queued\r\n250 queued\r\n"},
      {"QUIT\r\n", "221-good\r\n221 bye\r\n"}};
  Options options = with_mode(config::TlsMode::none);
  options.listener.auth_requires_tls = false;
  for (std::size_t last = 0; last < turns.size(); ++last) {
    for (std::size_t octets = 0; octets < turns[last].second.size(); ++octets) {
      INFO("turn " << last << ", octet " << octets);
      Rig rig(options);
      rig.start();
      rig.connected();
      for (std::size_t i = 0; i < last; ++i) {
        rig.client(turns[i].first);
        rig.server(turns[i].second);
      }
      rig.client(turns[last].first);
      rig.take_client();
      rig.server(turns[last].second.substr(0, octets));
      CHECK(rig.to_client.empty());
      rig.close(Side::server);
      CHECK((rig.to_client.starts_with("421 ") || rig.to_client == "221 2.0.0 Bye\r\n"));
    }
  }
}

TEST_CASE("server lost: a message that may have been stored is said to come twice") {
  for (const bool gibberish : {false, true}) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.client("hello\r\n.\r\n");
    gibberish ? rig.server("25O stored\r\n") : rig.time_out();
    CHECK(rig.ended());
    CHECK(rig.reason.ends_with("it may be delivered twice"));
    CHECK(happened(rig, "message in_doubt"));
  }
}

TEST_CASE("server lost: while the client begins TLS, another takes its place") {
  Rig rig;
  introduce(rig);
  rig.client("STARTTLS\r\n");
  rig.close(Side::server);
  CHECK(rig.events == std::vector<std::string>{"tls client", "drop"});
  rig.tls(Side::client);
  CHECK(rig.events.back() == "dial");
  rig.connected();
  rig.server(greeting);
  rig.take_client();
  rig.client("EHLO client.example\r\n");
  CHECK(rig.take_server() == "EHLO client.example\r\n");
  CHECK(!rig.ended());
}

TEST_CASE("client lost: an end of data is never made up for it") {
  const std::string message = "Subject: x\r\n\r\n.\r\nx\r\n";
  for (std::size_t octets = 0; octets < 16; ++octets) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\n");
    rig.server("354 go\r\n");
    rig.take_server();
    rig.client(message.substr(0, octets));
    rig.close(Side::client);
    CHECK(rig.ending == "client_lost");
    CHECK(happened(rig, "drop"));
    CHECK_FALSE(happened(rig, "message accepted"));
  }
}

TEST_CASE("client half-closed: what it said is still carried out and answered") {
  Rig rig;
  rig.start();
  rig.client("HELO client.example\r\nMAIL FROM:<a@example.com>\r\nQUIT\r\n");
  rig.close(Side::client);
  rig.connected();
  rig.server(greeting);
  rig.server("250 mx.example\r\n");
  rig.server("250 ok\r\n");
  CHECK_FALSE(rig.ended());
  rig.server("221 bye\r\n");
  CHECK(rig.ending == "quit");
  CHECK(rig.to_client == "220 mx.example ESMTP\r\n250 mx.example\r\n250 ok\r\n221 bye\r\n");
}

}  // namespace postern::smtp::inbound_loss_test
