#include "proxy/inbound/backend_dialer.h"

namespace postern::inbound {

std::optional<Error> BackendDialer::dial() {
  Error last{Errc::io, "no backend address is left to try"};
  while (const auto index = pool_.pick(tried_, uv_now(loop_))) {
    current_ = *index;
    tried_ |= std::uint64_t{1} << current_;
    auto connector = net::Connector::start(loop_, pool_.endpoint(current_), {source_, source_.has_value(), 0, names_},
                                           [this](Result<net::StreamPtr> socket) { on_connected(std::move(socket)); });
    if (connector) {
      connector_ = std::move(*connector);
      return std::nullopt;
    }
    pool_.failed(current_, uv_now(loop_));
    last = {connector.error().code, config::to_string(pool_.endpoint(current_)) + ": " + connector.error().message};
  }
  return last;
}

std::optional<Error> BackendDialer::next_after_timeout() {
  connector_.reset();
  pool_.failed(current_, uv_now(loop_));
  if (!dial()) return std::nullopt;
  return Error{Errc::timeout, config::to_string(pool_.endpoint(current_)) + ": the connection took too long"};
}

void BackendDialer::on_connected(Result<net::StreamPtr> socket) {
  const std::string name = config::to_string(pool_.endpoint(current_));
  if (socket) {
    pool_.succeeded(current_, uv_now(loop_));
    pool_.connected(current_);
    return finish(Connected{std::move(*socket), name, current_});
  }
  pool_.failed(current_, uv_now(loop_));
  if (dial()) finish(fail(socket.error().code, name + ": " + socket.error().message));
}

void BackendDialer::finish(Result<Connected> result) {
  const OnDone on_done = std::move(on_done_);
  on_done(std::move(result));
}

}  // namespace postern::inbound
