// The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): taken from balancers, given to backends. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"
#include "config/values.h"

namespace postern::wire {

struct ProxyAddresses {
  config::IpAddress source;
  config::IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

struct ProxyHeader {
  std::size_t size = 0;  // octets that the header took
  std::optional<ProxyAddresses>
      addresses;  // nothing: LOCAL, UNKNOWN or an unsupported family: keep the connection's own
};

// Looks for a header, v1 or v2, at the start of `bytes`. Empty optional: too little yet (never beyond
// max_proxy_header octets). Error: not a PROXY header, or a malformed one (CRC32C TLV checked where present).
inline constexpr std::size_t max_proxy_header = 4096;
Result<std::optional<ProxyHeader>> parse_proxy_header(std::string_view bytes);
// Watches the first octets of a client that may not send a header, however they are cut. They are none until
// nothing else can be meant: empty lines and a "P" are things that clients say.
class ProxyHeaderWatch {
 public:
  // What came next. True: with it they are a header.
  bool sees_header(std::string_view bytes);
  // They are looked at no more.
  void end() { over_ = true; }
  bool over() const { return over_; }

 private:
  std::string_view to_come_;  // of the signature that they began with
  bool over_ = false;
};

// Families that differ (IPv4 source, IPv6 destination) are both written as IPv6.
std::string print_proxy_v1(const ProxyAddresses& addresses);

// TLS facts for the v2 header's SSL TLV; only where TLS came first.
struct ProxyTls {
  std::string_view version;  // "TLSv1.3"
  std::string_view cipher;
  std::string_view sni;          // PP2_TYPE_AUTHORITY
  std::string_view common_name;  // of a client certificate
  bool client_certificate = false;
  bool verified = false;
};
std::string print_proxy_v2(const ProxyAddresses& addresses, const std::optional<ProxyTls>& tls);

}  // namespace postern::wire
