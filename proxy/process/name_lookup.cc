#include "proxy/process/name_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <thread>

namespace postern::process {
namespace {

NameAnswer ask(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* answer = nullptr;
  const int status = ::getaddrinfo(host.c_str(), nullptr, &hints, &answer);
  if (status != 0) return {::gai_strerror(status), {}};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(answer, &::freeaddrinfo);
  return {{}, answer->ai_canonname == nullptr ? std::string() : std::string(answer->ai_canonname)};
}

}  // namespace

std::future<NameAnswer> look_up_name(const std::string& host) {
  std::promise<NameAnswer> promise;
  auto future = promise.get_future();
  std::thread([host, promise = std::move(promise)]() mutable { promise.set_value(ask(host)); }).detach();
  return future;
}

}  // namespace postern::process
