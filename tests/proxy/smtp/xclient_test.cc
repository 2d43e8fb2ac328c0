#include "proxy/smtp/xclient.h"

#include "tests/support/catch.h"

namespace xclient_test {

using postern::smtp::ClientAttributes;
using Commands = std::vector<std::string>;
using postern::smtp::xclient_commands;

ClientAttributes client(std::string_view address) {
  ClientAttributes attributes;
  attributes.address = postern::config::parse_ip_address(address).value();
  attributes.port = 4711;
  return attributes;
}

constexpr std::string_view all = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

TEST_CASE("xclient: what is known and listed is told, NAME and ADDR last") {
  auto attributes = client("192.0.2.1");
  attributes.helo = "mail.example";
  CHECK(xclient_commands(attributes, all) ==
        Commands{"XCLIENT PROTO=ESMTP HELO=mail.example LOGIN=[UNAVAILABLE] PORT=4711 NAME=[UNAVAILABLE] "
                 "ADDR=192.0.2.1\r\n"});
  CHECK(xclient_commands(attributes, "addr helo") == Commands{"XCLIENT HELO=mail.example ADDR=192.0.2.1\r\n"});
  attributes.extended = false;
  CHECK(xclient_commands(attributes, "PROTO ADDR") == Commands{"XCLIENT PROTO=SMTP ADDR=192.0.2.1\r\n"});
}

TEST_CASE("xclient: IPv6 is marked as such") {
  CHECK(xclient_commands(client("2001:db8::1"), "ADDR") == Commands{"XCLIENT ADDR=IPV6:2001:db8::1\r\n"});
}

TEST_CASE("xclient: a server that does not list ADDR cannot be told who the client is") {
  CHECK(xclient_commands(client("192.0.2.1"), "NAME PORT XADDR ADDRESS").empty());
  CHECK(xclient_commands(client("192.0.2.1"), "").empty());
}

TEST_CASE("xclient: a hostile HELO name cannot break out of its attribute") {
  const auto with = [](std::string helo) {
    auto attributes = client("192.0.2.1");
    attributes.helo = std::move(helo);
    return xclient_commands(attributes, "HELO ADDR");
  };
  CHECK(with("a ADDR=1.2.3.4+\r\nQUIT") == Commands{"XCLIENT HELO=a+20ADDR+3D1.2.3.4+2B??QUIT ADDR=192.0.2.1\r\n"});
  CHECK(with("b\xc3\xbc.example") == Commands{"XCLIENT HELO=b+C3+BC.example ADDR=192.0.2.1\r\n"});
  CHECK(with("") == Commands{"XCLIENT HELO=[UNAVAILABLE] ADDR=192.0.2.1\r\n"});
}

TEST_CASE("xclient: no command is longer than 512 octets, and ADDR comes in the last") {
  for (std::size_t length = 400; length < 600; ++length) {
    auto attributes = client("2001:db8:1111:2222:3333:4444:5555:6666");
    attributes.helo = std::string(length, 'x');
    const auto commands = xclient_commands(attributes, all);
    REQUIRE_FALSE(commands.empty());
    std::string sent;
    for (const std::string& command : commands) {
      sent += command;
      CHECK(command.size() <= 512);
      CHECK(command.starts_with("XCLIENT "));
      CHECK(command.ends_with("\r\n"));
    }
    CHECK(commands.back().find(" ADDR=IPV6:") != std::string::npos);
    const std::string helo = length <= 497 ? std::string(length, 'x') : "[UNAVAILABLE]";
    CHECK(sent.find(" HELO=" + helo) != std::string::npos);
  }
}

TEST_CASE("xclient: xtext") {
  using postern::smtp::to_xtext;
  using namespace std::string_view_literals;
  CHECK(to_xtext("plain-1.example") == "plain-1.example");
  CHECK(to_xtext("+= \x7f\0\xff"sv) == "+2B+3D+20+7F+00+FF");
}

}  // namespace xclient_test
