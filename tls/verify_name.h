// Does a certificate name that host (RFC 9525)? Only SAN dNSName counts: never the subject's common name, never an
// address.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

typedef struct x509_st X509;

namespace postern::tls {

// `presented` is one dNSName of a certificate, `host` the name we wanted (A-labels, one trailing dot is ignored).
// A wildcard stands for one whole leftmost label and needs two labels after it; case is ignored.
// False where either is no host name: an address, an empty label, a byte outside ASCII.
bool name_matches(std::string_view presented, std::string_view host);

// Any of the names matches.
bool names_host(std::span<const std::string> presented, std::string_view host);

// The certificate's SAN dNSNames, as they stand. Names that hold a NUL or a byte outside ASCII are left out;
// so is everything after the first `max_certificate_names`.
inline constexpr std::size_t max_certificate_names = 1000;
std::vector<std::string> certificate_dns_names(const X509& certificate);

// Why a certificate without any of them names nobody, to follow "does not name …" (": it has a common name …"); empty
// where it has some.
std::string why_nameless(const X509& certificate);

}  // namespace postern::tls
