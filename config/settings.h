// Everything an operator can say, as plain members with their defaults. schema.cc has one row for each.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"

namespace postern::config {

using namespace std::chrono_literals;

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };
enum class TlsVersion : std::uint8_t { tls1_0, tls1_1, tls1_2, tls1_3 };
enum class TlsMode : std::uint8_t { none, starttls, implicit };
enum class PrivateKeys : std::uint8_t { separate, inside };
enum class SandboxMode : std::uint8_t { on, log, off };
enum class ClientCertificateMode : std::uint8_t { off, request, require };
enum class ClientAddress : std::uint8_t { none, xclient, proxy_v1, proxy_v2, transparent };
enum class GreetingMode : std::uint8_t { backend, gateway };
enum class BareNewline : std::uint8_t { normalize, reject, pass };
enum class Guard : std::uint8_t { off, warn, hold };  // of certificates that fit no published TLSA record
enum class OutboundRoute : std::uint8_t { original_destination, relay, mx };
enum class Interception : std::uint8_t { redirect, tproxy };
enum class OutboundSource : std::uint8_t { gateway, client, address };
enum class Enforcement : std::uint8_t { enforce, observe };
enum class AuthMechanism : std::uint8_t { plain, login, xoauth2, oauthbearer };
// How much TLS is demanded toward a remote server, in Postfix's words; each has its row in levels.cc.
enum class TlsLevel : std::uint8_t {
  none,         // never TLS
  may,          // opportunistic (RFC 7435)
  encrypt,      // TLS, unauthenticated
  fingerprint,  // one of the listed keys or certificates
  verify,       // a Web-PKI chain and the MX host's name
  secure,       // a Web-PKI chain and the recipient domain's name, or the listed ones
  dane,         // TLSA where usable, otherwise may
  dane_only,    // usable TLSA, or nothing
};

struct LogSettings {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  bool envelope = true;  // a session's line names senders and recipients
};

struct AdminSettings {
  std::optional<Endpoint> listen;  // an address, or a unix socket; absent: there is no admin server
};

// One private key and the chain that belongs to it (leaf first), both PEM files.
struct CertificatePair {
  std::string chain;
  std::string key;
};

struct TicketSettings {
  bool enabled = true;
  Duration rotate = 12h;
  std::string key_file;  // empty: keys are made at random and never leave the process
};

struct TlsSettings {
  TlsVersion min_version = TlsVersion::tls1_2;
  TlsVersion max_version = TlsVersion::tls1_3;
  std::string cipher_list;  // TLS 1.2 and below, OpenSSL syntax; empty: all that the library has with forward secrecy
  std::vector<std::string> groups = {"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"};
  Duration handshake_timeout = 30s;
  TicketSettings session_tickets;
};

struct ClientCertificates {
  ClientCertificateMode mode = ClientCertificateMode::off;
  std::string ca_file;
};

struct Backend {
  std::vector<Endpoint> addresses;  // empty when exec is set
  std::vector<std::string> exec;    // argv of a UCSPI program; empty when addresses are set
  ClientAddress client_address = ClientAddress::none;
  TlsMode tls = TlsMode::none;
};

struct Recipients {
  std::optional<std::vector<DomainPattern>> allow_domains;  // absent: no relay guard; empty: it lets nothing through
};

struct EhloSettings {
  std::string name;               // empty ("keep"): the server's own name stays
  std::vector<std::string> hide;  // upper case keywords
  std::vector<std::string> add;   // upper case keywords
  std::vector<std::string> pass;  // … that are shown although their extension is not understood
  std::optional<ByteSize> size_limit;
};

std::vector<Network> loopback_networks();    // 127.0.0.0/8 and ::1/128
bool is_loopback(const IpAddress& address);  // in one of them

// 0: none. A client is an IPv4 address, or the first 64 bits of an IPv6 address.
struct Limits {
  std::uint32_t sessions = 10'000;                      // at a time
  std::uint32_t sessions_per_client = 50;               // likewise
  std::uint32_t connections_per_client_per_minute = 0;  // that became sessions
  std::uint32_t handshakes_per_client_per_minute = 0;   // of TLS, begun
  std::vector<Network> exempt = loopback_networks();    // from what holds for each client
  std::uint32_t command_length = 2048;                  // octets of a command line, CRLF included
  std::uint32_t errors = 20;                            // refusals of ours before 421 4.7.0
};

struct Timeouts {
  Duration greeting = 60s;
  Duration reply = 5min;  // outbound, to each command (RFC 5321 4.5.3.2.2, 4.5.3.2.3)
  Duration command = 5min;
  Duration data_block = 3min;
  Duration data_end = 10min;
  Duration connect = 10s;  // to the server, for each of its addresses
};

// What the listeners of both directions have: how clients reach them, and what holds for a session.
struct Listener {
  std::string name;  // the key below `inbound` or `outbound`
  std::vector<Endpoint> listen;
  TlsMode mode = TlsMode::starttls;       // TLS offered to clients
  std::vector<std::string> certificates;  // names in Settings::certificates; the first is the default
  TlsSettings tls;  // toward clients: the global `tls` with this listener's own min_version … laid over it
  EhloSettings ehlo;
  BareNewline bare_newline = BareNewline::normalize;
  Limits limits;
  Timeouts timeouts;
};

