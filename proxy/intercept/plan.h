// What is to be intercepted, for which listener, and how: decided from the configuration, what was asked for, and what
// the machine is. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"
#include "config/settings.h"

namespace postern::intercept {

// By these everything of ours is found again. They hang on the path of the configuration alone, so that it is taken
// away whatever the file has become.
struct Names {
  std::string table;         // of nftables, family inet
  std::uint32_t number = 0;  // of the routing table, and the mark of packets that go by it
};
Names names_for(const std::string& path);  // absolute

// As on the command line.
struct Wishes {
  bool host = false;
  bool router = false;
  std::vector<config::Network> from;  // router: whose connections; empty: allow_clients says it
  std::vector<std::uint16_t> ports = {25};
  std::string listener;  // empty: all that have intercepted connections
};

struct Machine {
  std::vector<config::IpAddress> addresses;  // of its interfaces, those of loopback among them
  std::optional<std::uint32_t> user;         // the number of `user`
};

// Connections that are brought to one listener.
struct Catch {
  std::string listener;
  config::Interception by = config::Interception::redirect;
  bool host = false;                   // this machine's own
  bool router = false;                 // those that it forwards, `from` these
  std::vector<config::Network> from;   // none holds another
  std::optional<config::Endpoint> v4;  // where it listens for them; absent: nowhere, and they are refused
  std::optional<config::Endpoint> v6;
  std::vector<config::IpAddress> strangers;  // host: of this machine's addresses those that are not let in
};

// What leaves this machine and is left alone.
struct Own {
  std::vector<std::uint32_t> marks;
  std::optional<std::uint32_t> user;
  std::vector<config::Endpoint> servers;  // behind inbound listeners
};

struct Plan {
  std::string config;
  Names names;
  std::vector<std::uint16_t> ports;
  std::vector<Catch> catches;
  Own own;
  // Of servers that Postern connects to under the address of a client: what they answer is to end here.
  std::vector<std::uint16_t> answering_ports;
  bool clients_addresses_behind = false;  // client_address: transparent; such a server may be on this machine
  std::vector<std::string> notes;         // what was decided, and what is worth knowing

  bool needs_routes() const;
  bool has(config::Interception by) const;
};

// `path` is the configuration's, absolute. Nothing: `loaded` has an error more, which says what is missing.
std::optional<Plan> make_plan(config::Loaded& loaded, const std::string& path, const Wishes& wishes,
                              const Machine& machine);

}  // namespace postern::intercept
