// The server's side of one SMTP conversation in which everything is accepted. Sans-IO but for the message store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/sink/dot_decoder.h"
#include "proxy/sink/maildir.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/lines.h"

namespace postern::sink {

// What kind of server to play.
struct Capabilities {
  bool pipelining = true;
  bool chunking = true;
  bool ehlo = true;  // false: a server so old that it knows only HELO
};

class SinkSession {
 public:
  using OnStored = std::function<void(const Envelope& envelope, std::uint64_t size, const std::string& name)>;

  // `maildir` and `capabilities` outlive the session; `on_stored` is called for every message that was acknowledged.
  SinkSession(const Capabilities& capabilities, Maildir& maildir, std::string client, const OnStored& on_stored);

  void greet(std::string& out);
  // Takes all of `input` and appends the replies to `out`.
  void on_bytes(std::string_view input, std::string& out);
  // The client said QUIT: send what is in `out`, then close.
  bool over() const { return over_; }

  static constexpr std::size_t line_limit = 8192;
  static constexpr std::size_t recipient_limit = 50000;
  static constexpr std::uint64_t size_limit = std::uint64_t{1} << 30U;

 private:
  enum class Mode : std::uint8_t { commands, data, chunk };

  void take_line(std::string_view& input, std::string& out);
  void take_data(std::string_view& input, std::string& out);
  void take_chunk(std::string_view& input, std::string& out);
  void on_command(const smtp::Command& command, std::string& out);
  void on_hello(const smtp::Command& command, std::string& out);
  void on_mail(std::string_view argument, std::string& out);
  void on_rcpt(std::string_view argument, std::string& out);
  void on_data(std::string& out);
  void on_bdat(std::string_view argument, std::string& out);
  void append(std::string_view content);
  void end_message(std::string& out);
  void reset();

  const Capabilities& capabilities_;
  Maildir& maildir_;
  const OnStored& on_stored_;
  smtp::LineReader lines_;
  Envelope envelope_;
  bool in_transaction_ = false;
  std::unique_ptr<Message> message_;  // from DATA or the first BDAT on
  bool message_too_large_ = false;
  DotDecoder dots_;
  Mode mode_ = Mode::commands;
  std::uint64_t chunk_left_ = 0;
  bool chunk_is_last_ = false;
  bool chunk_is_wanted_ = false;  // a chunk out of place is swallowed all the same
  bool over_ = false;
};

}  // namespace postern::sink
