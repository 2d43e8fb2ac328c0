#include "proxy/smtp/refusals.h"

#include <array>

#include "config/assert.h"

namespace postern::smtp {

namespace {

constexpr bool ends = true;
constexpr bool goes_on = false;
constexpr bool error = true;
constexpr bool no_error = false;

// In the order of the enumerators.
constexpr std::array<RefusalRow, refusal_count> rows = {{
    {Refusal::starttls_argument, "starttls_argument", "501 5.5.4 STARTTLS takes no argument\r\n", goes_on, error},
    {Refusal::starttls_active, "starttls_active", "503 5.5.1 TLS is already active\r\n", goes_on, error},
    {Refusal::starttls_not_offered, "starttls_not_offered", "502 5.5.1 STARTTLS is not offered here\r\n", goes_on,
     error},
    {Refusal::starttls_injection, "starttls_injection", "503 5.5.1 Nothing may follow STARTTLS before its reply\r\n",
     ends, error, Ending::starttls_injection},
    {Refusal::tls_unavailable, "tls_unavailable", "454 4.7.0 TLS is not available at the moment\r\n", goes_on,
     no_error},
    {Refusal::tls_required, "tls_required", "530 5.7.0 Must issue a STARTTLS command first\r\n", goes_on, error},
    {Refusal::client_certificate, "client_certificate", "554 5.7.0 A valid client certificate is required\r\n", goes_on,
     error},
    {Refusal::auth_needs_tls, "auth_needs_tls", "538 5.7.11 Encryption required for authentication\r\n", goes_on,
     error},
    {Refusal::xclient_forbidden, "xclient_forbidden", "550 5.7.0 This command is not for clients\r\n", goes_on, error},
    {Refusal::verb_not_offered, "verb_not_offered", "502 5.5.1 Command not offered here\r\n", goes_on, error},
    {Refusal::parameter_not_offered, "parameter_not_offered", "555 5.5.4 Parameter not offered here\r\n", goes_on,
     error},
    {Refusal::mechanism_not_offered, "mechanism_not_offered", "504 5.5.4 Authentication mechanism not offered here\r\n",
     goes_on, error},
    {Refusal::http_request, "http_request", "221 2.7.0 This is a mail server\r\n", ends, error, Ending::http_request},
    {Refusal::not_smtp, "not_smtp", "500 5.5.2 This is SMTP: TLS begins with STARTTLS, if at all\r\n", ends, error,
     Ending::client_spoke_tls},
    {Refusal::line_too_long, "line_too_long", "500 5.5.2 Line too long\r\n", goes_on, error},
    {Refusal::malformed_line, "malformed_line", "500 5.5.2 Malformed command line\r\n", goes_on, error},
    {Refusal::malformed_bdat, "malformed_bdat", "501 5.5.4 Malformed BDAT, closing\r\n", ends, error,
     Ending::malformed_bdat},
    {Refusal::malformed_helo, "malformed_helo", "501 5.5.4 A host name is needed\r\n", goes_on, error},
    {Refusal::too_many_errors, "too_many_errors", "421 4.7.0 Too many errors, closing\r\n", ends, error,
     Ending::too_many_errors},
    {Refusal::backend_unavailable, "backend_unavailable", "421 4.3.2 Mail server not available, try again later\r\n",
     ends, no_error, Ending::server_unreachable},
    {Refusal::relay_denied, "relay_denied", "550 5.7.1 Relaying denied\r\n", goes_on, error},
    {Refusal::bare_newline, "bare_newline", "521 5.5.2 Lines must end with CR LF, closing\r\n", ends, error,
     Ending::bare_newline},
    {Refusal::message_too_large, "message_too_large", "552 5.3.4 Message too large\r\n", goes_on, error},
    {Refusal::ehlo_first, "ehlo_first", "503 5.5.1 EHLO or HELO comes first\r\n", goes_on, error},
    {Refusal::timeout, "timeout", "421 4.4.2 Timeout, closing\r\n", ends, no_error, Ending::timeout},
    {Refusal::draining, "draining", "421 4.3.2 Service is shutting down, try again\r\n", ends, no_error,
     Ending::draining},
    {Refusal::too_many_sessions, "too_many_sessions", "421 4.7.0 Too many sessions, try again later\r\n", ends,
     no_error, Ending::limit},
    {Refusal::client_sessions, "client_sessions", "421 4.7.0 Too many sessions from your address, try again later\r\n",
     ends, no_error, Ending::limit},
    {Refusal::client_connections, "client_connections",
     "421 4.7.0 Too many connections from your address, try again later\r\n", ends, no_error, Ending::limit},
    {Refusal::client_handshakes, "client_handshakes",
     "454 4.7.0 Too many TLS handshakes from your address, try again later\r\n", goes_on, no_error},
    {Refusal::buffers_full, "buffers_full", "421 4.3.2 Too much mail is under way, try again later\r\n", ends, no_error,
     Ending::limit},
    {Refusal::hello_first, "hello_first", "503 5.5.1 EHLO or HELO comes first\r\n", goes_on, error},
    {Refusal::mail_first, "mail_first", "503 5.5.1 MAIL comes first\r\n", goes_on, error},
    {Refusal::recipients_first, "recipients_first", "503 5.5.1 No valid recipients\r\n", goes_on, no_error},
    {Refusal::nested_mail, "nested_mail", "503 5.5.1 A transaction is under way\r\n", goes_on, error},
    {Refusal::malformed_path, "malformed_path", "501 5.5.4 Malformed address\r\n", goes_on, error},
    {Refusal::other_domain, "other_domain", "452 4.5.3 One recipient domain in each message, send this one again\r\n",
     goes_on, no_error},
    {Refusal::remote_unusable, "remote_unusable", "451 4.4.1 The remote server cannot be used now\r\n", goes_on,
     no_error},
    {Refusal::remote_lost, "remote_lost", "451 4.4.2 The connection to the remote server was lost\r\n", goes_on,
     no_error},
    {Refusal::remote_lost_message, "remote_lost_message",
     "451 4.4.2 The connection was lost before the remote server took the message\r\n", goes_on, no_error},
    {Refusal::remote_closed, "remote_closed", "421 4.4.2 The remote server closed the connection\r\n", ends, no_error,
     Ending::server_closed},
    {Refusal::client_not_allowed, "client_not_allowed", "554 5.7.1 You may not send mail through this gateway\r\n",
     ends, no_error, Ending::client_not_allowed},
    {Refusal::routing_loop, "routing_loop", "421 4.4.6 This connection leads nowhere but to the gateway itself\r\n",
     ends, no_error, Ending::routing_loop},
    {Refusal::tls_not_offered, "tls_not_offered", "451 4.7.4 TLS is demanded and not offered\r\n", goes_on, no_error},
    {Refusal::tls_failed, "tls_failed", "451 4.7.5 TLS is not what is demanded\r\n", goes_on, no_error},
    {Refusal::dns_failed, "dns_failed", "451 4.4.3 DNS cannot tell now\r\n", goes_on, no_error},
    {Refusal::unreachable, "unreachable", "451 4.4.1 No mail host can be reached\r\n", goes_on, no_error},
    {Refusal::lost, "lost", "451 4.4.2 The connection was lost\r\n", goes_on, no_error},
    {Refusal::null_mx, "null_mx", "556 5.1.10 The domain takes no mail\r\n", goes_on, no_error},
    {Refusal::no_such_domain, "no_such_domain", "550 5.1.2 No such domain\r\n", goes_on, no_error},
    {Refusal::credentials, "credentials", "451 4.7.8 Our credentials are refused\r\n", goes_on, no_error},
    {Refusal::auth_deferred, "auth_deferred", "451 4.7.0 Our credentials cannot be judged now\r\n", goes_on, no_error},
    {Refusal::leads_back, "leads_back", "451 4.4.6 The domain's mail hosts are this gateway\r\n", goes_on, no_error},
    {Refusal::own_connection, "own_connection",
     "452 4.5.3 This recipient needs a connection of its own, send it again\r\n", goes_on, no_error},
    {Refusal::server_refused, "server_refused", "451 4.4.1 The server refuses\r\n", goes_on, no_error},
}};

constexpr bool in_order() {
  for (std::size_t index = 0; index < rows.size(); ++index) {
    if (static_cast<std::size_t>(rows[index].refusal) != index) return false;
  }
  return true;
}
static_assert(in_order(), "a row of refusals is missing or out of place");

}  // namespace

const RefusalRow& row(Refusal refusal) {
  const auto index = static_cast<std::size_t>(refusal);
  POSTERN_ASSERT(index < rows.size(), "no such refusal");
  return rows[index];
}

std::string_view code_of(std::optional<Refusal> refusal) {
  if (!refusal) return {};
  const std::string_view reply = row(*refusal).reply;
  return reply.substr(0, reply.find(' ', 4));
}

std::string_view line_of(Refusal refusal) {
  const std::string_view reply = row(refusal).reply;
  return reply.substr(0, reply.size() - 2);
}

}  // namespace postern::smtp
