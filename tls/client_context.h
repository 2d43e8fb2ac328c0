// The TLS side of connections that we open.
#pragma once

#include <memory>
#include <string>

#include "config/settings.h"
#include "tls/engine.h"

namespace postern::tls {

class ClientContext {
 public:
  // A new client connection that names `server_name` in SNI (never an address literal; empty: no SNI). Thread-safe.
  virtual Result<std::unique_ptr<Engine>> make_engine(const std::string& server_name) const = 0;
  virtual ~ClientContext() = default;
};

}  // namespace postern::tls
