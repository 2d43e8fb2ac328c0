#include "proxy/signing/signer.h"

#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "proxy/signing/messages.h"

namespace postern::signing {

namespace {

Answer answer_to(const Request& request, const Keys& keys) {
  Answer answer{request.id, Answer::Status::unknown_key, {}};
  const auto found = keys.find(request.use.key);
  if (found == keys.end()) return answer;
  auto made = found->second->perform(request.use);
  if (made && !made->empty() && made->size() <= tls::KeyRequest::most_answered) {
    answer.status = Answer::Status::done;
    answer.octets = std::move(*made);
  } else {
    const bool unfit = !made && made.error().code == Errc::invalid_argument;
    answer.status = unfit ? Answer::Status::unfit : Answer::Status::failed;
  }
  return answer;
}

bool send_all(int fd, const std::string& packet) {
  while (::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> answer_to(std::string_view packet, const Keys& keys) {
  const auto request = parse_request(packet);
  if (!request) return std::nullopt;
  return encode(answer_to(*request, keys));
}

Signer::Signer(UniqueFd fd, const KeyTable& keys, OnEnd on_end)
    : fd_(std::move(fd)), keys_(keys), thread_([this, told = std::move(on_end)] {
        const std::string why = serve();
        ::shutdown(fd_.get(), SHUT_RDWR);  // who was left shall know
        told(why);
      }) {}

Signer::~Signer() {
  ::shutdown(fd_.get(), SHUT_RDWR);
  thread_.join();
}

std::string Signer::serve() const {
  // A signature is work, not an event: where a processor is shared with the gateway, who has just asked goes on with
  // its other sessions, and asks for more, instead of being put aside at each request. Without it all works as well.
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
  std::vector<char> buffer(max_request);
  while (true) {
    // The packet's own size, however small the room was. Descriptors that come with it are closed by the kernel.
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::strerror(errno);
    if (size == 0) return {};
    if (static_cast<std::size_t>(size) > buffer.size()) return "a request was too large";
    const auto answer = answer_to({buffer.data(), static_cast<std::size_t>(size)}, *keys_.get());
    if (!answer) return "a request broke a bound";
    if (!send_all(fd_.get(), *answer)) return {};
  }
}

}  // namespace postern::signing
