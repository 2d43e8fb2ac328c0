// The TLS side of one inbound listener: its certificates, versions, tickets and client-certificate demands.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "config/settings.h"
#include "tls/complaint.h"
#include "tls/engine.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace postern::tls {

class CertificateStore;  // tls/certificates.h
class TicketKeys;        // tls/ticket_keys.h
class TrustStore;        // tls/trust_store.h

class ServerContext {
 public:
  struct Options {
    config::TlsSettings tls;  // cipher_list and groups in our order of preference
    std::shared_ptr<const CertificateStore> certificates;
    std::shared_ptr<TicketKeys> ticket_keys;  // null: no tickets
    config::ClientCertificateMode client_certificates = config::ClientCertificateMode::off;
    std::shared_ptr<const TrustStore> trust;  // null where client_certificates is off
  };

  using Complaint = tls::Complaint;

  // Null where any complaint is an error.
  static std::unique_ptr<ServerContext> make(const Options& options, std::vector<Complaint>& complaints);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // A new server connection on this context, which must outlive it; thread-safe. Fails only when memory or the
  // library does. The client's certificate, where it is asked for, fails the handshake only where it may not sign (see
  // UnaskedClients); else see the engine's facts. `client`: whose connection it is, where that is known.
  Result<std::unique_ptr<Engine>> make_engine(const std::optional<config::IpAddress>& client = std::nullopt) const;

  // Some key is elsewhere: who is to shake hands needs a Signer.
  bool needs_signer() const;

  struct State;  // for the library's callbacks

 private:
  explicit ServerContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace postern::tls
