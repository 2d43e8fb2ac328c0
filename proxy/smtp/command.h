// One SMTP command line, taken apart as far as the gateway needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::smtp {

enum class Verb : std::uint8_t {
  ehlo,
  helo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  noop,
  quit,
  vrfy,
  expn,
  help,
  etrn,
  auth,
  starttls,
  xclient,
  xforward,
  http,     // GET, POST, CONNECT, …: a browser or a cross-protocol attack
  other,    // a well-formed verb that we do not know
  invalid,  // not a verb at all (empty line, control or 8-bit octets in the verb)
};
std::string_view to_string(Verb verb);

// RFC 4954 4: a challenge or response of 12,288 octets, and what stands around it.
inline constexpr std::size_t sasl_limit = 12288;
inline constexpr std::size_t sasl_line_limit = sasl_limit + 2;
inline constexpr std::size_t auth_line_limit =
    sasl_line_limit + 32;  // "AUTH ", the mechanism's name (RFC 4422 3.1: 20)

struct Command {
  Verb verb = Verb::invalid;
  std::string_view name;      // the verb as it was written
  std::string_view argument;  // all after the verb, outer blanks removed
};

// Never fails: what is no command has Verb::invalid. `line` is without its terminator. Verbs ignore case.
Command parse_command(std::string_view line);

// MAIL FROM:<path> params, RCPT TO:<path> params (RFC 5321 4.1.1.2, 4.1.1.3; lenient as real servers are: blanks after
// the colon, a missing pair of angle brackets).
struct PathArgument {
  std::string_view path;        // without the angle brackets; empty for <>
  std::string_view parameters;  // after the path, outer blanks removed
};
std::optional<PathArgument> parse_path_argument(std::string_view argument,
                                                std::string_view keyword /* "FROM" or "TO" */);

// Takes the first parameter off the front: a word between blanks. Empty: there is none.
std::string_view take_parameter(std::string_view& parameters);

// The value of a `KEY=value` parameter, key ignoring case. Empty optional: the parameter is not there.
std::optional<std::string_view> parameter(std::string_view parameters, std::string_view key);

// What SIZE says (RFC 1870): a number beyond all bounds counts as the largest; what is no number, as none.
std::optional<std::uint64_t> size_of(std::string_view digits);
// … that of MAIL's parameters, if it is among them.
std::optional<std::uint64_t> declared_size(std::string_view mail_parameters);

// A whole MAIL or RCPT line without its parameter `key`, key ignoring case; the path is not looked into.
std::string without_parameter(std::string_view line, std::string_view key);

// "BDAT size [LAST]" (RFC 3030). Nothing for a malformed argument or a size beyond 2^63-1.
struct BdatArgument {
  std::uint64_t size = 0;
  bool last = false;
};
std::optional<BdatArgument> parse_bdat_argument(std::string_view argument);

// The domain of a path: after the last unquoted '@', source route (@a,@b:) removed. Empty: there is none.
std::string_view domain_of(std::string_view path);

}  // namespace postern::smtp
