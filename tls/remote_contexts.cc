#include "tls/remote_contexts.h"

#include <algorithm>

#include "config/assert.h"
#include "tls/findings.h"
#include "tls/trust_store.h"

namespace postern::tls {
namespace {

ClientContext::Options policy_host_options(const config::TlsSettings& tls) {
  ClientContext::Options options;
  options.min_version = config::TlsVersion::tls1_2;
  options.max_version = config::TlsVersion::tls1_3;
  options.groups = tls.groups;
  return options;
}

ClientContext::Options laid_over(ClientContext::Options options, const config::OutboundPolicy& policy) {
  options.min_version = policy.min_version.value_or(options.min_version);
  options.max_version = policy.max_version.value_or(options.max_version);
  options.groups = policy.groups.empty() ? options.groups : policy.groups;
  return options;
}

// Servers that are too old for TLS 1.2 or only just know it sign with SHA-1.
ClientContext::Options with_signatures(ClientContext::Options options) {
  options.allow_sha1 = options.min_version < config::TlsVersion::tls1_2;
  return options;
}

const std::shared_ptr<const ClientContext>* find(const RemoteContextsBuilder::Clients& clients,
                                                 const ClientContext::Options& options) {
  const auto found =
      std::find_if(clients.begin(), clients.end(), [&options](const auto& one) { return one.first == options; });
  return found == clients.end() ? nullptr : &found->second;
}

}  // namespace

RemoteContexts::RemoteContexts() = default;
RemoteContexts::~RemoteContexts() = default;

const ClientContext& RemoteContexts::policy(std::size_t row) const {
  POSTERN_ASSERT(row < policies_.size(), "no such policy");
  return *policies_[row];
}

std::unique_ptr<const RemoteContexts> RemoteContextsBuilder::make(
    const config::OutboundListener& listener, const std::shared_ptr<const CertificateStore>& client_certificate) {
  const std::string owner = "outbound." + listener.name;
  auto made = std::make_unique<RemoteContexts>();
  const ClientContext::Options base = base_options(client_certificate);
  made->base_ = client_for("tls", with_signatures(base));
  made->policy_host_ = client_for("tls", policy_host_options(tls_));
  made->trust_ = trust_of(listener);
  bool complete = made->base_ != nullptr && made->policy_host_ != nullptr && made->trust_ != nullptr;
  for (std::size_t row = 0; row < listener.policies.size(); ++row) {
    const std::string policy = owner + ".policies[" + std::to_string(row) + "]";
    made->policies_.push_back(client_for(policy, with_signatures(laid_over(base, listener.policies[row]))));
    complete = complete && made->policies_.back() != nullptr;
  }
  return complete ? std::move(made) : nullptr;
}

ClientContext::Options RemoteContextsBuilder::base_options(
    const std::shared_ptr<const CertificateStore>& client_certificate) const {
  ClientContext::Options options;
  options.min_version = tls_.min_version;
  options.max_version = tls_.max_version;
  options.cipher_list = tls_.cipher_list;
  options.groups = tls_.groups;
  options.client_certificate = client_certificate;
  options.keep_sessions = true;
  return options;
}

std::shared_ptr<const ClientContext> RemoteContextsBuilder::client_for(const std::string& owner,
                                                                       const ClientContext::Options& options) {
  if (const auto* shared = find(clients_, options)) return *shared;
  std::vector<Complaint> complaints;
  std::shared_ptr<const ClientContext> made = ClientContext::make(options, complaints);
  for (const Complaint& complaint : complaints) findings_.report(owner, complaint);
  if (made == nullptr) return nullptr;
  // What it has learned of servers outlives a reload.
  const auto* before = previous_ == nullptr ? nullptr : find(*previous_, options);
  clients_.emplace_back(options, before == nullptr ? made : *before);
  return clients_.back().second;
}

std::shared_ptr<const TrustStore> RemoteContextsBuilder::trust_of(const config::OutboundListener& listener) {
  const auto [known, is_new] = trust_.try_emplace(listener.ca_file);
  if (is_new) known->second = load_trust(listener.ca_file, "outbound." + listener.name + ".ca_file");
  return known->second;
}

std::shared_ptr<const TrustStore> RemoteContextsBuilder::load_trust(const std::string& ca_file,
                                                                    const std::string& path) {
  const bool is_system = ca_file == config::system_authorities;
  const auto& [system_path, system_file] = files_.authorities();
  const std::string& file_path = is_system ? system_path : ca_file;
  auto trust = (is_system ? system_file : files_.at(ca_file)).and_then([&](const config::File& file) {
    return is_system ? TrustStore::parse_system(file_path, file.content) : TrustStore::parse(file_path, file.content);
  });
  if (trust) {
    for (const std::string& warning : (*trust)->warnings()) findings_.warning(path, warning);
    return std::move(*trust);
  }
  if (is_system) {
    findings_.warning(path, trust.error().message + ": no certificate of a remote server will be trusted");
    return TrustStore::nobody();
  }
  findings_.mistake(path, trust.error().message);
  return nullptr;
}

}  // namespace postern::tls
