// Whoever holds the keys that are not in this process, and uses them for us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "config/result.h"

namespace postern::tls {

enum class KeyOperation : std::uint8_t {
  sign,
  decrypt,  // raw RSA, for the key exchange of TLS 1.2 and below
};

struct KeyRequest {
  static constexpr std::size_t name_size = 32;                 // octets
  static constexpr std::size_t most_octets = 32 * 1024;        // of a message that is signed as it is
  static constexpr std::size_t most_answered = 16 * 1024 / 8;  // of RSA with 16,384 bits

  std::string key;  // see name_of in tls/certificates.h
  KeyOperation operation = KeyOperation::sign;
  std::uint16_t scheme = 0;  // of a signature: as in tls/signatures.h
  // To be signed: the digest that the scheme asks for; for Ed25519 the message. To be decrypted: an octet for each of
  // the modulus.
  std::string octets;
};

class Signer {
 public:
  class Ticket {
   public:
    virtual ~Ticket() = default;
  };
  using OnAnswer = std::function<void(Result<std::string>)>;

  virtual ~Signer() = default;
  // Whether it is of any use to ask now.
  virtual bool signs() const = 0;
  // Answered once, later, unless the ticket is destroyed before: the answer is then nobody's. An error: nobody signs
  // now, or too much is under way.
  virtual Result<std::unique_ptr<Ticket>> ask(const KeyRequest& request, OnAnswer on_answer) = 0;
};

}  // namespace postern::tls
