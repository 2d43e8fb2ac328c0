// One TLS connection, sans-IO: ciphertext in, plaintext out, and the other way. No socket, no clock.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "config/result.h"
#include "tls/handshake_failure.h"
#include "tls/output_buffer.h"
#include "tls/peer_certificates.h"
#include "tls/session_facts.h"
#include "tls/span_bio.h"

typedef struct ssl_st SSL;

namespace postern::tls {

class KeyUse;      // tls/key_use.h
class SessionUse;  // tls/session_cache.h
class Signer;      // tls/signer.h
class TrustStore;  // tls/trust_store.h

class Engine {
 public:
  // What one round of `receive` brought.
  struct Received {
    std::size_t plaintext = 0;         // octets written into the caller's plaintext buffer
    bool handshake_completed = false;  // true in exactly one round of a connection's life
    bool peer_closed = false;          // close_notify came; nothing more will be read
    bool waits = false;                // for a key that is elsewhere, from now on: see waits()
    std::optional<Error> error;        // the connection is broken; send what is in `out` (an alert) and close
  };

  // Takes the SSL (server or client, from a context's make_engine). Not copyable, not movable:
  // the BIO under the SSL points at it. `trust` judges the peer's certificate in facts(); null: nobody asks.
  // The context that made the SSL, and `trust`, must outlive the engine.
  explicit Engine(SSL* ssl, const TrustStore* trust = nullptr);
  // Likewise; `refused` is called where the handshake fails because the peer's certificate may not sign.
  Engine(SSL* ssl, const TrustStore* trust, std::function<void()> refused);
  // With the connection's part in a session cache, which is told how the handshake ends.
  Engine(SSL* ssl, std::unique_ptr<SessionUse> sessions);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Who is asked for the handshake's signature where the key is elsewhere; outlives the handshake. `on_answer` is
  // called once, later, after a round that `waits`, and resume() goes on. Before the handshake begins.
  void sign_with(Signer& signer, std::function<void()> on_answer);
  // The handshake waits for its signature: resume() goes on, and nothing is received before.
  bool waits() const;
  // Nobody is called any more, and nothing goes on.
  void forget_signature();

  // A client speaks first: puts the ClientHello into `out`. Does nothing on a server.
  // Any failure is reported as from `receive`.
  Received start(OutputBuffer& out);

  // Feeds all of `ciphertext`, which need live only for the call (a record cut short is kept inside the
  // library), writes decrypted octets to `plaintext` and what must be sent (handshake, alerts) to `out`.
  // Tickets of a server ride with its first `send`. What follows a close_notify or an error is dropped.
  // `plaintext` must hold at least ciphertext.size() + max_record octets, so that one call always suffices.
  // A handshake that `waits` keeps what it has not read of `ciphertext`.
  Received receive(std::string_view ciphertext, std::span<char> plaintext, OutputBuffer& out);
  // Goes on with what was kept, as receive.
  Received resume(std::span<char> plaintext, OutputBuffer& out);
  // How many octets a handshake that waits has kept, and what came meanwhile where it has not any.
  std::size_t kept() const;
  void keep(std::string_view ciphertext);

  // Encrypts all of `plaintext` into full records. Only after the handshake, not after close().
  std::optional<Error> send(std::string_view plaintext, OutputBuffer& out);

  // Puts a close_notify into `out`; harmless twice, and before the handshake is over.
  void close(OutputBuffer& out);

  bool handshake_done() const;
  // Why the handshake failed, after an error that came before it was done.
  HandshakeFailure failure() const { return failure_; }

  // The handshake failed for want of a signature with our key, or our certificate was asked for and not shown: nothing
  // that the peer did.
  bool lacked_signature() const;

  // Only after the handshake. Where the peer's certificate is to be judged this is a path validation, made
  // afresh at every call and for resumed sessions too: ask once.
  SessionFacts facts() const;

  // Only after the handshake. A resumed session shows what its first handshake showed: to be judged anew.
  PeerCertificates peer_certificates() const;

  static constexpr std::size_t max_record = 16 * 1024 + 2048;

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const noexcept;
  };

  Received work(std::string_view ciphertext, std::span<char> plaintext, OutputBuffer& out);
  bool handshake(Received& result);
  void give_up(Received& result);
  void decrypt(std::span<char> plaintext, Received& result);

  std::unique_ptr<SessionUse> sessions_;  // null: none are kept. Outlives the SSL, which points at it.
  std::unique_ptr<SSL, FreeSsl> ssl_;
  const TrustStore* trust_;
  std::function<void()> refused_;    // may be empty
  std::unique_ptr<KeyUse> key_use_;  // until the handshake is over; null: nobody signs
  SpanBioRound round_;
  bool completed_ = false;  // handshake_completed has been reported
  bool withheld_ = false;   // our certificate, for want of a signature
  HandshakeFailure failure_ = HandshakeFailure::other;
};

}  // namespace postern::tls
