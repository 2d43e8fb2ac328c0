#include <algorithm>
#include <map>

#include "config/check_listener.h"
#include "config/levels.h"

namespace postern::config {
namespace {

bool takes_token(AuthMechanism mechanism) {
  switch (mechanism) {
    case AuthMechanism::plain:
    case AuthMechanism::login: return false;
    case AuthMechanism::xoauth2:
    case AuthMechanism::oauthbearer: return true;
  }
  return false;
}

// The patterns of the rows before, to find those that are never reached.
class EarlierMatches {
 public:
  void add(const std::string& pattern, const std::string& row) { rows_.emplace(pattern, row); }

  // The row whose pattern covers all that this one does; null: none.
  const std::string* covering(const std::string& pattern) const {
    if (const std::string* row = find("*")) return row;
    if (const std::string* row = find(pattern)) return row;
    for (std::size_t dot = pattern.find('.', 1); dot != std::string::npos; dot = pattern.find('.', dot + 1)) {
      if (const std::string* row = find(pattern.substr(dot))) return row;
    }
    return nullptr;
  }

 private:
  const std::string* find(const std::string& pattern) const {
    const auto found = rows_.find(pattern);
    return found == rows_.end() ? nullptr : &found->second;
  }
  std::map<std::string, std::string> rows_;
};

class OutboundCheck : private ListenerCheck {
 public:
  OutboundCheck(Loaded& loaded, const OutboundListener& listener, const ListenAddresses& own_addresses)
      : ListenerCheck(loaded, "outbound." + listener.name), listener_(listener), own_addresses_(own_addresses) {}

  void run() {
    certificates(listener_.mode, listener_.certificates);
    client_tls();
    ehlo(listener_.mode, listener_.ehlo, Direction::outbound);
    if (listener_.route == OutboundRoute::mx && given("ehlo.pass")) {
      warning("ehlo.pass", "not used by route mx: which server it will be is not known when the client says EHLO");
    }
    route();
    interception();
    relay_address();
    relay_auth();
    allow_clients();
    listener_level();
    client_certificate();
    enforcement();
    for (std::size_t i = 0; i < listener_.policies.size(); ++i) policy(at("policies", i), listener_.policies[i]);
    matches();
  }

 private:
  bool is_relay() const { return listener_.route == OutboundRoute::relay; }
  std::string route_name() const { return std::string(to_string(listener_.route)); }

  // These options are toward the client: whoever has no TLS there probably meant the other side.
  void client_tls() {
    if (wrong("mode")) return;
    if (listener_.mode != TlsMode::none) return versions(listener_.tls.min_version, listener_.tls.max_version);
    const TlsSettings& own = listener_.tls;
    const TlsSettings& global = loaded_.settings.tls;
    if (own.min_version != global.min_version) not_toward_client("min_version");
    if (own.max_version != global.max_version) not_toward_client("max_version");
    if (own.cipher_list != global.cipher_list) not_toward_client("cipher_list");
    if (own.groups != global.groups) not_toward_client("groups");
  }
  void not_toward_client(const std::string& key) {
    if (wrong(key)) return;
    warning(key, "not used, since it is toward the client and mode is none; toward remote servers " +
                     std::string(key == "cipher_list" ? "the" : "a row of policies or the") + " global tls." + key +
                     " counts");
  }

  void route() {
    if (wrong("route") || wrong("relay")) return;
    const bool relay_given = given("relay.address") || given("relay.mode") || given("relay.auth");
    if (is_relay() && !listener_.relay.address) {
      error("relay", "route relay needs an address here, that of the server which takes all mail");
    }
    if (!is_relay() && relay_given) {
      error("relay", "not used by route " + route_name() + ": set route to relay, or remove this section");
    }
    if (listener_.route != OutboundRoute::mx && listener_.port != OutboundListener().port) {
      warning("port", is_relay() ? "not used by route relay: the port stands in relay.address"
                                 : "not used by route " + route_name() + ": the client chooses the port");
    }
  }

