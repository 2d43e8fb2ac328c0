#include "tls/contexts.h"

#include <openssl/base.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <map>
#include <optional>

#include "config/assert.h"
#include "tls/certificate_use.h"
#include "tls/certificates.h"
#include "tls/client_context.h"
#include "tls/findings.h"
#include "tls/protocol_settings.h"
#include "tls/remote_contexts.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"
#include "tls/trust_store.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

using Certificates = std::vector<std::shared_ptr<const Certificate>>;

SystemTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string der_of(const CRYPTO_BUFFER* certificate) {
  const auto* data = CRYPTO_BUFFER_data(certificate);
  return {data, data + CRYPTO_BUFFER_len(certificate)};
}

CertificateFacts facts_of(const std::string& name, const std::string& file, const Certificate& certificate) {
  CertificateFacts facts{name,
                         file,
                         certificate.chain.subject,
                         certificate.chain.not_before,
                         certificate.chain.not_after,
                         certificate.chain.dns_names,
                         {}};
  for (const auto& one : certificate.chain.certificates) facts.chain.push_back(der_of(one.get()));
  return facts;
}

}  // namespace

class ContextsBuilder {
 public:
  ContextsBuilder(config::Loaded& loaded, const config::Files& files, const Contexts* previous, Contexts& built)
      : loaded_(loaded), files_(files), previous_(previous), built_(built), findings_(loaded) {}

  // False after any mistake.
  bool build();

 private:
  void load_certificates();
  void load_pair(const std::string& name, std::size_t index, const config::CertificatePair& pair);
  std::shared_ptr<const Certificate> load_matching(const std::string& path, const config::CertificatePair& pair);
  void warn_of(const std::string& path, const Certificate& certificate);
  void warn_of_missing_issuer(const std::string& path, const Certificate& certificate);
  void warn_of_use(const std::string& path, const Certificates& certificates, PeerRole shown_as);

  std::unique_ptr<ServerContext> make_server(const std::string& path, const config::Listener& listener,
                                             const config::ClientCertificates& clients = {});
  std::shared_ptr<const CertificateStore> certificates_of(const std::string& path, const config::Listener& listener);
  std::shared_ptr<const TrustStore> trust_of(const std::string& path, const std::string& ca_file);
  std::shared_ptr<TicketKeys> ticket_keys_of(const std::string& path, const config::TicketSettings& wanted);
  std::unique_ptr<ClientContext> make_backend();
  void build_outbound();
  void check_defaults();
  std::shared_ptr<const CertificateStore> client_certificate_of(const config::OutboundListener& listener);

  config::Loaded& loaded_;
  const config::Files& files_;
  const Contexts* previous_;
  Contexts& built_;
  Findings findings_;
  std::unique_ptr<const TrustStore> system_trust_;    // null: not asked for yet
  std::map<std::string, Certificates> certificates_;  // by configured name; without those that failed
  std::map<std::string, std::shared_ptr<const CertificateStore>> client_certificates_;  // likewise
};

bool ContextsBuilder::build() {
  load_certificates();
  for (const config::InboundListener& listener : loaded_.settings.inbound) {
    built_.servers_[listener.name] = make_server("inbound." + listener.name, listener, listener.client_certificates);
    built_.backends_[listener.name] = listener.backend.tls == config::TlsMode::none ? nullptr : make_backend();
  }
  build_outbound();
  check_defaults();
  return findings_.ok();
}

// Also where no listener that takes them over has TLS.
void ContextsBuilder::check_defaults() {
  std::vector<Complaint> complaints;
  set_protocol(new_ssl_ctx().get(), loaded_.settings.tls, complaints);
  for (const Complaint& complaint : complaints) findings_.report("tls", complaint);
}

void ContextsBuilder::build_outbound() {
  const config::Settings& settings = loaded_.settings;
  RemoteContextsBuilder remotes(settings.tls, files_, findings_, built_.clients_,
                                previous_ == nullptr ? nullptr : &previous_->clients_);
  for (const config::OutboundListener& listener : settings.outbound) {
    built_.outbound_servers_[listener.name] = make_server("outbound." + listener.name, listener);
    built_.remotes_[listener.name] = remotes.make(listener, client_certificate_of(listener));
  }
}

void ContextsBuilder::load_certificates() {
  for (const auto& [name, pairs] : loaded_.settings.certificates) {
    certificates_[name];
    for (std::size_t index = 0; index < pairs.size(); ++index) load_pair(name, index, pairs[index]);
  }
}

void ContextsBuilder::load_pair(const std::string& name, std::size_t index, const config::CertificatePair& pair) {
  const std::string path = "certificates." + name + "[" + std::to_string(index) + "]";
  if (auto certificate = load_matching(path, pair)) {
    warn_of(path, *certificate);
    built_.certificates_.push_back(facts_of(name, pair.chain, *certificate));
    certificates_[name].push_back(std::move(certificate));
  }
}

