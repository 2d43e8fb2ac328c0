// The reply to EHLO: parse it, hide, add and rename what it says, print it again.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/extensions.h"
#include "config/settings.h"

namespace postern::smtp::before {

struct EhloKeyword {
  std::string name;        // upper case
  std::string parameters;  // as written, without the leading blank
};

// What a server said to EHLO: its name and greeting text (first line, never a keyword) and its keywords.
struct EhloReply {
  std::string greeting;  // the text of the first line: domain, then any words
  std::vector<EhloKeyword> keywords;
  bool auth_by_equals = false;  // mechanisms came as "AUTH=PLAIN", which is all that some old clients look for

  // Takes the text of one reply line (without code and separator). The first one is the greeting. "KEYWORD=x" counts as
  // "KEYWORD x". Several lines of AUTH become one, each mechanism once.
  void add_line(std::string_view text);
  const EhloKeyword* find(std::string_view name) const;  // name in upper case
  bool has(std::string_view name) const { return find(name) != nullptr; }
  bool empty_reply() const { return !has_greeting_; }

 private:
  void add_mechanisms(std::string_view mechanisms, bool by_equals);

  bool has_greeting_ = false;
};

// What the client may see and use: decided from the server's reply and the listener's settings.
struct EhloView {
  bool offer_starttls = false;  // TLS is possible and not active
  bool hide_auth = false;       // auth_requires_tls and no TLS
  config::Direction direction = config::Direction::inbound;
};

// What the gateway understands (config/extensions.h) and `ehlo.pass` names, without `ehlo.hide`, with `ehlo.add`,
// `ehlo.name` and `ehlo.size_limit`. BINARYMIME goes where CHUNKING does not come. SIZE becomes the smaller of the
// server's and ours. A keyword appears once. STARTTLS is never the last line: some monitors look for "250-STARTTLS".
EhloReply rewrite(const EhloReply& server, const config::EhloSettings& settings, const EhloView& view);

// The extensions in the table that this reply offers.
config::ExtensionSet extensions_of(const EhloReply& reply);
// Those of them that give MAIL and RCPT parameters.
config::ExtensionSet extensions_with_parameters();

// "250-greeting CRLF 250-KEYWORD … CRLF 250 KEYWORD CRLF"
std::string print(const EhloReply& reply);

// Replaces the first word of a greeting or HELO reply's text with `name`; as is where `name` is empty.
std::string with_name(std::string_view text, std::string_view name);

}  // namespace postern::smtp::before
