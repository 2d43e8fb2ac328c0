// The TLS side of connections that we open.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "tls/engine.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace postern::tls {

class ClientContext {
 public:
  struct Options {
    config::TlsVersion min_version = config::TlsVersion::tls1_2;
    config::TlsVersion max_version = config::TlsVersion::tls1_3;
    std::string cipher_list;          // empty: the library's default
    std::vector<std::string> groups;  // those the library lacks are left out
    bool allow_sha1 = false;          // signatures with SHA-1 in TLS 1.2 and below
  };

  static Result<std::unique_ptr<ClientContext>> make(const Options& options);
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  // A new client connection, which must not outlive this context; it names `server_name` in SNI where that is a host
  // name (an address or nothing: no SNI). Any certificate of the server is accepted and not judged. Thread-safe.
  Result<std::unique_ptr<Engine>> make_engine(const std::string& server_name) const;

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept;
  };
  explicit ClientContext(SSL_CTX* context);
  std::unique_ptr<SSL_CTX, FreeContext> context_;
};

}  // namespace postern::tls
