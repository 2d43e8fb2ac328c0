#include "proxy/smtp/xclient.h"

#include "proxy/smtp/octets.h"

namespace postern::smtp {

namespace {

constexpr std::size_t max_command = 512;  // with CRLF; XCLIENT_README, "Command syntax"
constexpr std::string_view verb = "XCLIENT";
constexpr std::string_view unavailable = "[UNAVAILABLE]";

// The client's own words: no control octet may reach a server that decodes them, and what is too long is not cut
// into a name that the client never gave.
std::string helo_value(std::string_view text) {
  std::string value = to_xtext(config::without_controls(text));
  constexpr std::size_t room = max_command - verb.size() - std::string_view(" HELO=\r\n").size();
  return value.empty() || value.size() > room ? std::string(unavailable) : value;
}

std::string address_value(const config::IpAddress& address) {
  const bool is_v6 = address.family == config::IpAddress::Family::v6;
  return (is_v6 ? "IPV6:" : "") + config::to_string(address);
}

// " NAME=value" for all that both sides know, in the order of sending.
std::vector<std::string> attributes(const ClientAttributes& client, std::string_view listed) {
  std::vector<std::string> result;
  const auto add = [&](std::string_view name, std::string value) {
    if (has_word(listed, name)) result.push_back(' ' + std::string(name) + "=" + std::move(value));
  };
  add("PROTO", client.extended ? "ESMTP" : "SMTP");
  add("HELO", helo_value(client.helo));
  add("LOGIN", std::string(unavailable));  // nobody has authenticated yet
  add("PORT", client.port == 0 ? std::string(unavailable) : std::to_string(client.port));
  add("NAME", std::string(unavailable));
  add("ADDR", address_value(client.address));
  return result;
}

}  // namespace

std::vector<std::string> xclient_commands(const ClientAttributes& client, std::string_view listed) {
  std::vector<std::string> commands;
  if (!has_word(listed, "ADDR")) return commands;
  std::string command(verb);
  for (const std::string& attribute : attributes(client, listed)) {
    if (command.size() + attribute.size() + 2 > max_command) {
      commands.push_back(command + "\r\n");
      command = verb;
    }
    command += attribute;
  }
  commands.push_back(command + "\r\n");
  return commands;
}

std::string to_xtext(std::string_view text) {
  std::string result;
  for (const char octet : text) {
    if (is_visible(octet) && !is_one_of(octet, "+=")) {
      result += octet;
    } else {
      std::string hex;
      config::append_hex(hex, static_cast<unsigned char>(octet), 2);
      result += '+' + config::upper_case(hex);
    }
  }
  return result;
}

}  // namespace postern::smtp
