#include "config/schema.h"

#include "config/kinds.h"
#include "config/rows.h"

namespace postern::config {
namespace {

using enum Reload;

Kind<TlsVersion> tls_version() {
  return one_of<TlsVersion>({TlsVersion::tls1_0, TlsVersion::tls1_1, TlsVersion::tls1_2, TlsVersion::tls1_3});
}

Kind<TlsMode> tls_mode() {
  return one_of<TlsMode>({TlsMode::none, TlsMode::starttls, TlsMode::implicit});
}

Rows<LogSettings> log_rows() {
  using L = LogSettings;
  return {
      row("level", &L::level, one_of<LogLevel>({LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}),
          at_once, "the least important lines to be written"),
      row("format", &L::format, one_of<LogFormat>({LogFormat::text, LogFormat::json}), at_once,
          "lines for people or for programs; both have the same fields"),
  };
}

Rows<CertificatePair> certificate_pair_rows() {
  using P = CertificatePair;
  return {
      row("chain", &P::chain, required_text("the path of a PEM file"), new_sessions,
          "PEM file with the certificate first, then those that vouch for it")
          .required(),
      row("key", &P::key, required_text("the path of a PEM file"), new_sessions, "PEM file with its private key")
          .required(),
  };
}

Rows<TicketSettings> ticket_rows() {
  using T = TicketSettings;
  return {
      row("enabled", &T::enabled, boolean(), new_sessions, "clients may resume their TLS sessions"),
      row("rotate", &T::rotate, between(1min, 7 * 24h), new_sessions,
          "age at which the key for tickets is replaced; the one before still opens old tickets"),
      row("key_file", &T::key_file, text("the path of a file"), new_sessions,
          "keys shared by several instances; without it they are random and never leave the process")
          .example("/run/secrets/tickets"),
  };
}

Rows<TlsSettings> tls_rows() {
  using T = TlsSettings;
  return {
      row("min_version", &T::min_version, tls_version(), new_sessions, "the oldest TLS version that is accepted"),
      row("max_version", &T::max_version, tls_version(), new_sessions, "the newest TLS version that is offered"),
      row("cipher_list", &T::cipher_list, text("a list of ciphers in OpenSSL syntax"), new_sessions,
          "ciphers of TLS 1.2 and below, in OpenSSL syntax; without it the library's default")
          .example("ECDHE+AESGCM:ECDHE+CHACHA20"),
      row("groups", &T::groups, list_of(required_text("the name of a group")), new_sessions,
          "key exchange groups, the preferred first; those that the library lacks are skipped"),
      row("handshake_timeout", &T::handshake_timeout, between(1s, 10min), new_sessions,
          "time a peer has to finish the TLS handshake"),
      section("session_tickets", &T::session_tickets, ticket_rows(), "resumption of TLS sessions"),
  };
}

Rows<ClientCertificates> client_certificate_rows() {
  using C = ClientCertificates;
  using enum ClientCertificateMode;
  return {
      row("mode", &C::mode, one_of<ClientCertificateMode>({off, request, require}), new_sessions,
          "whether clients are asked for a certificate, and turned away without a good one"),
      row("ca_file", &C::ca_file, text("the path of a PEM file"), new_sessions,
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
      row("allow_domains", &Recipients::allow_domains, list_of(domain(), 50'000), new_sessions,
          "relay guard: recipients elsewhere are refused unless the client authenticated; .example.org is any "
          "subdomain")
          .example("[example.org]"),
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
      row("size_limit", &E::size_limit, maybe(between(ByteSize{1}, ByteSize{std::uint64_t{1} << 40})), new_sessions,
          "the largest message that SIZE announces, if the server does not announce less")
          .example("50MiB"),
  };
}

Rows<InboundLimits> inbound_limit_rows() {
  using L = InboundLimits;
  return {
      row("command_length", &L::command_length, between(512, 65536), new_sessions,
          "octets of a command line, its CRLF included"),
      row("errors", &L::errors, between(1, 10000), new_sessions, "refused commands after which a session ends"),
  };
}

Rows<InboundTimeouts> inbound_timeout_rows() {
  using T = InboundTimeouts;
  return {
      row("greeting", &T::greeting, between(100ms, 1h), new_sessions, "time the server behind has for its greeting"),
      row("command", &T::command, between(100ms, 1h), new_sessions, "time between two commands, and for each reply"),
      row("data_block", &T::data_block, between(100ms, 1h), new_sessions, "time between two pieces of a message"),
      row("data_end", &T::data_end, between(100ms, 2h), new_sessions,
          "time the server behind has to accept a whole message"),
      row("backend_connect", &T::backend_connect, between(100ms, 5min), new_sessions,
          "time to connect to the server behind"),
  };
}

Rows<InboundListener> inbound_rows() {
  using I = InboundListener;
  using enum BareNewline;
  Rows<I> rows = {
      row("listen", &I::listen, list_of(listen_address()), at_once, "the addresses and ports to listen on").required(),
      row("mode", &I::mode, tls_mode(), new_sessions,
          "starttls: clients may turn TLS on; implicit: TLS from the first octet (port 465); none: never TLS"),
      row("require_tls", &I::require_tls, boolean(), new_sessions,
          "refuses everything but EHLO HELO NOOP RSET QUIT STARTTLS before TLS"),
      row("auth_requires_tls", &I::auth_requires_tls, boolean(), new_sessions, "hides and refuses AUTH before TLS"),
      row("certificates", &I::certificates, list_of(required_text("the name of a certificate")), new_sessions,
          "names from the certificates above, chosen by SNI; the first is the default"),
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
      section("ehlo", &I::ehlo, ehlo_rows(), "what the reply to EHLO says"),
      row("bare_newline", &I::bare_newline, one_of<BareNewline>({normalize, reject, pass}), new_sessions,
          "a CR or LF alone in a message becomes CRLF, is refused, or passes as it is"),
      section("limits", &I::limits, inbound_limit_rows(), "what one session may use"),
      section("timeouts", &I::timeouts, inbound_timeout_rows(), "after which a session is given up"),
  };
  append_flat(rows, &I::tls, tls_rows());
  return rows;
}

// A section whose keys are names: they appear in paths, logs and metrics.
template <class Read>
void read_named(const Cursor& named, Read read) {
  if (!named.is_mapping()) return;
  for (const Node& child : named.node.children) {
    const Cursor entry = named.member(child);
    if (is_entry_name(entry, child.key)) read(entry, child.key);
  }
}

Row<Settings> certificates_row() {
  Row<Settings> result{.key = "certificates",
                       .help = "pairs of chain and key by name; a name may hold several, such as ECDSA and RSA",
                       .read = {},
                       .list = {},
                       .expected = {},
                       .example_text = {}};
  result.read = [rows = certificate_pair_rows()](const Cursor& cursor, Settings& out) {
    read_named(cursor, [&](const Cursor& entry, const std::string& name) {
      read_items(entry, rows, "a list of pairs, as in [{ chain: FILE, key: FILE }]", out.certificates[name]);
    });
  };
  result.list = [rows = certificate_pair_rows()](const Settings& object, const Option& option,
                                                 std::vector<Option>& out) {
    out.push_back(option);
    for (const auto& [name, pairs] : object.certificates) {
      const Option entry = named_option(option, name);
      out.push_back(entry);
      list_items(pairs, rows, entry, out);
    }
  };
  return result;
}

// Stands after `tls` in the table: a listener starts with the global TLS settings and lays its own over them.
Row<Settings> inbound_row() {
  Row<Settings> result{.key = "inbound",
                       .help = "listeners for mail that comes in, by name",
                       .read = {},
                       .list = {},
                       .expected = {},
                       .example_text = {}};
  result.read = [rows = inbound_rows()](const Cursor& cursor, Settings& out) {
    read_named(cursor, [&](const Cursor& entry, const std::string& name) {
      if (!entry.is_mapping() && entry.node.kind != Node::Kind::null) return;
      InboundListener& listener = out.inbound.emplace_back();
      listener.name = name;
      listener.tls = out.tls;
      read_section(entry, rows, listener);
    });
  };
  result.list = [rows = inbound_rows()](const Settings& object, const Option& option, std::vector<Option>& out) {
    out.push_back(option);
    for (const InboundListener& listener : object.inbound) {
      const Option entry = named_option(option, listener.name);
      out.push_back(entry);
      list_section(listener, rows, entry, out);
    }
  };
  return result;
}

const Rows<Settings>& settings_rows() {
  using S = Settings;
  static const Rows<S> rows = {
      row("workers", &S::workers, auto_or_between(1, 1024), restart,
          "event-loop threads; auto: one for each CPU that this process may use"),
      row("user", &S::user, text("the name of a user"), restart,
          "the user to become after binding, when started as root")
          .example("postern"),
      row("hostname", &S::hostname, host_name("a host name"), new_sessions,
          "for replies the gateway makes itself; without it the machine's own full name")
          .example("mail.example.org"),
      section("log", &S::log, log_rows(), "what goes to stderr"),
      certificates_row(),
      section("tls", &S::tls, tls_rows(), "defaults; every listener may have its own"),
      inbound_row(),
  };
  return rows;
}

}  // namespace

std::string_view to_string(Reload value) {
  switch (value) {
    case Reload::at_once: return "at once";
    case Reload::new_sessions: return "new sessions";
    case Reload::restart: return "restart";
  }
  return "unknown";
}

bool is_entry_name(const Cursor& cursor, std::string_view name) {
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  constexpr std::size_t longest = 64;
  if (!name.empty() && name.size() <= longest && name.find_first_not_of(allowed) == std::string_view::npos) return true;
  cursor.loaded.add_error(cursor.path, quote(name) +
                                           " is not a good name: use at most 64 letters, digits, dots, "
                                           "hyphens and underscores");
  return false;
}

void report_unknown_keys(const Cursor& section, const std::vector<std::string_view>& known) {
  for (const Node& child : section.node.children) {
    if (std::ranges::find(known, child.key) != known.end()) continue;
    const std::string path = section.path_of(child.key);
    section.loaded.places[path] = child.key_place;
    const std::string where = section.path.empty() ? "" : " in " + section.path;
    section.loaded.add_error(path, "unknown key " + quote(child.key) + where + did_you_mean(child.key, known));
  }
}

Option named_option(const Option& parent, const std::string& name) {
  Option option;
  option.path = parent.path + "." + name;
  option.key = name;
  option.depth = parent.depth + 1;
  return option;
}

void read_settings(const Node& root, Loaded& loaded) {
  loaded.places.emplace("", root.place);
  read_section(Cursor{root, "", loaded}, settings_rows(), loaded.settings);
}

std::vector<Option> list_options(const Settings& settings) {
  std::vector<Option> options;
  list_section(settings, settings_rows(), Option{}, options);
  return options;
}

std::vector<std::string> changes_that_need_restart(const Settings& before, const Settings& after) {
  std::map<std::string, std::string> values;
  for (const Option& option : list_options(before)) values[option.path] = option.value;
  std::vector<std::string> changed;
  for (const Option& option : list_options(after)) {
    const auto old = values.find(option.path);
    const bool differs = old != values.end() && old->second != option.value;
    if (option.reload == Reload::restart && differs) changed.push_back(option.path);
  }
  return changed;
}

}  // namespace postern::config
