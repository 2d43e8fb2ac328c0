// Takes DNS messages and the records in them apart. Everything here may come from a hostile server. Pure.
// TLSA records are tls/tlsa.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"
#include "config/values.h"
#include "proxy/dns/resolver.h"

namespace postern::dns {

// What a response in wire form says to the question: follows CNAMEs, at most `max_aliases`, and collects the records at
// their end. Sets all of Answer but `secure` and `bogus`, which only a validator knows. Other rcodes than NOERROR and
// NXDOMAIN, truncation and malformed messages give Status::failed with a reason. Records beyond `max_records` are not
// read.
inline constexpr std::size_t max_aliases = 12;
inline constexpr std::size_t max_records = 512;
Answer parse_message(std::string_view message, const Question& question);

struct Mx {
  std::uint16_t preference = 0;
  std::string exchange;  // empty: "." (null MX, RFC 7505)
  auto operator<=>(const Mx&) const = default;
};
Result<Mx> parse_mx(std::string_view rdata);
// A (4 octets) or AAAA (16 octets), told apart by `type`.
Result<config::IpAddress> parse_address(Type type, std::string_view rdata);
// The record's strings, joined (RFC 7208 3.3, RFC 8461 3.1).
Result<std::string> parse_txt(std::string_view rdata);

// Wire form of a name, for tests and servers of our own; nothing where a label is empty, too long or the whole is.
std::optional<std::string> name_to_wire(std::string_view name);
// Lower case, one trailing dot dropped: how names are written in questions and answers.
std::string normalize_name(std::string_view name);

}  // namespace postern::dns
