// Client <-> backend: the whole inbound protocol, sans-IO. Bytes and events in, effects out; no socket, no clock, no
// log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/refusals.h"
#include "tls/session_facts.h"

namespace postern::smtp {

// What holds for one connection before its first octet.
struct InboundFacts {
  const config::InboundListener* listener = nullptr;  // outlives the dialogue
  std::string_view hostname;                          // ours; outlives the dialogue
  config::IpAddress client_address;
  std::uint16_t client_port = 0;
  bool tls_available = true;  // false: STARTTLS is answered 454
};

// What the dialogue found out, for the session's record.
struct InboundOutcome {
  std::string helo;  // what the client called itself last
  bool authenticated = false;
  std::uint32_t messages_accepted = 0;
  std::uint32_t messages_refused = 0;
  std::uint32_t errors = 0;  // refusals of ours
};

class InboundDialogue {
 public:
  explicit InboundDialogue(const InboundFacts& facts);
  ~InboundDialogue();

  // The connection is there (PROXY header, if any, already taken off). With mode implicit: asks for TLS first.
  void start(Effects& out);

  // Plaintext of the client. Returns how much was consumed; less than all means that the dialogue must
  // wait for the server: the session keeps the rest, stops reading the client, and offers it again after the next
  // event for which wants_client_bytes() is true.
  std::size_t on_client_bytes(std::string_view plaintext, Effects& out);
  bool wants_client_bytes() const;

  // Plaintext of the server; always consumed whole.
  void on_server_bytes(std::string_view plaintext, Effects& out);

  // Answers connect_backend. With backend.tls implicit the session calls it once that handshake is over.
  void on_connected(Effects& out);
  void on_connect_failed(Effects& out);

  // A handshake asked for by start_tls is over.
  void on_tls(Side side, const tls::SessionFacts& facts, Effects& out);
  void on_tls_failed(Side side, Effects& out);

  void on_timer(Timer which, Effects& out);

  // The peer will send nothing more (FIN, close_notify, reset). All its earlier bytes were offered before this; bytes
  // of the client not yet consumed are still offered later, so the dialogue ends only when they are used up.
  void on_closed(Side side, Effects& out);

  // The process is stopping: the session ends at the next command after the running transaction.
  void on_drain(Effects& out);

  const InboundOutcome& outcome() const;
  // No transaction, no outstanding reply, no content: may be told 421 without harm.
  bool idle() const;

 private:
};

}  // namespace postern::smtp
