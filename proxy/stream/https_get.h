// One policy file over HTTPS (RFC 8461 3.3): our own TLS, the certificate checked against the authorities and the
// host's name, one GET, status 200 or nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/net/timer.h"
#include "proxy/stream/errand.h"
#include "proxy/wire/http.h"
#include "tls/trust_store.h"

namespace postern::stream {

class HttpsGet final : public Errand {
 public:
  struct Request {
    std::string host;  // for SNI, the certificate and the Host header
    std::string path;
    std::vector<net::SocketAddress> addresses;  // tried in turn, until one connects
    net::ConnectOptions connect;
    std::chrono::milliseconds patience{60'000};         // for all of it
    std::chrono::milliseconds connect_patience{5'000};  // for one address, where others are left
  };
  // Errc::certificate: the host cannot show that it is the host. All else: the file could not be had.
  using OnDone = std::function<void(Result<wire::HttpResponse>)>;

  // `tls` and `trust` outlive it. `on_done` is called once, later, and may destroy it.
  HttpsGet(const Means& means, const tls::ClientContext& tls, const tls::TrustStore& trust, Request request,
           OnDone on_done);

 private:
  void on_connected() override;
  void on_secured(tls::SessionFacts facts) override;
  void on_plaintext(std::string_view bytes) override;
  void on_failed(Step step, std::string why) override;
  void on_goodbye() override;
  void try_next(std::string last_error);
  void give_up_address();
  void done(Result<wire::HttpResponse> result);

  const tls::ClientContext& tls_;
  const tls::TrustStore& trust_;
  Request request_;
  OnDone on_done_;
  wire::HttpResponseReader reader_;
  std::size_t next_ = 0;
  net::Timer connect_timer_;
};

}  // namespace postern::stream
