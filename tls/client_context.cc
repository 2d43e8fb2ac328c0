#include "tls/client_context.h"

#include <openssl/ssl.h>
#include <openssl/tls1.h>

#include <algorithm>

#include "config/assert.h"
#include "config/text.h"
#include "config/values.h"
#include "tls/certificates.h"
#include "tls/error.h"
#include "tls/key_use.h"
#include "tls/protocol_settings.h"
#include "tls/session_cache.h"
#include "tls/signatures.h"
#include "tls/span_bio.h"

namespace postern::tls {
namespace {

// What SNI says for a server called `name`; empty: nothing (RFC 6066 3: no addresses, no trailing dot).
std::string sni_for(std::string name) {
  if (name.ends_with('.')) name.pop_back();
  return config::is_host_name(name) && !config::parse_ip_address(name).has_value() ? name : std::string();
}

// RSA and ECDSA as the certificate request of TLS 1.2 and below calls them (RFC 5246 7.4.4, RFC 8422 5.5).
std::uint8_t certificate_type(const PrivateKey& key) {
  return key.type == KeyType::rsa ? SSL3_CT_RSA_SIGN : TLS_CT_ECDSA_SIGN;
}

// The server that asked for a certificate can make something of this key.
bool server_can_verify(const SSL* ssl, const PrivateKey& key) {
  const std::uint8_t* types = nullptr;
  const std::size_t type_count = SSL_get0_certificate_types(ssl, &types);
  if (type_count > 0 && std::find(types, types + type_count, certificate_type(key)) == types + type_count) return false;
  const std::uint16_t* schemes = nullptr;
  const std::size_t count = SSL_get0_peer_verify_algorithms(ssl, &schemes);
  if (count == 0) {
    return key.type != KeyType::ed25519;  // TLS 1.1 and older
  }
  const auto can_sign = SSL_version(ssl) >= TLS1_3_VERSION ? can_sign_tls13 : can_sign_below_tls13;
  return std::any_of(schemes, schemes + count, [&](std::uint16_t scheme) { return can_sign(key, scheme); });
}

// Called when a server asks. Where it can verify none of ours, none is shown: it may let us in without.
int show_certificate(SSL* ssl, void* store) noexcept {
  const auto& ours = *static_cast<const CertificateStore*>(store);
  KeyUse* const use = round_of(SSL_get_rbio(ssl)).key_use;
  for (const std::size_t position : ours.candidates({})) {
    const Certificate& certificate = *ours.all()[position];
    if (!server_can_verify(ssl, certificate.key)) continue;
    const bool is_here = certificate.key.elsewhere.empty();
    if (is_here || (use != nullptr && use->could_be_asked())) return KeyUse::set(ssl, certificate) ? 1 : 0;
    // Nor where nobody signs now: that is no reason to do without TLS.
    if (use != nullptr) use->withheld = true;
  }
  return 1;
}

int withhold_certificate(SSL* ssl, void*) noexcept {
  if (KeyUse* const use = round_of(SSL_get_rbio(ssl)).key_use) use->withheld = true;
  return 1;
}

// Older libraries lack this; they send a share for the first group, and for a second only after a post-quantum one.
template <class Connection>
concept CanChooseShares = requires(Connection* ssl, const std::uint16_t* group) {
  SSL_set1_client_key_shares(ssl, group, 1);
};

template <class Connection>
bool send_share_of(Connection* ssl, std::uint16_t group) {
  if constexpr (CanChooseShares<Connection>) {
    return SSL_set1_client_key_shares(ssl, &group, 1) == 1;
  } else {
    return true;
  }
}

// Many old servers have RSA certificates whose keyUsage names encipherment alone, and sign with them all the same.
// Newer libraries refuse that in TLS 1.2, too; in TLS 1.3 all do.
template <class Connection>
concept CanOverlookKeyUsage = requires(Connection* ssl) {
  SSL_set_enforce_rsa_key_usage(ssl, 0);
};

template <class Connection>
void overlook_rsa_key_usage(Connection* ssl) {
  if constexpr (CanOverlookKeyUsage<Connection>) SSL_set_enforce_rsa_key_usage(ssl, 0);
}

config::TlsSettings protocol_of(const ClientContext::Options& options) {
  config::TlsSettings tls;
  tls.min_version = options.min_version;
  tls.max_version = options.max_version;
  tls.cipher_list = options.cipher_list;
  if (!options.groups.empty()) tls.groups = options.groups;
  return tls;
}

std::string session_key(const std::string& destination, const std::string& sni) {
  return destination + ' ' + config::lower_case(sni);
}

}  // namespace

struct ClientContext::State {
  bssl::UniquePtr<SSL_CTX> context;
  std::shared_ptr<const CertificateStore> client_certificate;
  std::unique_ptr<SessionCache> sessions;  // null: none are kept
  std::string classical_groups;            // all but the post-quantum ones; empty where these are all or none
  std::uint16_t first_share = 0;           // of the classical groups

