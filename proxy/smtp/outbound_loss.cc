// What OutboundDialogue makes of a server that is lost: another one for the same recipient, as long as nothing has been
// taken by anybody, else a temporary refusal of what was asked.
#include <algorithm>

#include "proxy/smtp/command.h"
#include "proxy/smtp/octets.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

namespace {

using Stage = RemoteState::Stage;

// The client's command that the reply is to.
std::string_view what_was_asked(Expected to) {
  switch (to) {
    case Expected::mail: return to_string(Verb::mail);
    case Expected::recipient: return to_string(Verb::rcpt);
    case Expected::data:
    case Expected::end_of_data: return to_string(Verb::data);
    case Expected::chunk:
    case Expected::last_chunk: return to_string(Verb::bdat);
    case Expected::auth: return to_string(Verb::auth);
    case Expected::hello: return to_string(Verb::ehlo);
    case Expected::reset: return to_string(Verb::rset);
    case Expected::quit: return to_string(Verb::quit);
    case Expected::plain: return to_string(Verb::noop);
    case Expected::swallowed: break;
  }
  return {};
}

}  // namespace

// Nothing of a message has been taken by anybody: the same recipient may go elsewhere.
bool OutboundDialogue::before_recipient() const {
  if (state_ != State::await_turn || answers_.size() != 1 || answers_.own_is_next()) return false;
  if (!transaction_.active() || transaction_.accepted || !transaction_.refusal.empty()) return false;
  return answers_.server() == Expected::mail || answers_.server() == Expected::swallowed;
}

bool OutboundDialogue::asking() const {
  return state_ == State::await_greeting || state_ == State::opening || state_ == State::await_policy ||
         before_recipient();
}

bool OutboundDialogue::tries_again() const {
  return asking() && dials() > 1;
}

// What the server is to say next; empty: nothing.
std::string_view OutboundDialogue::due() const {
  if (answers_.empty()) return "";
  if (answers_.own_is_next()) return "reply";
  switch (answers_.server()) {
    case Expected::plain: return "reply to NOOP";
    case Expected::mail: return "reply to MAIL";
    case Expected::swallowed:
    case Expected::reset: return "reply to RSET";
    case Expected::hello: return "reply to EHLO";
    case Expected::data: return "reply to DATA";
    case Expected::end_of_data:
    case Expected::last_chunk: return "reply to the message";
    case Expected::chunk: return "reply to BDAT";
    case Expected::auth: return "reply to AUTH";
    case Expected::quit: return "reply to QUIT";
    case Expected::recipient: return "reply to RCPT";
  }
  return "reply";
}

void OutboundDialogue::server_gone(Ending ending, std::string_view why, Effects& out) {
  if (state_ == State::ended || server_ == Server::none) return;
  if (server_ == Server::opening) {
    opening_->on_lost(why, ending == Ending::server_protocol);
    return opening_moved(out);
  }
  const std::string_view place = in_content() ? " within the content" : "";
  lose(ending, due().empty() ? std::string(why).append(place) : no_answer(due(), why), out);
}

// What it still owes becomes 451, never a success. Without a transaction there is nothing to go on with.
void OutboundDialogue::lose(Ending ending, const std::string& trouble, Effects& out) {
  const bool authenticating = input_.mode() == ClientInput::Mode::response ||
                              (state_ == State::await_reply && answers_.server() == Expected::auth);
  // A client that has had its last reply would take another, unasked, for a failure of what it was told before.
  const bool at_rest = state_ == State::command && answers_.empty() &&
                       (standing_.authenticated || (!transaction_.active() && !facts_.greets_itself));
  if (!before_recipient()) outcome_.trouble = trouble;
  const bool served = link_.served;
  drop_remote(out);
  remote_ = {Stage::lost, {}, trouble, served};
  if (at_rest) {
    transaction_ = {};
    left_with_ = ending;
    return;
  }
  if (authenticating) return refuse_now(Refusal::remote_closed, ending, out);
  const bool owed = give_up_replies(ending, out);
  if (in_content()) {
    answers_.message_cut_off(trouble, out);
    answers_.note(Refusal::remote_lost_message, to_string(Verb::data), out, trouble);
    return discard_message({lost_reply(Refusal::remote_lost_message, ending), std::nullopt}, out);
  }
  if (standing_.authenticated) return refuse_now(Refusal::remote_closed, ending, out);
  if (state_ == State::await_reply) enter(State::command);
  input_.discard();
  if (transaction_.active() && transaction_.refusal.empty() && (owed || transaction_.accepted)) {
    transaction_.refusal = lost_reply(Refusal::remote_lost, ending);
    transaction_.refused_as = Refusal::remote_lost;
  }
}

// With the reason, where it is more than that it went.
std::string OutboundDialogue::lost_reply(Refusal refusal, Ending ending) const {
  std::string reply(row(refusal).reply);
  if (ending != Ending::server_protocol) return reply;
  constexpr std::size_t longest = 300;  // of what may quote the server: the line stays within 512 octets
  std::string why = remote_.trouble.substr(0, longest);
  std::replace_if(why.begin(), why.end(), is_8bit, '?');
  return reply.insert(reply.size() - 2, ": " + why);
}

// True: the client was owed something.
bool OutboundDialogue::give_up_replies(Ending ending, Effects& out) {
  bool owed = false;
  while (!answers_.empty() && state_ != State::ended) {
    if (answers_.own_is_next()) {
      release_own_replies(out);
      continue;
    }
    const Expected to = answers_.server();
    if (answers_.message_is_next()) answers_.doubt_messages(remote_.trouble, chunk_under_way(), out);
    answers_.pop();
    if (to == Expected::mail) answer_mail(out);
    if (to == Expected::mail || to == Expected::swallowed) continue;
    if (to == Expected::reset) {
      out.send(Side::client, "250 2.0.0 Ok\r\n");
      continue;
    }
    const bool message = to == Expected::end_of_data || to == Expected::last_chunk;
    const Refusal refusal = message ? Refusal::remote_lost_message : Refusal::remote_lost;
    if (message) transaction_ = {};
    const std::string reply = lost_reply(refusal, ending);
    if (to == Expected::recipient) outcome_.envelope.recipient_answered(reply);
    answers_.note(refusal, what_was_asked(to), out, remote_.trouble);
    out.send_copy(Side::client, reply);
    owed = true;
  }
  return owed;
}

}  // namespace postern::smtp
