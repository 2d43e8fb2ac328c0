// The rows that inbound and outbound listeners share, and the two tables made of them.
#pragma once

#include "config/rows.h"

namespace postern::config {

Kind<TlsVersion> tls_version();
Kind<TlsMode> tls_mode();
Rows<TlsSettings> tls_rows();
Rows<EhloSettings> ehlo_rows();

// Both stand after `tls` in the table of all options: a listener starts with the global TLS settings and lays its own
// over them.
Row<Settings> inbound_row();
Row<Settings> outbound_row();
Rows<DnsSettings> dns_rows();

template <class Listener>
Row<Listener> listen_row() {
  return row("listen", &Listener::listen, list_of(listen_address()), Reload::at_once,
             "the addresses and ports to listen on")
      .required();
}

template <class Listener>
Row<Listener> mode_row() {
  return row("mode", &Listener::mode, tls_mode(), Reload::new_sessions,
             "starttls: clients may turn TLS on; implicit: TLS from the first octet (port 465); none: never TLS");
}

template <class Listener>
Row<Listener> certificate_names_row() {
  return row("certificates", &Listener::certificates, list_of(required_text("the name of a certificate")),
             Reload::new_sessions, "names from the certificates above, chosen by SNI; the first is the default")
      .example("[mx]");
}

template <class Listener>
Row<Listener> ehlo_row() {
  return section("ehlo", &Listener::ehlo, ehlo_rows(), "what the reply to EHLO says");
}

template <class Listener>
Row<Listener> bare_newline_row() {
  using enum BareNewline;
  return row("bare_newline", &Listener::bare_newline, one_of<BareNewline>({normalize, reject, pass}),
             Reload::new_sessions, "a CR or LF alone in a message becomes CRLF, is refused, or passes as it is");
}

template <class Limits>
Rows<Limits> limit_rows() {
  using L = Limits;
  return {
      row("command_length", &L::command_length, between(512, 65536), Reload::new_sessions,
          "octets of a command line, its CRLF included"),
      row("errors", &L::errors, between(1, 10000), Reload::new_sessions, "refused commands after which a session ends"),
  };
}

// All but the time to connect.
template <class Timeouts>
Rows<Timeouts> timeout_rows() {
  using T = Timeouts;
  return {
      row("greeting", &T::greeting, between(100ms, 1h), Reload::new_sessions, "time the server has for its greeting"),
      row("command", &T::command, between(100ms, 1h), Reload::new_sessions,
          "time between two commands, and for each reply"),
      row("data_block", &T::data_block, between(100ms, 1h), Reload::new_sessions,
          "time between two pieces of a message"),
      row("data_end", &T::data_end, between(100ms, 2h), Reload::new_sessions,
          "time the server has to accept a whole message"),
  };
}

// A section with a listener below each name.
template <class Listener>
Row<Settings> listeners_row(std::string_view key, std::vector<Listener> Settings::*member, const Rows<Listener>& rows,
                            std::string_view help) {
  auto result = section_row<Settings>(key, help);
  result.read = [member, rows](const Cursor& cursor, Settings& out) {
    read_named(cursor, [&](const Cursor& entry, const std::string& name) {
      if (!entry.is_mapping() && entry.node.kind != Node::Kind::null) return;
      Listener& listener = (out.*member).emplace_back();
      listener.name = name;
      listener.tls = out.tls;
      read_section(entry, rows, listener);
    });
  };
  result.list = [member, rows](const Settings& object, const Option& option, std::vector<Option>& out) {
    out.push_back(option);
    for (const Listener& listener : object.*member) {
      const Option entry = named_option(option, listener.name);
      out.push_back(entry);
      list_section(listener, rows, entry, out);
    }
  };
  return result;
}

}  // namespace postern::config
