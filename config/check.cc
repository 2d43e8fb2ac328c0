#include "config/check.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/suggest.h"

namespace postern::config {
namespace {

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

void check_versions(Loaded& loaded, const TlsSettings& tls, const std::string& path) {
  const std::string min_path = path + ".min_version";
  const std::string max_path = path + ".max_version";
  const bool min_given = loaded.place_of(min_path).line != 0;
  const bool max_given = loaded.place_of(max_path).line != 0;
  if (loaded.is_wrong(min_path) || loaded.is_wrong(max_path)) return;
  if (tls.min_version > tls.max_version && (min_given || max_given)) {
    loaded.add_error(min_given ? min_path : max_path,
                     path + ": min_version " + std::string(to_string(tls.min_version)) + " is above max_version " +
                         std::string(to_string(tls.max_version)) +
                         ": no version is left, lower one or raise the other");
  }
  if (tls.min_version < TlsVersion::tls1_2 && min_given) {
    loaded.add_warning(min_path, min_path + ": " + std::string(to_string(tls.min_version)) +
                                     " is weak and deprecated (RFC 8996): use TLSv1.2 unless an old client needs less");
  }
}

// Keywords that promise what the gateway cannot keep when the server behind does not know them.
bool is_empty_promise(const std::string& keyword) {
  static const std::set<std::string> promises = {
      "STARTTLS",  "AUTH",          "XCLIENT",     "XFORWARD",     "CHUNKING", "BINARYMIME",
      "BURL",      "SIZE",          "8BITMIME",    "SMTPUTF8",     "DSN",      "ENHANCEDSTATUSCODES",
      "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY", "REQUIRETLS",   "RRVS",     "CHECKPOINT",
      "ETRN",      "ATRN",          "TURN",        "LIMITS",       "UTF8SMTP", "CONPERM",
      "CONNEG",    "MTRK",          "SUBMITTER",   "NO-SOLICITING"};
  return promises.contains(keyword);
}

class ListenerCheck {
 public:
  ListenerCheck(Loaded& loaded, const InboundListener& listener, const std::set<Endpoint>& own_addresses)
      : loaded_(loaded), listener_(listener), own_addresses_(own_addresses), path_("inbound." + listener.name) {}

  void run() {
    certificates();
    client_certificates();
    tls_mode();
    backend();
    backend_exec();
    backend_addresses();
    greeting();
    ehlo();
    proxy_networks();
    relay_risk();
    check_versions(loaded_, listener_.tls, path_);
  }

 private:
  std::string at_key(const std::string& key) const { return path_ + "." + key; }
  bool given(const std::string& key) const { return loaded_.place_of(at_key(key)).line != 0; }
  bool wrong(const std::string& key) const { return loaded_.is_wrong(at_key(key)); }
  void error(const std::string& key, const std::string& message) {
    loaded_.add_error(at_key(key), at_key(key) + ": " + message);
  }
  void warning(const std::string& key, const std::string& message) {
    loaded_.add_warning(at_key(key), at_key(key) + ": " + message);
  }

  void certificates() {
    if (wrong("mode")) return;
    const std::string mode(to_string(listener_.mode));
    if (listener_.mode != TlsMode::none && !given("certificates")) {
      error("certificates", "mode " + mode + " needs a certificate: name at least one here, or set mode: none");
    }
    if (listener_.mode == TlsMode::none && given("certificates")) {
      warning("certificates", "not used, since mode is none");
    }
    for (std::size_t i = 0; i < listener_.certificates.size(); ++i) certificate_name(i);
  }

  void certificate_name(std::size_t index) {
    const std::string key = at("certificates", index);
    const std::string& name = listener_.certificates[index];
    if (wrong(key) || loaded_.is_wrong("certificates." + name)) return;
    const auto before = listener_.certificates.begin() + static_cast<std::ptrdiff_t>(index);
    if (std::find(listener_.certificates.begin(), before, name) != before) {
      error(key, quote(name) + " is named twice: remove one of them");
    } else if (!loaded_.settings.certificates.contains(name)) {
      error(key, "there is no certificate " + quote(name) + certificate_meant_by(name));
    }
  }

  std::string certificate_meant_by(const std::string& name) const {
    if (loaded_.settings.certificates.empty()) return "; define it under the top-level key 'certificates'";
    std::vector<std::string_view> known;
    for (const auto& [defined, pairs] : loaded_.settings.certificates) known.push_back(defined);
    const std::string suggestion = did_you_mean(name, known);
    return suggestion.empty() ? "; 'certificates' defines " + list(known) : suggestion;
  }

