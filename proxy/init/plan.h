// From what was found and what was said to what is to be written, or to the next question: pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/result.h"
#include "config/settings.h"
#include "proxy/init/facts.h"
#include "proxy/init/wishes.h"

namespace postern::init {

enum class Behind : std::uint8_t { qmail, postfix, exim, program, address };

enum class PortUse : std::uint8_t {
  mail,        // STARTTLS, for who knows it
  submission,  // STARTTLS, demanded
  implicit,    // TLS from the first octet
};
struct PlannedPort {
  std::uint16_t number = 0;
  PortUse use = PortUse::mail;
};
// By its last three digits, so that 2465 is to a container what 465 is to a machine.
PortUse use_of(std::uint16_t port);

constexpr std::uint16_t mail_port = 25;
constexpr std::uint16_t submission_port = 587;
constexpr std::uint16_t submissions_port = 465;

// A line of master.cf that has to say another address, or goes (without one).
struct MovedService {
  PostfixService service;
  std::string to;
  bool stays = false;  // the port is none of ours: a copy has the other address
};

// Complete, and sound as far as can be told without asking the machine.
struct Plan {
  std::string hostname;  // empty: what the machine says at each start
  std::string user;      // empty: whoever starts it
  Behind behind = Behind::address;
  config::Backend backend;
  std::optional<config::Endpoint> submission;  // the server behind for people's mail programs, where it is another
  bool found_xclient = false;                  // the server was asked, and offers it
  std::vector<MovedService> moved;
  std::vector<std::string> domains;  // of the relay guard; empty: there is none
  std::vector<PlannedPort> ports;
  bool listens_by_ipv6 = true;
  std::vector<config::CertificatePair> certificates;
  bool makes_certificate = false;  // the only pair is yet to be made
  bool uses_outbound = false;
  std::optional<config::Endpoint> relay;  // none: route mx
  config::Endpoint outbound_listen;
  std::vector<config::Network> allow_clients;  // empty: the default
  std::string state_directory;                 // empty: it is not there yet, or nobody uses it
  std::string state_directory_to_be = {};
  std::string control;
  std::string admin;
  std::string log_format;
};

// A program that is told the client by -oMa: Exim, which takes that from root and its own user alone. From anybody else
// a session is a local one, and by its usual rules it relays for those.
bool tells_exim(const config::Backend& backend);

// Exactly, or by a wildcard for the leftmost label.
bool names_host(const FoundCertificate& certificate, const std::string& host);

// What the machine cannot answer.
struct Question {
  Wish about = Wish::backend;
  std::string text = {};
  std::string suggestion = {};  // what an empty answer means; empty: there is no such thing
  bool needed = true;           // false: where nobody can be asked, the suggestion is taken
};

// What else decides.
struct Surroundings {
  std::string folder;  // where a certificate is made that nobody named a folder for; empty: nowhere
  std::chrono::sys_seconds now = {};
  // A server that is there may be asked what it offers. Asked for the same again, it says the same.
  std::function<ServerFacts(const config::Endpoint&)> ask_server;
};

// Errors are the operator's, and name the option or variable.
using Decision = std::variant<Plan, Question, Error>;
Decision decide(const Facts& facts, const Wishes& wishes, const Surroundings& surroundings);

// Takes a line that was typed in answer to it.
void answer(Wishes& wishes, const Question& question, const std::string& line);

}  // namespace postern::init
