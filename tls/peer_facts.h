// What the peer's certificate says, and whether we believe it.
#pragma once

#include "tls/session_facts.h"

typedef struct ssl_st SSL;

namespace postern::tls {

class TrustStore;

// Fills verification, verification_error, peer_subject and peer_common_name. The handshake lets every certificate
// pass (its key was proven); the judgement is made here, so that a resumed session is judged by today's CAs and clock.
void add_peer_facts(const SSL* ssl, const TrustStore* trust, SessionFacts& facts);

}  // namespace postern::tls