std::shared_ptr<const Certificate> ContextsBuilder::load_matching(const std::string& path,
                                                                  const config::CertificatePair& pair) {
  auto chain = files_.at(pair.chain).and_then([&pair](const config::File& file) {
    return parse_chain(pair.chain, file.content);
  });
  if (!chain) findings_.mistake(path + ".chain", chain.error().message);
  auto key =
      files_.at(pair.key).and_then([&pair](const config::File& file) { return parse_private_key(pair.key, file); });
  if (!key) findings_.mistake(path + ".key", key.error().message);
  if (!chain || !key) return nullptr;
  auto certificate = match(std::move(*chain), std::move(*key));
  if (!certificate) {
    const bool is_the_chains = certificate.error().code == Errc::unsupported;
    findings_.mistake(path + (is_the_chains ? ".chain" : ".key"), certificate.error().message);
    return nullptr;
  }
  return std::move(*certificate);
}

void ContextsBuilder::warn_of(const std::string& path, const Certificate& certificate) {
  if (const std::string warning = expiry_warning(certificate.chain, now()); !warning.empty()) {
    findings_.warning(path + ".chain", warning);
  }
  for (const std::string& warning : certificate.chain.warnings) findings_.warning(path + ".chain", warning);
  warn_of_missing_issuer(path, certificate);
  for (const std::string& warning : certificate.key.warnings) findings_.warning(path + ".key", warning);
}

void ContextsBuilder::warn_of_use(const std::string& path, const Certificates& certificates, PeerRole shown_as) {
  for (const auto& certificate : certificates) {
    for (const std::string& warning : use_warnings(*certificate, shown_as)) findings_.warning(path, warning);
  }
}

// A leaf alone, issued by somebody of whom nothing is known here: most likely an intermediate that peers lack as well.
void ContextsBuilder::warn_of_missing_issuer(const std::string& path, const Certificate& certificate) {
  if (certificate.chain.missing_issuer.empty()) return;
  if (!system_trust_) {
    const auto& [system_path, system_file] = files_.authorities();
    auto system =
        system_file ? TrustStore::parse_system(system_path, system_file->content) : tl::unexpected(system_file.error());
    system_trust_ = system ? std::move(*system) : TrustStore::nobody();
  }
  const auto leaf = parse_certificate(der_of(certificate.chain.certificates.front().get()));
  if (leaf != nullptr && !system_trust_->knows_issuer_of(*leaf)) {
    findings_.warning(path + ".chain", "holds one certificate only, whose issuer (" + certificate.chain.missing_issuer +
                                           ") is no root that this system knows: where it is an intermediate, its "
                                           "certificate belongs into the chain, or peers that verify refuse ours");
  }
}

std::unique_ptr<ServerContext> ContextsBuilder::make_server(const std::string& path, const config::Listener& listener,
                                                            const config::ClientCertificates& clients) {
  if (listener.mode == config::TlsMode::none) return nullptr;
  // All three may report, so that the operator sees every mistake at once.
  ServerContext::Options options;
  options.tls = listener.tls;
  options.client_certificates = clients.mode;
  options.certificates = certificates_of(path, listener);
  const bool asks = clients.mode != config::ClientCertificateMode::off;
  options.trust = asks ? trust_of(path + ".client_certificates", clients.ca_file) : nullptr;
  options.ticket_keys =
      listener.tls.session_tickets.enabled ? ticket_keys_of(path, listener.tls.session_tickets) : nullptr;
  if (options.certificates == nullptr || (asks && options.trust == nullptr)) return nullptr;
  std::vector<Complaint> complaints;
  auto server = ServerContext::make(options, complaints);
  for (const Complaint& complaint : complaints) findings_.report(path, complaint);
  return server;
}

std::shared_ptr<const CertificateStore> ContextsBuilder::certificates_of(const std::string& path,
                                                                         const config::Listener& listener) {
  std::vector<Certificates> named;
  bool complete = !listener.certificates.empty();
  for (const std::string& name : listener.certificates) {
    const auto found = certificates_.find(name);
    const bool usable = found != certificates_.end() && !found->second.empty();
    complete = complete && usable;
    if (usable) {
      named.push_back(found->second);
      warn_of_use(path + ".certificates", found->second, PeerRole::server);
    }
  }
  if (complete) return std::make_shared<const CertificateStore>(std::move(named));
  if (findings_.ok()) {  // else the reason has been told
    findings_.mistake(path + ".certificates", "no usable certificate for " + listener.name);
  }
  return nullptr;
}

std::shared_ptr<const CertificateStore> ContextsBuilder::client_certificate_of(
    const config::OutboundListener& listener) {
  const std::string& name = listener.client_certificate;
  if (name.empty()) return nullptr;
  const auto found = certificates_.find(name);
  if (found != certificates_.end() && !found->second.empty()) {
    warn_of_use("outbound." + listener.name + ".client_certificate", found->second, PeerRole::client);
    auto& store = client_certificates_[name];
    return store != nullptr
               ? store
               : store = std::make_shared<const CertificateStore>(std::vector<Certificates>{found->second});
  }
  if (findings_.ok()) {  // else the reason has been told
    findings_.mistake("outbound." + listener.name + ".client_certificate", "no usable certificate is called " + name);
  }
  return nullptr;
}

