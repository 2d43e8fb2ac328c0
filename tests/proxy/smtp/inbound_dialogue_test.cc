#include "proxy/smtp/inbound_dialogue.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/proxy/smtp/inbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::inbound_dialogue_test {

using inbound_rig::Options;
using inbound_rig::Rig;

constexpr std::string_view greeting = "220 mx.example ESMTP\r\n";
constexpr std::string_view ehlo_reply = "250-mx.example\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 CHUNKING\r\n";

Options with_mode(config::TlsMode mode) {
  Options options;
  options.listener.mode = mode;
  return options;
}

void introduce(Rig& rig) {
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server(ehlo_reply);
  rig.take_client();
  rig.take_server();
}

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

// --- STARTTLS

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
  CHECK_FALSE(happened(rig, "tls backend"));
}

// --- the server goes away

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
          rig.close(Side::backend);
        }
        // A client in the middle of its content is heard to the end of it first.
        if (!rig.ended()) rig.client(turns[last].client.substr(said.size()));
        // One that was owed nothing is told at its next command.
        if (!rig.ended()) rig.client("NOOP\r\n");
        REQUIRE(rig.ended());
        CHECK(rig.to_server.empty());
        CHECK(count_lines(rig.to_client, "250 queued") == given);
        CHECK(count_lines(rig.to_client, "421 4.") + count_lines(rig.to_client, "221 2.") == 1);
        CHECK(rig.dialogue().outcome().messages_accepted == given);
        ++tried;
      }
    }
  }
  CHECK(tried > 500);
}

TEST_CASE("server: a refusal to serve is the reason") {
  for (const std::string reply : {"554 5.7.1 not you", "421 4.3.2 not now"}) {
    Rig rig;
    rig.start();
    rig.connected();
    rig.server(reply + "\r\n");
    CHECK(rig.reason == "the server refused to serve: " + reply);
  }
}

TEST_CASE("server: what it said when it refused to serve is what the log says of the client's reply") {
  Options options;
  options.listener.greeting = config::GreetingMode::gateway;
  Rig rig(options);
  rig.start();
  rig.client("EHLO client.test\r\nMAIL FROM:<a@a.test>\r\n");
  rig.connected();
  rig.server("554 5.7.1 not you\r\n");
  CHECK(rig.to_client.ends_with("554 5.7.1 not you\r\n"));
  CHECK(rig.turned_away == ": 554 5.7.1 not you\r\n");
  CHECK_FALSE(happened(rig, "refused backend_unavailable"));
}

TEST_CASE("server: that it refused XCLIENT, and not the client's EHLO, is told the log") {
  Options options;
  options.listener.backend.client_address = config::ClientAddress::xclient;
  Rig rig(options);
  rig.start();
  rig.connected();
  rig.server("220 mx.test\r\n");
  rig.server("250-mx.test\r\n250 XCLIENT ADDR\r\n");
  rig.client("EHLO client.test\r\n");
  rig.server("550 5.7.0 not for you\r\n");
  CHECK(rig.to_client.ends_with("550 5.7.0 not for you\r\n"));
  CHECK(rig.reason == "the server answered XCLIENT with \"550 5.7.0 not for you\"");
}

TEST_CASE("server lost: a message whose verdict is missing is in doubt") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("hello\r\n.\r\nNOOP\r\n");
  rig.close(Side::backend);
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
  rig.close(Side::backend);
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

TEST_CASE("server: the envelope is noted, with refusals of ours and of the server") {
  Options options;
  options.listener.recipients.allow_domains = {*config::parse_domain_pattern("x.example")};
  Rig rig(options);
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server("250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n");
  rig.client("RSET\r\n");
  rig.server("250 ok\r\n");
  rig.client("MAIL FROM:<a@y.example> SIZE=7\r\n");
  rig.server("250 ok\r\n");
  rig.client("RCPT TO:<b@x.example>\r\nRCPT TO:<c@z.example>\r\nRCPT TO:<d@x.example>\r\nDATA\r\n");
  rig.server("250 ok\r\n550 5.1.1 unknown\r\n354 go\r\n");
  rig.client("x\r\n.\r\n");
  rig.server("250 2.0.0 queued as 4711\r\n");
  const auto items = rig.dialogue().outcome().envelope.items();
  REQUIRE(!items.empty());
  CHECK(items.back() ==
        "from=<a@y.example> to=<b@x.example> refused=<c@z.example> (550 5.7.1 Relaying denied),<d@x.example> "
        "(550 5.1.1 unknown) reply=(250 2.0.0 queued as 4711)");
}

