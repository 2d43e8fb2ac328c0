#include "proxy/commands/control_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "config/load.h"
#include "config/unique_fd.h"

namespace postern::commands {

namespace {

constexpr timeval patience_with_answer{120, 0};  // longer than whoever is asked is patient with others
constexpr std::size_t most = 64U << 20U;

tl::unexpected<Error> nobody(const std::string& path) {
  return fail(Errc::closed, "nobody answers at " + path + ": " + std::strerror(errno));
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Errc::invalid_argument, path + ": the path is too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience_with_answer, sizeof patience_with_answer) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return nobody(path);
  }
  return fd;
}

Result<std::string> read_all(const UniqueFd& fd, const std::string& path) {
  std::string answer;
  std::array<char, 16'384> octets{};
  while (answer.size() < most) {
    const ssize_t size = ::recv(fd.get(), octets.data(), octets.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return nobody(path);
    if (size == 0) break;
    answer.append(octets.data(), static_cast<std::size_t>(size));
  }
  if (answer.empty())
    return fail(Errc::closed, "whoever is at " + path + " does not answer: it may be busy, or ending");
  return answer;
}

}  // namespace

Result<std::string> ask_control(const std::string& config, std::string_view word) {
  const config::Loaded loaded = config::load_file(config, config::process_environment());
  // Of a file with mistakes, too: whoever runs with the one before tells all of them.
  const std::string& path = loaded.settings.control;
  if (path.empty() || loaded.is_wrong("control")) {
    if (!loaded.ok()) return fail(Errc::invalid_argument, loaded.first_error());
    return fail(Errc::invalid_argument, config + " has no control: name a path there, and restart");
  }
  auto fd = connect_to(path);
  if (!fd) return tl::unexpected(fd.error());
  const std::string line = std::string(word) + "\n";
  if (::send(fd->get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return nobody(path);
  }
  return read_all(*fd, path);
}

}  // namespace postern::commands
