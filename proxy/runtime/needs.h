// What a configuration needs of this process and of the machine, beyond what every one needs: asked here and nowhere
// else.
#pragma once

#include "config/settings.h"

namespace postern::runtime {

struct Needs {
  bool resolver = false;            // sessions ask for names: of domains that get mail, or of a server behind
  bool guard = false;               // TLSA records of our own hosts, which the keeper looks up
  bool trust_anchor = false;        // what is looked up is to be proven: some listener is an outbound one, or guarded
  bool dane = false;                // some outbound listener would use TLSA records
  bool own_connections = false;     // the list of them: some listener is brought connections by the firewall
  bool foreign_addresses = false;   // sockets with addresses that are not ours (CAP_NET_ADMIN)
  bool socket_marks = false;        // likewise
  bool programs = false;            // some backend is a program that is started for each session
  bool system_authorities = false;  // this machine's own list of CAs
  bool state_directory = false;     // somewhere to keep what is learned
};
Needs needs(const config::Settings& settings);

// The process that looks up names is to be started, for whomever.
inline bool looks_up(const Needs& needs) {
  return needs.resolver || needs.guard;
}

// Connections keep the address that they were going to, so that its socket has to be bound with that right.
bool is_transparent(const config::OutboundListener& listener);

}  // namespace postern::runtime
