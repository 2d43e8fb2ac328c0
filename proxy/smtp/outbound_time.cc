// Time in OutboundDialogue: for whom the clock runs, and what happens when it has run out.
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

void OutboundDialogue::time_is_up(Timer which, Effects& out) {
  switch (which) {
    case Timer::none:
    case Timer::closing: return;
    case Timer::backend_connect:
      if (server_ == Server::opening) opening_->on_connect_failed();
      return opening_moved(out);
    case Timer::handshake:
    case Timer::greeting:
    case Timer::reply:
    case Timer::data_end: return server_is_silent(out);
    case Timer::command:
    case Timer::data_block: return refuse_now(Refusal::timeout, Ending::timeout, out);
  }
}

// Where nothing has been given to it yet, that is a server to be left for another. Else it ends the session.
void OutboundDialogue::server_is_silent(Effects& out) {
  constexpr std::string_view silent = "the server was silent for too long";
  if (server_ == Server::opening || before_recipient()) return server_gone(Ending::timeout, silent, out);
  outcome_.trouble = no_answer(due(), silent);
  refuse_now(Refusal::timeout, Ending::timeout, out);
}

Timer OutboundDialogue::opening_timer() const {
  if (!opening_) return Timer::greeting;
  switch (opening_->state()) {
    case RemoteOpening::State::connecting: return Timer::backend_connect;
    case RemoteOpening::State::handshake: return Timer::handshake;
    case RemoteOpening::State::greeting:
    case RemoteOpening::State::greeted:
    case RemoteOpening::State::over: return Timer::greeting;
    case RemoteOpening::State::ehlo:
    case RemoteOpening::State::helo:
    case RemoteOpening::State::starttls:
    case RemoteOpening::State::auth: return Timer::reply;
  }
  return Timer::reply;
}

}  // namespace postern::smtp
