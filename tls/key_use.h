// The one use that a handshake makes of a private key that is elsewhere: asked for, waited for, taken.
#pragma once

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tls/signer.h"

namespace postern::tls {

struct Certificate;  // tls/certificates.h

class KeyUse {
 public:
  // Chain and key for connections of that context, or for that one; false and an entry in the error queue where the
  // library does not take them. The certificate outlives them. Where its key is elsewhere, who works on such a
  // connection has a KeyUse in its SpanBioRound; without one the handshake fails.
  static bool set(SSL_CTX* context, const Certificate& certificate);
  static bool set(SSL* ssl, const Certificate& certificate);

  // `on_answer` is called once, later, when there is something to go on with; it may destroy this.
  KeyUse(Signer& signer, std::function<void()> on_answer) : signer_(signer), on_answer_(std::move(on_answer)) {}
  KeyUse(const KeyUse&) = delete;
  KeyUse& operator=(const KeyUse&) = delete;

  // What had not been read yet when the handshake began to wait, and comes first when it goes on.
  std::string unread;
  // The peer asked for a certificate of ours, and was shown none because nothing would be signed.
  bool withheld = false;

  bool waits() const { return ticket_ != nullptr; }
  // Whether anybody would be there to ask.
  bool could_be_asked() const { return signer_.signs(); }
  // Why it came to nothing; empty while it may still.
  const std::string& failure() const { return failure_; }
  // Nobody is called any more.
  void cancel() { ticket_.reset(); }

  // For the library: what the peer has sent is nobody's work.
  void peers_fault(std::string why);
  bool is_peers_fault() const { return peers_fault_; }
  // Likewise: a second use in one handshake is refused.
  bool begin(const KeyRequest& request);
  // Empty: it is still waited for. False: see failure().
  std::optional<bool> take(std::span<std::uint8_t> room, std::size_t& size);

 private:
  void answered(Result<std::string> answer);

  Signer& signer_;
  std::function<void()> on_answer_;
  std::unique_ptr<Signer::Ticket> ticket_;
  std::optional<std::string> answer_;
  std::string failure_;
  bool used_ = false;
  bool peers_fault_ = false;
};

}  // namespace postern::tls
