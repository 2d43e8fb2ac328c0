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

Row<Listener> listen_row();
Row<Listener> mode_row();
Row<Listener> certificate_names_row();
Row<Listener> ehlo_row();
Row<Listener> bare_newline_row();
Row<Listener> limits_row();
// `command`: what else that one is the time for. `own`: those that each direction has under a name of its own.
Row<Listener> timeouts_row(std::string_view command, const Rows<Timeouts>& own);

// A row that all listeners have, in the table of one direction.
template <class Of>
Row<Of> shared(const Row<Listener>& common) {
  return {.key = common.key,
          .help = common.help,
          .read = common.read,
          .list = common.list,
          .reload = common.reload,
          .expected = common.expected,
          .example_text = common.example_text,
          .is_required = common.is_required};
}

// A section with a listener below each name.
template <class Of>
Row<Settings> listeners_row(std::string_view key, std::vector<Of> Settings::*member, const Rows<Of>& rows,
                            std::string_view help) {
  auto result = section_row<Settings>(key, help);
  result.read = [member, rows](const Cursor& cursor, Settings& out) {
    read_named(cursor, [&](const Cursor& entry, const std::string& name) {
      if (!entry.is_mapping() && !entry.node.is_nothing()) return;
      Of& listener = (out.*member).emplace_back();
      listener.name = name;
      listener.tls = out.tls;
      read_section(entry, rows, listener);
    });
  };
  result.list = [member, rows](const Settings& object, const Option& option, std::vector<Option>& out) {
    out.push_back(option);
    for (const Of& listener : object.*member) {
      const Option entry = named_option(option, listener.name);
      out.push_back(entry);
      list_section(listener, rows, entry, out);
    }
  };
  return result;
}

}  // namespace postern::config
