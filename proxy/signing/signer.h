// Where the private keys are: threads that use them for a gateway, which has none.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "config/published.h"
#include "config/unique_fd.h"
#include "tls/signing_key.h"

namespace postern::signing {

// By the key's name.
using Keys = std::map<std::string, std::shared_ptr<const tls::SigningKey>, std::less<>>;
using KeyTable = config::Published<Keys>;

// What a gateway is told; nothing where it breaks the protocol, and is left.
std::optional<std::string> answer_to(std::string_view packet, const Keys& keys);

// One thread, which serves one thread of the gateway: a request at a time, as they come.
class Signer {
 public:
  // `keys` outlives it. `on_end` is called once in that thread: the other end has closed (`why` is empty), or was left.
  using OnEnd = std::function<void(const std::string& why)>;
  Signer(UniqueFd fd, const KeyTable& keys, OnEnd on_end);
  // Ends at once; a signature that is being made is waited for.
  ~Signer();
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

 private:
  std::string serve() const;

  UniqueFd fd_;
  const KeyTable& keys_;
  std::thread thread_;
};

}  // namespace postern::signing
