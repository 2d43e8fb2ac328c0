#include "proxy/dns/name_servers.h"

#include <algorithm>
#include <sstream>

#include "config/file.h"

namespace postern::dns {

namespace {

constexpr const char* resolv_conf = "/etc/resolv.conf";
constexpr std::uint16_t dns_port = 53;
constexpr std::size_t max_servers = 16;
constexpr std::size_t max_file = 64 * 1024;

std::string with_port(const std::string& address, std::uint16_t port) {
  return address + "@" + std::to_string(port);
}

// "fe80::1%eth0" counts: which interface it is, the kernel says.
bool is_address(std::string_view text) {
  return config::parse_ip_address(text.substr(0, text.find('%'))).has_value();
}

}  // namespace

std::string addresses(const NameServers& servers) {
  if (servers.recursive) return "the authoritative servers";
  std::string text;
  for (const std::string& server : servers.servers) {
    const std::size_t at = server.rfind('@');
    const std::string address = server.substr(0, at);
    const bool v6 = address.find(':') != std::string::npos;
    text += (text.empty() ? "" : ", ") + (v6 ? "[" + address + "]" : address) + ":" + server.substr(at + 1);
  }
  return text;
}

std::string to_string(const NameServers& servers) {
  return addresses(servers) + " (" + servers.origin + ")";
}

Result<NameServers> find_name_servers(const config::DnsSettings& settings, const std::string& place) {
  NameServers found;
  found.origin = place;
  found.recursive = settings.recursive;
  for (const config::Endpoint& server : settings.servers) {
    if (server.kind != config::Endpoint::Kind::ip) {
      return fail(Errc::invalid_argument, "a DNS server is given by its address: " + to_string(server));
    }
    found.servers.push_back(with_port(to_string(server.address), server.port == 0 ? dns_port : server.port));
  }
  if (found.recursive || !found.servers.empty()) return found;
  return read_resolv_conf(resolv_conf);
}

Result<NameServers> read_resolv_conf(const std::string& path) {
  const auto file = config::read_file(path, max_file);
  if (!file) return tl::unexpected(file.error());
  return NameServers{false, parse_resolv_conf(file->content), path};
}

std::vector<std::string> parse_resolv_conf(std::string_view text) {
  std::vector<std::string> servers;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, address;
    if (words >> key >> address && key == "nameserver" && is_address(address) && servers.size() < max_servers) {
      servers.push_back(with_port(address, dns_port));
    }
  }
  if (servers.empty()) servers.push_back(with_port("127.0.0.1", dns_port));
  return servers;
}

}  // namespace postern::dns
