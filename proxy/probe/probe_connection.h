// One connection to a remote server as a session would make it, up to where MAIL would come, and then QUIT.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "proxy/outbound/contact.h"
#include "proxy/smtp/remote_opening.h"
#include "proxy/stream/errand.h"
#include "tls/peer_certificates.h"

namespace postern::probe {

class ProbeConnection final : public stream::Errand {
 public:
  struct Plan {
    net::SocketAddress address;
    std::string server_name;
    std::string hello;       // what we call ourselves
    bool tls_first = false;  // implicit TLS
    bool use_tls = true;
    outbound::Handshake handshake;
    net::ConnectOptions connect;
    // For the connection, the greeting, and each line that follows it.
    std::chrono::milliseconds connect_patience{30'000}, greeting_patience{30'000}, reply_patience{30'000};
  };
  struct Found {
    smtp::RemoteState state;
    std::string error;  // why there is no connection, or no TLS
    std::optional<tls::SessionFacts> tls;
    tls::PeerCertificates certificates;
  };

  // `context` outlives the connection. `on_done` is called once, later, and may destroy it.
  ProbeConnection(const Means& means, const tls::ClientContext& context, Plan plan, std::function<void(Found)> on_done);

 private:
  void on_connected() override;
  void on_secured(tls::SessionFacts facts) override;
  void on_plaintext(std::string_view bytes) override;
  void on_failed(Step step, std::string why) override;
  void on_closed() override;

  void begin();
  void secure();
  void carry_out();
  void done();

  const tls::ClientContext& context_;
  Plan plan_;
  std::function<void(Found)> on_done_;
  smtp::RemoteOpening opening_;
  smtp::ReplyReader replies_;
  smtp::Effects effects_;
  Found found_;
};

}  // namespace postern::probe
