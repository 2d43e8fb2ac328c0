// What a certificate of ours is good for, and what will fail only later, when a peer looks at it.
#pragma once

#include <openssl/base.h>

#include <optional>
#include <string>
#include <vector>

#include "config/result.h"
#include "tls/chain_result.h"

namespace postern::tls {

struct Certificate;  // tls/certificates.h

// Gives the context chain and key; both outlive it. What the library has against them, in an operator's words.
std::optional<Error> set_certificate(SSL_CTX* context, const Certificate& certificate);

// Why the library would never use this pair, found before anybody connects.
std::optional<Error> why_useless(const Certificate& certificate);

// What peers may have against the leaf when it is shown in that role: its purposes and its key's usages.
std::vector<std::string> use_warnings(const Certificate& certificate, PeerRole shown_as);

// Why the library can make nothing of the certificate's public key ("describes its curve by …"); empty: it can.
std::string key_flaw(X509& certificate);

}  // namespace postern::tls