  static std::string list(const std::vector<std::string_view>& names) {
    if (names.size() > 10) return std::to_string(names.size()) + " others";
    std::string text;
    for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
  }

  void client_certificates() {
    const ClientCertificates& clients = listener_.client_certificates;
    if (wrong("client_certificates") || wrong("mode")) return;
    if (clients.mode == ClientCertificateMode::off) {
      if (!clients.ca_file.empty())
        warning("client_certificates.ca_file", "not used, since client_certificates.mode is off");
      return;
    }
    const std::string mode(to_string(clients.mode));
    if (listener_.mode == TlsMode::none) {
      error("client_certificates.mode",
            mode + " is impossible without TLS: set the listener's mode to starttls or implicit");
    }
    if (clients.ca_file.empty()) {
      error("client_certificates.mode", mode + " needs a ca_file, which says whose certificates are good");
    }
    if (clients.mode == ClientCertificateMode::request) {
      warning("client_certificates.mode", "request lets clients in that have no certificate; require turns them away");
    } else if (listener_.mode == TlsMode::starttls && !listener_.require_tls) {
      warning("client_certificates.mode",
              "require concerns clients that use TLS; set require_tls: true so that none can do without");
    }
  }

  void tls_mode() {
    if (wrong("mode")) return;
    if (listener_.require_tls && listener_.mode == TlsMode::none) {
      error("require_tls",
            "no client could do anything, since mode none never offers TLS: "
            "set mode to starttls or implicit, or require_tls to false");
    }
    if (!listener_.auth_requires_tls && listener_.mode != TlsMode::implicit && !listener_.require_tls) {
      warning("auth_requires_tls", "false lets clients send their passwords in plaintext");
    }
  }

  void backend() {
    if (wrong("backend")) return;
    const bool address = given("backend.address");
    const bool exec = given("backend.exec");
    if (!address && !exec) {
      error("backend", "there is no server behind: give its address, or exec with a program to run");
    }
    if (address && exec) error("backend.exec", "address and exec exclude each other: remove one of them");
  }

  // Exim, and what else is called sendmail, does not read a UCSPI environment; -oMa names the client.
  static bool serves_as_local(const std::vector<std::string>& words) {
    const auto says = [&words](std::string_view text) {
      return std::ranges::any_of(words, [text](const std::string& word) { return word.find(text) != word.npos; });
    };
    return (says("exim") || says("sendmail")) && says("-bs") && !says("-oMa");
  }

  void backend_exec() {
    const Backend& b = listener_.backend;
    if (!given("backend.exec") || wrong("backend.exec")) return;
    if (b.exec.front().front() != '/') {
      error("backend.exec[0]", quote(b.exec.front()) + " is not an absolute path: write where the program is");
    }
    if (serves_as_local(b.exec)) {
      warning(
          "backend.exec",
          "this program takes a session with -bs for a local one, and by its usual rules relays for it: tell it the "
          "client, as with [/bin/sh, -c, 'exec /usr/sbin/exim4 -bs -oMa \"$$TCPREMOTEIP\"']");
    }
    if (given("backend.address")) return;  // which of the two is meant is not known
    if (b.client_address != ClientAddress::none) {
      error("backend.client_address",
            "a program learns the client's address from its environment: "
            "remove client_address, or set it to none");
    }
    if (b.tls != TlsMode::none) {
      error("backend.tls", "a program is spoken to without TLS: remove tls, or set it to none");
    }
  }

  void backend_addresses() {
    const auto& addresses = listener_.backend.addresses;
    if (wrong("backend.address")) return;
    const bool single = loaded_.place_of(at_key("backend.address[0]")).line == 0;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const std::string key = single ? "backend.address" : at("backend.address", i);
      const auto here = addresses.begin() + static_cast<std::ptrdiff_t>(i);
      if (std::find(addresses.begin(), here, *here) != here) {
        error(key, quote(to_string(*here)) + " is given twice: remove one of them");
      }
      if (own_addresses_.contains(*here)) {
        error(key,
              quote(to_string(*here)) + " is an address that this gateway listens on: mail would go round in circles");
      }
      if (here->kind == Endpoint::Kind::unix_socket && listener_.backend.client_address == ClientAddress::transparent) {
        error("backend.client_address",
              "transparent is impossible over a unix socket: use xclient, proxy_v1 or proxy_v2");
      }
    }
  }

  void greeting() {
    if (listener_.greeting != GreetingMode::gateway || listener_.mode != TlsMode::none || wrong("mode")) return;
    error("greeting",
          "gateway connects to the server behind after TLS, which mode none never starts: "
          "set greeting to backend, or mode to starttls or implicit");
  }

