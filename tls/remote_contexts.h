// The TLS side of an outbound listener's connections to remote servers.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/files.h"
#include "config/settings.h"
#include "tls/client_context.h"

namespace postern::tls {

class Findings;    // tls/findings.h
class TrustStore;  // tls/trust_store.h

class RemoteContexts {
 public:
  RemoteContexts();
  ~RemoteContexts();

  // As the global `tls` says, with the listener's client certificate. Sessions are kept and resumed.
  const ClientContext& base() const { return *base_; }
  // The same with what the row of OutboundListener::policies says laid over. It may be the same object.
  const ClientContext& policy(std::size_t row) const;
  // For the HTTPS servers that publish MTA-STS policies: TLS 1.2 or newer, no client certificate, nothing kept.
  const ClientContext& policy_host() const { return *policy_host_; }
  // Those who vouch for both kinds of servers.
  const TrustStore& trust() const { return *trust_; }

 private:
  friend class RemoteContextsBuilder;
  std::shared_ptr<const ClientContext> base_;
  std::vector<std::shared_ptr<const ClientContext>> policies_;
  std::shared_ptr<const ClientContext> policy_host_;
  std::shared_ptr<const TrustStore> trust_;
};

// Builds them, and shares what is alike: between policies, listeners, and configurations before and after a reload.
class RemoteContextsBuilder {
 public:
  using Clients = std::vector<std::pair<ClientContext::Options, std::shared_ptr<const ClientContext>>>;

  // `clients` collects what is built. `previous`: what another configuration had, or null.
  RemoteContextsBuilder(const config::TlsSettings& tls, const config::Files& files, Findings& findings,
                        Clients& clients, const Clients* previous)
      : tls_(tls), files_(files), findings_(findings), clients_(clients), previous_(previous) {}

  // Null after a mistake. `client_certificate` may be null.
  std::unique_ptr<const RemoteContexts> make(const config::OutboundListener& listener,
                                             const std::shared_ptr<const CertificateStore>& client_certificate);

 private:
  ClientContext::Options base_options(const std::shared_ptr<const CertificateStore>& client_certificate) const;
  std::shared_ptr<const ClientContext> client_for(const std::string& owner, const ClientContext::Options& options);
  std::shared_ptr<const TrustStore> trust_of(const config::OutboundListener& listener);
  std::shared_ptr<const TrustStore> load_trust(const std::string& ca_file, const std::string& path);

  const config::TlsSettings& tls_;
  const config::Files& files_;
  Findings& findings_;
  Clients& clients_;
  const Clients* previous_;
  std::map<std::string, std::shared_ptr<const TrustStore>> trust_;  // by ca_file; null: failed
};

}  // namespace postern::tls