std::shared_ptr<const TrustStore> ContextsBuilder::trust_of(const std::string& path, const std::string& ca_file) {
  if (ca_file.empty()) {
    findings_.mistake(path, "needs a ca_file, whose CAs vouch for clients");
    return nullptr;
  }
  auto trust = files_.at(ca_file).and_then(
      [&ca_file](const config::File& file) { return TrustStore::parse(ca_file, file.content); });
  if (!trust) {
    findings_.mistake(path + ".ca_file", trust.error().message);
    return nullptr;
  }
  for (const std::string& warning : (*trust)->warnings()) findings_.warning(path + ".ca_file", warning);
  return std::move(*trust);
}

std::shared_ptr<TicketKeys> ContextsBuilder::ticket_keys_of(const std::string& path,
                                                            const config::TicketSettings& wanted) {
  const auto same = [&wanted](const Contexts::SharedKeys& shared) {
    return shared.settings.key_file == wanted.key_file && shared.settings.rotate == wanted.rotate;
  };
  for (const auto& shared : built_.ticket_keys_) {
    if (same(shared)) return shared.keys;
  }
  std::shared_ptr<TicketKeys> keys;
  if (!wanted.key_file.empty()) {
    auto loaded = files_.at(wanted.key_file).and_then([&wanted](const config::File& file) {
      return TicketKeys::shared(wanted.key_file, file.content);
    });
    if (!loaded) {
      findings_.mistake(findings_.place_of(path, "session_tickets.key_file"), loaded.error().message);
      return nullptr;
    }
    keys = std::move(*loaded);
  } else if (previous_ != nullptr) {
    for (const auto& shared : previous_->ticket_keys_) keys = same(shared) ? shared.keys : keys;
  }
  if (keys == nullptr) keys = TicketKeys::random(wanted.rotate);
  built_.ticket_keys_.push_back({wanted, keys});
  return keys;
}

std::unique_ptr<ClientContext> ContextsBuilder::make_backend() {
  ClientContext::Options options;
  options.min_version = config::TlsVersion::tls1_0;
  options.cipher_list = "ALL:DES-CBC3-SHA";  // by name: newer libraries leave 3DES out of ALL
  options.groups = {"X25519", "P-256", "P-384", "P-521"};
  options.allow_sha1 = true;
  auto made = ClientContext::make(options);
  POSTERN_ASSERT(made.has_value(), "the TLS library lacks what every BoringSSL has");
  return std::move(*made);
}

// ---

Contexts::Contexts() = default;
Contexts::~Contexts() = default;

std::shared_ptr<const Contexts> Contexts::build(config::Loaded& loaded, const config::Files& files,
                                                const Contexts* previous) {
  const std::shared_ptr<Contexts> contexts(new Contexts);
  return ContextsBuilder(loaded, files, previous, *contexts).build() ? contexts : nullptr;
}

namespace {

template <class Map>
auto* find_context(const Map& contexts, std::string_view listener) {
  const auto found = contexts.find(listener);
  POSTERN_ASSERT(found != contexts.end(), "no such listener");
  return found->second.get();
}

}  // namespace

const ServerContext* Contexts::server(std::string_view listener) const {
  return find_context(servers_, listener);
}

const ClientContext* Contexts::backend(std::string_view listener) const {
  return find_context(backends_, listener);
}

const ServerContext* Contexts::outbound_server(std::string_view listener) const {
  return find_context(outbound_servers_, listener);
}

const RemoteContexts& Contexts::remote(std::string_view listener) const {
  return *find_context(remotes_, listener);
}

std::vector<std::pair<std::string, std::shared_ptr<TicketKeys>>> Contexts::shared_ticket_keys() const {
  std::vector<std::pair<std::string, std::shared_ptr<TicketKeys>>> shared;
  for (const SharedKeys& keys : ticket_keys_) {
    if (!keys.settings.key_file.empty()) shared.emplace_back(keys.settings.key_file, keys.keys);
  }
  return shared;
}

namespace {

bool exchanges_keys_by_rsa(const config::Listener& listener) {
  if (listener.mode == config::TlsMode::none) return false;
  const auto context = new_ssl_ctx();
  std::vector<Complaint> complaints;
  if (!set_protocol(context.get(), listener.tls, complaints)) return false;
  const auto ciphers = usable_ciphers(context.get(), listener.tls);
  return std::any_of(ciphers.begin(), ciphers.end(),
                     [](const SSL_CIPHER* cipher) { return SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa; });
}

}  // namespace

std::set<std::string> keys_that_decrypt(const config::Settings& settings) {
  std::set<std::string> files;
  const auto look_at = [&](const config::Listener& listener) {
    if (!exchanges_keys_by_rsa(listener)) return;
    for (const std::string& name : listener.certificates) {
      const auto named = settings.certificates.find(name);
      if (named == settings.certificates.end()) continue;
      for (const config::CertificatePair& pair : named->second) files.insert(pair.key);
    }
  };
  for (const config::InboundListener& listener : settings.inbound) look_at(listener);
  for (const config::OutboundListener& listener : settings.outbound) look_at(listener);
  return files;
}

}  // namespace postern::tls