  void ehlo() {
    const EhloSettings& e = listener_.ehlo;
    for (std::size_t i = 0; i < e.add.size(); ++i) {
      const std::string key = at("ehlo.add", i);
      if (wrong(key)) continue;
      if (is_empty_promise(e.add[i])) {
        error(key, e.add[i] + " cannot be added: " + remedy_for_keyword(e.add[i]));
      } else if (std::ranges::find(e.hide, e.add[i]) != e.hide.end()) {
        error(key, e.add[i] + " is both hidden and added: remove it from one of the two");
      }
    }
    const bool offers_starttls = listener_.mode == TlsMode::starttls && !wrong("mode");
    const auto hidden = std::ranges::find(e.hide, "STARTTLS");
    if (offers_starttls && hidden != e.hide.end()) {
      error(at("ehlo.hide", static_cast<std::size_t>(hidden - e.hide.begin())),
            "STARTTLS is what mode starttls offers: set mode to none to hide it");
    }
  }

  static std::string remedy_for_keyword(const std::string& keyword) {
    if (keyword == "STARTTLS") return "set mode: starttls, and the gateway offers it";
    if (keyword == "SIZE") return "use ehlo.size_limit";
    return "only the server behind can keep what it promises";
  }

  void proxy_networks() {
    const auto& networks = listener_.accept_proxy_protocol_from;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const std::string key = at("accept_proxy_protocol_from", i);
      if (networks[i].prefix_length > 0 || wrong(key)) continue;
      warning(key,
              quote(to_string(networks[i])) + " lets anyone claim any client address: list the load balancers only");
    }
  }

  // Old servers relay for "local" clients, and behind a gateway every client looks local.
  void relay_risk() {
    if (wrong("backend") || wrong("recipients") || wrong("allow_open_relay_risk")) return;
    const auto& domains = listener_.recipients.allow_domains;
    const auto everything = std::ranges::find(domains, "*", &DomainPattern::text);
    const bool guarded = !domains.empty() && everything == domains.end();
    const bool told = listener_.backend.client_address != ClientAddress::none;
    if (guarded || told || !given("backend.address") || given("backend.exec")) return;
    if (listener_.allow_open_relay_risk) {
      return warning("allow_open_relay_risk",
                     "the server behind takes every client for the gateway: "
                     "make sure that it relays for nobody on that account");
    }
    loaded_.add_error(at_key("backend.client_address"),
                      path_ +
                          ": open-relay risk: the server behind sees the gateway's address instead of the client's, "
                          "and may relay for anyone if it trusts that address. Tell it the client with "
                          "backend.client_address, or run it with backend.exec, or limit recipients with "
                          "recipients.allow_domains" +
                          (everything == domains.end() ? "" : " (not '*')") +
                          ", or accept the risk with allow_open_relay_risk: true");
  }

  Loaded& loaded_;
  const InboundListener& listener_;
  const std::set<Endpoint>& own_addresses_;  // all that this gateway listens on
  std::string path_;
};

// Two sockets on one address would share its clients by chance. Port 0 is a new one each time.
void check_listen_addresses(Loaded& loaded) {
  std::map<Endpoint, std::string> seen;
  for (const InboundListener& listener : loaded.settings.inbound) {
    for (std::size_t i = 0; i < listener.listen.size(); ++i) {
      const std::string path = at("inbound." + listener.name + ".listen", i);
      if (listener.listen[i].port == 0 || loaded.is_wrong(path)) continue;
      const auto [first, is_new] = seen.emplace(listener.listen[i], path);
      if (is_new) continue;
      loaded.add_error(path, path + ": " + quote(to_string(listener.listen[i])) + " is given twice: the first is " +
                                 first->second + " on line " + std::to_string(loaded.place_of(first->second).line));
    }
  }
}

void check_any_listener(Loaded& loaded) {
  const Settings& s = loaded.settings;
  const bool wrong = loaded.is_wrong("inbound") || loaded.is_wrong("outbound") || loaded.wrong.contains("");
  if (!s.inbound.empty() || !s.outbound.empty() || wrong) return;
  loaded.add_error("inbound", "there is no listener: give at least one under 'inbound' or 'outbound'");
}

}  // namespace

void check(Loaded& loaded) {
  check_any_listener(loaded);
  check_versions(loaded, loaded.settings.tls, "tls");
  std::set<Endpoint> own_addresses;
  for (const InboundListener& listener : loaded.settings.inbound) {
    own_addresses.insert(listener.listen.begin(), listener.listen.end());
  }
  for (const InboundListener& listener : loaded.settings.inbound) ListenerCheck(loaded, listener, own_addresses).run();
  check_listen_addresses(loaded);
}

}  // namespace postern::config
