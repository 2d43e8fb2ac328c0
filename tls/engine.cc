#include "tls/engine.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "config/assert.h"
#include "config/text.h"
#include "tls/error.h"
#include "tls/key_use.h"
#include "tls/session_cache.h"

namespace postern::tls {
namespace {

constexpr std::size_t most_per_call = std::size_t{1} << 30;  // the library counts in int

int as_int(std::size_t size) {
  return static_cast<int>(std::min(size, most_per_call));
}

std::string_view or_empty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::string sni_of(const SSL* ssl) {
  return config::lower_case(or_empty(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)));
}

// The handshake lets every certificate pass (its key was proven); the judgement is made here, so that a resumed session
// is judged by today's CAs and clock.
void judge(const PeerCertificates& peer, const TrustStore* trust, SessionFacts& facts) {
  facts.peer_subject = peer.subject();
  facts.peer_common_name = peer.common_name();
  if (trust == nullptr) {
    facts.verification = Verification::not_requested;
  } else if (peer.empty()) {
    facts.verification = Verification::no_certificate;
  } else {
    ChainResult chain = peer.verify_chain(*trust);
    facts.verification = chain.trusted ? Verification::verified : Verification::failed;
    facts.verification_error = std::move(chain.reason);
  }
}

}  // namespace

void Engine::FreeSsl::operator()(SSL* ssl) const noexcept {
  SSL_free(ssl);
}

Engine::Engine(SSL* ssl, const TrustStore* trust) : ssl_(ssl), trust_(trust) {
  POSTERN_ASSERT(ssl != nullptr, "an engine needs an SSL");
  BIO* bio = new_span_bio(&round_);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_shed_handshake_config(ssl, 1);  // an idle session then costs half
}

Engine::Engine(SSL* ssl, std::unique_ptr<SessionUse> sessions) : Engine(ssl) {
  sessions_ = std::move(sessions);
}

Engine::Engine(SSL* ssl, const TrustStore* trust, std::function<void()> refused) : Engine(ssl, trust) {
  refused_ = std::move(refused);
}

Engine::~Engine() {
  ERR_clear_error();
}

Engine::Received Engine::start(OutputBuffer& out) {
  Received result;
  if (SSL_is_server(ssl_.get())) return result;
  round_ = {{}, &out, key_use_.get()};
  handshake(result);
  round_ = {};
  return result;
}

void Engine::sign_with(Signer& signer, std::function<void()> on_answer) {
  key_use_ = std::make_unique<KeyUse>(signer, std::move(on_answer));
}

bool Engine::waits() const {
  return key_use_ != nullptr && key_use_->waits();
}

void Engine::forget_signature() {
  if (!key_use_) return;
  key_use_->cancel();
  key_use_->unread = {};
}

Engine::Received Engine::receive(std::string_view ciphertext, std::span<char> plaintext, OutputBuffer& out) {
  POSTERN_ASSERT(!waits(), "a handshake that waits for its signature is not fed");
  return work(ciphertext, plaintext, out);
}

Engine::Received Engine::resume(std::span<char> plaintext, OutputBuffer& out) {
  POSTERN_ASSERT(key_use_ != nullptr, "a handshake goes on that did not wait");
  const std::string unread = std::exchange(key_use_->unread, {});
  return work(unread, plaintext, out);
}

std::size_t Engine::kept() const {
  return key_use_ == nullptr ? 0 : key_use_->unread.size();
}

void Engine::keep(std::string_view ciphertext) {
  POSTERN_ASSERT(waits() && kept() == 0, "ciphertext is kept once, and while waiting");
  key_use_->unread.assign(ciphertext);
}

Engine::Received Engine::work(std::string_view ciphertext, std::span<char> plaintext, OutputBuffer& out) {
  POSTERN_ASSERT(plaintext.size() >= ciphertext.size() + max_record, "the plaintext buffer is too small");
  Received result;
  round_ = {ciphertext, &out, key_use_.get()};
  if (handshake(result)) decrypt(plaintext, result);
  if (result.waits) key_use_->unread.assign(std::exchange(round_.input, {}));
  POSTERN_ASSERT(round_.input.empty() || result.peer_closed || result.error, "ciphertext was left unread");
  round_ = {};
  return result;
}

