// Where a client stands in its present security state, and which of its commands may pass there. TLS begins a new
// standing: nothing of the plaintext one is left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/lines.h"
#include "proxy/smtp/refusals.h"

namespace postern::smtp {

struct ClientStanding {
  LineReader lines;  // the client's unfinished line
  bool tls = false;
  bool tls_available = true;         // a certificate is there to be used
  bool certificate_missing = false;  // demanded, and none that verifies came
  bool ehlo_first = false;           // TLS is up and the client has not introduced itself since
  bool authenticated = false;
  bool transaction = false;               // the server accepted MAIL, and no end of it yet
  Verb introduced_to_us = Verb::invalid;  // EHLO or HELO that we answered ourselves

  // What the last EHLO reply offered; nothing after HELO.
  bool chunking = false;
  bool auth = false;
  bool etrn = false;
  std::string other_keywords;  // "XFOO XBAR ": those that may be verbs we do not know

  void offer(const EhloReply& shown);
  void offer_nothing();
  bool offers(const Command& command) const;
};

// Can be said in EHLO and HELO: bounded, without controls.
bool is_helo_name(std::string_view name);

// Why this command is not for the server; nothing: it may pass. STARTTLS passes when it may begin.
std::optional<Refusal> refusal_for(const Command& command, const ClientStanding& standing,
                                   const config::InboundListener& listener);

}  // namespace postern::smtp
