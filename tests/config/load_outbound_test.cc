#include "config/load.h"
#include "config/settings.h"
#include "tests/support/catch.h"

namespace load_outbound_test {

using namespace postern::config;

Loaded load(std::string_view yaml) {
  return load_text(yaml, "test.yaml", [](const std::string&) -> const char* { return nullptr; });
}

std::string report(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_string(diagnostic) + "\n";
  return text;
}

// A listener with these further lines.
OutboundListener listener_with(const std::string& lines) {
  const Loaded loaded = load("outbound:\n  internet:\n    listen: [\"127.0.0.1:10025\"]\n" + lines);
  INFO(lines);
  REQUIRE(loaded.ok());
  return loaded.settings.outbound.at(0);
}

DnsSettings dns_with(const std::string& servers) {
  const Loaded loaded = load("outbound: { o: { listen: [\"127.0.0.1:0\"] } }\ndns: { servers: " + servers + " }\n");
  CHECK(report(loaded) == "");
  return loaded.settings.dns;
}

constexpr std::string_view complete = R"(
outbound:                        # stands before tls, and has its settings all the same
  internet:
    listen: ["0.0.0.0:10025", "[::]:10025"]
    mode: starttls
    certificates: [old, new]
    min_version: TLSv1.0
    session_tickets: { enabled: false }
    route: original_destination
    interception: tproxy
    source: client
    socket_mark: 0x2525
    allow_clients: [10.0.0.0/8, "fd00::/8"]
    level: encrypt
    dane: false
    mta_sts: false
    enforcement: observe
    policies:
      - match: [Bank.example, .gov.example]
        level: secure
        min_version: TLSv1.2
        max_version: TLSv1.3
        groups: [P-256]
        names: [mx.bank.example, MX2.bank.example]
      - match: ["*"]
        level: fingerprint
        fingerprints:
          - 0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef
          - AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89
    ca_file: /etc/postern/ca.pem
    client_certificate: new
    ehlo: { name: out.example.org, hide: [dsn], add: [PIPELINING], size_limit: 10MiB }
    bare_newline: pass
    limits: { command_length: 1000, errors: 5 }
    timeouts: { greeting: 1s, command: 2m, data_block: 500ms, data_end: 1h, connect: 3s }
  smarthost:
    listen: ["127.0.0.1:10026"]
    route: relay
    source: 2001:db8::1
    relay:
      address: "smtp.example.com:465"
      mode: implicit
      auth:
        mechanism: oauthbearer
        username: gateway@example.com
        token_file: /run/secrets/token
        allow_unauthenticated: true
  direct:
    listen: ["127.0.0.1:10027"]
    route: mx
    port: 2525
    source: 192.0.2.1
tls: { min_version: TLSv1.3, handshake_timeout: 10s }
certificates:
  old: [{ chain: old.pem, key: old.key }]
  new: [{ chain: new.pem, key: new.key }]
dns: { servers: ["127.0.0.1", "[::1]:5353"], trust_anchor: /etc/root.key }
state_directory: /var/lib/postern
)";

// Of a file whose diagnostics are warnings alone.
Settings complete_settings() {
  const Loaded loaded = load(complete);
  INFO(report(loaded));
  REQUIRE(loaded.ok());
  return loaded.settings;
}

TEST_CASE("load outbound: a listener alone has the defaults") {
  const Loaded loaded = load("outbound: { internet: { listen: [\"127.0.0.1:10025\"] } }\n");
  CHECK(report(loaded) == "");
  const Settings& s = loaded.settings;
  REQUIRE(s.outbound.size() == 1);
  const OutboundListener& l = s.outbound[0];
  CHECK(l.name == "internet");
  CHECK(l.mode == TlsMode::none);
  CHECK(l.route == OutboundRoute::original_destination);
  CHECK(l.port == 25);
  CHECK(l.interception == Interception::redirect);
  CHECK(l.source == OutboundSource::gateway);
  CHECK_FALSE(l.source_address.has_value());
  CHECK(l.socket_mark == 0);
  CHECK_FALSE(l.relay.address.has_value());
  CHECK_FALSE(l.relay.auth.has_value());
  CHECK(l.level == TlsLevel::may);
  CHECK(l.dane);
  CHECK(l.mta_sts);
  CHECK(l.enforcement == Enforcement::enforce);
  CHECK(l.policies.empty());
  CHECK(l.ca_file == "system");
  CHECK(l.client_certificate.empty());
  CHECK(l.timeouts.connect == 30s);
  CHECK(s.dns.servers.empty());
  CHECK_FALSE(s.dns.recursive);
  CHECK(s.dns.trust_anchor == "/usr/share/dns/root.key");
  CHECK(s.state_directory.empty());
}

