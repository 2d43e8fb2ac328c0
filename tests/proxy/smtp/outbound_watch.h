// Reads what one connection to a remote server is sent, and asserts that nothing of an envelope or a message goes out
// before the session has allowed it, and nothing beyond EHLO, STARTTLS and QUIT in plaintext where TLS is demanded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "config/assert.h"
#include "proxy/smtp/command.h"

namespace postern::smtp::outbound_rig {

class Watch {
 public:
  Watch(bool demand_tls, bool tls) : demand_tls_(demand_tls), tls_(tls) {}

  void secured() { tls_ = true; }

  void proceed(const std::string& domain) {
    allowed_ = true;
    if (!domain.empty()) domains_.insert(domain);
  }

  void heard(std::string_view bytes) {
    for (const char octet : bytes) {
      reply_ += octet;
      if (octet != '\n') continue;
      if (data_said_ && reply_.starts_with("354")) {
        content_ = true;
        data_said_ = false;
      }
      if (reply_.starts_with("250") && reply_.substr(4).starts_with("CHUNKING")) chunking_ = true;
      if (sasl_ && reply_.starts_with("235")) authenticated_ = true;
      challenged_ = sasl_ && reply_.starts_with("334");
      if (!reply_.starts_with("3")) sasl_ = sasl_ && !reply_.starts_with("2") && !reply_.starts_with("5");
      reply_.clear();
    }
  }

  // Somebody has authenticated there.
  bool authenticated() const { return authenticated_; }
  void client_begins_anew() { authenticated_ = false; }

  void sent(std::string_view bytes) {
    for (const char octet : bytes) {
      if (chunk_left_ > 0) {
        --chunk_left_;
        continue;
      }
      line_ += octet;
      if (!line_.ends_with("\r\n")) continue;
      if (content_) {
        content_ = line_ != ".\r\n";
      } else if (!std::exchange(challenged_, false)) {  // a response may look like any command
        command(std::string_view(line_).substr(0, line_.size() - 2));
      }
      line_.clear();
    }
  }

 private:
  void command(std::string_view line) {
    const Command said = parse_command(line);
    data_said_ = false;  // nothing is said behind DATA before its reply
    const bool harmless = said.verb == Verb::ehlo || said.verb == Verb::starttls || said.verb == Verb::quit;
    POSTERN_ASSERT(harmless || tls_ || !demand_tls_, "said in plaintext where TLS is demanded");
    switch (said.verb) {
      case Verb::ehlo:
      case Verb::helo: chunking_ = false; return;
      case Verb::starttls:
      case Verb::quit: return;
      case Verb::noop:
      case Verb::rset: POSTERN_ASSERT(allowed_, "said before the connection was judged"); return;
      case Verb::auth:
        POSTERN_ASSERT(tls_, "AUTH in plaintext");
        sasl_ = true;
        return;
      case Verb::mail: POSTERN_ASSERT(!domains_.empty(), "MAIL before a judgement"); return;
      case Verb::rcpt: return recipient(said);
      case Verb::data:
        POSTERN_ASSERT(!domains_.empty(), "DATA before a judgement");
        data_said_ = true;
        return;
      case Verb::bdat: {
        POSTERN_ASSERT(!domains_.empty(), "BDAT before a judgement");
        POSTERN_ASSERT(chunking_, "BDAT to a server that has not offered it");
        chunk_left_ = parse_bdat_argument(said.argument)->size;
        return;
      }
      default: POSTERN_ASSERT(sasl_, "a line that is no command of ours");
    }
  }

  void recipient(const Command& said) {
    const auto path = parse_path_argument(said.argument, "TO");
    POSTERN_ASSERT(path.has_value(), "a recipient that nobody could read");
    std::string domain(domain_of(path->path));
    std::transform(domain.begin(), domain.end(), domain.begin(),
                   [](char octet) { return octet >= 'A' && octet <= 'Z' ? static_cast<char>(octet | 0x20) : octet; });
    if (domain.ends_with('.')) domain.pop_back();
    if (domain.empty()) domain = ".";
    POSTERN_ASSERT(domains_.count(domain) == 1, "a recipient before the judgement of its domain");
  }

  std::set<std::string> domains_;
  std::string line_;   // sent, not ended yet
  std::string reply_;  // heard, not ended yet
  std::uint64_t chunk_left_ = 0;
  bool demand_tls_;
  bool tls_;
  bool allowed_ = false;
  bool sasl_ = false;
  bool challenged_ = false;
  bool chunking_ = false;
  bool authenticated_ = false;
  bool data_said_ = false;
  bool content_ = false;
};

}  // namespace postern::smtp::outbound_rig