TEST_CASE("server: a success before the end of the message is not believed") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client("hello\r\n");
  rig.take_client();
  rig.server("250 queued\r\n");
  rig.client("more\r\n.\r\n");
  CHECK(rig.take_client() == "421 4.3.2 Mail server not available, try again later\r\n");
  CHECK(rig.ending == "backend_protocol");
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
      rig->close(Side::backend);
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

TEST_CASE("server: a success before the end of a chunk is not believed") {
  Rig rig;
  introduce(rig);
  rig.client("BDAT 10 LAST\r\nhello");
  rig.server("250 queued\r\n");
  rig.client("hello");
  CHECK(rig.take_client() == "421 4.3.2 Mail server not available, try again later\r\n");
}

TEST_CASE("server: only 354 makes content of what follows DATA") {
  for (const std::string reply : {"250 ok\r\n", "334 go\r\n", "350 go\r\n"}) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\n");
    rig.server(reply);
    CHECK(rig.ending == "backend_protocol");
  }
  for (const std::string reply : {"451 later\r\n", "503 no\r\n"}) {
    Rig rig;
    introduce(rig);
    rig.client("DATA\r\nQUIT\r\n");
    CHECK(rig.take_server() == "DATA\r\n");
    rig.server(reply);
    CHECK(rig.take_server() == "QUIT\r\n");
  }
}

TEST_CASE("server: replies beyond all bounds end the session") {
  SECTION("a line") {
    Rig rig;
    introduce(rig);
    rig.client("NOOP\r\n");
    rig.server("250 " + std::string(5000, 'x'));
    rig.server("\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
  SECTION("lines") {
    Rig rig;
    introduce(rig);
    rig.client("HELP\r\n");
    for (int i = 0; i < 1001 && !rig.ended(); ++i) rig.server("214-x\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
  SECTION("octets") {
    Rig rig;
    introduce(rig);
    rig.client("HELP\r\n");
    for (int i = 0; i < 100 && !rig.ended(); ++i) rig.server("214-" + std::string(1000, 'x') + "\r\n");
    CHECK(rig.ending == "backend_protocol");
  }
}

TEST_CASE("server: why it was given up is said") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"what?\r\n", "a line that is no reply: \"what?\""},
      {"354 go\r\n", "the server answered EHLO with \"354 go\""},
      {"421 no\r\n", "the server took its leave: \"421 no\""}};
  for (const auto& [reply, reason] : table) {
    Rig rig;
    rig.start_with(greeting);
    rig.client("EHLO client.example\r\n");
    rig.server(reply);
    CHECK(rig.to_client.starts_with("421 "));
    CHECK(rig.reason == reason);
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
      rig.close(Side::backend);
      CHECK((rig.to_client.starts_with("421 ") || rig.to_client == "221 2.0.0 Bye\r\n"));
    }
  }
}

