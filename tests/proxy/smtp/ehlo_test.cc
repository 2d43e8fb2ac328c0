#include "proxy/smtp/ehlo.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace ehlo_test {

using namespace std::string_view_literals;
using postern::config::ByteSize;
using postern::config::EhloSettings;
using postern::smtp::EhloReply;
using postern::smtp::EhloView;

EhloReply server(const std::vector<std::string_view>& keywords) {
  EhloReply reply;
  reply.add_line("mx.example.org at your service");
  for (const std::string_view keyword : keywords) reply.add_line(keyword);
  return reply;
}

// The keyword lines that a client sees, joined by '|'.
std::string seen(const std::vector<std::string_view>& keywords, const EhloSettings& settings = {}, EhloView view = {}) {
  std::string result;
  for (const auto& keyword : rewrite(server(keywords), settings, view).keywords) {
    result += (result.empty() ? "" : "|") + keyword.name;
    if (!keyword.parameters.empty()) result += " " + keyword.parameters;
  }
  return result;
}

EhloSettings limited(std::uint64_t bytes) {
  EhloSettings settings;
  settings.size_limit = ByteSize{bytes};
  return settings;
}

TEST_CASE("ehlo: the first line is the greeting, whatever it says") {
  EhloReply reply;
  CHECK(reply.empty_reply());
  reply.add_line("STARTTLS");
  CHECK_FALSE(reply.empty_reply());
  CHECK(reply.greeting == "STARTTLS");
  CHECK_FALSE(reply.has("STARTTLS"));
  reply.add_line("starttls");
  CHECK(reply.has("STARTTLS"));
}

TEST_CASE("ehlo: keywords are upper case, parameters as written") {
  const auto reply = server({"size 1000", " 8bitmime ", "Auth  PLAIN  Login", "X_FOO\tbar"});
  CHECK(reply.find("SIZE")->parameters == "1000");
  CHECK(reply.has("8BITMIME"));
  CHECK(reply.find("AUTH")->parameters == "PLAIN  Login");
  CHECK(reply.find("X_FOO")->parameters == "bar");
  CHECK(reply.find("size") == nullptr);
}

TEST_CASE("ehlo: odd lines of a server are dropped") {
  CHECK(seen({"", " ", "-X", "=X", "A\r\nB"sv, "NUL\0X"sv, "A \x01"sv, "CAF\xc3\xa9", "A caf\xc3\xa9", "A\x7f",
              "FINE"}) == "FINE");
  CHECK(seen({std::string(1001, 'A'), "FINE"}) == "FINE");
}

TEST_CASE("ehlo: no control octet of a greeting gets through") {
  EhloReply reply;
  reply.add_line("mx\r\n250 STARTTLS\0\x7f"sv);
  CHECK(print(reply) == "250 mx??250 STARTTLS??\r\n");
}

TEST_CASE("ehlo: a server cannot fill the memory") {
  EhloReply reply;
  for (int i = 0; i < 10000; ++i) reply.add_line("X" + std::to_string(i));
  CHECK(reply.keywords.size() == 200);
  EhloReply long_greeting;
  long_greeting.add_line(std::string(100000, 'x'));
  CHECK(long_greeting.greeting.size() == 1000);
}

TEST_CASE("ehlo: some of the server's keywords are never shown") {
  CHECK(seen({"STARTTLS", "XCLIENT NAME ADDR", "XFORWARD NAME", "TURN", "ATRN", "XEXCH50", "X-EXPS GSSAPI",
              "X-EXPS=LOGIN", "X-LINK2STATE", "BURL imap", "X-ANONYMOUSTLS", "PIPELINING"}) == "PIPELINING");
}

TEST_CASE("ehlo: STARTTLS is shown when it is offered, and once") {
  CHECK(seen({"STARTTLS", "HELP"}, {}, {true, false}) == "HELP|STARTTLS");
  CHECK(seen({"STARTTLS", "HELP"}, {}, {false, false}) == "HELP");
}

TEST_CASE("ehlo: both spellings of AUTH go without TLS, added ones too") {
  EhloSettings settings;
  settings.add = {"AUTH CRAM-MD5"};
  CHECK(seen({"AUTH PLAIN", "AUTH=PLAIN LOGIN", "auth=x"}, settings, {false, true}).empty());
  CHECK(seen({"AUTH PLAIN", "AUTH=PLAIN LOGIN"}) == "AUTH PLAIN|AUTH=PLAIN LOGIN");
}

TEST_CASE("ehlo: hide and add") {
  EhloSettings settings;
  settings.hide = {"VRFY", "AUTH"};
  settings.add = {"PIPELINING", "8BITMIME", "LIMITS RCPTMAX=5", "STARTTLS", "XCLIENT"};
  CHECK(seen({"VRFY", "AUTH=LOGIN", "8BITMIME", "8BITMIME", "SIZE 5", "size 6"}, settings) ==
        "8BITMIME|SIZE 5|PIPELINING|LIMITS RCPTMAX=5");
  settings.hide = {"AUTH"};
  settings.add = {"AUTH PLAIN"};
  CHECK(seen({"AUTH GSSAPI"}, settings) == "AUTH PLAIN");
}

TEST_CASE("ehlo: BINARYMIME needs CHUNKING") {
  CHECK(seen({"BINARYMIME", "CHUNKING"}) == "BINARYMIME|CHUNKING");
  CHECK(seen({"BINARYMIME"}).empty());
  EhloSettings settings;
  settings.hide = {"CHUNKING"};
  CHECK(seen({"BINARYMIME", "CHUNKING", "HELP"}, settings) == "HELP");
}

TEST_CASE("ehlo: SIZE is the smaller of two limits, and none is no limit") {
  CHECK(seen({"SIZE 100"}, limited(50)) == "SIZE 50");
  CHECK(seen({"SIZE 100"}, limited(500)) == "SIZE 100");
  CHECK(seen({"SIZE 0"}, limited(50)) == "SIZE 50");
  CHECK(seen({"SIZE"}, limited(50)) == "SIZE 50");
  CHECK(seen({"SIZE x"}, limited(50)) == "SIZE 50");
  CHECK(seen({"SIZE 99999999999999999999999"}, limited(50)) == "SIZE 50");
  CHECK(seen({"HELP"}, limited(50)) == "HELP|SIZE 50");
  CHECK(seen({"SIZE 0"}) == "SIZE 0");
  CHECK(seen({"SIZE"}) == "SIZE");
  auto settings = limited(50);
  settings.hide = {"SIZE"};
  CHECK(seen({"SIZE 100"}, settings).empty());
}

TEST_CASE("ehlo: the reply is printed as RFC 5321 has it, under another name if wanted") {
  EhloSettings settings;
  settings.name = "gw.example.org";
  CHECK(print(rewrite(server({"HELP", "SIZE 5"}), settings, {})) ==
        "250-gw.example.org at your service\r\n250-HELP\r\n250 SIZE 5\r\n");
  CHECK(print(rewrite(server({}), settings, {})) == "250 gw.example.org at your service\r\n");
}

TEST_CASE("ehlo: a name takes the first word's place") {
  using postern::smtp::with_name;
  CHECK(with_name("mx ESMTP", "gw") == "gw ESMTP");
  CHECK(with_name("mx", "gw") == "gw");
  CHECK(with_name("", "gw") == "gw");
  CHECK(with_name("mx ESMTP", "") == "mx ESMTP");
}

}  // namespace ehlo_test
