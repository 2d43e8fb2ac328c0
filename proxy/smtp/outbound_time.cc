// Time in OutboundDialogue: for whom the clock runs, and what happens when it has run out.
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

void OutboundDialogue::on_timer(Timer which, Effects& out) {
  armed_ = Timer::none;
  switch (which) {
    case Timer::none:
    case Timer::closing: break;
    case Timer::handshake:
      if (state_ != State::handshake) {
        server_is_silent(out);
      } else {
        finish(Ending::timeout, out);  // no reply can be sent in the middle of it
      }
      break;
    case Timer::backend_connect:
      if (server_ == Server::opening) opening_->on_connect_failed();
      opening_moved(out);
      break;
    case Timer::greeting:
    case Timer::reply:
    case Timer::data_end: server_is_silent(out); break;
    case Timer::command:
    case Timer::data_block: refuse_now(Refusal::timeout, Ending::timeout, out); break;
  }
  settle(out);
}

// Where nothing has been given to it yet, that is a server to be left for another. Else it ends the session.
void OutboundDialogue::server_is_silent(Effects& out) {
  constexpr std::string_view silent = "the server was silent for too long";
  if (server_ == Server::opening || before_recipient()) return remote_gone(Ending::timeout, silent, out);
  outcome_.trouble = no_answer(due(), silent);
  refuse_now(Refusal::timeout, Ending::timeout, out);
}

// Time is counted for whoever owes something: the server while replies are outstanding, else the client.
void OutboundDialogue::arm(Effects& out) {
  const Timer wanted = timer();
  if (state_ != State::ended && (progress_ || wanted != armed_)) out.arm(wanted);
  armed_ = wanted;
  progress_ = false;
}

Timer OutboundDialogue::timer() const {
  switch (state_) {
    case State::await_greeting:
    case State::opening: return opening_timer();
    case State::handshake: return Timer::handshake;
    case State::judgement: return Timer::none;  // the session's own lookups have their own limits
    case State::within:
      if (input_.in_message()) return Timer::data_block;
      [[fallthrough]];
    case State::command:
    case State::await_turn:
    case State::await_reply:
    case State::starttls:
    case State::closing:
      if (answers_.empty()) return Timer::command;
      return answers_.message_is_next() ? Timer::data_end : Timer::reply;
    case State::ended: return Timer::none;
  }
  return Timer::none;
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
