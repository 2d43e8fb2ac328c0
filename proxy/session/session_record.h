// The facts of one session, collected while it runs, written once as its log line when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/net/address.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/endings.h"
#include "tls/session_facts.h"

namespace postern::session {

struct SessionRecord {
  std::uint64_t id = 0;
  std::uint64_t started = 0;  // loop time, milliseconds
  net::SocketAddress client;
  std::string server;  // the server's address or program; empty: none was reached
  std::unique_ptr<tls::SessionFacts> client_tls;
  std::unique_ptr<tls::SessionFacts> backend_tls;
  std::optional<smtp::Ending> ending;
  std::string reason;  // the sentence behind the ending, where there is one
};

struct SessionTotals {
  std::uint64_t bytes_in = 0;   // from the client
  std::uint64_t bytes_out = 0;  // to the client
  std::uint64_t duration = 0;   // milliseconds
};

// Writes the session's line to the log.
void log_session(const SessionRecord& record, std::string_view direction, const std::string& listener,
                 const smtp::DialogueOutcome& outcome, const SessionTotals& totals);

}  // namespace postern::session
