// The TLS side of connections that we open.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "tls/complaint.h"
#include "tls/engine.h"

namespace postern::tls {

class CertificateStore;  // tls/certificates.h

class ClientContext {
 public:
  struct Options {
    config::TlsVersion min_version = config::TlsVersion::tls1_2;
    config::TlsVersion max_version = config::TlsVersion::tls1_3;
    std::string cipher_list = {};          // empty: as TlsSettings' default
    std::vector<std::string> groups = {};  // those the library lacks are left out; empty: config::TlsSettings' default
    bool allow_sha1 = false;               // signatures with SHA-1 in TLS 1.2 and below
    std::shared_ptr<const CertificateStore> client_certificate = {};  // shown to servers that ask; null: none
    bool keep_sessions = false;                                       // and resume them
    bool operator==(const Options&) const = default;
  };

  // Whom a connection is made to.
  struct Target {
    std::string server_name = {};  // for SNI, where it is a host name (an address or nothing: no SNI)
    std::string destination =
        {};                    // "192.0.2.1:25": sessions are shared where this and the name are the same; empty: never
    bool post_quantum = true;  // false: such groups are not even offered, for servers that choke on them
    bool resume = true;        // false: a full handshake
    bool certificate = true;   // false: ours is not shown, and no session is kept
  };

  // Null where any complaint is an error.
  static std::unique_ptr<ClientContext> make(const Options& options, std::vector<Complaint>& complaints);
  // The first mistake alone; warnings are passed over.
  static Result<std::unique_ptr<ClientContext>> make(const Options& options);
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  // A new client connection, which must not outlive this context. Any certificate of the server is accepted and not
  // judged: see the engine's peer_certificates(). Thread-safe.
  Result<std::unique_ptr<Engine>> connect(const Target& target) const;
  // The same, with nothing kept.
  Result<std::unique_ptr<Engine>> make_engine(const std::string& server_name) const;

  // Target::post_quantum makes a difference: post-quantum groups are among ours, and others too.
  bool offers_post_quantum() const;

  // Drops the sessions kept for the target: what one of them showed is not good enough (any more).
  void forget_sessions(const Target& target) const;

  struct State;  // for the library's callbacks

 private:
  explicit ClientContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace postern::tls
