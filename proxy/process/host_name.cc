#include "proxy/process/host_name.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "config/values.h"

namespace postern::process {
namespace {

std::string canonical_name(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* answer = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &answer) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(answer, &::freeaddrinfo);
  return answer->ai_canonname == nullptr ? std::string() : std::string(answer->ai_canonname);
}

std::string bare_name() {
  std::array<char, 256> bare{};
  if (::gethostname(bare.data(), bare.size() - 1) != 0) bare[0] = '\0';
  return bare.data();
}

}  // namespace

std::optional<std::string> unusable_host_name() {
  std::string name = bare_name();
  if (config::is_host_name(name)) return std::nullopt;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return name;
}

std::string host_name() {
  const std::string host = bare_name();
  if (!config::is_host_name(host)) return "localhost.localdomain";
  const std::string full = canonical_name(host);
  // A machine whose /etc/hosts maps its name to "localhost" first is better served by the name it was given.
  const bool better =
      full.find('.') != std::string::npos && config::is_host_name(full) && !full.starts_with("localhost");
  return better ? full : host;
}

}  // namespace postern::process
