#include "tls/contexts.h"

#include <openssl/base.h>
#include <openssl/ssl.h>

#include <map>
#include <optional>

#include "config/assert.h"
#include "tls/certificates.h"
#include "tls/client_context.h"
#include "tls/protocol_settings.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"
#include "tls/trust_store.h"

namespace postern::tls {
namespace {

using Certificates = std::vector<std::shared_ptr<const Certificate>>;

SystemTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

CertificateFacts facts_of(const std::string& name, const Certificate& certificate) {
  CertificateFacts facts{name, certificate.chain.subject, certificate.chain.not_after, certificate.chain.dns_names, {}};
  for (const auto& one : certificate.chain.certificates) {
    const auto* data = CRYPTO_BUFFER_data(one.get());
    facts.chain.emplace_back(data, data + CRYPTO_BUFFER_len(one.get()));
  }
  return facts;
}

}  // namespace

class ContextsBuilder {
 public:
  ContextsBuilder(config::Loaded& loaded, const Contexts* previous, Contexts& built)
      : loaded_(loaded), previous_(previous), built_(built) {}

  // False after any mistake.
  bool build();

 private:
  void load_certificates();
  void load_pair(const std::string& name, std::size_t index, const config::CertificatePair& pair);
  std::shared_ptr<const Certificate> load_matching(const std::string& path, const config::CertificatePair& pair);
  void warn_of(const std::string& path, const Certificate& certificate);

  std::unique_ptr<ServerContext> make_server(const config::InboundListener& listener);
  std::shared_ptr<const CertificateStore> certificates_of(const config::InboundListener& listener);
  std::shared_ptr<const TrustStore> trust_of(const config::InboundListener& listener);
  std::shared_ptr<TicketKeys> ticket_keys_of(const config::InboundListener& listener);
  void report(const config::InboundListener& listener, const ServerContext::Complaint& complaint);
  std::unique_ptr<ClientContext> make_backend();

  std::string place_of(const config::InboundListener& listener, const std::string& option) const;
  void mistake(const std::string& path, std::string message);

