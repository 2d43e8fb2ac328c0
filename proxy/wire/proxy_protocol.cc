#include "proxy/wire/proxy_protocol.h"

#include <algorithm>
#include <array>

#include "config/text.h"

namespace postern::wire {

namespace {

using config::IpAddress;
using Found = Result<std::optional<ProxyHeader>>;

constexpr std::string_view v1_start = "PROXY ";
constexpr std::string_view v2_start("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t max_v1_header = 107;  // "should be enough", CRLF included (section 2.1)
constexpr std::size_t v2_fixed_size = 16;
constexpr std::size_t max_tlv_text = 512;  // of what we print; names and ciphers are far shorter

enum Tlv : unsigned char {
  tlv_authority = 0x02,
  tlv_crc32c = 0x03,
  tlv_ssl = 0x20,
  tlv_ssl_version = 0x21,
  tlv_ssl_common_name = 0x22,
  tlv_ssl_cipher = 0x23,
};
constexpr std::size_t tlv_head_size = 3;
constexpr std::size_t ssl_head_size = 5;  // client flags and verify

std::size_t octet_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}
std::size_t number_at(std::string_view bytes, std::size_t at) {
  return octet_at(bytes, at) << 8 | octet_at(bytes, at + 1);
}

Error bad(std::string_view what) {
  return Error{Errc::protocol, "PROXY header: " + std::string(what)};
}
tl::unexpected<Error> malformed(std::string_view what) {
  return tl::unexpected<Error>(bad(what));
}

// ---- version 1: one line of text

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return config::whole_number<std::uint16_t>(text);
}

std::optional<IpAddress> parse_address(std::string_view text, bool is_v6) {
  if ((text.find(':') != std::string_view::npos) != is_v6) return std::nullopt;
  const auto address = config::parse_ip_address(text);
  return address ? std::optional(*address) : std::nullopt;
}

// "TCP4 source destination port port", words parted by exactly one blank.
std::optional<ProxyAddresses> parse_v1_words(std::string_view text) {
  std::array<std::string_view, 5> words;
  for (std::string_view& word : words) {
    const bool is_last = &word == &words.back();
    const std::size_t blank = is_last ? text.size() : text.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    word = text.substr(0, blank);
    if (!is_last) text.remove_prefix(blank + 1);
  }
  const bool is_v6 = words[0] == "TCP6";
  if (!is_v6 && words[0] != "TCP4") return std::nullopt;
  const auto source = parse_address(words[1], is_v6);
  const auto destination = parse_address(words[2], is_v6);
  const auto source_port = parse_port(words[3]);
  const auto destination_port = parse_port(words[4]);
  if (!source || !destination || !source_port || !destination_port) return std::nullopt;
  return ProxyAddresses{*source, *destination, *source_port, *destination_port};
}

Found parse_v1(std::string_view bytes) {
  bytes = bytes.substr(0, max_v1_header);
  const std::size_t cr = bytes.find_first_of("\r\n");
  if (cr == std::string_view::npos) {
    if (bytes.size() == max_v1_header) return malformed("the line is too long");
    return std::nullopt;
  }
  if (bytes[cr] != '\r') return malformed("LF without CR");
  if (cr + 1 == bytes.size()) {
    if (bytes.size() == max_v1_header) return malformed("the line is too long");
    return std::nullopt;
  }
  if (bytes[cr + 1] != '\n') return malformed("CR without LF");
  ProxyHeader header;
  header.size = cr + 2;
  const std::string_view text = bytes.substr(v1_start.size(), cr - v1_start.size());
  if (text == "UNKNOWN" || text.starts_with("UNKNOWN ")) return header;
  header.addresses = parse_v1_words(text);
  if (!header.addresses) return malformed("malformed protocol, address or port");
  return header;
}

// ---- version 2: binary

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) {
  crc = ~crc;
  for (const char octet : bytes) {
    crc ^= static_cast<unsigned char>(octet);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

// Of the whole header with the checksum's own four octets, which lie at `at`, as zero.
bool checksum_fits(std::string_view header, std::size_t at) {
  const std::uint32_t before = crc32c(header.substr(0, at));
  const std::uint32_t with_zeros = crc32c(std::string_view("\0\0\0\0", 4), before);
  const std::uint32_t wanted = crc32c(header.substr(at + 4), with_zeros);
  return wanted == (number_at(header, at) << 16 | number_at(header, at + 2));
}

// The value of the TLV that begins at `at`, as an end index; nothing where it does not fit.
std::optional<std::size_t> tlv_end(std::string_view header, std::size_t at) {
  if (header.size() - at < tlv_head_size) return std::nullopt;
  const std::size_t size = number_at(header, at + 1);
  if (header.size() - at - tlv_head_size < size) return std::nullopt;
  return at + tlv_head_size + size;
}

bool tls_tlv_fits(std::string_view value) {
  if (value.size() < ssl_head_size) return false;
  std::optional<std::size_t> at = ssl_head_size;
  while (at && *at < value.size()) at = tlv_end(value, *at);
  return at.has_value();
}

// The TLVs fill the header from `at` to its end exactly; a checksum appears once at most, and is right.
std::optional<Error> check_tlvs(std::string_view header, std::size_t at) {
  bool has_checksum = false;
  while (at < header.size()) {
    const auto end = tlv_end(header, at);
    if (!end) return bad("a TLV exceeds the header");
    const std::string_view value = header.substr(at + tlv_head_size, *end - at - tlv_head_size);
    if (octet_at(header, at) == tlv_ssl && !tls_tlv_fits(value)) return bad("malformed TLS facts");
    if (octet_at(header, at) == tlv_crc32c) {
      if (has_checksum || value.size() != 4) return bad("malformed checksum");
      if (!checksum_fits(header, at + tlv_head_size)) return bad("wrong checksum");
      has_checksum = true;
    }
    at = *end;
  }
  return std::nullopt;
}

// Families and transports of the thirteenth octet; nothing: unassigned, "must be rejected".
std::optional<std::size_t> addresses_size(std::size_t family_octet) {
  if ((family_octet & 15) > 2) return std::nullopt;
  switch (family_octet >> 4) {
    case 0: return 0;
    case 1: return 12;
    case 2: return 36;
    case 3: return 216;
    default: return std::nullopt;
  }
}

IpAddress address_at(std::string_view bytes, std::size_t at, bool is_v6) {
  constexpr std::string_view mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  std::string_view octets = bytes.substr(at, is_v6 ? 16 : 4);
  if (is_v6 && octets.starts_with(mapped)) octets.remove_prefix(mapped.size());
  IpAddress address;
  address.family = octets.size() == 4 ? IpAddress::Family::v4 : IpAddress::Family::v6;
  std::copy(octets.begin(), octets.end(), address.bytes.begin());
  return address;
}

ProxyAddresses addresses_at(std::string_view bytes, std::size_t at, bool is_v6) {
  const std::size_t size = is_v6 ? 16 : 4;
  ProxyAddresses addresses;
  addresses.source = address_at(bytes, at, is_v6);
  addresses.destination = address_at(bytes, at + size, is_v6);
  addresses.source_port = static_cast<std::uint16_t>(number_at(bytes, at + 2 * size));
  addresses.destination_port = static_cast<std::uint16_t>(number_at(bytes, at + 2 * size + 2));
  return addresses;
}

Found parse_v2(std::string_view bytes) {
  constexpr std::size_t version_and_command = 12;
  constexpr std::size_t local = 0x20;
  constexpr std::size_t proxy = 0x21;
  constexpr std::size_t tcp4 = 0x11;
  constexpr std::size_t tcp6 = 0x21;
  if (bytes.size() < v2_fixed_size) return std::nullopt;
  const std::size_t command = octet_at(bytes, version_and_command);
  if (command != local && command != proxy) return malformed("unknown version or command");
  ProxyHeader header;
  header.size = v2_fixed_size + number_at(bytes, 14);
  if (header.size > max_proxy_header) return malformed("too long");
  if (bytes.size() < header.size) return std::nullopt;
  if (command == local) return header;  // all else is to be ignored
  bytes = bytes.substr(0, header.size);
  const std::size_t family = octet_at(bytes, 13);
  const auto size = addresses_size(family);
  if (!size) return malformed("unassigned address family");
  if (bytes.size() - v2_fixed_size < *size) return malformed("the addresses exceed the header");
  if (const auto error = check_tlvs(bytes, v2_fixed_size + *size)) return tl::unexpected<Error>(*error);
  if (family == tcp4 || family == tcp6) header.addresses = addresses_at(bytes, v2_fixed_size, family == tcp6);
  return header;
}

// ---- printing

bool both_v4(const ProxyAddresses& addresses) {
  return addresses.source.family == IpAddress::Family::v4 && addresses.destination.family == IpAddress::Family::v4;
}

// The address' octets, an IPv4 address as an IPv4-mapped one where IPv6 is wanted.
std::string octets_of(const IpAddress& address, bool as_v4) {
  const bool is_v4 = address.family == IpAddress::Family::v4;
  const std::string octets(address.bytes.begin(), address.bytes.begin() + (is_v4 ? 4 : 16));
  return is_v4 && !as_v4 ? std::string(10, '\0') + "\xff\xff" + octets : octets;
}

std::string text_of(const IpAddress& address, bool as_v4) {
  const bool is_mapped = address.family == IpAddress::Family::v4 && !as_v4;
  return (is_mapped ? "::ffff:" : "") + config::to_string(address);
}

std::string two_octets(std::size_t number) {
  return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
}

std::string tlv(Tlv type, std::string_view value) {
  return static_cast<char>(type) + two_octets(value.size()) + std::string(value);
}

std::string text_tlv(Tlv type, std::string_view text) {
  return text.empty() || text.size() > max_tlv_text ? std::string() : tlv(type, text);
}

std::string tls_tlvs(const ProxyTls& tls) {
  constexpr char has_tls = 0x01;
  constexpr char has_certificate = 0x02 | 0x04;  // on this connection, in this session
  const bool verified = tls.client_certificate && tls.verified;
  std::string value;
  value += static_cast<char>(has_tls | (tls.client_certificate ? has_certificate : 0));
  value += std::string(3, '\0') + (verified ? '\0' : '\1');
  value += text_tlv(tlv_ssl_version, tls.version);
  value += text_tlv(tlv_ssl_common_name, tls.common_name);
  value += text_tlv(tlv_ssl_cipher, tls.cipher);
  return text_tlv(tlv_authority, tls.sni) + tlv(tlv_ssl, value);
}

}  // namespace

Result<std::optional<ProxyHeader>> parse_proxy_header(std::string_view bytes) {
  if (bytes.starts_with(v1_start)) return parse_v1(bytes);
  if (bytes.starts_with(v2_start)) return parse_v2(bytes);
  if (v1_start.starts_with(bytes) || v2_start.starts_with(bytes)) return std::nullopt;
  return malformed("there is none");
}

bool ProxyHeaderWatch::sees_header(std::string_view bytes) {
  if (over_ || bytes.empty()) return false;
  // Up to its NUL the signature of v2 is lines that a client could say; with it the octets are no SMTP, which nobody
  // waits for the rest of.
  constexpr std::string_view v2_is_clear = v2_start.substr(0, v2_start.find('\0') + 1);
  if (to_come_.empty()) to_come_ = bytes.front() == v1_start.front() ? v1_start : v2_is_clear;
  const std::string_view common = bytes.substr(0, to_come_.size());
  const bool fits = to_come_.starts_with(common);
  to_come_.remove_prefix(common.size());
  over_ = !fits || to_come_.empty();
  return fits && over_;
}

std::string print_proxy_v1(const ProxyAddresses& addresses) {
  const bool as_v4 = both_v4(addresses);
  return std::string(v1_start) + (as_v4 ? "TCP4 " : "TCP6 ") + text_of(addresses.source, as_v4) + " " +
         text_of(addresses.destination, as_v4) + " " + std::to_string(addresses.source_port) + " " +
         std::to_string(addresses.destination_port) + "\r\n";
}

std::string print_proxy_v2(const ProxyAddresses& addresses, const std::optional<ProxyTls>& tls) {
  const bool as_v4 = both_v4(addresses);
  std::string block = octets_of(addresses.source, as_v4) + octets_of(addresses.destination, as_v4) +
                      two_octets(addresses.source_port) + two_octets(addresses.destination_port);
  if (tls) block += tls_tlvs(*tls);
  const std::string version_command_family = as_v4 ? "\x21\x11" : "\x21\x21";
  return std::string(v2_start) + version_command_family + two_octets(block.size()) + block;
}

}  // namespace postern::wire
