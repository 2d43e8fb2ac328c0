// Every reply that the gateway makes on its own to refuse something, policies' included: text, label for log and
// counters, and whether the session ends with it. A new refusal is one enumerator here and one row in refusals.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/smtp/effects.h"
#include "proxy/smtp/endings.h"

namespace postern::smtp {

enum class Refusal : std::uint8_t {
  starttls_argument,      // 501 5.5.4
  starttls_active,        // 503 5.5.1
  starttls_not_offered,   // 502 5.5.1
  starttls_injection,     // 503 5.5.1, ends
  tls_unavailable,        // 454 4.7.0
  tls_required,           // 530 5.7.0 Must issue a STARTTLS command first
  client_certificate,     // 554 5.7.0
  auth_needs_tls,         // 538 5.7.11
  xclient_forbidden,      // 550 5.7.0
  verb_not_offered,       // 502 5.5.1
  parameter_not_offered,  // 555 5.5.4: of an extension that the client was not shown
  mechanism_not_offered,  // 504 5.5.4
  http_request,           // 221 2.7.0, ends
  not_smtp,               // 500 5.5.2, ends: TLS or other octets in place of a command
  line_too_long,          // 500 5.5.2
  malformed_line,         // 500 5.5.2: NUL or bare CR in a command, no verb
  malformed_bdat,         // 501 5.5.4, ends: where the content ends cannot be known
  malformed_helo,         // 501 5.5.4
  too_many_errors,        // 421 4.7.0, ends
  backend_unavailable,    // 421 4.3.2, ends
  relay_denied,           // 550 5.7.1
  bare_newline,           // 521 5.5.2, ends
  message_too_large,      // 552 5.3.4
  ehlo_first,             // 503 5.5.1: after STARTTLS the client starts with EHLO
  timeout,                // 421 4.4.2, ends
  draining,               // 421 4.3.2, ends
  // Limits of the listener.
  too_many_sessions,   // 421 4.7.0, ends
  client_sessions,     // 421 4.7.0, ends
  client_connections,  // 421 4.7.0, ends
  client_handshakes,   // 454 4.7.0
  buffers_full,        // 421 4.3.2, ends
  // Outbound only.
  hello_first,          // 503 5.5.1
  mail_first,           // 503 5.5.1
  recipients_first,     // 503 5.5.1: DATA or BDAT before a recipient was accepted
  nested_mail,          // 503 5.5.1
  malformed_path,       // 501 5.5.4
  other_domain,         // 452 4.5.3: one transaction, one recipient domain (route: mx)
  remote_unusable,      // 451 4.4.1: there is no connection that the recipient's mail may take
  remote_lost,          // 451 4.4.2: in the middle of a transaction
  remote_lost_message,  // 451 4.4.2: after content, before its reply
  remote_closed,        // 421 4.4.2, ends: between transactions
  client_not_allowed,   // 554 5.7.1, ends
  routing_loop,         // 421 4.4.6, ends: meant for the gateway itself, or for nobody that could be found out
  // What policy decides of a recipient; the client is told more than the row says.
  tls_not_offered,  // 451 4.7.4
  tls_failed,       // 451 4.7.5: handshake, certificate, TLSA or MTA-STS
  dns_failed,       // 451 4.4.3
  unreachable,      // 451 4.4.1
  lost,             // 451 4.4.2: reached, and lost before it could be given anything
  null_mx,          // 556 5.1.10
  no_such_domain,   // 550 5.1.2
  credentials,      // 451 4.7.8: ours, of a relay
  auth_deferred,    // 451 4.7.0
  leads_back,       // 451 4.4.6: the domain's mail hosts are this machine
  own_connection,   // 452 4.5.3: this one does not do for the recipient, and another cannot be made now
  // Both directions.
  server_refused,  // the server's own words, to what it was not asked itself
  count_,
};

struct RefusalRow {
  Refusal refusal;
  std::string_view label;  // "starttls_injection"
  std::string_view reply;  // whole, with CRLF; static storage
  bool ends = false;
  bool is_error = true;              // counts towards limits.errors
  Ending ending = Ending::internal;  // how the session ended, where it ends with this
};
const RefusalRow& row(Refusal refusal);
inline constexpr std::size_t refusal_count = static_cast<std::size_t>(Refusal::count_);
// "451 4.7.5"; of none: empty.
std::string_view code_of(std::optional<Refusal> refusal);
// The whole reply without its CRLF.
std::string_view line_of(Refusal refusal);

}  // namespace postern::smtp