struct InboundListener : Listener {
  bool require_tls = false;
  bool auth_requires_tls = true;
  Guard guard = Guard::warn;
  ClientCertificates client_certificates;
  std::vector<Network> accept_proxy_protocol_from;
  Backend backend;
  GreetingMode greeting = GreetingMode::backend;
  Recipients recipients;
  bool allow_open_relay_risk = false;
};

// Our own credentials for a relay, for a client that has none.
struct RelayAuth {
  AuthMechanism mechanism = AuthMechanism::plain;
  std::string username;
  std::string password_file;           // plain, login
  std::string token_file;              // xoauth2, oauthbearer; like the other, read again when it changes
  bool allow_unauthenticated = false;  // give them to a server whose certificate nobody vouched for
};

struct Relay {
  std::optional<Endpoint> address;
  TlsMode mode = TlsMode::starttls;  // starttls or implicit
  std::optional<RelayAuth> auth;
};

// What is demanded toward the domains that match; members not set are the listener's.
struct OutboundPolicy {
  std::vector<DomainPattern> match;
  std::optional<TlsLevel> level;
  std::optional<TlsVersion> min_version;
  std::optional<TlsVersion> max_version;
  std::vector<std::string> groups;        // empty: the listener's
  std::vector<std::string> names;         // level secure: in place of the recipient domain
  std::vector<std::string> fingerprints;  // level fingerprint: SHA-256 of SPKI or certificate, 64 hexadecimal digits
};

struct OutboundListener : Listener {
  OutboundListener() {
    mode = TlsMode::none;
    limits.sessions_per_client = 0;  // one mail server with all of its connections is often the only client
    timeouts.connect = 30s;
    timeouts.greeting = 5min;  // RFC 5321 4.5.3.2.1
  }

  OutboundRoute route = OutboundRoute::original_destination;
  std::uint16_t port = 25;  // of the servers that route mx finds; their TLSA records stand under it
  Interception interception = Interception::redirect;
  OutboundSource source = OutboundSource::gateway;
  std::optional<IpAddress> source_address;  // with OutboundSource::address
  std::uint32_t socket_mark = 0;
  Relay relay;
  std::vector<Network> allow_clients = loopback_networks();
  TlsLevel level = TlsLevel::may;
  bool dane = true;
  bool mta_sts = true;
  Enforcement enforcement = Enforcement::enforce;
  std::vector<OutboundPolicy> policies;  // first match wins
  std::string ca_file = "system";
  std::string client_certificate;  // a name in Settings::certificates shown to remote servers that ask; empty: none
};

// Whom to ask. What comes back is validated here, from the trust anchor down.
struct DnsSettings {
  std::vector<Endpoint> servers;  // IP addresses; empty: those of /etc/resolv.conf
  bool recursive = false;         // ask the authoritative servers, from the root down
  std::string trust_anchor = "/usr/share/dns/root.key";
};

// How a process, or a listener that a reload took away, comes to its end.
struct DrainSettings {
  Duration timeout = std::chrono::minutes(5);  // what runs then is cut
  Duration delay{0};                           // between /readyz saying no and accepting's end
  Duration spread = std::chrono::seconds(5);   // idle sessions are told one after the other within
};

struct Settings {
  unsigned workers = 0;  // 0: auto, the CPUs this process may use
  std::string user;      // empty: stay who we are
  std::string hostname;  // empty: the machine's FQDN
  LogSettings log;
  AdminSettings admin;
  std::string control;  // the path of a unix socket; empty: there is none
  PrivateKeys private_keys = PrivateKeys::separate;
  SandboxMode sandbox = SandboxMode::on;
  DrainSettings drain;
  Duration upgrade_grace = std::chrono::seconds(10);  // what is started in our place has to say that it serves
  ByteSize buffer_limit{256ULL << 20U};               // what may wait for peers that do not read, all together
  std::map<std::string, std::vector<CertificatePair>> certificates;
  TlsSettings tls;
  std::vector<OutboundListener> outbound;
  DnsSettings dns;
  std::string state_directory;           // empty: what is learned stays in memory
  std::vector<InboundListener> inbound;  // in the order of the file
};

std::string_view to_string(LogLevel value);
std::string_view to_string(LogFormat value);
std::string_view to_string(TlsVersion value);  // "TLSv1.2"
std::string_view to_string(TlsMode value);
std::string_view to_string(PrivateKeys value);
std::string_view to_string(SandboxMode value);
std::string_view to_string(ClientCertificateMode value);
std::string_view to_string(ClientAddress value);
std::string_view to_string(GreetingMode value);
std::string_view to_string(BareNewline value);
std::string_view to_string(Guard value);
// Whether its certificates are compared with TLSA records. `warn`, which is the default, makes nobody look up names who
// did not think of DNS.
bool is_guarded(const InboundListener& listener, const Settings& settings);
std::string_view to_string(OutboundRoute value);
std::string_view to_string(Interception value);
std::string_view to_string(OutboundSource value);  // "address" for any address
std::string_view to_string(Enforcement value);
std::string_view to_string(AuthMechanism value);
std::string_view to_string(TlsLevel value);  // "dane-only"

}  // namespace postern::config
