#include "proxy/init/ask_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "config/text.h"
#include "config/unique_fd.h"
#include "proxy/init/wishes.h"
#include "proxy/net/address.h"

namespace postern::init {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto patience_with_server = std::chrono::seconds(5);
constexpr std::size_t longest_reply = 16 * 1024;

class Asking {
 public:
  explicit Asking(UniqueFd socket) : socket_(std::move(socket)) {}

  // A whole reply; empty: there was none that was 2xx.
  std::string reply() {
    for (;;) {
      const std::size_t end = end_of_reply();
      if (end != std::string::npos) {
        std::string whole = received_.substr(0, end);
        received_.erase(0, end);
        return whole.starts_with('2') ? whole : std::string();
      }
      std::array<char, 4096> piece{};
      if (received_.size() > longest_reply || !ready(POLLIN)) return {};
      const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
      if (got <= 0) return {};
      received_.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

  bool say(std::string_view line) {
    return ready(POLLOUT) &&
           ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  }

  bool ready(short what) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until_ - Clock::now()).count();
    pollfd waiting{socket_.get(), what, 0};
    return left > 0 && ::poll(&waiting, 1, static_cast<int>(left)) == 1;
  }

 private:
  // Behind the line whose code a blank follows.
  std::size_t end_of_reply() const {
    for (std::size_t at = 0;;) {
      const std::size_t end = received_.find('\n', at);
      if (end == std::string::npos) return end;
      if (end < at + 4 || received_[at + 3] != '-') return end + 1;
      at = end + 1;
    }
  }

  UniqueFd socket_;
  std::string received_;
  Clock::time_point until_ = Clock::now() + patience_with_server;
};

}  // namespace

bool offers_xclient(std::string_view reply) {
  for (const std::string& line : split_words(reply, "\r\n")) {
    const std::string_view keyword = std::string_view(line).substr(std::min<std::size_t>(line.size(), 4));
    if (config::same_ignoring_case(keyword.substr(0, keyword.find(' ')), "XCLIENT")) return true;
  }
  return false;
}

ServerFacts ask_server(const config::Endpoint& address) {
  if (address.kind != config::Endpoint::Kind::ip) return {};
  sockaddr_storage to = {};
  const socklen_t length = net::to_sockaddr(address.address, address.port, to);
  UniqueFd socket(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int connected = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), length);
  if (connected != 0 && errno != EINPROGRESS) return {};
  Asking asking(std::move(socket));
  if (asking.reply().empty() || !asking.say("EHLO postern.invalid\r\n")) return {};
  const std::string offered = asking.reply();
  if (offered.empty()) return {};
  asking.say("QUIT\r\n");
  return {true, offers_xclient(offered)};
}

}  // namespace postern::init
