#include "proxy/smtp/command.h"

#include <string>

#include "tests/support/catch.h"

namespace command_test {

using namespace std::string_view_literals;
using postern::smtp::parse_command;
using postern::smtp::Verb;

Verb verb(std::string_view line) {
  return parse_command(line).verb;
}

std::string path(std::string_view argument) {
  const auto parsed = postern::smtp::parse_path_argument(argument, "TO");
  return parsed ? std::string(parsed->path) + "|" + std::string(parsed->parameters) : "nothing";
}

std::string bdat(std::string_view argument) {
  const auto parsed = postern::smtp::parse_bdat_argument(argument);
  return parsed ? std::to_string(parsed->size) + (parsed->last ? " last" : "") : "nothing";
}

TEST_CASE("command: verbs ignore case, and their argument loses its outer blanks") {
  const auto command = postern::smtp::parse_command("mAiL \t FROM:<a@b>  SIZE=3 \t");
  CHECK(command.verb == Verb::mail);
  CHECK(command.name == "mAiL");
  CHECK(command.argument == "FROM:<a@b>  SIZE=3");
  CHECK(verb("quit") == Verb::quit);
  CHECK(verb("STARTTLS") == Verb::starttls);
  CHECK(verb("XCLIENT\tADDR=1.2.3.4") == Verb::xclient);
  CHECK(verb("XFORWARD x") == Verb::xforward);
  CHECK(verb("XYZZY") == Verb::other);
  CHECK(verb("STARTTLSX") == Verb::other);
  CHECK(verb("X-EXPS GSSAPI") == Verb::other);
}

TEST_CASE("command: every verb has a row and a name") {
  for (const std::string_view name : {"ehlo", "helo", "mail", "rcpt", "data", "bdat", "rset", "noop", "quit", "vrfy",
                                      "expn", "help", "etrn", "auth", "starttls", "xclient", "xforward"}) {
    CHECK(to_string(verb(name)) == name);
  }
}

TEST_CASE("command: what is no verb is invalid") {
  for (const std::string_view line :
       {""sv, " "sv, " QUIT"sv, "\tQUIT"sv, "QU\0IT"sv, "QUIT\0"sv, "QUIT\x0b"sv, "\xc3\xa9HLO"sv, "\x16\x03\x01\x02"sv,
        "250 ok"sv, "<x>"sv, "."sv, "XCLIENT\x0b ADDR=1"sv}) {
    CHECK(verb(line) == Verb::invalid);
  }
}

TEST_CASE("command: HTTP is told by its verb as a whole word") {
  for (const std::string_view line :
       {"GET / HTTP/1.1", "POST /x", "CONNECT a:25", "PRI * HTTP/2.0", "OPTIONS", "get /"}) {
    CHECK(verb(line) == Verb::http);
  }
  CHECK(verb("GETX / HTTP/1.1") == Verb::other);
  CHECK(verb("PRIX") == Verb::other);
  CHECK(verb("Host: x") == Verb::other);
}

TEST_CASE("command: the path of MAIL and RCPT, as leniently as servers read it") {
  CHECK(path("TO:<a@b>") == "a@b|");
  CHECK(path("to:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b") == "a@b|NOTIFY=NEVER ORCPT=rfc822;a@b");
  CHECK(path("TO: <a@b>") == "a@b|");
  CHECK(path("TO : <a@b>") == "a@b|");
  CHECK(path("TO:<>") == "|");
  CHECK(path("TO:a@b SIZE=1") == "a@b|SIZE=1");
  CHECK(path("TO:<@x,@y:a@b>") == "@x,@y:a@b|");
  CHECK(path("TO:<\"a>b c\"@d> X=1") == "\"a>b c\"@d|X=1");
  CHECK(path("TO:<\"a\\\">b\"@d>") == "\"a\\\">b\"@d|");
  CHECK(path("TO:\"a b\"@c") == "\"a b\"@c|");
  CHECK(path("TO:<a@b> AUTH=<>") == "a@b|AUTH=<>");
}

TEST_CASE("command: a path that servers could read in two ways is none") {
  for (const std::string_view argument :
       {"", "T", "TO", "TO<a@b>", "FROM:<a@b>", "TO:", "TO: ", "TO:<a@b", "TO:<a@b>x", "TO:<a@b>@c", "TO:a@b <c@d>",
        "TO:<\"a@b>", "TO:<a\\>", "TO:<a@b\\>", "TO:a@b>", "TO:\"a", "TOO:<a>"}) {
    CHECK(path(argument) == "nothing");
  }
}

TEST_CASE("command: parameters are found by their key, ignoring case") {
  using postern::smtp::parameter;
  const std::string_view parameters = " SIZE=100  body=8BITMIME SMTPUTF8 AUTH=<> X=a=b ";
  CHECK(parameter(parameters, "SIZE") == "100");
  CHECK(parameter(parameters, "BODY") == "8BITMIME");
  CHECK(parameter(parameters, "AUTH") == "<>");
  CHECK(parameter(parameters, "X") == "a=b");
  CHECK(parameter(parameters, "SMTPUTF8") == "");
  CHECK_FALSE(parameter(parameters, "SIZ"));
  CHECK_FALSE(parameter("", "SIZE"));
}

TEST_CASE("command: BDAT takes a size and perhaps LAST, and nothing else") {
  CHECK(bdat("0") == "0");
  CHECK(bdat("10 last") == "10 last");
  CHECK(bdat(" 10  LAST ") == "10 last");
  CHECK(bdat("9223372036854775807") == "9223372036854775807");
  for (const std::string_view argument : {"", "LAST", "-1", "+1", "0x10", "1.0", "10LAST", "10 LAST LAST", "10 x",
                                          "9223372036854775808", "99999999999999999999999", "1 0"}) {
    CHECK(bdat(argument) == "nothing");
  }
}

TEST_CASE("command: the domain of a path follows its last unquoted @") {
  using postern::smtp::domain_of;
  CHECK(domain_of("a@b.c") == "b.c");
  CHECK(domain_of("a@b@c") == "c");
  CHECK(domain_of("\"a@b\"@c") == "c");
  CHECK(domain_of("\"a\\\"@b\"@c") == "c");
  CHECK(domain_of("@x,@y:a@b") == "b");
  CHECK(domain_of("a@[IPv6:::1]") == "[IPv6:::1]");
  for (const std::string_view path : {"", "a", "\"a@b\"", "@", "@x", "@x:", "@x:a", "\"a@b", "a@"}) {
    CHECK(domain_of(path).empty());
  }
}

TEST_CASE("command: a parameter is taken out of MAIL, and nothing else") {
  using postern::smtp::without_parameter;
  CHECK(without_parameter("MAIL FROM:<a@b> SIZE=3", "SIZE") == "MAIL FROM:<a@b>");
  CHECK(without_parameter("mail from: <a@b>\tsize=3  BODY=8BITMIME SIZE", "SIZE") == "mail from: <a@b>\tBODY=8BITMIME");
  CHECK(without_parameter("MAIL FROM:<\"a SIZE=3 b\"@b> RET=HDRS SIZE=3", "SIZE") ==
        "MAIL FROM:<\"a SIZE=3 b\"@b> RET=HDRS");
  CHECK(without_parameter("MAIL FROM:<a@b> SIZES=3", "SIZE") == "MAIL FROM:<a@b> SIZES=3");
  CHECK(without_parameter("MAIL FROM:<a@b>", "SIZE") == "MAIL FROM:<a@b>");
  CHECK(without_parameter("MAIL <a@b> SIZE=3", "SIZE") == "MAIL <a@b> SIZE=3");
}

TEST_CASE("command: SIZE beyond all bounds is the largest, and what is no number is none") {
  CHECK(postern::smtp::declared_size("BODY=8BITMIME size=1000") == 1000U);
  CHECK(postern::smtp::declared_size("SIZE=99999999999999999999") == ~std::uint64_t{0});
  CHECK(!postern::smtp::declared_size("SIZE=many"));
  CHECK(!postern::smtp::declared_size("SIZE="));
  CHECK(!postern::smtp::declared_size("BODY=8BITMIME"));
  CHECK(postern::smtp::size_of("0") == 0U);
}

}  // namespace command_test
