#include "proxy/smtp/remote_opening.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace postern::smtp::remote_opening_test {

using Stage = RemoteState::Stage;

// A server made of reply lines.
struct Talk {
  RemoteOpening opening{"client.example"};
  Effects out;
  std::string said;

  explicit Talk(const RemotePlan& plan = {}) { opening.on_connected(plan); }

  void hears(std::string_view replies) {
    ReplyReader reader;
    while (const auto piece = reader.next(replies)) opening.on_reply(**piece, !replies.empty(), out);
    for (const Effect& effect : out.list()) said += effect.bytes;
    out.clear();
  }
  Stage stage() const { return opening.result().stage; }
};

TEST_CASE("remote opening: the stages that a server can bring it to") {
  const std::string greeting = "220 mx\r\n";
  const std::string starttls = greeting + "250-mx\r\n250 STARTTLS\r\n";
  const std::vector<std::pair<std::string, Stage>> table = {
      {"421 busy\r\n", Stage::greeting_failed},
      {"554 no\r\n", Stage::greeting_failed},
      {"250 what\r\n", Stage::lost},
      {greeting + "550 not you\r\n", Stage::greeting_failed},
      {greeting + "354 what\r\n", Stage::lost},
      {greeting + "250 mx\r\n", Stage::tls_not_offered},
      {greeting + "250 STARTTLS\r\n", Stage::tls_not_offered},  // its name, no keyword
      {greeting + "502 what\r\n250 mx\r\n", Stage::tls_not_offered},
      {greeting + "502 what\r\n550 no\r\n", Stage::greeting_failed},
      {starttls + "454 no\r\n", Stage::tls_refused},
      {starttls + "502 no\r\n", Stage::tls_refused},
      {starttls + "421 no\r\n", Stage::tls_broken},  // nothing more can be said here
      {starttls + "421-no\r\n421 bye\r\n", Stage::tls_broken},
      {starttls + "250 sure\r\n", Stage::tls_broken},
      {starttls + "354 content, please\r\n", Stage::tls_broken},
      {starttls + "220 go\r\n250 x\r\n", Stage::tls_injected},
      {starttls + "220-go\r\n220 on\r\n", Stage::none}};
  for (const auto& [replies, stage] : table) {
    INFO(replies);
    Talk talk;
    talk.hears(replies);
    CHECK(talk.opening.over() == (stage != Stage::none));
    CHECK(talk.stage() == stage);
  }
}

TEST_CASE("remote opening: a server that is lost while TLS begins offered what it cannot do") {
  const std::string greeting = "220 mx\r\n";
  Talk before;
  before.hears(greeting);
  before.opening.on_lost();
  CHECK(before.stage() == Stage::lost);

  Talk at_starttls;
  at_starttls.hears(greeting + "250-mx\r\n250 STARTTLS\r\n");
  at_starttls.opening.on_lost();
  CHECK(at_starttls.stage() == Stage::tls_broken);

  for (const std::string& heard : {std::string(), std::string("250-mx\r\n"), std::string("250 mx\r\n")}) {
    INFO(heard);
    Talk inside;
    inside.hears(greeting + "250-mx\r\n250 STARTTLS\r\n");
    inside.hears("220 go\r\n");
    inside.opening.on_tls(inside.out);
    inside.hears(heard);
    inside.opening.on_lost();
    CHECK(inside.stage() == (heard == "250 mx\r\n" ? Stage::open : Stage::tls_broken));
  }
}

TEST_CASE("remote opening: a server that takes no second EHLO is known by its first, less what frames mail") {
  for (const std::string refusal : {"503-already\r\n503 identified\r\n", "501 no\r\n", "502 no\r\n", "504 no\r\n"}) {
    INFO(refusal);
    Talk talk;
    talk.hears("220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 10\r\n250 STARTTLS\r\n220 go\r\n");
    talk.opening.on_tls(talk.out);
    talk.said.clear();
    talk.hears(refusal);
    CHECK(talk.said == "EHLO client.example\r\n");
    CHECK(talk.stage() == Stage::open);
    CHECK(talk.opening.tls());
    CHECK(talk.opening.goes_by_memory());
    CHECK(talk.opening.hello().has("SIZE"));
    for (const auto* keyword : {"PIPELINING", "CHUNKING", "STARTTLS"}) CHECK(!talk.opening.hello().has(keyword));
  }
  Talk talk;
  talk.hears("220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n");
  talk.opening.on_tls(talk.out);
  talk.hears("550 not you\r\n");
  CHECK(talk.stage() == Stage::greeting_failed);
}

