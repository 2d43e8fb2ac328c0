#include <algorithm>

#include "config/check_listener.h"

namespace postern::config {
namespace {

class InboundCheck : private ListenerCheck {
 public:
  InboundCheck(Loaded& loaded, const InboundListener& listener, const ListenAddresses& own_addresses)
      : ListenerCheck(loaded, "inbound." + listener.name), listener_(listener), own_addresses_(own_addresses) {}

  void run() {
    certificates(listener_.mode, listener_.certificates);
    client_certificates();
    tls_mode();
    backend();
    backend_exec();
    backend_addresses();
    greeting();
    ehlo(listener_.mode, listener_.ehlo, Direction::inbound);
    proxy_networks();
    recipients();
    relay_risk();
    versions(listener_.tls.min_version, listener_.tls.max_version);
  }

 private:
  void client_certificates() {
    const ClientCertificates& clients = listener_.client_certificates;
    if (wrong("client_certificates") || wrong("mode")) return;
    if (clients.mode == ClientCertificateMode::off) {
      if (!clients.ca_file.empty()) {
        warning("client_certificates.ca_file", "not used, since client_certificates.mode is off");
      }
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
    const bool address = !listener_.backend.addresses.empty();
    const bool exec = !listener_.backend.exec.empty();
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
    if (b.exec.empty() || wrong("backend.exec")) return;
    if (b.exec.front().front() != '/') {
      error("backend.exec[0]", quote(b.exec.front()) + " is not an absolute path: write where the program is");
    }
    if (serves_as_local(b.exec)) {
      warning(
          "backend.exec",
          "this program takes a session with -bs for a local one, and by its usual rules relays for it: tell it the "
          "client, as with [/bin/sh, -c, 'exec /usr/sbin/exim4 -bs -oMa \"$$TCPREMOTEIP\"']");
    }
    if (!b.addresses.empty()) return;  // which of the two is meant is not known
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
      if (own_addresses_.reached_by(*here)) {
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

  void proxy_networks() {
    const auto& networks = listener_.accept_proxy_protocol_from;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const std::string key = at("accept_proxy_protocol_from", i);
      if (networks[i].prefix_length > 0 || wrong(key)) continue;
      warning(key,
              quote(to_string(networks[i])) + " lets anyone claim any client address: list the load balancers only");
    }
  }

  void recipients() {
    const auto& domains = listener_.recipients.allow_domains;
    if (!domains || !domains->empty() || wrong("recipients.allow_domains")) return;
    warning("recipients.allow_domains",
            "the empty list allows no recipient, but for clients that authenticate: list your domains, or remove the "
            "line to have no relay guard");
  }

  // Old servers relay for "local" clients, and behind a gateway every client looks local.
  void relay_risk() {
    if (wrong("backend") || wrong("recipients") || wrong("allow_open_relay_risk")) return;
    const Backend& b = listener_.backend;
    const auto& domains = listener_.recipients.allow_domains;
    const bool everything = domains && std::ranges::find(*domains, "*", &DomainPattern::text) != domains->end();
    const bool guarded = domains && !everything;
    const bool told = b.client_address != ClientAddress::none;
    if (guarded || told || b.addresses.empty() || !b.exec.empty()) return;
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
                          (everything ? " (not '*')" : "") + ", or accept the risk with allow_open_relay_risk: true");
  }

  const InboundListener& listener_;
  const ListenAddresses& own_addresses_;
};

}  // namespace

void check_inbound(Loaded& loaded, const InboundListener& listener, const ListenAddresses& own_addresses) {
  InboundCheck(loaded, listener, own_addresses).run();
}

}  // namespace postern::config
