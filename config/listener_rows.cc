#include "config/listener_rows.h"

namespace postern::config {
namespace {

using enum Reload;

Rows<TicketSettings> ticket_rows() {
  using T = TicketSettings;
  return {
      row("enabled", &T::enabled, boolean(), new_sessions, "clients may resume their TLS sessions"),
      row("rotate", &T::rotate, between(1min, 7 * 24h), new_sessions,
          "age at which the key for tickets is replaced; the one before still opens old tickets"),
      row("key_file", &T::key_file, file(FileUse::ticket_keys, text("the path of a file")), new_sessions,
          "keys shared by several instances; without it they are random and never leave the process")
          .example("/run/secrets/tickets"),
  };
}

Rows<Limits> limit_rows() {
  using L = Limits;
  constexpr std::uint32_t most = 10'000'000;
  return {
      row("sessions", &L::sessions, between(0, most), new_sessions, "sessions at a time; 0: no limit"),
      row("sessions_per_client", &L::sessions_per_client, between(0, most), new_sessions,
          "likewise of one client: an IPv4 address, or an IPv6 network of 64 bits"),
      row("connections_per_client_per_minute", &L::connections_per_client_per_minute, between(0, most), new_sessions,
          "connections that one client may make within a minute; 0: no limit"),
      row("handshakes_per_client_per_minute", &L::handshakes_per_client_per_minute, between(0, most), new_sessions,
          "TLS handshakes that one client may begin within a minute; 0: no limit"),
      row("exempt", &L::exempt, list_of(network()), new_sessions, "networks whose clients have no limit of their own"),
      row("command_length", &L::command_length, between(512, 65536), new_sessions,
          "octets of a command line, its CRLF included"),
      row("errors", &L::errors, between(1, 10000), new_sessions, "refused commands after which a session ends"),
  };
}

}  // namespace

Kind<TlsVersion> tls_version() {
  return one_of<TlsVersion>({TlsVersion::tls1_0, TlsVersion::tls1_1, TlsVersion::tls1_2, TlsVersion::tls1_3});
}

Kind<TlsMode> tls_mode() {
  return one_of<TlsMode>({TlsMode::none, TlsMode::starttls, TlsMode::implicit});
}

Rows<TlsSettings> tls_rows() {
  using T = TlsSettings;
  return {
      row("min_version", &T::min_version, tls_version(), new_sessions, "the oldest TLS version that is accepted"),
      row("max_version", &T::max_version, tls_version(), new_sessions, "the newest TLS version that is offered"),
      row("cipher_list", &T::cipher_list, text("a list of ciphers in OpenSSL syntax"), new_sessions,
          "ciphers of TLS 1.2 and below, in OpenSSL syntax; without it all of the library's that have forward secrecy")
          .example("ECDHE+AESGCM:ECDHE+CHACHA20"),
      row("groups", &T::groups, not_empty(list_of(required_text("the name of a group"))), new_sessions,
          "key exchange groups, the preferred first; those that the library lacks are skipped"),
      row("handshake_timeout", &T::handshake_timeout, between(1s, 10min), new_sessions,
          "time a peer has to finish the TLS handshake"),
      section("session_tickets", &T::session_tickets, ticket_rows(), "resumption of TLS sessions"),
  };
}

Rows<EhloSettings> ehlo_rows() {
  using E = EhloSettings;
  return {
      row("name", &E::name, word_or("keep", std::string(), host_name("keep or a host name")), new_sessions,
          "the name in the greeting and in the EHLO reply; keep: the server's own"),
      row("hide", &E::hide, list_of(ehlo_keyword()), new_sessions, "keywords of the server that clients shall not see")
          .example("[VRFY, ETRN]"),
      row("add", &E::add, list_of(ehlo_keyword()), new_sessions, "keywords that the server does not say by itself")
          .example("[PIPELINING]"),
      row("pass", &E::pass, list_of(ehlo_keyword()), new_sessions,
          "keywords of the server that are shown although the gateway does not understand what they do to a dialogue")
          .example("[XFOO]"),
      row("size_limit", &E::size_limit, maybe(between(ByteSize{1}, ByteSize{std::uint64_t{1} << 40})), new_sessions,
          "the largest message that SIZE announces, if the server does not announce less")
          .example("50MiB"),
  };
}

Row<Listener> listen_row() {
  return row("listen", &Listener::listen, not_empty(list_of(listen_address())), at_once,
             "the addresses and ports to listen on")
      .required();
}

Row<Listener> mode_row() {
  return row("mode", &Listener::mode, tls_mode(), new_sessions,
             "starttls: clients may turn TLS on; implicit: TLS from the first octet (port 465); none: never TLS");
}

Row<Listener> certificate_names_row() {
  return row("certificates", &Listener::certificates, list_of(required_text("the name of a certificate")), new_sessions,
             "names from the certificates above, chosen by SNI; the first is the default")
      .example("[mx]");
}

Row<Listener> ehlo_row() {
  return section("ehlo", &Listener::ehlo, ehlo_rows(), "what the reply to EHLO says");
}

Row<Listener> bare_newline_row() {
  using enum BareNewline;
  return row("bare_newline", &Listener::bare_newline, one_of<BareNewline>({normalize, reject, pass}), new_sessions,
             "a CR or LF alone in a message becomes CRLF, is refused, or passes as it is");
}

Row<Listener> limits_row() {
  return section("limits", &Listener::limits, limit_rows(), "what clients may use");
}

Row<Listener> timeouts_row(std::string_view command, const Rows<Timeouts>& own) {
  using T = Timeouts;
  Rows<T> rows = {
      row("greeting", &T::greeting, between(100ms, 1h), new_sessions, "time the server has for its greeting"),
      row("command", &T::command, between(100ms, 1h), new_sessions, command),
      row("data_block", &T::data_block, between(100ms, 1h), new_sessions, "time between two pieces of a message"),
      row("data_end", &T::data_end, between(100ms, 2h), new_sessions, "time the server has to accept a whole message"),
  };
  rows.insert(rows.end(), own.begin(), own.end());
  return section("timeouts", &Listener::timeouts, rows, "after which a session is given up");
}

}  // namespace postern::config