  void interception() {
    if (listener_.route == OutboundRoute::original_destination || wrong("route")) return;
    const std::string finds = "route " + route_name() + " does not ask where an intercepted connection was going";
    if (listener_.interception == Interception::tproxy) {
      error("interception", finds + ": remove this line, or set route to original_destination");
    } else if (given("interception") && !wrong("interception")) {
      warning("interception", "not used: " + finds);
    }
    if (listener_.source == OutboundSource::client) {
      error("source",
            "client needs intercepted connections, whose replies come back through here: set source to gateway "
            "or an address, or route to original_destination");
    }
  }

  void relay_address() {
    if (!is_relay() || !listener_.relay.address || wrong("route") || wrong("relay.address")) return;
    const Endpoint& address = *listener_.relay.address;
    if (address.kind == Endpoint::Kind::unix_socket) {
      error("relay.address", "a relay is not reached by a unix socket: give its host name and port");
    }
    if (own_addresses_.reached_by(address)) {
      error("relay.address",
            quote(to_string(address)) + " is an address that this gateway listens on: mail would go round in circles");
    }
  }

  // The relay's TLS must be possible at this level.
  void relay_suits(const std::string& key, TlsLevel level, bool has_names) {
    if (!is_relay() || wrong("route") || wrong("relay")) return;
    const LevelRow& demanded = row_of(level);
    if (!demanded.uses_tls && listener_.relay.mode == TlsMode::implicit) {
      error(key,
            "none never uses TLS, and relay.mode implicit always does: set another level, or relay.mode to starttls");
    }
    if (!demanded.uses_tls && key != "level" && listener_.relay.auth) {
      error(key,
            "none never uses TLS, and without it the relay never gets the credentials (relay.auth): set another level");
    }
    const auto& address = listener_.relay.address;
    if (demanded.needs_host_name() && !has_names && address && address->kind == Endpoint::Kind::ip) {
      error(key, std::string(demanded.name) + " needs the relay's host name, which relay.address " +
                     quote(to_string(*address)) + " does not tell: give the name there");
    }
  }

  void relay_auth() {
    if (!is_relay() || !listener_.relay.auth || wrong("route") || wrong("relay.auth")) return;
    const RelayAuth& auth = *listener_.relay.auth;
    const std::string mechanism(to_string(auth.mechanism));
    const bool token = takes_token(auth.mechanism);
    const std::string needed = token ? "token_file" : "password_file";
    const std::string other = token ? "password_file" : "token_file";
    if (given("relay.auth." + other)) {
      error("relay.auth." + other, "mechanism " + mechanism + " has no use for it: remove it" +
                                       (given("relay.auth." + needed) ? "" : ", and give a " + needed));
    } else if (!given("relay.auth." + needed)) {
      error("relay.auth", "mechanism " + mechanism + " needs a " + needed);
    }
    if (auth.username.empty()) error("relay.auth", "there is no username");
    if (auth.allow_unauthenticated) {
      warning(
          "relay.auth.allow_unauthenticated",
          std::string("true hands the ") + (token ? "token" : "password") +
              " to any server that answers for the relay: better leave it out, and give the relay by a name that its "
              "certificate has");
    }
    if (!row_of(listener_.level).uses_tls && !wrong("level")) {
      error("relay.auth",
            "level none never learns who the relay is, so that it never gets the credentials: "
            "set level to verify");
    } else if (!auth.allow_unauthenticated && listener_.relay.address &&
               listener_.relay.address->kind == Endpoint::Kind::ip && !wrong("relay.address")) {
      warning(
          "relay.auth",
          "no certificate vouches for an IP address, so the relay would never get the credentials: give it by name");
    }
  }

