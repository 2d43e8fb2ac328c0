// The client of `postern demo`: sends one message over a blocking socket and shows the conversation as it goes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/smtp/lines.h"
#include "tls/client_context.h"

namespace postern::commands {

class DemoClient {
 public:
  // To a port of 127.0.0.1. A server silent for 20 seconds is an error in all that follows.
  Result<void> connect(std::uint16_t port);
  // The handshake; what is sent from here on is encrypted.
  Result<tls::SessionFacts> start_tls(const tls::ClientContext& context, const std::string& server_name);

  // Shows and checks a reply: its code must begin with the digit `wanted`.
  Result<void> expect(char wanted);
  Result<void> command(std::string_view line, char wanted);
  // Sends a message with its end, dot-stuffed, and awaits the server's word. Lines of `content` end with CRLF.
  Result<void> content(std::string_view content);

 private:
  Result<void> send(std::string_view plaintext);
  Result<void> write_all(std::string_view bytes);
  // Waits for bytes; appends plaintext to received_. During a handshake there may be none.
  Result<tls::Engine::Received> receive();

  UniqueFd socket_;
  std::unique_ptr<tls::Engine> engine_;
  tls::OutputBuffer outgoing_;
  std::string received_;
};

}  // namespace postern::commands
