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
  const auto reply = server({"size 1000", " 8bitmime ", "Auth  PLAIN  Login", "X_FOO\tbar", "XBAR=a b"});
  CHECK(reply.find("SIZE")->parameters == "1000");
  CHECK(reply.has("8BITMIME"));
  CHECK(reply.find("AUTH")->parameters == "PLAIN Login");
  CHECK(reply.find("X_FOO")->parameters == "bar");
  CHECK(reply.find("XBAR")->parameters == "a b");
  CHECK(reply.find("size") == nullptr);
}

TEST_CASE("ehlo: odd lines of a server are dropped") {
  CHECK(seen({"", " ", "-X", "=X", "DSN\r\nB"sv, "DSN\0X"sv, "DSN \x01"sv, "CAF\xc3\xa9", "DSN caf\xc3\xa9", "DSN\x7f",
              "HELP"}) == "HELP");
  CHECK(seen({"SIZE " + std::string(1000, '9'), "HELP"}) == "HELP");
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

TEST_CASE("ehlo: what is understood is shown, everything else only where the settings name it") {
  const std::vector<std::string_view> offered = {"XFOO", "PRDR", "DSN", "XVERP", "REQUIRETLS", "MT-PRIORITY MIXER"};
  CHECK(seen(offered) == "DSN|MT-PRIORITY MIXER");
  EhloSettings settings;
  settings.pass = {"XFOO", "PRDR", "XVERP", "REQUIRETLS"};
  CHECK(seen(offered, settings) == "XFOO|DSN|XVERP|REQUIRETLS|MT-PRIORITY MIXER");
  settings.hide = {"XFOO", "DSN"};
  CHECK(seen(offered, settings) == "XVERP|REQUIRETLS|MT-PRIORITY MIXER");
}

TEST_CASE("ehlo: outbound, verbs are not shown that a server would hear before it is judged") {
  EhloView view;
  view.direction = postern::config::Direction::outbound;
  EhloSettings settings;
  settings.pass = {"REQUIRETLS", "XVERP", "ONEX"};
  CHECK(seen({"HELP", "VRFY", "EXPN", "ETRN", "REQUIRETLS", "ONEX", "XVERP", "DSN"}, settings, view) == "XVERP|DSN");
}

TEST_CASE("ehlo: the lines of AUTH become one, each mechanism once, in the spelling that was used") {
  CHECK(seen({"AUTH LOGIN", "HELP", "AUTH plain login\tGSSAPI"}) == "AUTH LOGIN plain GSSAPI|HELP");
  const auto printed = [](const std::vector<std::string_view>& keywords) {
    return print(rewrite(server(keywords), {}, {}));
  };
  const std::string greeting = "250-mx.example.org at your service\r\n";
  CHECK(printed({"AUTH PLAIN", "HELP"}) == greeting + "250-AUTH PLAIN\r\n250 HELP\r\n");
  for (const std::string_view old : {"AUTH=PLAIN LOGIN", "auth =PLAIN LOGIN", "AUTH = PLAIN  LOGIN"}) {
    INFO(old);
    CHECK(printed({old}) == greeting + "250-AUTH PLAIN LOGIN\r\n250 AUTH=PLAIN LOGIN\r\n");
  }
  CHECK(printed({"AUTH PLAIN", "AUTH=LOGIN"}) == greeting + "250-AUTH PLAIN LOGIN\r\n250 AUTH=PLAIN LOGIN\r\n");
}

TEST_CASE("ehlo: mechanisms are bounded") {
  std::vector<std::string> lines;
  for (int i = 0; i < 1000; ++i) lines.push_back("AUTH MECHANISM-" + std::to_string(i));
  EhloReply reply;
  reply.add_line("mx");
  for (const std::string& line : lines) reply.add_line(line);
  CHECK(reply.find("AUTH")->parameters.size() <= 1000);
}

TEST_CASE("ehlo: some of the server's keywords are never shown") {
  CHECK(seen({"STARTTLS", "XCLIENT NAME ADDR", "XFORWARD NAME", "TURN", "ATRN", "XEXCH50", "X-EXPS GSSAPI",
              "X-EXPS=LOGIN", "X-LINK2STATE", "BURL imap", "X-ANONYMOUSTLS", "PIPELINING"}) == "PIPELINING");
}

TEST_CASE("ehlo: STARTTLS is shown when it is offered, once, and never last") {
  CHECK(seen({"STARTTLS", "HELP"}, {}, {true, false}) == "STARTTLS|HELP");
  CHECK(seen({"DSN", "STARTTLS", "HELP", "STARTTLS"}, {}, {true, false}) == "DSN|STARTTLS|HELP");
  CHECK(seen({"STARTTLS", "HELP"}, {}, {false, false}) == "HELP");
  CHECK(seen({"STARTTLS"}, {}, {true, false}) == "STARTTLS|PIPELINING");
  CHECK(seen({"XFOO"}, limited(50), {true, false}) == "STARTTLS|SIZE 50");
  EhloSettings settings;
  settings.hide = {"PIPELINING"};
  CHECK(seen({"PIPELINING"}, settings, {true, false}) == "STARTTLS");
}

TEST_CASE("ehlo: both spellings of AUTH go without TLS, added ones too") {
  EhloSettings settings;
  settings.add = {"AUTH CRAM-MD5"};
  CHECK(seen({"AUTH PLAIN", "AUTH=PLAIN LOGIN", "auth=x"}, settings, {false, true}).empty());
  CHECK(seen({"AUTH PLAIN", "AUTH=PLAIN LOGIN"}) == "AUTH PLAIN LOGIN");
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