  void allow_clients() {
    const auto& networks = listener_.allow_clients;
    const bool intercepted = listener_.route == OutboundRoute::original_destination;
    if (networks.empty() && !wrong("allow_clients")) {
      warning("allow_clients", "the empty list lets no client send: list the networks of your own mail servers");
    }
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const std::string key = at("allow_clients", i);
      if (networks[i].prefix_length > 0 || wrong(key)) continue;
      warning(key,
              quote(to_string(networks[i])) +
                  (intercepted ? " lets everyone send mail whose connections are brought here"
                               : " is AN OPEN RELAY: everyone who reaches this address can send mail to everyone") +
                  "; list the networks of your own mail servers only");
    }
  }

  void listener_level() {
    if (wrong("level")) return;
    const LevelRow& level = row_of(listener_.level);
    if (level.proof == LevelRow::Proof::fingerprint) {
      error("level",
            "fingerprint needs a list of them, which only policies have: "
            "write policies: [{ match: [\"*\"], level: fingerprint, fingerprints: [...] }]");
    }
    if (level.wants_dane() && !listener_.dane) {
      warning("dane", "false has no effect at level " + std::string(level.name) +
                          ", which uses TLSA records all the same: set another level to do without");
    }
    relay_suits("level", level.level, false);
  }

  void client_certificate() {
    const std::string& name = listener_.client_certificate;
    if (!name.empty() && !wrong("client_certificate")) certificate_exists("client_certificate", name);
  }

  void enforcement() {
    if (listener_.enforcement != Enforcement::observe) return;
    warning("enforcement",
            "observe enforces nothing: mail goes out as level may would send it, and what would have been refused is "
            "counted and logged");
  }

  void policy(const std::string& row, const OutboundPolicy& policy) {
    if (policy.match.empty() && given(row + ".match") && !wrong(row + ".match")) {
      warning(row + ".match", "the empty list matches no domain: this policy is never used");
    }
    const TlsSettings& global = loaded_.settings.tls;
    check_versions(loaded_, at_key(row), policy.min_version.value_or(global.min_version),
                   policy.max_version.value_or(global.max_version), "server");
    if (wrong(row + ".level") || (!policy.level && wrong("level"))) return;
    const TlsLevel level = policy.level.value_or(listener_.level);
    fingerprints(row, policy, level);
    if (!policy.names.empty() && row_of(level).proof != LevelRow::Proof::domain_name) {
      error(row + ".names", "only level secure looks for them, and this policy's is " + std::string(to_string(level)) +
                                ": set level to secure, or remove them");
    }
    if (policy.level) relay_suits(row + ".level", level, !policy.names.empty());
  }

  void fingerprints(const std::string& row, const OutboundPolicy& policy, TlsLevel level) {
    const bool compares = row_of(level).proof == LevelRow::Proof::fingerprint;
    if (compares && policy.level && policy.fingerprints.empty() && !wrong(row + ".fingerprints")) {
      error(row + ".level",
            "fingerprint needs fingerprints: list the SHA-256 of the servers' public keys or certificates here");
    }
    if (!compares && !policy.fingerprints.empty()) {
      error(row + ".fingerprints", "only level fingerprint compares them, and this policy's is " +
                                       std::string(to_string(level)) + ": set level to fingerprint, or remove them");
    }
  }

  // The first row that matches is used: what an earlier one covers has no effect.
  void matches() {
    EarlierMatches earlier;
    for (std::size_t i = 0; i < listener_.policies.size(); ++i) {
      const auto& patterns = listener_.policies[i].match;
      for (std::size_t j = 0; j < patterns.size(); ++j) {
        const std::string key = at(at("policies", i) + ".match", j);
        if (wrong(key)) continue;
        if (const std::string* row = earlier.covering(patterns[j].text)) {
          warning(key, quote(patterns[j].text) + " has no effect: " + *row + " covers it, and the first match is used");
        }
        earlier.add(patterns[j].text, at_key(key));
      }
    }
  }

  const OutboundListener& listener_;
  const ListenAddresses& own_addresses_;
};

}  // namespace

void check_outbound(Loaded& loaded, const OutboundListener& listener, const ListenAddresses& own_addresses) {
  OutboundCheck(loaded, listener, own_addresses).run();
}

}  // namespace postern::config
