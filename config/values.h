// Plain values that an operator writes: durations, sizes, addresses, networks, domain patterns.
// Each parses from its text form and prints back to it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::config {

using Duration = std::chrono::milliseconds;

// "500ms", "30s", "5m", "1h", "2d"; a bare number is refused (unit missing).
Result<Duration> parse_duration(std::string_view text);
std::string to_string(Duration duration);  // the shortest exact form

struct ByteSize {
  std::uint64_t bytes = 0;
  auto operator<=>(const ByteSize&) const = default;
};
// "512", "64KiB", "50MiB", "1GiB", and the decimal "KB", "MB", "GB".
Result<ByteSize> parse_byte_size(std::string_view text);
std::string to_string(ByteSize size);

// An IP address, IPv4 or IPv6. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is stored as IPv4.
struct IpAddress {
  enum class Family : std::uint8_t { v4, v6 };
  Family family = Family::v4;
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 uses the first four
  auto operator<=>(const IpAddress&) const = default;
};
Result<IpAddress> parse_ip_address(std::string_view text);  // no brackets
std::string to_string(const IpAddress& address);            // RFC 5952, no brackets
bool is_any(const IpAddress& address);                      // 0.0.0.0, ::

// Where to listen or connect: an IP address or host name with a port, or a unix socket.
struct Endpoint {
  enum class Kind : std::uint8_t { ip, name, unix_socket };
  Kind kind = Kind::ip;
  IpAddress address;       // Kind::ip
  std::string name;        // Kind::name: the host name; Kind::unix_socket: the path
  std::uint16_t port = 0;  // Kind::ip and Kind::name
  auto operator<=>(const Endpoint&) const = default;
};
// "127.0.0.1:25", "[::1]:25", "host:25", "unix:/run/x.sock".
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_string(const Endpoint& endpoint);

// "10.0.0.0/8", "::1/128"; a bare address is a network of one.
struct Network {
  IpAddress address;
  unsigned prefix_length = 32;
  auto operator<=>(const Network&) const = default;
};
Result<Network> parse_network(std::string_view text);  // host bits set beyond the prefix are refused
std::string to_string(const Network& network);
bool contains(const Network& network, const IpAddress& address);
bool contains(const std::vector<Network>& networks, const IpAddress& address);

// "example.org" matches itself alone; ".example.org" matches any subdomain (not itself);
// "*" matches every domain. Comparison ignores case and one trailing dot.
struct DomainPattern {
  std::string text;  // lower case, without trailing dot
  auto operator<=>(const DomainPattern&) const = default;
};
Result<DomainPattern> parse_domain_pattern(std::string_view text);
bool matches(const DomainPattern& pattern, std::string_view domain);

// A name that hosts and mail domains have: RFC 1123's letters, digits and hyphens, and the underscore, which DNS never
// forbade (RFC 2181 11) and many machines have; labels up to 63, total 253.
bool is_host_name(std::string_view text);

}  // namespace postern::config
