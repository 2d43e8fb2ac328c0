// A connection to a remote server as it came out, a session's or a probe's, in the words that policies know: what both
// have to ask of it is asked here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/policy/itinerary.h"
#include "proxy/smtp/remote_opening.h"

namespace postern::outbound {

struct Contact {
  const smtp::RemoteState& state;
  std::string_view error = {};                    // why it could not be made, or the handshake failed
  bool closed = false;                            // the handshake failed because the connection ended
  bool offered_post_quantum = false;              // the handshake failed, and its ClientHello had such a group
  bool lacked_signature = false;                  // of ours, in the handshake: no fault of the server
  bool resumed = false;                           // the TLS session was, be it lost by now
  std::optional<policy::Evidence> evidence = {};  // there is TLS

  bool tls() const { return evidence.has_value(); }
  // TLS was to begin, and did not.
  bool tls_failed() const;
  std::string trouble() const;  // what became of it, where it is lost: for people
};

// `tls_error`: why TLS is not tried there, or not again; empty: it is, or was never wanted.
policy::AttemptOutcome outcome_of(const Contact& contact, std::string_view tls_error = {});

// A ClientHello with post-quantum groups breaks some servers; a resumed session shows the certificates of its first
// handshake: there may be better ones by now; and a signature that is not to be had is no reason to do without TLS.
struct Handshake {
  bool post_quantum = true;
  bool resume = true;       // a session kept from before may be resumed
  bool certificate = true;  // ours is shown to a server that asks
};
// The same connection once more with less in its ClientHello, before TLS counts as broken; nothing: as often as that
// was tried, or it would help nobody. `unfit`: what came of it is not good enough.
std::optional<Handshake> once_more(const Handshake& made, const Contact& contact, bool unfit);

// A server with that certificate may be told our credentials.
bool may_have_credentials(const config::Relay& relay, const policy::MailHost& host, const policy::Evidence& evidence);
// A server that did not take them: three things that are never one.
policy::Verdict auth_failed(const smtp::RemoteState& state);

}  // namespace postern::outbound
