// The TLS side of one inbound listener: its certificates, versions, tickets and client-certificate demands.
#pragma once

#include <memory>
#include <vector>

#include "config/settings.h"
#include "tls/engine.h"

namespace postern::tls {

class CertificateStore;  // tls/certificates.h
class TicketKeys;        // tls/ticket_keys.h

class ServerContext {
 public:
  // A new server connection on this context; thread-safe. Fails only when memory or the library does.
  virtual Result<std::unique_ptr<Engine>> make_engine() const = 0;
  virtual ~ServerContext() = default;
};

}  // namespace postern::tls
