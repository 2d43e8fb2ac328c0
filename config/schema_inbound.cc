#include "config/listener_rows.h"

namespace postern::config {
namespace {

using enum Reload;

Rows<ClientCertificates> client_certificate_rows() {
  using C = ClientCertificates;
  using enum ClientCertificateMode;
  return {
      row("mode", &C::mode, one_of<ClientCertificateMode>({off, request, require}), new_sessions,
          "whether clients are asked for a certificate, and turned away without a good one"),
      row("ca_file", &C::ca_file, file(FileUse::client_authorities, text("the path of a PEM file")), new_sessions,
          "PEM file with the authorities that vouch for clients")
          .example("/etc/postern/clients-ca.pem"),
  };
}

Rows<Backend> backend_rows() {
  using B = Backend;
  using enum ClientAddress;
  return {
      row("address", &B::addresses, one_or_list_of(connect_address()), new_sessions,
          "the server behind, or a list of them: least connections, with failover"),
      row("exec", &B::exec, list_of(required_text("a word of the command")), new_sessions,
          "instead of address: the program to run for each session, with its arguments (UCSPI)")
          .example("[/var/qmail/bin/qmail-smtpd]"),
      row("client_address", &B::client_address,
          one_of<ClientAddress>({ClientAddress::none, xclient, proxy_v1, proxy_v2, transparent}), new_sessions,
          "how the server behind learns who the client is"),
      row("tls", &B::tls, tls_mode(), new_sessions, "TLS to the server behind, for one whose own TLS is outdated"),
  };
}

Rows<Recipients> recipient_rows() {
  return {
      row("allow_domains", &Recipients::allow_domains, maybe(stated(list_of(domain(), 50'000))), new_sessions,
          "relay guard: recipients elsewhere are refused unless the client authenticated; .example.org is any "
          "subdomain, and [] nobody")
          .example("[example.org]"),
  };
}

Rows<InboundListener> inbound_rows() {
  using I = InboundListener;
  Rows<I> rows = {
      shared<I>(listen_row()),
      shared<I>(mode_row()),
      row("require_tls", &I::require_tls, boolean(), new_sessions,
          "refuses everything but EHLO HELO NOOP RSET QUIT STARTTLS before TLS"),
      row("auth_requires_tls", &I::auth_requires_tls, boolean(), new_sessions, "hides and refuses AUTH before TLS"),
      shared<I>(certificate_names_row()),
      row("guard", &I::guard, one_of<Guard>({Guard::off, Guard::warn, Guard::hold}), new_sessions,
          "a certificate that changes and fits no published TLSA record of its names (DANE): warn says so, hold "
          "goes on with the one before while that is valid; needs dns, or an outbound listener"),
      section("client_certificates", &I::client_certificates, client_certificate_rows(),
              "certificates that clients show"),
      row("accept_proxy_protocol_from", &I::accept_proxy_protocol_from, list_of(network()), new_sessions,
          "networks of load balancers: a PROXY header is demanded from these and refused from others")
          .example("[10.0.0.0/8]"),
      section("backend", &I::backend, backend_rows(), "the server behind"),
      row("greeting", &I::greeting, one_of<GreetingMode>({GreetingMode::backend, GreetingMode::gateway}), new_sessions,
          "backend: its greeting is passed on; gateway: greets by itself and connects to the server after TLS"),
      section("recipients", &I::recipients, recipient_rows(), "whom clients may send mail to"),
      row("allow_open_relay_risk", &I::allow_open_relay_risk, boolean(), new_sessions,
          "true: you made sure that the server behind relays for nobody, though all clients seem to be the gateway"),
      shared<I>(ehlo_row()),
      shared<I>(bare_newline_row()),
      shared<I>(limits_row()),
      shared<I>(timeouts_row("time between two commands, and for each reply",
                             {row("backend_connect", &Timeouts::connect, between(100ms, 5min), new_sessions,
                                  "time to connect to the server behind")})),
  };
  append_flat(rows, static_cast<TlsSettings I::*>(&I::tls), tls_rows());
  return rows;
}

}  // namespace

Row<Settings> inbound_row() {
  return listeners_row("inbound", &Settings::inbound, inbound_rows(), "listeners for mail that comes in, by name");
}

}  // namespace postern::config
