#include "config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "config/misspelling.h"
#include "config/text.h"

namespace postern::config {
namespace {

constexpr std::string_view digits = "0123456789";

// A number and its unit: "30s" is 30 units of 1000. Units are sorted from the largest down for printing.
struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr Unit duration_units[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit binary_units[] = {{"GiB", 1U << 30}, {"MiB", 1U << 20}, {"KiB", 1U << 10}, {"", 1}};
constexpr Unit decimal_units[] = {{"GB", 1'000'000'000}, {"MB", 1'000'000}, {"KB", 1000}};

// Far above anything sensible, far below an overflow of what we compute with these.
constexpr std::uint64_t largest_quantity = std::uint64_t{1} << 60;

std::optional<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units) {
  const std::size_t digit_count = std::min(text.find_first_not_of(digits), text.size());
  const auto number = whole_number<std::uint64_t>(text.substr(0, digit_count));
  const auto unit = std::ranges::find(units, text.substr(digit_count), &Unit::name);
  if (!number || unit == units.end() || *number > largest_quantity / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

std::string print_quantity(std::uint64_t value, std::span<const Unit> units) {
  const auto unit = std::ranges::find_if(units, [&](const Unit& u) { return value % u.factor == 0; });
  return std::to_string(value / unit->factor) + std::string(unit->name);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = whole_number<std::uint64_t>(text);
  if (!number || *number > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

IpAddress without_mapping(const IpAddress& address) {
  constexpr std::array<std::uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(mapped.begin(), mapped.end(), address.bytes.begin())) return address;
  IpAddress v4;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), v4.bytes.begin());
  return v4;
}

unsigned bit_count(IpAddress::Family family) {
  return family == IpAddress::Family::v4 ? 32 : 128;
}

IpAddress masked(IpAddress address, unsigned prefix_length) {
  for (unsigned bit = prefix_length; bit < bit_count(address.family); ++bit) {
    address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  }
  return address;
}

std::string quoted(std::string_view text) {
  return '\'' + std::string(text) + "'";
}

Result<Endpoint> parse_unix_endpoint(std::string_view path) {
  constexpr std::size_t longest_path = 107;  // sun_path has 108 octets, its final NUL included
  if (path.empty() || path.front() != '/') {
    return fail(Errc::invalid_argument, "a unix socket needs an absolute path, as in unix:/run/smtp.sock");
  }
  if (path.size() > longest_path) {
    return fail(Errc::invalid_argument, "the path of a unix socket may have at most 107 characters");
  }
  return Endpoint{.kind = Endpoint::Kind::unix_socket, .address = {}, .name = std::string(path), .port = 0};
}

// The part of an endpoint before its port. Brackets are for IPv6 alone, which is how a port can be told from it.
Result<Endpoint> parse_host(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    const auto address = parse_ip_address(host.substr(1, host.size() - 2));
    if (!address || host.find(':') == std::string_view::npos) {
      return fail(Errc::invalid_argument, quoted(host) + " is not an IPv6 address in brackets");
    }
    return Endpoint{.kind = Endpoint::Kind::ip, .address = *address, .name = {}, .port = 0};
  }
  if (host.find(':') != std::string_view::npos) {
    return fail(Errc::invalid_argument, "an IPv6 address with a port is written in brackets, as in [::1]:25");
  }
  if (const auto address = parse_ip_address(host)) {
    return Endpoint{.kind = Endpoint::Kind::ip, .address = *address, .name = {}, .port = 0};
  }
  if (!is_host_name(host)) {
    return fail(Errc::invalid_argument, quoted(host) + " is neither an IP address nor a host name");
  }
  return Endpoint{.kind = Endpoint::Kind::name, .address = {}, .name = std::string(host), .port = 0};
}

// "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3).
bool is_domain_literal(std::string_view text) {
  constexpr std::string_view tag = "IPv6:";
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  const bool tagged = same_ignoring_case(text.substr(0, tag.size()), tag);
  if (tagged) text.remove_prefix(tag.size());
  return parse_ip_address(text).has_value() && tagged == (text.find(':') != std::string_view::npos);
}

std::string_view without_trailing_dot(std::string_view domain) {
  if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
  return domain;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  if (const auto value = parse_quantity(text, duration_units)) return Duration(static_cast<std::int64_t>(*value));
  if (whole_number<std::uint64_t>(text)) {
    return fail(Errc::invalid_argument, quoted(text) + " has no unit: write " + std::string(text) + "s for seconds");
  }
  return fail(Errc::invalid_argument,
              quoted(text) + " is not a duration such as 500ms, 30s, 5m, 1h or 2d" + duration_meant_by(text));
}

std::string to_string(Duration duration) {
  if (duration <= Duration::zero()) {
    return duration == Duration::zero() ? "0s" : std::to_string(duration.count()) + "ms";
  }
  return print_quantity(static_cast<std::uint64_t>(duration.count()), duration_units);
}

Result<ByteSize> parse_byte_size(std::string_view text) {
  if (const auto value = parse_quantity(text, binary_units)) return ByteSize{*value};
  if (const auto value = parse_quantity(text, decimal_units)) return ByteSize{*value};
  return fail(Errc::invalid_argument,
              quoted(text) + " is not a size such as 512, 64KiB, 50MiB or 10MB" + size_meant_by(text));
}

std::string to_string(ByteSize size) {
  return size.bytes == 0 ? "0" : print_quantity(size.bytes, binary_units);
}

Result<IpAddress> parse_ip_address(std::string_view text) {
  const std::string terminated(text);  // inet_pton wants a C string; one with a NUL inside is no address
  IpAddress address;
  if (terminated.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
    address.family = IpAddress::Family::v6;
    if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return without_mapping(address);
  }
  return fail(Errc::invalid_argument, quoted(text) + " is not an IP address");
}

bool is_any(const IpAddress& address) {
  return address == IpAddress{address.family, {}};
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.family == IpAddress::Family::v4 ? AF_INET : AF_INET6;
  inet_ntop(family, address.bytes.data(), text.data(), text.size());
  return text.data();
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view unix_prefix = "unix:";
  if (text.starts_with(unix_prefix)) return parse_unix_endpoint(text.substr(unix_prefix.size()));
  if (const std::string meant = address_meant_by(text); !meant.empty()) {
    return fail(Errc::invalid_argument, quoted(text) + meant);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.back() == ']') {
    if (auto host = parse_host(text); !host) return host;
    return fail(Errc::invalid_argument, quoted(text) + " has no port: write " + std::string(text) + ":25");
  }
  auto endpoint = parse_host(text.substr(0, colon));
  if (!endpoint) return endpoint;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return fail(Errc::invalid_argument, quoted(text.substr(colon + 1)) + " is not a port from 0 to 65535");
  endpoint->port = *port;
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  switch (endpoint.kind) {
    case Endpoint::Kind::unix_socket: return "unix:" + endpoint.name;
    case Endpoint::Kind::name: return endpoint.name + ":" + std::to_string(endpoint.port);
    case Endpoint::Kind::ip: break;
  }
  const std::string address = to_string(endpoint.address);
  const bool v6 = endpoint.address.family == IpAddress::Family::v6;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port);
}

Result<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip_address(text.substr(0, slash));
  if (!address) return fail(Errc::invalid_argument, quoted(text) + " is not a network such as 10.0.0.0/8 or ::1/128");
  Network network{*address, bit_count(address->family)};
  if (slash == std::string_view::npos) return network;

  // ::ffff:10.0.0.0/104 was stored as IPv4: its first 96 bits went with the mapping.
  const bool mapped = address->family == IpAddress::Family::v4 && text.find(':') != std::string_view::npos;
  const unsigned shift = mapped ? 96 : 0;
  const auto length = whole_number<std::uint64_t>(text.substr(slash + 1));
  if (!length || *length < shift || *length > network.prefix_length + shift) {
    return fail(Errc::invalid_argument, quoted(text) + " has a prefix length that is not from " +
                                            std::to_string(shift) + " to " +
                                            std::to_string(network.prefix_length + shift));
  }
  network.prefix_length = static_cast<unsigned>(*length) - shift;
  const Network clean{masked(network.address, network.prefix_length), network.prefix_length};
  if (clean == network) return network;
  return fail(Errc::invalid_argument, quoted(text) + " has bits set beyond its prefix: write " + to_string(clean));
}

std::string to_string(const Network& network) {
  return to_string(network.address) + "/" + std::to_string(network.prefix_length);
}

bool contains(const Network& network, const IpAddress& address) {
  return network.address.family == address.family && masked(address, network.prefix_length) == network.address;
}

bool contains(const std::vector<Network>& networks, const IpAddress& address) {
  return std::ranges::any_of(networks, [&](const Network& network) { return contains(network, address); });
}

Result<DomainPattern> parse_domain_pattern(std::string_view text) {
  const std::string_view domain = without_trailing_dot(text);
  const std::string_view name = domain.starts_with('.') ? domain.substr(1) : domain;
  if (domain != "*" && !is_domain_literal(text) && !is_host_name(name)) {
    return fail(Errc::invalid_argument, quoted(text) +
                                            " is not a domain such as example.org, or .example.org for its subdomains" +
                                            (text.starts_with("*.") ? " (without the asterisk)" : ""));
  }
  return DomainPattern{lower_case(domain)};
}

bool matches(const DomainPattern& pattern, std::string_view domain) {
  if (pattern.text == "*") return true;
  domain = without_trailing_dot(domain);
  if (!pattern.text.starts_with('.')) return same_ignoring_case(pattern.text, domain);
  return domain.size() > pattern.text.size() &&
         same_ignoring_case(pattern.text, domain.substr(domain.size() - pattern.text.size()));
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (!is_label(label)) return false;
    // RFC 1123 2.1: the last label is never all digits, so that 1.2.3.300 is no name but a mistyped address.
    if (dot == std::string_view::npos) return label.find_first_not_of(digits) != std::string_view::npos;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace postern::config
