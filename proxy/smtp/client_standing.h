// Where a client stands in its present security state, and which of its commands may pass there. TLS begins a new
// standing: nothing of the plaintext one is left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/extensions.h"
#include "config/settings.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/refusals.h"

namespace postern::smtp {

struct ClientStanding {
  bool tls = false;
  bool tls_available = true;         // a certificate is there to be used
  bool certificate_missing = false;  // demanded, and none that verifies came
  bool ehlo_first = false;           // TLS is up and the client has not introduced itself since
  bool authenticated = false;
  bool transaction = false;               // the server accepted MAIL, and no end of it yet
  Verb introduced_to_us = Verb::invalid;  // EHLO or HELO that we answered ourselves

  // What the last EHLO reply offered; nothing after HELO.
  bool extended = false;                // there was one
  config::ExtensionSet extensions = 0;  // of those that we know
  std::string other_words;              // "AUTH=PLAIN XFOO": mechanisms, and keywords that we do not know

  void offer(const EhloReply& shown);
  void offer_nothing();
  bool offers(std::string_view keyword) const;  // one that we know, in upper case
  bool offers(const Command& command) const;
  // Every parameter of MAIL or RCPT is one of an extension that the client was shown. Who has had no reply to EHLO may
  // say SIZE= and BODY= all the same, as it may to other servers: they change nothing here.
  bool takes_parameters(const Command& command, const std::optional<PathArgument>& path, config::Envelope of) const;
  // The first word of the argument of AUTH.
  bool takes_mechanism(std::string_view argument) const;
  // SIZE= is said to us, who keep the limit (`ehlo.size_limit`): this server has no SIZE, and must not hear it.
  bool says_size_in_vain(config::ExtensionSet of_server) const;
};

// Can be said in EHLO and HELO: bounded, without controls. No name at all is for the server to judge.
bool is_helo_name(std::string_view name);

// Why this command goes nowhere, in either direction; nothing: the direction itself decides what becomes of it.
// STARTTLS passes when it may begin.
std::optional<Refusal> refusal_for(const Command& command, const ClientStanding& standing,
                                   const config::Listener& listener);

}  // namespace postern::smtp
