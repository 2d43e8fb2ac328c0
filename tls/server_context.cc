#include "tls/server_context.h"

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string_view>

#include "config/assert.h"
#include "config/text.h"
#include "tls/certificate_use.h"
#include "tls/certificates.h"
#include "tls/client_hello.h"
#include "tls/error.h"
#include "tls/protocol_settings.h"
#include "tls/signatures.h"
#include "tls/ticket_keys.h"
#include "tls/tlsa.h"
#include "tls/trust_store.h"
#include "tls/unasked_clients.h"

namespace postern::tls {

// There is one SSL_CTX for each certificate, alike but for that: switching a connection to another costs a few
// references, while giving it another key and chain would parse and compare them for every client.
struct ServerContext::State {
  std::shared_ptr<const CertificateStore> certificates;
  std::shared_ptr<TicketKeys> ticket_keys;
  std::shared_ptr<const TrustStore> trust;
  bool may_be_spared = false;  // a client may do without a certificate
  UnaskedClients unasked;
  ServerAbilities abilities;
  std::vector<bssl::UniquePtr<SSL_CTX>> contexts;  // at the positions of certificates->all()
  std::vector<std::string> scopes;                 // of sessions, likewise
  SSL_CTX* first = nullptr;                        // for connections of which nothing is known yet

  static int index();  // where an SSL_CTX keeps its State
  static const State& of(const SSL* ssl) {
    return *static_cast<const State*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index()));
  }
};

