#include "proxy/commands/demo_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "proxy/smtp/reply.h"

namespace postern::commands {
namespace {

constexpr std::size_t line_limit = 4096;

tl::unexpected<Error> system_failure(const char* what) {
  return fail(Errc::io, std::string(what) + ": " + (errno == EAGAIN ? "no answer in time" : std::strerror(errno)));
}

void show(char side, std::string_view line) {
  std::printf("%c: %.*s\n", side, static_cast<int>(line.size()), line.data());
}

}  // namespace

Result<void> DemoClient::connect(std::uint16_t port) {
  socket_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{20, 0};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = socket_.get() >= 0 &&
                         ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                         ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
                         ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!connected) return system_failure("cannot connect");
  return {};
}

Result<tls::SessionFacts> DemoClient::start_tls(const tls::ClientContext& context, const std::string& server_name) {
  if (!received_.empty()) return fail(Errc::protocol, "the server sent more than its reply before TLS");
  auto engine = context.make_engine(server_name);
  if (!engine) return tl::unexpected(engine.error());
  engine_ = std::move(*engine);
  if (auto started = engine_->start(outgoing_); started.error) return tl::unexpected(*started.error);
  if (auto sent = write_all(outgoing_.view()); !sent) return tl::unexpected(sent.error());
  outgoing_.clear();
  while (!engine_->handshake_done()) {
    if (auto received = receive(); !received) return tl::unexpected(received.error());
  }
  return engine_->facts();
}

Result<void> DemoClient::expect(char wanted) {
  smtp::LineReader lines;
  while (true) {
    std::string_view input = received_;
    const auto line = lines.next(input, line_limit);
    if (!line) {
      lines.reset();  // starts over with more; replies are short
      if (auto received = receive(); !received) return tl::unexpected(received.error());
      continue;
    }
    const auto reply = smtp::parse_reply_line(line->text);
    show('S', line->text);
    const bool good = reply && !line->text.empty() && line->text.front() == wanted;
    const bool last = !reply || reply->last;
    received_.erase(0, received_.size() - input.size());
    if (!good) return fail(Errc::refused, "that is not the reply that was hoped for");
    if (last) return {};
  }
}

Result<void> DemoClient::command(std::string_view line, char wanted) {
  show('C', line);
  if (auto sent = send(std::string(line) + "\r\n"); !sent) return sent;
  return expect(wanted);
}

Result<void> DemoClient::content(std::string_view content) {
  std::string stuffed;
  while (!content.empty()) {
    const auto end = std::min(content.find("\r\n"), content.size());
    const std::string line = (content.starts_with('.') ? "." : "") + std::string(content.substr(0, end));
    content.remove_prefix(std::min(end + 2, content.size()));
    show('C', line);
    stuffed += line + "\r\n";
  }
  show('C', ".");
  if (auto sent = send(stuffed + ".\r\n"); !sent) return sent;
  return expect('2');
}

Result<void> DemoClient::send(std::string_view plaintext) {
  if (engine_ == nullptr) return write_all(plaintext);
  if (const auto error = engine_->send(plaintext, outgoing_)) return tl::unexpected(*error);
  auto sent = write_all(outgoing_.view());
  outgoing_.clear();
  return sent;
}

Result<void> DemoClient::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_failure("cannot send");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<tls::Engine::Received> DemoClient::receive() {
  std::array<char, 16384> raw{};
  ssize_t count = 0;
  do {
    count = ::recv(socket_.get(), raw.data(), raw.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return system_failure("cannot receive");
  if (count == 0) return fail(Errc::closed, "the server closed the connection");
  const std::string_view bytes(raw.data(), static_cast<std::size_t>(count));
  if (engine_ == nullptr) {
    received_ += bytes;
    return tls::Engine::Received{};
  }
  std::vector<char> plaintext(bytes.size() + tls::Engine::max_record);
  auto received = engine_->receive(bytes, plaintext, outgoing_);
  received_.append(plaintext.data(), received.plaintext);
  if (auto sent = write_all(outgoing_.view()); !sent) return tl::unexpected(sent.error());
  outgoing_.clear();
  if (received.error) return tl::unexpected(*received.error);
  return received;
}

}  // namespace postern::commands
