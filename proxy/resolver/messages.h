// What gateway and resolver say to each other, a message a packet (SOCK_SEQPACKET). Either may have been taken over, so
// that each end believes nothing that the other has not shown to be within bounds. Pure.
//
// A gateway's thread asks on a connection of its own; answers come in any order. Whoever started the resolver has one
// more, on which it says what is to be asked of whom, and hears what became of that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"
#include "config/settings.h"
#include "proxy/dns/name_servers.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/trust_anchor.h"

namespace postern::resolver {

inline constexpr std::size_t max_message = 65'536;      // octets
inline constexpr std::size_t max_questions = 1'024;     // under way on one connection
inline constexpr std::size_t max_system_addresses = 8;  // of one of the system's names
inline constexpr std::size_t max_text = 1'024;          // octets of a sentence
inline constexpr std::size_t max_name = 255;            // octets of a name in DNS
inline constexpr std::size_t max_servers = 64;          // in Settings
inline constexpr std::size_t max_server = 128;          // octets of one of them
inline constexpr std::size_t max_anchors = 256;         // records in Settings
inline constexpr std::size_t max_anchor = 4'096;        // octets of one of them
inline constexpr std::size_t max_user = 256;            // octets of Settings::user
inline constexpr std::size_t max_new_clients = 64;      // with one message
inline constexpr std::uint16_t version = 3;             // of all of this: two builds may meet after an upgrade

enum class How : std::uint8_t {
  proven,  // validated from the trust anchor; what cannot be proven is bogus
  plain,   // taken as it comes
  afresh,  // validated by a resolver that remembers nothing: what the name servers hand on now
  system,  // getaddrinfo: /etc/hosts, DNS, whatever nsswitch.conf says; only for Type::a, which stands for both
           // families
};

struct Question {
  std::uint32_t id = 0;
  How how = How::proven;
  dns::Question question;
};

// To How::system: `rdata` are addresses of 4 or 16 octets.
struct Answer {
  std::uint32_t id = 0;
  dns::Answer answer;
};

// The first message of whoever started the resolver.
struct Settings {
  dns::NameServers servers;
  bool follow_resolv_conf = false;  // `servers` are those of /etc/resolv.conf, which may change
  dns::TrustAnchor trust_anchor;    // empty: nothing is ever secure
  std::string user;                 // to become, where the resolver was started as root; empty: nobody else
  config::SandboxMode sandbox = config::SandboxMode::off;
};

// To a resolver that serves, with a descriptor for each: more connections on which it is asked.
struct NewClients {};

// What the resolver says to whoever started it.
struct Report {
  enum class Kind : std::uint8_t {
    ready,
    servers_refused,  // Settings cannot be used; it ends
    anchor_refused,
    user_refused,
    servers_changed,  // `text`: those that are asked from now on
    trouble,          // something that the operator should know; it goes on
  };
  Kind kind = Kind::ready;
  std::string text;
};

// Whether a question can be put at all: a name's length and octets, a type that is known. Others are not encoded.
bool can_be_asked(const dns::Question& question);

std::string encode(const Question& question);
// What does not fit into a message becomes a failure that says so.
std::string encode(const Answer& answer);
// Errc::limit_exceeded: more than a message holds.
Result<std::string> encode(const Settings& settings);
std::string encode(const NewClients& clients);
std::string encode(const Report& report);

// Errc::protocol: no such message, or one that breaks a bound. What is parsed means what dns::Answer promises: records
// where it exists, a reason where it failed or is bogus, security only of what was proven.
Result<Question> parse_question(std::string_view message);
Result<Answer> parse_answer(std::string_view message);
Result<Settings> parse_settings(std::string_view message);
Result<NewClients> parse_new_clients(std::string_view message);
Result<Report> parse_report(std::string_view message);

}  // namespace postern::resolver
