// A private key where it is held for others: what they may know of it, and what it does for them.
#pragma once

#include <openssl/evp.h>

#include <string>
#include <string_view>

#include "config/result.h"
#include "tls/certificates.h"
#include "tls/signer.h"

namespace postern::tls {

class SigningKey {
 public:
  // Of the file at `path`, whose `content` this is; errors as parse_private_key. `decrypts`: somebody's ciphers
  // exchange keys by RSA, so that KeyOperation::decrypt is answered.
  static Result<SigningKey> parse(const std::string& path, std::string_view content, bool decrypts);

  const std::string& name() const { return name_; }
  bool decrypts() const { return decrypts_; }
  // What others get in place of its file, `content`: the certificates in there, if any, and the public half of the key,
  // as PEM. parse_private_key takes it where config::File::key_elsewhere says what it is.
  std::string public_form(const std::string& path, std::string_view content) const;
  // Thread-safe. Errc::invalid_argument: nothing that this key does, or not in this way; the operation is not begun.
  Result<std::string> perform(const KeyRequest& request) const;

 private:
  Result<std::string> sign(const KeyRequest& request) const;
  Result<std::string> decrypt(const KeyRequest& request) const;

  PrivateKey key_;
  std::string name_;
  bool decrypts_ = false;
};

}  // namespace postern::tls