TEST_CASE("remote opening: an empty line behind the 220 to STARTTLS is an injection, elsewhere it is nothing") {
  Talk talk;
  talk.hears("220 mx\r\n\r\n250-mx\r\r\n250 STARTTLS\r\n\r\n");
  CHECK(talk.opening.state() == RemoteOpening::State::starttls);
  talk.hears("220 go\r\n\r\n");
  CHECK(talk.stage() == Stage::tls_injected);
}

TEST_CASE("remote opening: with TLS first a server that is lost is lost") {
  RemotePlan plan;
  plan.tls_first = true;
  Talk talk(plan);
  talk.hears("220 mx\r\n");
  talk.opening.on_lost();
  CHECK(talk.stage() == Stage::lost);
}

TEST_CASE("remote opening: what kept TLS from beginning is told for people") {
  CHECK(tls_trouble({Stage::tls_not_offered, {}}, "x").empty());
  CHECK(tls_trouble({Stage::lost, {}}, "x").empty());
  CHECK(tls_trouble({Stage::tls_refused, "454 no"}, "x") == "STARTTLS was refused: 454 no");
  CHECK(tls_trouble({Stage::tls_failed, {}}, "connection reset by peer") ==
        "TLS handshake failed: connection reset by peer");
  CHECK(tls_trouble({Stage::tls_failed, {}}, "TLS handshake failed: no cipher") == "TLS handshake failed: no cipher");
  CHECK(tls_trouble({Stage::tls_failed, {}}, {}) == "the TLS handshake failed");
  CHECK(tls_trouble({Stage::tls_broken, "421 bye"}, "x") == "STARTTLS was refused: 421 bye");
  CHECK(tls_trouble({Stage::tls_broken, "250 sure"}, "x") == "STARTTLS was answered by 250 sure");
  CHECK(tls_trouble({Stage::tls_broken, {}}, "connection reset by peer") == "connection reset by peer");
  CHECK(tls_trouble({Stage::tls_broken, {}}, {}) == "the connection was lost while TLS began");
  CHECK_FALSE(tls_trouble({Stage::tls_injected, {}}, {}).empty());
}

TEST_CASE("remote opening: with implicit TLS, STARTTLS is not looked for") {
  RemotePlan plan;
  plan.tls_first = true;
  plan.demand_tls = true;
  Talk talk(plan);
  talk.hears("220 mx\r\n250-mx\r\n250 STARTTLS\r\n");
  CHECK(talk.stage() == Stage::open);
  CHECK(talk.said == "EHLO client.example\r\n");
}

TEST_CASE("remote opening: the server's words are kept as one harmless line") {
  Talk talk;
  talk.hears("554-a\x1b[2Jb\r\n554 " + std::string(1000, 'x') + "\r\n");
  CHECK(talk.opening.result().reply == "554 a?[2Jb");
  Talk other;
  other.hears("554 " + std::string(1000, 'x') + "\r\n");
  CHECK(other.opening.result().reply.size() == 404);
}

TEST_CASE("remote opening: a mechanism that is not offered is not tried") {
  RemotePlan plan;
  plan.tls_first = true;
  plan.auth_mechanism = "PLAIN";
  const std::vector<std::pair<std::string, std::string>> table = {
      {"250 mx\r\n", "the server does not offer AUTH"},
      {"500 what\r\n250 mx\r\n", "the server does not offer AUTH"},
      {"250-mx\r\n250 AUTH LOGIN XPLAIN\r\n", "the server does not offer AUTH PLAIN, only LOGIN XPLAIN"}};
  for (const auto& [hello, trouble] : table) {
    Talk talk(plan);
    talk.hears("220 mx\r\n" + hello);
    CHECK(talk.stage() == Stage::auth_failed);
    CHECK(talk.opening.result().trouble == trouble);
    CHECK(talk.opening.result().reply.empty());  // nobody has said one
    CHECK(talk.said.find("AUTH") == std::string::npos);
  }
}

