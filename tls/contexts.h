// The TLS contexts of a whole configuration, built at once or refused with every reason; immutable once built.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "config/settings.h"
#include "tls/engine.h"

namespace postern::tls {

class ServerContext;  // tls/server_context.h
class ClientContext;  // tls/client_context.h

class Contexts {
 public:
  // Loads keys and chains, matches them, builds a ServerContext for every inbound listener whose mode is not
  // none and a ClientContext for every listener whose backend.tls is not none. Mistakes and warnings (expired or soon
  // expiring chain, skipped groups) are added to loaded.diagnostics with their place. Null if any was an error.
  static std::shared_ptr<const Contexts> build(config::Loaded& loaded);

  // `index` is the listener's position in Settings::inbound. Null where the listener has no TLS (or no backend TLS).
  const ServerContext* server(std::size_t index) const;
  const ClientContext* backend(std::size_t index) const;

  ~Contexts();

 private:
  Contexts();
  std::vector<std::unique_ptr<ServerContext>> servers_;
  std::vector<std::unique_ptr<ClientContext>> backends_;
};

// "BoringSSL (API 17)"; and whether X25519MLKEM768 and the like are there. For `postern --version`.
struct LibraryFacts {
  int api_version = 0;
  bool has_x25519_mlkem768 = false;
};
LibraryFacts library_facts();

}  // namespace postern::tls
