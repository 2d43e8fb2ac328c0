#include "proxy/net/names.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/net/address.h"

namespace postern::net {

namespace {

constexpr std::size_t max_addresses = 8;  // of one name

// Lives until libuv has called back.
struct Request {
  uv_getaddrinfo_t request{};
  Names::Callback callback;  // empty: cancelled, or called
};

class SystemLookup final : public NameLookup {
 public:
  explicit SystemLookup(std::shared_ptr<Request> request) : request_(std::move(request)) {}
  ~SystemLookup() override {
    request_->callback = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->request));
  }

 private:
  std::shared_ptr<Request> request_;
};

std::vector<config::IpAddress> addresses_in(const addrinfo* found) {
  std::vector<config::IpAddress> addresses;
  for (; found != nullptr && addresses.size() < max_addresses; found = found->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, found->ai_addr, std::min<std::size_t>(found->ai_addrlen, sizeof storage));
    if (auto address = from_sockaddr(storage)) addresses.push_back(address->address);
  }
  return addresses;
}

void on_result(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
  const std::unique_ptr<std::shared_ptr<Request>> held(static_cast<std::shared_ptr<Request>*>(request->data));
  const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> list(found, uv_freeaddrinfo);
  const auto callback = std::exchange((*held)->callback, nullptr);
  if (!callback) return;
  if (status != 0) {
    const bool absent = status == UV_EAI_NONAME || status == UV_EAI_NODATA;
    return callback(fail(absent ? Errc::not_found : Errc::temporary, uv_strerror(status)));
  }
  auto addresses = addresses_in(list.get());
  if (addresses.empty()) return callback(fail(Errc::not_found, "the name has no address"));
  callback(std::move(addresses));
}

// A name that cannot even be asked for: told later, as all answers are.
class Refused final : public NameLookup {
 public:
  Refused(uv_loop_t* loop, std::string why, Names::Callback callback)
      : why_(std::move(why)), callback_(std::move(callback)) {
    auto handle = std::make_unique<uv_timer_t>();
    uv_timer_init(loop, handle.get());  // cannot fail
    handle->data = this;
    timer_.reset(handle.release());
    uv_timer_start(
        timer_.get(),
        [](uv_timer_t* timer) noexcept {
          const auto* self = static_cast<const Refused*>(timer->data);
          if (self == nullptr) return;
          const auto hear = self->callback_;
          hear(fail(Errc::invalid_argument, self->why_));
        },
        0, 0);
  }

 private:
  std::string why_;
  Names::Callback callback_;
  HandlePtr<uv_timer_t> timer_;
};

}  // namespace

std::unique_ptr<NameLookup> SystemNames::look_up(const std::string& name, Callback callback) {
  auto request = std::make_shared<Request>();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const int status = uv_getaddrinfo(loop_, &request->request, on_result, name.c_str(), nullptr, &hints);
  if (status != 0) return std::make_unique<Refused>(loop_, uv_strerror(status), std::move(callback));
  request->callback = std::move(callback);
  request->request.data = new std::shared_ptr<Request>(request);
  return std::make_unique<SystemLookup>(std::move(request));
}

}  // namespace postern::net
