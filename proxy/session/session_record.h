// The facts of one session, collected while it runs, written once as its log line when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/net/address.h"
#include "proxy/session/refusal_notes.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/plaintext.h"
#include "tls/session_facts.h"

namespace postern::session {

// What was decided last about TLS toward a recipient's domain.
struct PolicyFacts {
  std::string domain;
  std::string host;
  std::string policy;    // who demanded: local, dane, mta-sts
  std::string demanded;  // level
  std::string reached;   // level
  std::string result;    // satisfied, observed (delivered although not satisfied), refused
  std::string reason;
  std::string detail;                             // for people
  std::optional<smtp::Plaintext> plaintext = {};  // why the connection is without TLS
  std::string plaintext_detail = {};              // for people
};

struct SessionRecord {
  std::uint64_t id = 0;
  std::uint64_t started = 0;  // loop time, milliseconds
  net::SocketAddress client;
  std::string server;  // the server's address or program; empty: none was reached
  std::unique_ptr<tls::SessionFacts> client_tls;
  std::unique_ptr<tls::SessionFacts> backend_tls;
  std::unique_ptr<PolicyFacts> policy;  // outbound
  std::optional<smtp::Ending> ending;
  std::string reason;  // the sentence behind the ending, where there is one
  RefusalNotes refused;
  std::uint32_t in_doubt = 0;  // messages that the server may have, though the client was not told so
};

struct SessionTotals {
  std::uint64_t bytes_in = 0;   // from the client
  std::uint64_t bytes_out = 0;  // to the client
  std::uint64_t duration = 0;   // milliseconds
};

// Writes a line about the record's present policy facts to the log.
void log_decision(const SessionRecord& record, const std::string& listener);
// Writes a line about a message that the server may have, though nobody could read its reply. `about`: its envelope.
void log_doubt(const SessionRecord& record, const std::string& listener, std::string_view reason,
               std::string_view about);
// Writes the session's line to the log.
void log_session(const SessionRecord& record, std::string_view direction, const std::string& listener,
                 const smtp::DialogueOutcome& outcome, const SessionTotals& totals);

}  // namespace postern::session
