// What the client of OutboundDialogue is offered and may use: the reply to EHLO, parameters, AUTH.
#include <string>

#include "proxy/smtp/command.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

namespace {

void remove(EhloReply& reply, std::string_view keyword) {
  std::erase_if(reply.keywords, [&](const EhloKeyword& each) { return each.name == keyword; });
}

}  // namespace

// --- the reply to EHLO

// Without a server behind it: what holds for any server that may follow.
EhloReply OutboundDialogue::own_hello() const {
  EhloReply reply;
  reply.add_line(facts_.hostname);
  reply.add_line("ENHANCEDSTATUSCODES");
  reply.add_line("LIMITS RCPTDOMAINMAX=1");
  return reply;
}

EhloReply OutboundDialogue::shown_hello() const {
  EhloReply server = facts_.greets_itself ? own_hello() : link_.hello;
  if (!server.has("PIPELINING")) server.keywords.insert(server.keywords.begin(), {"PIPELINING", ""});
  const auto& listener = *facts_.listener;
  const bool starttls = listener.mode == config::TlsMode::starttls && !standing_.tls && facts_.tls_available;
  const EhloView view{
      .offer_starttls = starttls, .hide_auth = !takes_clients_auth(), .direction = config::Direction::outbound};
  EhloReply shown = rewrite(server, listener.ehlo, view);
  // Nothing that the server behind could not do, whatever the settings add.
  if (!server.has("CHUNKING")) {
    remove(shown, "CHUNKING");
    remove(shown, "BINARYMIME");
  }
  return shown;
}

// The client's credentials are for a server that could prove what the operator wants proved, and for no other.
bool OutboundDialogue::takes_clients_auth() const {
  return server_ == Server::open && link_.hello.has("AUTH") && link_.tls && link_.vouched && !link_.our_auth;
}

// What the client calls itself; not known yet: nothing.
std::string_view OutboundDialogue::name_for_remote() const {
  return nameless_ ? facts_.hostname : std::string_view(outcome_.helo);
}

void OutboundDialogue::answer_hello(const Command& command, Effects& out) {
  introduced_ = true;
  standing_.ehlo_first = false;
  const EhloReply shown = shown_hello();
  shown_ = command.verb == Verb::ehlo ? extensions_of(shown) & extensions_with_parameters() : 0;
  if (command.verb == Verb::ehlo) {
    standing_.offer(shown);
    return say(print(shown), out);
  }
  standing_.offer_nothing();
  say("250 " + shown.greeting + "\r\n", out);
}

// --- parameters

bool OutboundDialogue::link_takes(std::string_view recipient_parameters) const {
  for (auto word = take_parameter(recipient_parameters); !word.empty(); word = take_parameter(recipient_parameters)) {
    const config::Extension* known = config::extension_of_parameter(word, config::Envelope::rcpt);
    if (known == nullptr || (link_.extensions & config::bit_of(*known)) == 0) return false;
  }
  return true;
}

// --- AUTH

void OutboundDialogue::auth(const Line& line, Effects& out) {
  if (!in_turn(line)) return;
  // It may have been offered by another connection than the present one.
  if (!takes_clients_auth()) return answer(Refusal::remote_unusable, out);
  forward(line, Expected::auth, out);
  enter(State::await_reply);
}

}  // namespace postern::smtp
