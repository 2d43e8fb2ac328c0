// The reply to EHLO: parse it, hide, add and rename what it says, print it again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace postern::smtp {

struct EhloKeyword {
  std::string name;        // upper case
  std::string parameters;  // as written, without the leading blank
};

// What a server said to EHLO: its name and greeting text (first line, never a keyword) and its keywords.
struct EhloReply {
  std::string greeting;  // the text of the first line: domain, then any words
  std::vector<EhloKeyword> keywords;

  // Takes the text of one reply line (without code and separator). The first one is the greeting.
  void add_line(std::string_view text);
  const EhloKeyword* find(std::string_view name) const;  // name in upper case
  bool has(std::string_view name) const { return find(name) != nullptr; }
  bool empty_reply() const { return !has_greeting_; }

 private:
  bool has_greeting_ = false;
};

// What the client may see and use: decided from the server's reply and the listener's settings.
struct EhloView {
  bool offer_starttls = false;  // TLS is possible and not active
  bool hide_auth = false;       // auth_requires_tls and no TLS
};

// Applies `ehlo.hide`, `ehlo.add`, `ehlo.name`, `ehlo.size_limit`; always removes the server's own STARTTLS, XCLIENT,
// XFORWARD and the verbs that turn a session around or embed opaque content (TURN, ATRN, XEXCH50, X-EXPS, X-LINK2STATE,
// BURL); removes BINARYMIME where CHUNKING is hidden; both spellings of AUTH ("AUTH PLAIN", "AUTH=PLAIN") go with
// hide_auth. SIZE becomes the smaller of the server's and ours. A keyword appears once.
EhloReply rewrite(const EhloReply& server, const config::EhloSettings& settings, const EhloView& view);

// Those extensions that give MAIL and RCPT parameters: one bit each.
std::uint8_t extensions_of(const EhloReply& reply);

// "250-greeting CRLF 250-KEYWORD … CRLF 250 KEYWORD CRLF"
std::string print(const EhloReply& reply);

// Replaces the first word of a greeting or HELO reply's text with `name`; as is where `name` is empty.
std::string with_name(std::string_view text, std::string_view name);

}  // namespace postern::smtp