int ServerContext::State::index() {
  static const int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

namespace {

constexpr std::string_view protocol = "smtp";  // RFC 7301's registry, for what we speak
constexpr std::size_t max_ca_names = 8 * 1024;

// Sessions of this connection are resumed only where the same name was asked for, and the same certificate shown.
bool bind_sessions(SSL* ssl, const std::string& scope, const char* sni) {
  std::string bound = scope;
  if (sni != nullptr) bound += config::lower_case(sni);
  const std::string digest = sha256(bound);
  static_assert(SHA256_DIGEST_LENGTH <= SSL_MAX_SID_CTX_LENGTH);
  return SSL_set_session_id_context(ssl, reinterpret_cast<const std::uint8_t*>(digest.data()), digest.size()) == 1;
}

// Certificates above all by name, then by what the client can check; where it can check none, it will say so itself.
ssl_select_cert_result_t select_certificate(const SSL_CLIENT_HELLO* hello) noexcept {
  const ServerContext::State& state = ServerContext::State::of(hello->ssl);
  const char* sni = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
  const auto candidates = state.certificates->candidates(sni == nullptr ? std::string_view() : std::string_view(sni));
  const auto& all = state.certificates->all();
  const auto fits = [&](std::size_t position) { return can_verify(*hello, all[position]->key, state.abilities); };
  const auto found =
      candidates.size() == 1 ? candidates.begin() : std::find_if(candidates.begin(), candidates.end(), fits);
  const std::size_t position = found == candidates.end() ? candidates.front() : *found;
  SSL_CTX* chosen = state.contexts[position].get();
  if (chosen != SSL_get_SSL_CTX(hello->ssl) && SSL_set_SSL_CTX(hello->ssl, chosen) == nullptr) {
    return ssl_select_cert_error;
  }
  return bind_sessions(hello->ssl, state.scopes[position], sni) ? ssl_select_cert_success : ssl_select_cert_error;
}

// Against cross-protocol attacks (ALPACA): who offers protocols but not ours did not mean us.
int select_protocol(SSL*, const std::uint8_t** out, std::uint8_t* out_size, const std::uint8_t* in, unsigned in_size,
                    void*) noexcept {
  for (std::size_t at = 0; at < in_size; at += 1 + std::size_t{in[at]}) {
    const std::size_t size = in[at];
    if (size == protocol.size() && at + 1 + size <= in_size &&
        std::equal(protocol.begin(), protocol.end(), in + at + 1)) {
      *out = in + at + 1;
      *out_size = static_cast<std::uint8_t>(size);
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::size_t ticket_overhead(SSL*) noexcept {
  return TicketKey::overhead;
}

int seal_ticket(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t max_out, const std::uint8_t* in,
                std::size_t in_size) noexcept {
  const auto keys = ServerContext::State::of(ssl).ticket_keys->current();
  const auto size = keys->front()->seal({in, in_size}, {out, max_out});
  *out_size = size.value_or(0);
  return size ? 1 : 0;
}

ssl_ticket_aead_result_t open_ticket(SSL* ssl, std::uint8_t* out, std::size_t* out_size, std::size_t max_out,
                                     const std::uint8_t* in, std::size_t in_size) noexcept {
  const auto keys = ServerContext::State::of(ssl).ticket_keys->current();
  for (const auto& key : *keys) {
    if (const auto size = key->open({in, in_size}, {out, max_out})) {
      *out_size = *size;
      return ssl_ticket_aead_success;
    }
  }
  return ssl_ticket_aead_ignore_ticket;  // a key gone by, or a forgery: a full handshake will tell
}

constexpr SSL_TICKET_AEAD_METHOD ticket_method = {ticket_overhead, seal_ticket, open_ticket};

std::vector<std::uint16_t> ecdsa_ciphers(const SSL_CTX* context) {
  std::vector<std::uint16_t> found;
  for (const SSL_CIPHER* cipher : SSL_CTX_get_ciphers(context)) {
    if (SSL_CIPHER_get_auth_nid(cipher) == NID_auth_ecdsa) found.push_back(SSL_CIPHER_get_protocol_id(cipher));
  }
  return found;
}

// Tickets live as long as their key is sure to.
void set_tickets(SSL_CTX* context, const ServerContext::Options& options, const SSL_TICKET_AEAD_METHOD* method) {
  if (options.ticket_keys == nullptr) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    return;
  }
  constexpr std::chrono::seconds longest = std::chrono::days(2);
  const auto rotate = std::chrono::duration_cast<std::chrono::seconds>(options.tls.session_tickets.rotate);
  const auto lifetime = static_cast<std::uint32_t>(std::clamp(rotate, std::chrono::seconds(1), longest).count());
  SSL_CTX_set_timeout(context, lifetime);
  SSL_CTX_set_session_psk_dhe_timeout(context, lifetime);
  SSL_CTX_set_ticket_aead_method(context, method);
  SSL_CTX_set_num_tickets(context, 1);  // SMTP clients come back one at a time
}

void set_ca_names(SSL_CTX* context, const TrustStore& trust) {
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names(sk_CRYPTO_BUFFER_new_null());
  std::size_t size = 0;
  for (const auto& name : trust.names()) {
    size += CRYPTO_BUFFER_len(name.get());
    bssl::PushToStack(names.get(), bssl::UpRef(name));
  }
  if (size <= max_ca_names) {  // they are a hint; a whole bundle would only swell the handshake
    SSL_CTX_set0_client_CAs(context, names.release());
  }
}

// A session counts only where the same certificates would have been demanded, and the same one shown: it must not
// carry the proof of one name over to another (RFC 6066 3, RFC 8446 4.6.1).
std::string session_scope(const ServerContext::Options& options, const Certificate& certificate) {
  const CRYPTO_BUFFER* own = certificate.chain.certificates.front().get();
  std::string scope(config::to_string(options.client_certificates));
  scope += options.trust == nullptr ? std::string() : options.trust->digest();
  scope += sha256({reinterpret_cast<const char*>(CRYPTO_BUFFER_data(own)), CRYPTO_BUFFER_len(own)});
  return sha256(scope);
}

// What the list leaves to the certificates.
void complain_of_certificates(const ServerContext::Options& options, const SSL_CTX* context,
                              std::vector<Complaint>& complaints) {
  const auto usable = usable_ciphers(context, options.tls);
  const auto goes_with = [](const SSL_CIPHER* cipher, const Certificate& certificate) {
    return (SSL_CIPHER_get_auth_nid(cipher) == NID_auth_rsa) == (certificate.key.type == KeyType::rsa);
  };
  const bool any = std::any_of(usable.begin(), usable.end(), [&](const SSL_CIPHER* cipher) {
    const auto& all = options.certificates->all();
    return std::any_of(all.begin(), all.end(), [&](const auto& one) { return goes_with(cipher, *one); });
  });
  if (options.tls.min_version < config::TlsVersion::tls1_3 && !any) {
    const bool all_is_lost = options.tls.max_version < config::TlsVersion::tls1_3;
    complaints.push_back(
        {all_is_lost, "cipher_list",
         "no cipher of the list goes with the kind of key of any certificate here: nobody can connect" +
             std::string(all_is_lost ? "" : " by TLS 1.2 or below")});
  }
}

}  // namespace

std::unique_ptr<ServerContext> ServerContext::make(const Options& options, std::vector<Complaint>& complaints) {
  POSTERN_ASSERT(options.certificates != nullptr, "a server needs certificates");
  auto state = std::make_unique<State>();
  state->certificates = options.certificates;
  state->ticket_keys = options.ticket_keys;
  state->trust = options.trust;
  state->may_be_spared = options.client_certificates == config::ClientCertificateMode::request;
  state->abilities.max_version = library_version(options.tls.max_version);
  for (const auto& certificate : options.certificates->all()) {
    auto context = new_ssl_ctx();
    std::vector<Complaint> again;
    if (!set_protocol(context.get(), options.tls, state->contexts.empty() ? complaints : again)) return nullptr;
    SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);  // the operator's order counts
    if (const auto refused = set_certificate(context.get(), *certificate)) {
      complaints.push_back({true, "certificates", refused->message});
      return nullptr;
    }
    set_tickets(context.get(), options, &ticket_method);
    state->scopes.push_back(session_scope(options, *certificate));
    if (options.client_certificates != config::ClientCertificateMode::off) {
      POSTERN_ASSERT(options.trust != nullptr, "certificates are asked for, but who vouches for them?");
      SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER, accept_any_certificate);
      set_accepted_signatures(context.get(), options.tls.min_version < config::TlsVersion::tls1_2);
      set_ca_names(context.get(), *options.trust);
    }
    SSL_CTX_set_select_certificate_cb(context.get(), select_certificate);
    SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
    SSL_CTX_set_ex_data(context.get(), State::index(), state.get());
    state->contexts.push_back(std::move(context));
  }
  const std::size_t before = complaints.size();
  complain_of_certificates(options, state->contexts.front().get(), complaints);
  if (complaints.size() > before && complaints.back().is_error) return nullptr;
  state->first = state->contexts[options.certificates->candidates({}).front()].get();
  state->abilities.ecdsa_ciphers = ecdsa_ciphers(state->first);
  return std::unique_ptr<ServerContext>(new ServerContext(std::move(state)));
}

ServerContext::ServerContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServerContext::~ServerContext() = default;

bool ServerContext::needs_signer() const {
  const auto& all = state_->certificates->all();
  return std::any_of(all.begin(), all.end(), [](const auto& one) { return !one->key.elsewhere.empty(); });
}

Result<std::unique_ptr<Engine>> ServerContext::make_engine(const std::optional<config::IpAddress>& client) const {
  bssl::UniquePtr<SSL> ssl(SSL_new(state_->first));
  if (ssl == nullptr) return tl::unexpected(take_error(Errc::tls, "cannot start TLS"));
  SSL_set_accept_state(ssl.get());
  if (!state_->may_be_spared || !client) return std::make_unique<Engine>(ssl.release(), state_->trust.get());
  if (state_->unasked.contains(*client)) SSL_set_custom_verify(ssl.get(), SSL_VERIFY_NONE, accept_any_certificate);
  return std::make_unique<Engine>(ssl.release(), state_->trust.get(),
                                  [this, address = *client] { state_->unasked.add(address); });
}

}  // namespace postern::tls
