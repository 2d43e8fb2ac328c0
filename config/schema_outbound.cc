#include "config/levels.h"
#include "config/listener_rows.h"

namespace postern::config {
namespace {

using enum Reload;

Kind<TlsLevel> level() {
  std::vector<TlsLevel> values;
  for (const LevelRow& row : levels()) values.push_back(row.level);
  return one_of<TlsLevel>(values);
}

// Which address own connections come from: two words, or the address itself.
Kind<OutboundListener> source() {
  const std::string expected = "gateway, client or an IP address";
  const auto read = [expected](const Cursor& cursor, OutboundListener& out) {
    const std::string* value = cursor.text(expected);
    if (value == nullptr) return;
    if (const auto address = parse_ip_address(*value)) {
      out.source = OutboundSource::address;
      out.source_address = *address;
    } else if (*value == "gateway" || *value == "client") {
      out.source = *value == "gateway" ? OutboundSource::gateway : OutboundSource::client;
    } else {
      cursor.error("expected " + expected + ", not " + quote(*value) + did_you_mean(*value, {"gateway", "client"}));
    }
  };
  const auto print = [](const OutboundListener& listener) {
    const bool own = listener.source == OutboundSource::address && listener.source_address;
    return print_yaml_text(own ? to_string(*listener.source_address) : to_string(listener.source));
  };
  return {expected, read, print};
}

// Whether there is TLS at all is the level's business.
Kind<TlsMode> relay_mode() {
  Kind<TlsMode> kind = one_of<TlsMode>({TlsMode::starttls, TlsMode::implicit});
  kind.read = [inner = kind.read](const Cursor& cursor, TlsMode& out) {
    if (cursor.node.kind != Node::Kind::scalar || cursor.node.scalar != "none") return inner(cursor, out);
    cursor.error("expected starttls or implicit, not 'none': for a relay without TLS set the listener's level to none");
  };
  return kind;
}

Rows<RelayAuth> relay_auth_rows() {
  using A = RelayAuth;
  using enum AuthMechanism;
  return {
      row("mechanism", &A::mechanism, one_of<AuthMechanism>({plain, login, xoauth2, oauthbearer}), new_sessions,
          "how they are presented: plain and login a password, the others a token"),
      row("username", &A::username, required_text("the name of a user"), new_sessions, "who we are to the relay")
          .example("postern@example.com"),
      row("password_file", &A::password_file, file(FileUse::secret, required_text("the path of a file")), new_sessions,
          "file with the password (plain, login); read again when it changes")
          .example("/run/secrets/relay-password"),
      row("token_file", &A::token_file, file(FileUse::secret, required_text("the path of a file")), new_sessions,
          "file with the token (xoauth2, oauthbearer); read again when it changes")
          .example("/run/secrets/relay-token"),
      row("allow_unauthenticated", &A::allow_unauthenticated, boolean(), new_sessions,
          "true: the secret is given even to a server that has not proved who it is"),
  };
}

Rows<Relay> relay_rows() {
  using R = Relay;
  return {
      row("address", &R::address, maybe(connect_address()), new_sessions, "the server that takes all mail")
          .example("smtp.example.com:587"),
      row("mode", &R::mode, relay_mode(), new_sessions,
          "starttls: TLS begins within SMTP (port 25 or 587); implicit: TLS from the first octet (port 465)"),
      section("auth", &R::auth, relay_auth_rows(), "credentials for the relay, for clients that have none"),
  };
}

Rows<OutboundPolicy> policy_rows() {
  using P = OutboundPolicy;
  return {
      row("match", &P::match, list_of(domain(), 50'000), new_sessions,
          "recipient domains; .example.org is any subdomain, \"*\" is every domain")
          .required(),
      row("level", &P::level, maybe(level()), new_sessions, "in place of the listener's level").example("secure"),
      row("min_version", &P::min_version, maybe(tls_version()), new_sessions,
          "the oldest TLS version toward these domains; without it that of the global tls")
          .example("TLSv1.2"),
      row("max_version", &P::max_version, maybe(tls_version()), new_sessions,
          "the newest TLS version toward these domains; without it that of the global tls")
          .example("TLSv1.3"),
      row("groups", &P::groups, list_of(required_text("the name of a group")), new_sessions,
          "key exchange groups toward these domains; without it those of the global tls")
          .example("[X25519, P-256]"),
      row("names", &P::names, list_of(server_name()), new_sessions,
          "level secure: certificates must have one of these names instead of the recipient domain's")
          .example("[mx.bank.example]"),
      row("fingerprints", &P::fingerprints, list_of(fingerprint()), new_sessions,
          "level fingerprint: SHA-256 of the server's public key (SPKI) or of its certificate")
          .example("[0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]"),
  };
}

Rows<Timeouts> outbound_timeout_rows() {
  return {
      row("reply", &Timeouts::reply, between(100ms, 1h), new_sessions,
          "time a remote server has for each line of its replies, from EHLO on"),
      row("connect", &Timeouts::connect, between(100ms, 5min), new_sessions,
          "time to connect to a remote server, for each of its addresses"),
  };
}

// How mail leaves: where to, and from which address.
Rows<OutboundListener> route_rows() {
  using O = OutboundListener;
  using enum OutboundRoute;
  const auto no_relay = [](const O& listener) { return !listener.relay.address && !listener.relay.auth; };
  return {
      row("route", &O::route, one_of<OutboundRoute>({original_destination, relay, mx}), new_sessions,
          "where mail goes: where an intercepted connection was going, to one relay, or to the recipient domain's MX"),
      row("port", &O::port, port(), new_sessions,
          "route mx: the port of the remote servers, and of their TLSA records"),
      row("interception", &O::interception, one_of<Interception>({Interception::redirect, Interception::tproxy}),
          at_once, "route original_destination: which kind of firewall rule brings connections here"),
      row("source", source(), new_sessions,
          "the address that own connections come from; client: the client's own, where it was intercepted"),
      row("socket_mark", &O::socket_mark, socket_mark(), new_sessions,
          "SO_MARK of own connections, so that interception rules can leave them alone; 0: none"),
      section("relay", &O::relay, relay_rows(), "the server behind route relay").absent_if(no_relay),
      row("allow_clients", &O::allow_clients, stated(list_of(network())), new_sessions,
          "networks whose servers may send mail through here"),
  };
}

// What is demanded of remote servers.
Rows<OutboundListener> demand_rows() {
  using O = OutboundListener;
  return {
      row("level", &O::level, level(), new_sessions,
          "what is demanded of remote servers: no TLS, TLS if offered, TLS, a listed key, a certificate with the "
          "server's name, one with the recipient domain's name, DANE where it is published, DANE"),
      row("dane", &O::dane, boolean(), new_sessions,
          "TLSA records raise the demand where DNSSEC proves them, unless the level is none"),
      row("mta_sts", &O::mta_sts, boolean(), new_sessions,
          "published MTA-STS policies raise the demand, unless the level is none"),
      row("enforcement", &O::enforcement, one_of<Enforcement>({Enforcement::enforce, Enforcement::observe}),
          new_sessions, "observe: delivers as level may would, and counts and logs what would have been refused"),
      items("policies", &O::policies, policy_rows(), "a list of policies, as in [{ match: [DOMAIN], level: LEVEL }]",
            "demands by recipient domain; the first that matches is used"),
      row("ca_file", &O::ca_file, file(FileUse::authorities, required_text("system or the path of a PEM file")),
          new_sessions,
          "authorities that vouch for remote servers and for the hosts of MTA-STS policies; system: this machine's"),
      row("client_certificate", &O::client_certificate, text("the name of a certificate"), new_sessions,
          "a name from the certificates above, shown to remote servers that ask for one")
          .example("mx"),
  };
}

void append(Rows<OutboundListener>& rows, Rows<OutboundListener> more) {
  std::ranges::move(more, std::back_inserter(rows));
}

Rows<OutboundListener> outbound_rows() {
  using O = OutboundListener;
  Rows<O> rows = {shared<O>(listen_row()), shared<O>(mode_row()), shared<O>(certificate_names_row())};
  append(rows, route_rows());
  append(rows, demand_rows());
  append(rows, {
                   shared<O>(ehlo_row()),
                   shared<O>(bare_newline_row()),
                   shared<O>(limits_row()),
                   shared<O>(timeouts_row("time between two commands of the client", outbound_timeout_rows())),
               });
  append_flat(rows, static_cast<TlsSettings O::*>(&O::tls), tls_rows(), "toward the client: ");
  return rows;
}

Kind<DnsSettings> name_servers() {
  const auto list = list_of(name_server(), 16);
  const std::string expected = "recursive or " + list.expected;
  const auto read = [list, expected](const Cursor& cursor, DnsSettings& out) {
    out.recursive = cursor.node.kind == Node::Kind::scalar && cursor.node.scalar == "recursive";
    if (out.recursive) return;
    if (cursor.node.kind == Node::Kind::scalar) {
      const std::string& word = cursor.node.scalar;
      const bool is_address = word.find_first_of(".:") != std::string::npos;
      return cursor.error(
          "expected " + expected + ", not " + quote(word) +
          (is_address ? ": put it in brackets, as in " + as_list(word) : did_you_mean(word, {"recursive"})));
    }
    if (cursor.node.kind == Node::Kind::mapping && !cursor.node.is_nothing()) return cursor.error_expected(expected);
    list.read(cursor, out.servers);
  };
  const auto print = [list](const DnsSettings& dns) {
    return dns.recursive ? std::string("recursive") : list.print(dns.servers);
  };
  return {expected, read, print};
}

}  // namespace

Row<Settings> outbound_row() {
  return listeners_row("outbound", &Settings::outbound, outbound_rows(), "listeners for mail that goes out, by name");
}

Rows<DnsSettings> dns_rows() {
  using D = DnsSettings;
  return {
      row("servers", name_servers(), new_sessions,
          "resolvers to ask, or recursive: the authoritative servers, from the root down; without it those of "
          "/etc/resolv.conf")
          .example("[127.0.0.1]"),
      row("trust_anchor", &D::trust_anchor, file(FileUse::trust_anchor, required_text("the path of a file")),
          new_sessions, "file with the root's key, from which DNSSEC is validated here, whatever the resolvers say"),
  };
}

}  // namespace postern::config
