#include "proxy/sink/sink_session.h"

#include <algorithm>

namespace postern::sink {
namespace {

constexpr std::string_view name = "sink.localdomain";

}  // namespace

SinkSession::SinkSession(const Capabilities& capabilities, Maildir& maildir, std::string client,
                         const OnStored& on_stored)
    : capabilities_(capabilities), maildir_(maildir), on_stored_(on_stored) {
  envelope_.client = std::move(client);
}

void SinkSession::greet(std::string& out) {
  out.append("220 ").append(name).append(capabilities_.ehlo ? " ESMTP" : " SMTP").append(" Postern sink\r\n");
}

void SinkSession::on_bytes(std::string_view input, std::string& out) {
  while (!input.empty() && !over_) {
    switch (mode_) {
      case Mode::commands: take_line(input, out); break;
      case Mode::data: take_data(input, out); break;
      case Mode::chunk: take_chunk(input, out); break;
    }
  }
}

void SinkSession::take_line(std::string_view& input, std::string& out) {
  const auto line = lines_.next(input, line_limit);
  if (!line) return;
  if (line->too_long) {
    out += "500 5.5.2 Line too long\r\n";
  } else if (line->bare_lf || line->bare_cr || line->nul) {
    out += "500 5.5.2 Lines end with CRLF, and hold neither CR nor NUL\r\n";
  } else {
    on_command(smtp::parse_command(line->text), out);
  }
}

void SinkSession::take_data(std::string_view& input, std::string& out) {
  const auto progress = dots_.decode(input, [this](std::string_view content) { append(content); });
  input.remove_prefix(progress.consumed);
  if (!progress.end) return;
  mode_ = Mode::commands;
  end_message(out);
}

void SinkSession::take_chunk(std::string_view& input, std::string& out) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, input.size()));
  if (chunk_is_wanted_) append(input.substr(0, size));
  input.remove_prefix(size);
  chunk_left_ -= size;
  if (chunk_left_ != 0) return;
  mode_ = Mode::commands;
  if (!chunk_is_wanted_) {
    out += "503 5.5.1 MAIL and RCPT first\r\n";
  } else if (chunk_is_last_) {
    end_message(out);
  } else {
    out += "250 2.0.0 Chunk taken\r\n";
  }
}

void SinkSession::append(std::string_view content) {
  if (message_->size() + content.size() <= size_limit) {
    message_->append(content);
  } else {
    message_too_large_ = true;
  }
}

void SinkSession::on_command(const smtp::Command& command, std::string& out) {
  using smtp::Verb;
  switch (command.verb) {
    case Verb::ehlo:
    case Verb::helo: on_hello(command, out); return;
    case Verb::mail: on_mail(command.argument, out); return;
    case Verb::rcpt: on_rcpt(command.argument, out); return;
    case Verb::data: on_data(out); return;
    case Verb::bdat: on_bdat(command.argument, out); return;
    case Verb::rset:
      reset();
      out += "250 2.0.0 Ok\r\n";
      return;
    case Verb::noop: out += "250 2.0.0 Ok\r\n"; return;
    case Verb::vrfy: out += "252 2.0.0 Send it and see\r\n"; return;
    case Verb::help: out += "214 2.0.0 Everything is accepted here\r\n"; return;
    case Verb::quit:
      out += "221 2.0.0 Bye\r\n";
      over_ = true;
      return;
    case Verb::expn:
    case Verb::etrn:
    case Verb::auth:
    case Verb::starttls:
    case Verb::xclient:
    case Verb::xforward: out += "502 5.5.1 Not here\r\n"; return;
    case Verb::http:
    case Verb::other:
    case Verb::invalid: out += "500 5.5.2 No such command\r\n"; return;
  }
}

void SinkSession::on_hello(const smtp::Command& command, std::string& out) {
  if (command.verb == smtp::Verb::ehlo && !capabilities_.ehlo) {
    out += "502 5.5.1 No such command\r\n";
    return;
  }
  reset();
  envelope_.helo = command.argument;
  if (command.verb == smtp::Verb::helo) {
    out.append("250 ").append(name).append("\r\n");
    return;
  }
  out.append("250-").append(name).append("\r\n");
  if (capabilities_.pipelining) out += "250-PIPELINING\r\n";
  if (capabilities_.chunking) out += "250-CHUNKING\r\n";
  out.append("250-SIZE ").append(std::to_string(size_limit)).append("\r\n");
  out += "250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n";
}

void SinkSession::on_mail(std::string_view argument, std::string& out) {
  const auto path = smtp::parse_path_argument(argument, "FROM");
  if (in_transaction_) {
    out += "503 5.5.1 There is a sender already\r\n";
  } else if (!path) {
    out += "501 5.5.4 MAIL FROM:<address>\r\n";
  } else {
    in_transaction_ = true;
    envelope_.from = path->path;
    envelope_.mail_parameters = path->parameters;
    out += "250 2.1.0 Ok\r\n";
  }
}

void SinkSession::on_rcpt(std::string_view argument, std::string& out) {
  const auto path = smtp::parse_path_argument(argument, "TO");
  if (!in_transaction_ || message_ != nullptr) {
    out += "503 5.5.1 MAIL first\r\n";
  } else if (!path || path->path.empty()) {
    out += "501 5.5.4 RCPT TO:<address>\r\n";
  } else if (envelope_.recipients.size() >= recipient_limit) {
    out += "452 4.5.3 Too many recipients\r\n";
  } else {
    envelope_.recipients.emplace_back(path->path);
    out += "250 2.1.5 Ok\r\n";
  }
}

void SinkSession::on_data(std::string& out) {
  if (envelope_.recipients.empty() || message_ != nullptr) {
    out += "503 5.5.1 MAIL and RCPT first\r\n";
    return;
  }
  message_ = maildir_.begin();
  dots_ = {};
  mode_ = Mode::data;
  out += "354 End with CRLF.CRLF\r\n";
}

void SinkSession::on_bdat(std::string_view argument, std::string& out) {
  const auto chunk = smtp::parse_bdat_argument(argument);
  if (!capabilities_.chunking) {
    out += "502 5.5.1 No such command\r\n";
    return;
  }
  if (!chunk) {  // what follows could be content or commands
    out += "501 5.5.4 BDAT size [LAST]\r\n";
    over_ = true;
    return;
  }
  chunk_left_ = chunk->size;
  chunk_is_last_ = chunk->last;
  chunk_is_wanted_ = !envelope_.recipients.empty();
  if (chunk_is_wanted_ && message_ == nullptr) {
    message_ = maildir_.begin();
    envelope_.chunked = true;
  }
  mode_ = Mode::chunk;
  std::string_view nothing;
  if (chunk_left_ == 0) take_chunk(nothing, out);
}

void SinkSession::end_message(std::string& out) {
  if (message_too_large_) {
    out += "552 5.3.4 Message too large\r\n";
  } else if (const auto kept = message_->keep(envelope_); kept) {
    on_stored_(envelope_, message_->size(), *kept);
    out.append("250 2.0.0 Stored as ").append(*kept).append("\r\n");
  } else {
    out.append("452 4.3.1 ").append(kept.error().message).append("\r\n");
  }
  reset();
}

void SinkSession::reset() {
  Envelope fresh;
  fresh.client = std::move(envelope_.client);
  fresh.helo = std::move(envelope_.helo);
  envelope_ = std::move(fresh);
  in_transaction_ = false;
  message_.reset();
  message_too_large_ = false;
}

}  // namespace postern::sink
