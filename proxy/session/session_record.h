// The facts of one session, collected while it runs, written once as its log line when it ends. What happens is noted
// here, once, and stands from then on in that line and in the listener's book.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/net/address.h"
#include "proxy/observe/book.h"
#include "proxy/observe/log_line.h"
#include "proxy/session/refusal_notes.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/plaintext.h"
#include "proxy/smtp/refusals.h"
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

struct SessionTotals {
  std::uint64_t bytes_in = 0;   // from the client
  std::uint64_t bytes_out = 0;  // to the client
  std::uint64_t duration = 0;   // milliseconds
};

struct SessionRecord {
  // The session begins. `book` is its listener's and outlives it; `now`, as below, is loop time in milliseconds.
  void begin(observe::Book& book, std::uint64_t now);

  void note_handshake_begins(smtp::Side side, std::uint64_t now);
  void note_handshake(smtp::Side side, tls::SessionFacts facts, std::uint64_t now);
  // `reason`: a value of the label of tls_handshake_failures_total, in static storage.
  void note_failed_handshake(smtp::Side side, std::string_view reason);

  void note_dialing(std::uint64_t now);
  void note_connection(std::string name, std::uint64_t now);
  void note_no_connection();

  // `what` is a verb, or empty; `reason` says more than the refusal's own reply does.
  void note_refusal(smtp::Refusal refusal, std::string_view what = {}, std::string_view reason = {});
  // With a reply that is not the row's.
  void note_turned_away(smtp::Refusal refusal, std::string_view what, std::string_view reply);
  void note_message(smtp::MessageResult result);
  // A message is possibly delivered twice.
  void note_doubt();
  void note_decision(PolicyFacts facts);
  // `helo`: what the client called itself.
  void note_end(const SessionTotals& totals, std::string_view helo = {});

  std::uint64_t id = 0;
  std::uint64_t started = 0;
  net::SocketAddress client;
  std::optional<smtp::Ending> ending;
  std::string server;  // the server's address or program; empty: none was reached
  std::unique_ptr<tls::SessionFacts> client_tls;
  std::unique_ptr<tls::SessionFacts> server_tls;
  std::unique_ptr<PolicyFacts> policy;  // outbound
  std::string reason;                   // the sentence behind the ending, where there is one
  std::string_view client_tls_failure;  // the word for a handshake that failed; empty: none did
  std::string_view server_tls_failure;

  // Of what was noted.
  std::unique_ptr<RefusalNotes> refused;  // null: nothing was
  std::uint32_t errors = 0;               // refusals for the client's mistakes
  std::uint32_t accepted = 0;             // messages
  std::uint32_t messages_refused = 0;
  std::uint32_t in_doubt = 0;  // messages that the server may have, though the client was not told so

 private:
  std::uint64_t since(smtp::Side side, std::uint64_t now) const;
  void note_old_tls(std::string_view helo);
  void note_in_line(smtp::Refusal refusal, std::string_view what, std::string_view reply, std::string_view reason);

  observe::Book* book_ = nullptr;
  // Of each side's handshake, before it the dialing of the server: milliseconds since `started`.
  std::uint32_t began_[2] = {};
};

// Writes a line about the record's present policy facts to the log.
void log_decision(const SessionRecord& record, const std::string& listener);
// Writes a line about a message that the server may have, though nobody could read its reply. `about`: its envelope.
void log_doubt(const SessionRecord& record, const std::string& listener, std::string_view reason,
               std::string_view about);
// The fields of the session's line, as long as `use` takes.
using UseLine = std::function<void(const std::vector<log::Field>&)>;
void with_line(const SessionRecord& record, std::string_view direction, const std::string& listener,
               const smtp::DialogueOutcome& outcome, const SessionTotals& totals, const UseLine& use);
// Writes that line to the log.
void log_session(const SessionRecord& record, std::string_view direction, const std::string& listener,
                 const smtp::DialogueOutcome& outcome, const SessionTotals& totals);

}  // namespace postern::session