  void set_groups(const GroupChoice& choice);
  bool choose_groups(SSL* ssl, bool post_quantum) const;
};

// A post-quantum share makes a ClientHello of two packets, which some servers and their firewalls drop. A server that
// wants it will ask for it (HelloRetryRequest).
void ClientContext::State::set_groups(const GroupChoice& choice) {
  std::vector<const Group*> classical = choice.used;
  std::erase_if(classical, [](const Group* group) { return group->post_quantum; });
  if (classical.empty() || classical.size() == choice.used.size()) return;
  classical_groups = to_list(classical);
  first_share = classical.front()->id;
  if (!CanChooseShares<SSL>) {
    std::vector<const Group*> ordered = choice.used;
    std::stable_partition(ordered.begin(), ordered.end(), [](const Group* group) { return !group->post_quantum; });
    const bool set = SSL_CTX_set1_curves_list(context.get(), to_list(ordered).c_str()) == 1;
    POSTERN_ASSERT(set, "groups work in any order");
  }
}

bool ClientContext::State::choose_groups(SSL* ssl, bool post_quantum) const {
  if (classical_groups.empty()) return true;
  return post_quantum ? send_share_of(ssl, first_share) : SSL_set1_curves_list(ssl, classical_groups.c_str()) == 1;
}

ClientContext::ClientContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClientContext::~ClientContext() = default;

std::unique_ptr<ClientContext> ClientContext::make(const Options& options, std::vector<Complaint>& complaints) {
  auto state = std::make_unique<State>();
  state->context = new_ssl_ctx();
  SSL_CTX* const context = state->context.get();
  const auto groups = set_protocol(context, protocol_of(options), complaints);
  if (!groups) return nullptr;
  state->set_groups(*groups);
  set_accepted_signatures(context, options.allow_sha1);
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER, accept_any_certificate);
  if (options.client_certificate != nullptr) {
    state->client_certificate = options.client_certificate;
    SSL_CTX_set_cert_cb(context, show_certificate, const_cast<CertificateStore*>(options.client_certificate.get()));
  }
  if (options.keep_sessions) {
    state->sessions = std::make_unique<SessionCache>();
    SessionCache::enable(context);
  }
  return std::unique_ptr<ClientContext>(new ClientContext(std::move(state)));
}

Result<std::unique_ptr<ClientContext>> ClientContext::make(const Options& options) {
  std::vector<Complaint> complaints;
  if (auto made = make(options, complaints)) return made;
  const auto mistake =
      std::find_if(complaints.begin(), complaints.end(), [](const Complaint& complaint) { return complaint.is_error; });
  return fail(Errc::invalid_argument, std::string(mistake->option) + ": " + mistake->message);
}

Result<std::unique_ptr<Engine>> ClientContext::connect(const Target& target) const {
  bssl::UniquePtr<SSL> ssl(SSL_new(state_->context.get()));
  if (ssl == nullptr) return tl::unexpected(take_error(Errc::tls, "cannot start TLS"));
  SSL_set_connect_state(ssl.get());
  overlook_rsa_key_usage(ssl.get());
  const std::string sni = sni_for(target.server_name);
  if (!sni.empty() && SSL_set_tlsext_host_name(ssl.get(), sni.c_str()) != 1) {
    return tl::unexpected(take_error(Errc::tls, "cannot name the server"));
  }
  if (!state_->choose_groups(ssl.get(), target.post_quantum)) {
    return tl::unexpected(take_error(Errc::tls, "cannot choose groups"));
  }
  const bool keeps_session = state_->sessions != nullptr && !target.destination.empty() && target.certificate;
  if (!target.certificate && state_->client_certificate != nullptr) {
    SSL_set_cert_cb(ssl.get(), withhold_certificate, nullptr);
  }
  if (!keeps_session) return std::make_unique<Engine>(ssl.release());
  auto sessions =
      std::make_unique<SessionUse>(*state_->sessions, session_key(target.destination, sni), ssl.get(), target.resume);
  return std::make_unique<Engine>(ssl.release(), std::move(sessions));
}

Result<std::unique_ptr<Engine>> ClientContext::make_engine(const std::string& server_name) const {
  return connect({.server_name = server_name, .destination = {}});
}

bool ClientContext::offers_post_quantum() const {
  return !state_->classical_groups.empty();
}

void ClientContext::forget_sessions(const Target& target) const {
  if (state_->sessions != nullptr) {
    state_->sessions->forget(session_key(target.destination, sni_for(target.server_name)));
  }
}

}  // namespace postern::tls
