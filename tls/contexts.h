// The TLS contexts of a whole configuration, built at once or refused with every reason; immutable once built.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "config/settings.h"
#include "tls/engine.h"
#include "tls/remote_contexts.h"

namespace postern::tls {

class ServerContext;  // tls/server_context.h
class TicketKeys;     // tls/ticket_keys.h

// One loaded certificate, for the metrics and for `postern tlsa`.
struct CertificateFacts {
  std::string name;                     // the key below `certificates`
  std::string file;                     // of the chain
  std::string subject;                  // RFC 2253
  std::chrono::sys_seconds not_before;  // the latest of its chain
  std::chrono::sys_seconds not_after;   // the earliest
  std::vector<std::string> dns_names;
  std::vector<std::string> chain;  // DER, leaf first
};

class Contexts {
 public:
  // Takes keys and chains from `files`, matches them, builds a ServerContext for every inbound listener whose mode is
  // not none, a ClientContext for every listener whose backend.tls is not none, and RemoteContexts for every outbound
  // one, with a ServerContext where it offers TLS. Mistakes and warnings (expired or soon expiring chain, skipped
  // groups) are added to loaded.diagnostics with their place. Null if any was an error. After a reload pass the
  // `previous` contexts: ticket keys made at random, and sessions of remote servers, then live on, where their settings
  // do.
  //
  // TLS to a backend is opportunistic: no certificate is judged, and because a backend's own TLS is why there is a
  // gateway, it may be as old as TLS 1.0, 3DES and SHA-1, whatever `tls` says, and is spared post-quantum groups.
  static std::shared_ptr<const Contexts> build(config::Loaded& loaded, const config::Files& files,
                                               const Contexts* previous = nullptr);

  // Those of an inbound listener of that name, which there is. Null where it has no TLS (or no backend TLS).
  const ServerContext* server(std::string_view listener) const;
  const ClientContext* backend(std::string_view listener) const;

  // Those of an outbound one. The server is for its clients, null where it offers them no TLS.
  const ServerContext* outbound_server(std::string_view listener) const;
  const RemoteContexts& remote(std::string_view listener) const;

  // Ticket keys that are shared by a file, by its path: what is in it may change.
  std::vector<std::pair<std::string, std::shared_ptr<TicketKeys>>> shared_ticket_keys() const;

  const std::vector<CertificateFacts>& certificates() const { return certificates_; }

  ~Contexts();

 private:
  friend class ContextsBuilder;
  struct SharedKeys {
    config::TicketSettings settings;
    std::shared_ptr<TicketKeys> keys;
  };

  Contexts();
  template <class Context>
  using ByListener = std::map<std::string, std::unique_ptr<Context>, std::less<>>;
  ByListener<ServerContext> servers_;
  ByListener<ClientContext> backends_;
  ByListener<ServerContext> outbound_servers_;
  ByListener<const RemoteContexts> remotes_;
  RemoteContextsBuilder::Clients clients_;
  std::vector<CertificateFacts> certificates_;
  std::vector<SharedKeys> ticket_keys_;  // one for each distinct setting
};

// The files of those private keys that are used to decrypt, too: of listeners whose ciphers leave the key exchange to
// RSA.
std::set<std::string> keys_that_decrypt(const config::Settings& settings);

}  // namespace postern::tls