TEST_CASE("the record: who went, and who let the time run out") {
  const auto reason = [](std::string_view said, bool closes) {
    Rig rig;
    introduce(rig);
    rig.client(said);
    if (said == "DATA\r\n") rig.server("354 go\r\n");
    closes ? rig.close(Side::backend) : rig.time_out();
    return rig.reason;
  };
  CHECK(reason("", true) == "the server went while nothing was asked of it");
  CHECK(reason("MAIL FROM:<a@example.com>\r\n", true) == "the server went before its reply to MAIL");
  CHECK(reason("DATA\r\n", true) == "the server went in the middle of a message");
  CHECK(reason("", false) == "the client was silent too long");
  CHECK(reason("DATA\r\n", false) == "the client was silent too long");
  CHECK(reason("EHLO again.example\r\n", false) == "the server did not reply in time to EHLO");
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
  rig.close(Side::backend);
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

TEST_CASE("server: it takes no second EHLO, and is asked on other connections so often and no more") {
  Rig rig(with_mode(config::TlsMode::none));
  introduce(rig);
  int dialled = 0;
  for (int i = 0; i < 20 && !rig.ended(); ++i) {
    rig.client("EHLO client.example\r\n");
    rig.server("503 already\r\n250 behind it, of a connection that is gone\r\n");
    if (rig.events.empty() || rig.events.back() != "dial") break;
    ++dialled;
    rig.connected();
    rig.server(greeting);
    CHECK(rig.take_server().ends_with("EHLO client.example\r\n"));
    rig.server(ehlo_reply);
    CHECK(rig.take_client().starts_with("250-mx.example\r\n"));
  }
  CHECK(dialled == 8);
  CHECK(rig.take_client() == "503 already\r\n");
}

TEST_CASE("server: a refusal of the first EHLO, or of one after AUTH, is the client's to see") {
  Rig rig;
  rig.start_with(greeting);
  rig.client("EHLO client.example\r\n");
  rig.server("503 no\r\n");
  CHECK(rig.take_client() == "503 no\r\n");
  auto options = with_mode(config::TlsMode::none);
  options.listener.auth_requires_tls = false;
  Rig second(options);
  introduce(second);
  second.client("AUTH PLAIN AGEAYg==\r\n");
  second.server("235 ok\r\n");
  second.take_client();
  second.client("EHLO client.example\r\n");
  second.server("502 what\r\n");
  CHECK(second.take_client() == "502 what\r\n");
  Rig third(with_mode(config::TlsMode::none));
  introduce(third);
  third.client("EHLO bad.example\r\n");
  third.server("550 not by that name\r\n");
  third.connected();
  third.server(greeting);
  third.server("550-not\r\n550 at all\r\n");
  CHECK(third.take_client() == "550-not\r\n550 at all\r\n");
  CHECK(std::count(third.events.begin(), third.events.end(), "dial") == 1);
}

// --- the client goes away

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

// --- time

TEST_CASE("timers: each wait has its own") {
  Rig rig(with_mode(config::TlsMode::implicit));
  rig.start();
  CHECK(rig.timer == Timer::handshake);
  rig.tls(Side::client);
  CHECK(rig.timer == Timer::backend_connect);
  rig.connected();
  CHECK(rig.timer == Timer::greeting);
  rig.server(greeting);
  CHECK(rig.timer == Timer::command);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  CHECK(rig.timer == Timer::data_block);
  rig.client(".\r\n");
  CHECK(rig.timer == Timer::data_end);
  rig.server("250 ok\r\n");
  CHECK(rig.timer == Timer::command);
}

TEST_CASE("timers: a command that comes octet by octet does not start time anew") {
  Rig rig;
  introduce(rig);
  const int before = rig.armed;
  for (const char octet : std::string("NOOP and so on")) rig.client(std::string(1, octet));
  CHECK(rig.armed == before);
  rig.client("\r\n");
  CHECK(rig.armed == before + 1);
}

TEST_CASE("timers: commands do not buy time from a server that owes the verdict on a message") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client(".\r\n");
  const int before = rig.armed;
  rig.client("NOOP\r\n");
  CHECK(rig.armed == before);
  CHECK(rig.timer == Timer::data_end);
}

TEST_CASE("timers: a handshake that does not end gets no plaintext reply") {
  Rig rig(with_mode(config::TlsMode::implicit));
  rig.start();
  rig.time_out();
  CHECK(rig.to_client.empty());
  CHECK(rig.ending == "timeout");
}

// --- replies and what hangs on them

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

TEST_CASE("outcome: messages and errors are counted") {
  Rig rig;
  introduce(rig);
  rig.client("BDAT 1 LAST\r\nx");
  rig.server("250 queued\r\n");
  rig.client("BDAT 1 LAST\r\nx");
  rig.server("554 no\r\n");
  rig.client("XCLIENT ADDR=1.2.3.4\r\n");
  const auto& outcome = rig.dialogue().outcome();
  CHECK(outcome.helo == "client.example");
  CHECK(outcome.messages_accepted == 1);
  CHECK(outcome.messages_refused == 1);
  CHECK(outcome.errors == 1);
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

TEST_CASE("memory: a dialogue is small") {
  CHECK(sizeof(InboundDialogue) <= 600);
}

}  // namespace postern::smtp::inbound_dialogue_test
