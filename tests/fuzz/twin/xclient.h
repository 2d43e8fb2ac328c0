// XCLIENT (Postfix XCLIENT_README): the client's attributes told to a server that trusts us.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"

namespace postern::smtp::before {

struct ClientAttributes {
  config::IpAddress address;
  std::uint16_t port = 0;
  bool extended = true;  // PROTO: true ESMTP, false SMTP
  std::string helo;
};

// The commands to send, each at most 512 octets with its CRLF, for the attributes that the server lists (`listed` is
// the parameter text of its XCLIENT keyword: "NAME ADDR PORT …"). NAME (as [UNAVAILABLE]) and ADDR come last, since
// authority may end there: Postfix takes no further XCLIENT from an address that it does not trust. Values are xtext;
// IPv6 as IPV6:…. Empty where ADDR is not listed: such a server cannot be told who the client is.
std::vector<std::string> xclient_commands(const ClientAttributes& client, std::string_view listed);

// RFC 3461 xtext.
std::string to_xtext(std::string_view text);

}  // namespace postern::smtp::before