TEST_CASE("remote opening: LOGIN") {
  RemotePlan plan;
  plan.tls_first = true;
  plan.auth_mechanism = "LOGIN";
  plan.auth_user = "user";
  plan.auth_secret = "secret";
  Talk talk(plan);
  talk.hears("220 mx\r\n250-mx\r\n250 AUTH login\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 ok\r\n");
  CHECK(talk.said == "EHLO client.example\r\nAUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n");
  CHECK(talk.stage() == Stage::open);
}

RemotePlan with_auth(std::string_view mechanism, std::string_view secret) {
  RemotePlan plan;
  plan.tls_first = true;
  plan.auth_mechanism = mechanism;
  plan.auth_user = "user";
  plan.auth_secret = secret;
  return plan;
}

TEST_CASE("remote opening: mechanisms are found in every spelling") {
  for (const std::string_view line :
       {"250 AUTH=PLAIN LOGIN", "250 auth\tlogin\tplain", "250 AUTH  LOGIN   PLAIN", "250-AUTH LOGIN\r\n250 AUTH PLAIN",
        "250-AUTH LOGIN\r\n250 AUTH=plain", "250 AUTH = PLAIN"}) {
    INFO(line);
    Talk talk(with_auth("PLAIN", "secret"));
    talk.hears("220 mx\r\n250-mx\r\n" + std::string(line) + "\r\n235 ok\r\n");
    CHECK(talk.said == "EHLO client.example\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
    CHECK(talk.stage() == Stage::open);
  }
}

TEST_CASE("remote opening: a long token follows the challenge") {
  const std::string token(3000, 't');
  Talk talk(with_auth("XOAUTH2", token));
  talk.hears("220 mx\r\n250-mx\r\n250 AUTH XOAUTH2\r\n");
  CHECK(talk.said == "EHLO client.example\r\nAUTH XOAUTH2\r\n");
  talk.said.clear();
  talk.hears("334 \r\n");
  CHECK(talk.said == in_base64("user=user\x01"
                               "auth=Bearer " +
                               token + "\x01\x01") +
                         "\r\n");
  talk.hears("235 ok\r\n");
  CHECK(talk.stage() == Stage::open);
}

TEST_CASE("remote opening: who complains of the line is asked once more without the initial response") {
  const std::string begin = "220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n";
  const std::string asked = "EHLO client.example\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n";
  for (const std::string_view complaint : {"500 5.5.2 Line too long", "500 what", "501 5.5.4 Syntax", "504 no",
                                           "555 no", "554 5.5.2 no", "501-a\r\n501 b"}) {
    INFO(complaint);
    Talk talk(with_auth("PLAIN", "secret"));
    talk.hears(begin + std::string(complaint) + "\r\n");
    CHECK(talk.said == asked + "AUTH PLAIN\r\n");
    talk.hears("334 \r\n");
    CHECK(talk.said == asked + "AUTH PLAIN\r\nAHVzZXIAc2VjcmV0\r\n");
    SECTION("and may say yes") {
      talk.hears("235 ok\r\n");
      CHECK(talk.stage() == Stage::open);
    }
    SECTION("or no") {
      talk.hears(std::string(complaint) + "\r\n");
      CHECK(talk.stage() == Stage::auth_failed);
      CHECK(talk.opening.result().reply.starts_with(complaint.substr(0, 3)));
    }
  }
}

TEST_CASE("remote opening: a password is not offered twice to a server that refuses it") {
  for (const std::string_view refusal :
       {"535 5.7.8 wrong", "501 5.7.8 wrong", "454 4.7.0 later", "421 bye", "530 no"}) {
    INFO(refusal);
    Talk talk(with_auth("PLAIN", "secret"));
    talk.hears("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n" + std::string(refusal) + "\r\n");
    CHECK(talk.stage() == Stage::auth_failed);
    CHECK(talk.opening.result().reply == refusal);
  }
}

}  // namespace postern::smtp::remote_opening_test
