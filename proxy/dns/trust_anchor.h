// What DNSSEC is validated from: the records of a trust anchor file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::dns {

// DNSKEY and DS records in zone-file form, each on one line, with its owner and without comments.
using TrustAnchor = std::vector<std::string>;

// Reads a zone file (RFC 1035 5.1) such as dns-root-data, unbound-anchor and ldns-keygen write: comments, parentheses,
// and lines that begin with a blank and so have the owner of the record before. Records of other types count for
// nothing. Fails where no DNSKEY or DS record is left, one is malformed, or $ORIGIN would change what names mean.
// libunbound has the last word, but says neither what is wrong nor where.
Result<TrustAnchor> parse_trust_anchor(std::string_view text);

}  // namespace postern::dns