// True once the handshake is over.
bool Engine::handshake(Received& result) {
  if (completed_) return true;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  withheld_ = key_use_ != nullptr && key_use_->withheld;  // also where the peer will say no by closing
  if (done == 1) {
    completed_ = true;
    key_use_.reset();
    round_.key_use = nullptr;
    if (sessions_ != nullptr) sessions_->handshake_succeeded();
    result.handshake_completed = true;
    return true;
  }
  const int why = SSL_get_error(ssl_.get(), done);
  result.waits = why == SSL_ERROR_WANT_PRIVATE_KEY_OPERATION;
  if (!result.waits && why != SSL_ERROR_WANT_READ) give_up(result);
  return false;
}

void Engine::give_up(Received& result) {
  if (refused_ && ERR_GET_REASON(ERR_peek_error()) == SSL_R_KEY_USAGE_BIT_INCORRECT) refused_();
  failure_ = handshake_failure(ERR_peek_error());
  result.error = take_error(Errc::tls, "TLS handshake failed");
  if (failure_ != HandshakeFailure::no_signature) return;
  if (key_use_ && key_use_->is_peers_fault()) {
    failure_ = HandshakeFailure::other;
    result.error->message = "TLS handshake failed: " + key_use_->failure();
  } else if (key_use_) {
    result.error->message = "TLS handshake failed: no signature: " + key_use_->failure();
  }
  SSL_send_fatal_alert(ssl_.get(), SSL_AD_INTERNAL_ERROR);  // or the peer would hear nothing
  ERR_clear_error();
}

void Engine::decrypt(std::span<char> plaintext, Received& result) {
  ERR_clear_error();
  for (;;) {
    const std::span<char> room = plaintext.subspan(result.plaintext);
    POSTERN_ASSERT(!room.empty(), "more plaintext than ciphertext");
    const int read = SSL_read(ssl_.get(), room.data(), as_int(room.size()));
    if (read > 0) {
      result.plaintext += static_cast<std::size_t>(read);
      continue;
    }
    const int why = SSL_get_error(ssl_.get(), read);
    if (why == SSL_ERROR_ZERO_RETURN) {
      result.peer_closed = true;
    } else if (why != SSL_ERROR_WANT_READ) {
      result.error = take_error(Errc::tls, "TLS connection broken");
    }
    return;
  }
}

std::optional<Error> Engine::send(std::string_view plaintext, OutputBuffer& out) {
  POSTERN_ASSERT(completed_, "nothing can be sent before the handshake is over");
  ERR_clear_error();
  round_ = {{}, &out};
  std::optional<Error> error;
  while (!plaintext.empty()) {
    const int written = SSL_write(ssl_.get(), plaintext.data(), as_int(plaintext.size()));
    if (written <= 0) {
      error = take_error(Errc::tls, "cannot send over TLS");
      break;
    }
    plaintext.remove_prefix(static_cast<std::size_t>(written));
  }
  round_ = {};
  return error;
}

void Engine::close(OutputBuffer& out) {
  // A second SSL_shutdown would wait for the peer's close_notify, and one before the handshake is an error.
  if (!completed_ || (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  round_ = {{}, &out};
  SSL_shutdown(ssl_.get());
  round_ = {};
  ERR_clear_error();
}

bool Engine::lacked_signature() const {
  return withheld_ || (!completed_ && failure_ == HandshakeFailure::no_signature);
}

bool Engine::handshake_done() const {
  return completed_;
}

SessionFacts Engine::facts() const {
  POSTERN_ASSERT(completed_, "there are no facts before the handshake is over");
  const SSL* ssl = ssl_.get();
  SessionFacts facts;
  facts.version = or_empty(SSL_get_version(ssl));
  facts.cipher = or_empty(SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)));
  facts.group = or_empty(SSL_get_curve_name(SSL_get_curve_id(ssl)));
  facts.resumed = SSL_session_reused(ssl) == 1;
  facts.sni = sni_of(ssl);
  judge(peer_certificates(), trust_, facts);
  return facts;
}

PeerCertificates Engine::peer_certificates() const {
  POSTERN_ASSERT(completed_, "there are no certificates before the handshake is over");
  const bool is_server = SSL_is_server(ssl_.get()) == 1;
  return {SSL_get0_peer_certificates(ssl_.get()), is_server ? PeerRole::client : PeerRole::server};
}

}  // namespace postern::tls
