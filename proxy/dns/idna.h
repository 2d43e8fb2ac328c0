// Internationalized domain names, as DNS and certificates write them (RFC 5891).
#pragma once

#include <string>
#include <string_view>

namespace postern::dns {

// The A-label form of a UTF-8 domain, without a final dot (there are other dots than ASCII's); what is ASCII already,
// and what no such name can be, stays as it is.
std::string to_ascii(std::string_view domain);

}  // namespace postern::dns