TEST_CASE("load outbound: by default only this machine may use a listener") {
  const auto networks = listener_with("").allow_clients;
  REQUIRE(networks.size() == 2);
  CHECK(to_string(networks[0]) == "127.0.0.0/8");
  CHECK(to_string(networks[1]) == "::1/128");
  const auto own = listener_with("    allow_clients: [192.0.2.0/24]\n").allow_clients;
  REQUIRE(own.size() == 1);
  CHECK(to_string(own[0]) == "192.0.2.0/24");
}

TEST_CASE("load outbound: where mail goes") {
  const Settings s = complete_settings();
  REQUIRE(s.outbound.size() == 3);
  const OutboundListener& internet = s.outbound[0];
  CHECK(to_string(internet.listen.at(1)) == "[::]:10025");
  CHECK(internet.mode == TlsMode::starttls);
  CHECK(internet.certificates == std::vector<std::string>{"old", "new"});
  CHECK(internet.route == OutboundRoute::original_destination);
  CHECK(internet.interception == Interception::tproxy);
  CHECK(internet.source == OutboundSource::client);
  CHECK(internet.socket_mark == 0x2525);
  CHECK(to_string(internet.allow_clients.at(1)) == "fd00::/8");
  CHECK(internet.client_certificate == "new");

  const OutboundListener& smarthost = s.outbound[1];
  CHECK(smarthost.name == "smarthost");
  CHECK(smarthost.route == OutboundRoute::relay);
  CHECK(smarthost.source == OutboundSource::address);
  CHECK(to_string(smarthost.source_address.value()) == "2001:db8::1");
  CHECK(to_string(smarthost.relay.address.value()) == "smtp.example.com:465");
  CHECK(smarthost.relay.mode == TlsMode::implicit);
  const RelayAuth auth = smarthost.relay.auth.value();
  CHECK(auth.mechanism == AuthMechanism::oauthbearer);
  CHECK(auth.username == "gateway@example.com");
  CHECK(auth.token_file == "/run/secrets/token");
  CHECK(auth.password_file.empty());
  CHECK(auth.allow_unauthenticated);

  const OutboundListener& direct = s.outbound[2];
  CHECK(direct.route == OutboundRoute::mx);
  CHECK(direct.port == 2525);
  CHECK(to_string(direct.source_address.value()) == "192.0.2.1");
}

