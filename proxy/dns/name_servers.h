// Whom the resolver asks, and who said so: both stand in every sentence about DNS that fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/settings.h"

namespace postern::dns {

struct NameServers {
  bool recursive = false;            // the authoritative servers are asked, from the root down; `servers` is empty
  std::vector<std::string> servers;  // "192.0.2.1@53", "fe80::1%eth0@53": as libunbound takes them
  std::string origin;                // "dns.servers at /etc/postern.yaml:12", "/etc/resolv.conf"
};

// Wherever they were taken from.
inline bool are_the_same(const NameServers& one, const NameServers& other) {
  return one.recursive == other.recursive && one.servers == other.servers;
}

// "192.0.2.1:53, [2001:db8::1]:53"; "the authoritative servers".
std::string addresses(const NameServers& servers);
// The same with where they were taken from, in parentheses.
std::string to_string(const NameServers& servers);

// Those of `settings`, which stand at `place` in the configuration; if it names none, those of /etc/resolv.conf, which
// is read. Fails where that cannot be.
Result<NameServers> find_name_servers(const config::DnsSettings& settings, const std::string& place);

// Those of a file such as /etc/resolv.conf. Fails where it cannot be read.
Result<NameServers> read_resolv_conf(const std::string& path);

// The servers that resolv.conf(5) names; where there are none, this machine is meant.
std::vector<std::string> parse_resolv_conf(std::string_view text);

}  // namespace postern::dns