  config::Loaded& loaded_;
  const Contexts* previous_;
  Contexts& built_;
  std::map<std::string, Certificates> certificates_;  // by configured name; without those that failed
  bool groups_warned_ = false;
  bool ok_ = true;
};

bool ContextsBuilder::build() {
  load_certificates();
  for (const config::InboundListener& listener : loaded_.settings.inbound) {
    built_.servers_.push_back(listener.mode == config::TlsMode::none ? nullptr : make_server(listener));
    built_.backends_.push_back(listener.backend.tls == config::TlsMode::none ? nullptr : make_backend());
  }
  return ok_;
}

// What the listeners share is one mistake, however many of them stumble over it.
void ContextsBuilder::mistake(const std::string& path, std::string message) {
  if (!loaded_.is_wrong(path)) {
    loaded_.add_error(path, std::move(message));
  }
  ok_ = false;
}

// Where the option stands: in the listener itself, or in the defaults that it takes over.
std::string ContextsBuilder::place_of(const config::InboundListener& listener, const std::string& option) const {
  const std::string own = "inbound." + listener.name + "." + option;
  return loaded_.places.contains(own) ? own : "tls." + option;
}

void ContextsBuilder::load_certificates() {
  for (const auto& [name, pairs] : loaded_.settings.certificates) {
    certificates_[name];
    for (std::size_t index = 0; index < pairs.size(); ++index) {
      load_pair(name, index, pairs[index]);
    }
  }
}

void ContextsBuilder::load_pair(const std::string& name, std::size_t index, const config::CertificatePair& pair) {
  const std::string path = "certificates." + name + "[" + std::to_string(index) + "]";
  if (auto certificate = load_matching(path, pair)) {
    warn_of(path, *certificate);
    built_.certificates_.push_back(facts_of(name, *certificate));
    certificates_[name].push_back(std::move(certificate));
  }
}

std::shared_ptr<const Certificate> ContextsBuilder::load_matching(const std::string& path,
                                                                  const config::CertificatePair& pair) {
  auto chain = load_chain(pair.chain);
  if (!chain) {
    mistake(path + ".chain", chain.error().message);
  }
  auto key = load_private_key(pair.key);
  if (!key) {
    mistake(path + ".key", key.error().message);
  }
  if (!chain || !key) {
    return nullptr;
  }
  auto certificate = match(std::move(*chain), std::move(*key));
  if (!certificate) {
    mistake(path + ".key", certificate.error().message);
    return nullptr;
  }
  return std::move(*certificate);
}

void ContextsBuilder::warn_of(const std::string& path, const Certificate& certificate) {
  if (std::string warning = expiry_warning(certificate.chain, now()); !warning.empty()) {
    loaded_.add_warning(path + ".chain", std::move(warning));
  }
  for (const std::string& warning : certificate.chain.order_warnings) {
    loaded_.add_warning(path + ".chain", warning);
  }
  for (const std::string& warning : certificate.key.warnings) {
    loaded_.add_warning(path + ".key", warning);
  }
}

std::unique_ptr<ServerContext> ContextsBuilder::make_server(const config::InboundListener& listener) {
  // All three may report, so that the operator sees every mistake at once.
  ServerContext::Options options;
  options.tls = listener.tls;
  options.client_certificates = listener.client_certificates.mode;
  options.certificates = certificates_of(listener);
  const bool asks = listener.client_certificates.mode != config::ClientCertificateMode::off;
  options.trust = asks ? trust_of(listener) : nullptr;
  options.ticket_keys = listener.tls.session_tickets.enabled ? ticket_keys_of(listener) : nullptr;
  if (options.certificates == nullptr || (asks && options.trust == nullptr)) {
    return nullptr;
  }
  std::vector<ServerContext::Complaint> complaints;
  auto server = ServerContext::make(options, complaints);
  for (const auto& complaint : complaints) {
    report(listener, complaint);
  }
  return server;
}

void ContextsBuilder::report(const config::InboundListener& listener, const ServerContext::Complaint& complaint) {
  const std::string path = place_of(listener, complaint.option);
  if (complaint.is_error) {
    mistake(path, complaint.message);
  } else if (std::string_view(complaint.option) != "groups") {
    loaded_.add_warning(path, complaint.message);
  } else if (!std::exchange(groups_warned_, true)) {
    loaded_.add_warning(path, complaint.message);
  }
}

std::shared_ptr<const CertificateStore> ContextsBuilder::certificates_of(const config::InboundListener& listener) {
  const std::string path = "inbound." + listener.name + ".certificates";
  std::vector<Certificates> named;
  bool complete = !listener.certificates.empty();
  for (const std::string& name : listener.certificates) {
    const auto found = certificates_.find(name);
    const bool usable = found != certificates_.end() && !found->second.empty();
    complete = complete && usable;
    if (usable) {
      named.push_back(found->second);
    }
  }
  if (complete) {
    return std::make_shared<const CertificateStore>(std::move(named));
  }
  if (ok_) {  // else the reason has been told
    mistake(path, "no usable certificate for " + listener.name);
  }
  return nullptr;
}

std::shared_ptr<const TrustStore> ContextsBuilder::trust_of(const config::InboundListener& listener) {
  const std::string path = "inbound." + listener.name + ".client_certificates";
  const std::string& file = listener.client_certificates.ca_file;
  if (file.empty()) {
    mistake(path, "needs a ca_file, whose CAs vouch for clients");
    return nullptr;
  }
  auto trust = TrustStore::load(file);
  if (!trust) {
    mistake(path + ".ca_file", trust.error().message);
    return nullptr;
  }
  return std::move(*trust);
}

std::shared_ptr<TicketKeys> ContextsBuilder::ticket_keys_of(const config::InboundListener& listener) {
  const config::TicketSettings& wanted = listener.tls.session_tickets;
  const auto same = [&wanted](const Contexts::SharedKeys& shared) {
    return shared.settings.key_file == wanted.key_file && shared.settings.rotate == wanted.rotate;
  };
  for (const auto& shared : built_.ticket_keys_) {
    if (same(shared)) {
      return shared.keys;
    }
  }
  std::shared_ptr<TicketKeys> keys;
  if (!wanted.key_file.empty()) {
    auto loaded = TicketKeys::from_file(wanted.key_file);
    if (!loaded) {
      mistake(place_of(listener, "session_tickets.key_file"), loaded.error().message);
      return nullptr;
    }
    keys = std::move(*loaded);
  } else if (previous_ != nullptr) {
    for (const auto& shared : previous_->ticket_keys_) {
      keys = same(shared) ? shared.keys : keys;
    }
  }
  if (keys == nullptr) {
    keys = TicketKeys::random(wanted.rotate);
  }
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

std::shared_ptr<const Contexts> Contexts::build(config::Loaded& loaded, const Contexts* previous) {
  const std::shared_ptr<Contexts> contexts(new Contexts);
  return ContextsBuilder(loaded, previous, *contexts).build() ? contexts : nullptr;
}

const ServerContext* Contexts::server(std::size_t index) const {
  POSTERN_ASSERT(index < servers_.size(), "no such listener");
  return servers_[index].get();
}

const ClientContext* Contexts::backend(std::size_t index) const {
  POSTERN_ASSERT(index < backends_.size(), "no such listener");
  return backends_[index].get();
}

LibraryFacts library_facts() {
  const auto context = new_ssl_ctx();
  const auto skipped = set_groups(context.get(), {"X25519MLKEM768", "P-256"});
  return {BORINGSSL_API_VERSION, skipped.has_value() && skipped->empty()};
}

}  // namespace postern::tls
