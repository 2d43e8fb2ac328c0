#include "proxy/stream/https_get.h"

#include <utility>

#include "tls/peer_certificates.h"
#include "tls/verify_name.h"

namespace postern::stream {

HttpsGet::HttpsGet(const Means& means, const tls::ClientContext& tls, const tls::TrustStore& trust, Request request,
                   OnDone on_done)
    : Errand(means, request.patience),
      tls_(tls),
      trust_(trust),
      request_(std::move(request)),
      on_done_(std::move(on_done)),
      connect_timer_(means.loop.raw(), [this] { give_up_address(); }) {
  try_next(request_.host + " has no address");
}

void HttpsGet::try_next(std::string last_error) {
  if (next_ == request_.addresses.size()) return done(fail(Errc::io, std::move(last_error)));
  const bool last = next_ + 1 == request_.addresses.size();
  last ? connect_timer_.stop() : connect_timer_.start(request_.connect_patience);
  connect(request_.addresses[next_++], request_.connect);
}

// An address that does not answer must leave time for those behind it: IPv6 that leads nowhere is common.
void HttpsGet::give_up_address() {
  if (!finished()) try_next(request_.host + ": an address does not answer");
}

void HttpsGet::on_connected() {
  connect_timer_.stop();
  start_tls(tls_, {request_.host, request_.host, true});
}

void HttpsGet::on_secured(tls::SessionFacts) {
  const auto certificates = stream().engine()->peer_certificates();
  const auto chain = certificates.verify_chain(trust_);
  if (!chain.trusted) return done(fail(Errc::certificate, request_.host + ": " + chain.reason));
  if (!tls::names_host(certificates.dns_names(), request_.host)) {
    return done(
        fail(Errc::certificate, "the certificate does not name " + request_.host + certificates.why_nameless()));
  }
  const std::string get = wire::print_http_get(request_.host, request_.path);
  send(get);
  flush();
}

void HttpsGet::on_plaintext(std::string_view bytes) {
  if (stream().engine() == nullptr) return;  // TLS could not even begin: nobody vouches for these
  if (auto response = reader_.feed(bytes)) done(std::move(*response));
}

void HttpsGet::on_failed(Step step, std::string why) {
  switch (step) {
    case Step::connect: return try_next(std::move(why));
    case Step::tls: return done(fail(Errc::tls, request_.host + ": " + why));
    case Step::time: return done(fail(Errc::timeout, request_.host + ": " + why));
    // Nor is a response taken that only the end of the connection delimits: whoever can cut the connection could
    // shorten the policy. See on_goodbye().
    case Step::talk: return done(fail(Errc::closed, request_.host + ": " + why));
  }
}

// An end that TLS vouches for ends a body that has no other end (RFC 9112 9.8).
void HttpsGet::on_goodbye() {
  auto response = reader_.finish();
  if (!response) response.error().message = request_.host + ": " + response.error().message;
  done(std::move(response));
}

void HttpsGet::done(Result<wire::HttpResponse> result) {
  finish([this, outcome = std::move(result)]() mutable {
    const auto on_done = std::move(on_done_);
    on_done(std::move(outcome));
  });
}

}  // namespace postern::stream
