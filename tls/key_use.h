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
#include <vector>

#include "tls/signer.h"

namespace postern::tls {

struct PrivateKey;  // tls/certificates.h

class KeyUse {
 public:
  // Chain and key, which is elsewhere, for connections of that context, or for that one; false and an entry in the
  // error queue where the library does not take them. `key` outlives them. Who works on such a connection has a KeyUse
  // in its SpanBioRound; without one the handshake fails.
  static bool set(SSL_CTX* context, const std::vector<CRYPTO_BUFFER*>& chain, const PrivateKey& key);
  static bool set(SSL* ssl, const std::vector<CRYPTO_BUFFER*>& chain, const PrivateKey& key);

  // `on_answer` is called once, later, when there is something to go on with; it may destroy this.
  KeyUse(Signer& signer, std::function<void()> on_answer) : signer_(signer), on_answer_(std::move(on_answer)) {}
  KeyUse(const KeyUse&) = delete;
  KeyUse& operator=(const KeyUse&) = delete;

  // What had not been read yet when the handshake began to wait, and comes first when it goes on.
  std::string unread;

  bool waits() const { return ticket_ != nullptr; }
  // Whether anybody would be there to ask.
  bool could_be_asked() const { return signer_.signs(); }
  // Why it came to nothing; empty while it may still.
  const std::string& failure() const { return failure_; }
  // Nobody is called any more.
  void cancel() { ticket_.reset(); }

  // For the library: a second use in one handshake is refused.
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
};

}  // namespace postern::tls