TEST_CASE("load outbound: what is demanded of remote servers") {
  const Settings s = complete_settings();
  const OutboundListener& l = s.outbound.at(0);
  CHECK(l.level == TlsLevel::encrypt);
  CHECK_FALSE(l.dane);
  CHECK_FALSE(l.mta_sts);
  CHECK(l.enforcement == Enforcement::observe);
  CHECK(l.ca_file == "/etc/postern/ca.pem");
  REQUIRE(l.policies.size() == 2);
  const OutboundPolicy& bank = l.policies[0];
  CHECK(bank.match.at(0).text == "bank.example");
  CHECK(bank.match.at(1).text == ".gov.example");
  CHECK(bank.level == TlsLevel::secure);
  CHECK(bank.min_version == TlsVersion::tls1_2);
  CHECK(bank.max_version == TlsVersion::tls1_3);
  CHECK(bank.groups == std::vector<std::string>{"P-256"});
  CHECK(bank.names == std::vector<std::string>{"mx.bank.example", "MX2.bank.example"});
  const OutboundPolicy& others = l.policies[1];
  CHECK(others.match.at(0).text == "*");
  CHECK_FALSE(others.min_version.has_value());
  CHECK(others.groups.empty());
  CHECK(others.fingerprints ==
        std::vector<std::string>{"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                 "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"});
}

TEST_CASE("load outbound: what it shares with inbound listeners") {
  const Settings s = complete_settings();
  const OutboundListener& l = s.outbound.at(0);
  CHECK(l.ehlo.name == "out.example.org");
  CHECK(l.ehlo.hide == std::vector<std::string>{"DSN"});
  CHECK(l.ehlo.add == std::vector<std::string>{"PIPELINING"});
  CHECK(l.ehlo.size_limit.value().bytes == 10U * 1024 * 1024);
  CHECK(l.bare_newline == BareNewline::pass);
  CHECK(l.limits.command_length == 1000);
  CHECK(l.limits.errors == 5);
  CHECK(l.timeouts.greeting == 1s);
  CHECK(l.timeouts.command == 2min);
  CHECK(l.timeouts.data_block == 500ms);
  CHECK(l.timeouts.data_end == 1h);
  CHECK(l.timeouts.connect == 3s);
}

TEST_CASE("load outbound: the TLS toward the client is laid over the global one, which stays for remote servers") {
  const Settings s = complete_settings();
  const TlsSettings& own = s.outbound.at(0).tls;
  CHECK(own.min_version == TlsVersion::tls1_0);
  CHECK_FALSE(own.session_tickets.enabled);
  CHECK(own.handshake_timeout == 10s);
  CHECK(s.outbound.at(1).tls.min_version == TlsVersion::tls1_3);
  CHECK(s.tls.min_version == TlsVersion::tls1_3);
  CHECK(s.tls.session_tickets.enabled);
}

TEST_CASE("load outbound: dns and state_directory") {
  const Settings s = complete_settings();
  REQUIRE(s.dns.servers.size() == 2);
  CHECK(to_string(s.dns.servers[0]) == "127.0.0.1:53");
  CHECK(to_string(s.dns.servers[1]) == "[::1]:5353");
  CHECK_FALSE(s.dns.recursive);
  CHECK(s.dns.trust_anchor == "/etc/root.key");
  CHECK(s.state_directory == "/var/lib/postern");
}

TEST_CASE("load outbound: name servers go by address, port 53 unless there is another") {
  const auto only = [](const std::string& text) { return to_string(dns_with("[\"" + text + "\"]").servers.at(0)); };
  CHECK(only("192.0.2.1") == "192.0.2.1:53");
  CHECK(only("192.0.2.1:5353") == "192.0.2.1:5353");
  CHECK(only("::1") == "[::1]:53");
  CHECK(only("[::1]") == "[::1]:53");
  CHECK(only("[::1]:5353") == "[::1]:5353");
  const DnsSettings recursive = dns_with("recursive");
  CHECK(recursive.recursive);
  CHECK(recursive.servers.empty());
}

TEST_CASE("load outbound: a socket mark is decimal or hexadecimal") {
  CHECK(listener_with("    socket_mark: 25\n").socket_mark == 25);
  CHECK(listener_with("    socket_mark: 0xFFffFFff\n").socket_mark == 0xffffffff);
}

TEST_CASE("load outbound: sections with all their keys commented out are as if absent") {
  const OutboundListener l = listener_with("    relay:\n    policies:\n      - match: [a.example]\n    timeouts:\n");
  CHECK_FALSE(l.relay.auth.has_value());
  const OutboundListener relay =
      listener_with("    route: relay\n    relay:\n      address: \"smtp.example.com:25\"\n      auth:\n");
  CHECK_FALSE(relay.relay.auth.has_value());
  CHECK(load("dns:\noutbound: { o: { listen: [\"127.0.0.1:0\"] } }\n").ok());
}

TEST_CASE("load outbound: a policy without a level has the listener's, and is measured by it") {
  const Loaded loaded = load(
      "outbound:\n  o:\n    listen: [\"127.0.0.1:0\"]\n    level: secure\n"
      "    policies: [{ match: [a.example], names: [mx.a.example] }]\n");
  CHECK(report(loaded) == "");
  CHECK_FALSE(loaded.settings.outbound.at(0).policies.at(0).level.has_value());
}

TEST_CASE("load outbound: an inbound listener may hand mail to an outbound one of the same process") {
  const Loaded loaded = load(
      "inbound:\n  mx:\n    listen: [\"127.0.0.1:2525\"]\n    mode: none\n"
      "    backend: { address: \"127.0.0.1:10025\", client_address: xclient }\n"
      "outbound: { internet: { listen: [\"127.0.0.1:10025\"], route: mx } }\n");
  CHECK(report(loaded) == "");
}

TEST_CASE("load outbound: port 0 is a new address each time, not the same one twice") {
  CHECK(load("outbound: { a: { listen: [\"127.0.0.1:0\"] }, b: { listen: [\"127.0.0.1:0\"] } }\n").ok());
}

TEST_CASE("settings: words are spelled as operators write them") {
  CHECK(to_string(TlsLevel::dane_only) == "dane-only");
  CHECK(to_string(TlsLevel::may) == "may");
  CHECK(to_string(OutboundRoute::original_destination) == "original_destination");
  CHECK(to_string(Interception::tproxy) == "tproxy");
  CHECK(to_string(OutboundSource::client) == "client");
  CHECK(to_string(Enforcement::observe) == "observe");
  CHECK(to_string(AuthMechanism::xoauth2) == "xoauth2");
}

}  // namespace load_outbound_test
