// May this client hand mail to that recipient? An old server relays for local addresses, and behind a gateway every
// client is local.
#pragma once

#include <string_view>
#include <vector>

#include "config/values.h"

namespace postern::smtp::before {

// `path` is the argument of RCPT without its angle brackets. Refused unless it names, without detours, a mailbox in one
// of `domains` or the bare "postmaster" (RFC 5321 4.5.1). Refused detours: source routes (@a,@b:user@c) are judged by
// their final mailbox and by every hop; the % hack, bang paths and a second '@' in the local part (quoted or not); a
// missing domain; domain literals (unless listed as such); controls or blanks outside
// quotes. A UTF-8 domain passes where it is listed as it stands, or by "*"; "*" does not list address literals.
bool recipient_allowed(std::string_view path, const std::vector<config::DomainPattern>& domains);

}  // namespace postern::smtp::before
