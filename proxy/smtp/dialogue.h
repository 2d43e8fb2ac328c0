// What every dialogue is to a session: bytes and events in, effects out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/smtp/effects.h"
#include "proxy/smtp/envelope_notes.h"
#include "tls/session_facts.h"

namespace postern::smtp {

// What a dialogue found out, for the session's record. What it refuses and what comes of messages are effects, and
// counted there.
struct DialogueOutcome {
  std::string helo;  // what the client called itself last
  bool authenticated = false;
  std::uint32_t blank_lines = 0;  // of servers, in place of replies: passed over
  std::string trouble;            // what was wrong with the server when the client was last told so; empty: nothing
  EnvelopeNotes envelope;
};

// Whom a dialogue asks, and at once, before a client begins TLS by STARTTLS. Yes: it does now, and that counts.
class HandshakeGate {
 public:
  virtual bool may_begin_handshake() = 0;

 protected:
  ~HandshakeGate() = default;
};

class Dialogue {
 public:
  virtual ~Dialogue() = default;

  // The client's connection is there.
  virtual void start(Effects& out) = 0;

  // Plaintext of the client. Returns how much was consumed; less than all means that the dialogue must
  // wait for the server: the session keeps the rest, stops reading the client, and offers it again after the next
  // event for which wants_client_bytes() is true.
  virtual std::size_t on_client_bytes(std::string_view plaintext, Effects& out) = 0;
  virtual bool wants_client_bytes() const = 0;

  // Plaintext of the server; always consumed whole.
  virtual void on_server_bytes(std::string_view plaintext, Effects& out) = 0;

  // Answers connect_server. Where TLS comes first on that side, once the handshake is over.
  virtual void on_connected(Effects& out) = 0;
  virtual void on_connect_failed(Effects& out) = 0;

  // A handshake asked for by start_tls is over.
  virtual void on_tls(Side side, const tls::SessionFacts& facts, Effects& out) = 0;
  virtual void on_tls_failed(Side side, Effects& out) = 0;

  virtual void on_timer(Timer which, Effects& out) = 0;

  // The peer will send nothing more (FIN, close_notify, reset). All its earlier bytes were offered before this; bytes
  // of the client not yet consumed are still offered later, so the dialogue ends only when they are used up.
  virtual void on_closed(Side side, Effects& out) = 0;

  // A server still owes its verdict on a message: it is waited for though the client's connection is broken.
  virtual bool message_unanswered() const = 0;

  // Whether a handshake with the client can be begun has changed: false: STARTTLS is answered 454.
  virtual void tls_available(bool available) = 0;

  // The process, or the listener, is going: the session ends at the next command after the running transaction.
  virtual void on_drain(Effects& out) = 0;
  // … and now, whatever runs.
  virtual void on_cut(Effects& out) = 0;

  virtual const DialogueOutcome& outcome() const = 0;
  // No transaction, no outstanding reply, no content: may be told 421 without harm.
  virtual bool idle() const = 0;
};

}  // namespace postern::smtp
