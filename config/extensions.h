// The extensions of SMTP that the gateway knows, one row each: what an extension lets a client say, and whether clients
// are shown it. A keyword without a row is one whose effect on the dialogue nobody here knows (docs/extensions.md).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace postern::config {

enum class Direction : std::uint8_t { inbound, outbound };

// What becomes of a keyword that the server behind offers.
enum class Offer : std::uint8_t {
  shown,       // to every client
  on_request,  // only where `ehlo.pass` names it; so are keywords without a row
  never,       // whatever the settings say
};

struct Extension {
  std::string_view keyword;
  std::string_view mail;   // parameters of MAIL, parted by blanks; "NAME=VALUE" is that value of it alone
  std::string_view rcpt;   // … of RCPT
  std::string_view verbs;  // its commands, parted by blanks
  Offer inbound = Offer::shown;
  Offer outbound = Offer::shown;
  std::string_view why;  // it is not shown: completes "since …"

  Offer offer(Direction direction) const { return direction == Direction::inbound ? inbound : outbound; }
};

std::span<const Extension> extensions();
// Nothing: no row. `keyword` in upper case.
const Extension* find_extension(std::string_view keyword);

enum class Envelope : std::uint8_t { mail, rcpt };
// Whose a "NAME" or "NAME=VALUE" behind MAIL FROM:<…> or RCPT TO:<…> is, in any case. Nothing: of none in the table.
const Extension* extension_of_parameter(std::string_view word, Envelope of);

// A set of rows. A new row is a new bit, whatever its place.
using ExtensionSet = std::uint64_t;
ExtensionSet bit_of(const Extension& extension);

}  // namespace postern::config
