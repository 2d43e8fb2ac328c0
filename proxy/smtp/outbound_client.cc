// The client's half of OutboundDialogue: its commands.
#include <algorithm>
#include <utility>

#include "config/assert.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/octets.h"
#include "proxy/smtp/outbound_dialogue.h"

namespace postern::smtp {

namespace {

constexpr std::string_view without_domain = ".";  // <postmaster>

bool is_literal_octet(char octet) {
  return is_alphanumeric(octet) || is_one_of(octet, "[].:-");
}

// What stands between labels: the full stop, and those that IDNA takes for one (UTS 46 2.3).
std::size_t label_end(std::string_view text) {
  for (const std::string_view dot : {".", "\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"}) {
    if (text.starts_with(dot)) return dot.size();
  }
  return 0;
}

// Takes one final dot off. False: a label is empty, so that no name is meant; least of all another one, which taking
// more dots off would lead to.
bool take_final_dot(std::string& domain) {
  std::size_t label = 0;  // octets of the present one
  std::size_t last_dot = 0;
  const std::string_view text(domain);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t dot = label_end(text.substr(at));
    if (dot != 0 && label == 0) return false;
    label = dot != 0 ? 0 : label + 1;
    if (dot != 0) last_dot = at;
    at += std::max<std::size_t>(dot, 1);
  }
  if (label == 0) domain.resize(last_dot);
  return !domain.empty();
}

// What is judged for a recipient; nothing: no domain that could be looked up.
std::optional<std::string> domain_to_judge(std::string_view path) {
  std::string domain = config::lower_case(domain_of(path));
  if (domain.empty()) {
    if (path.find('@') != std::string_view::npos) return std::nullopt;
    return std::string(without_domain);
  }
  if (domain.size() > longest_domain) return std::nullopt;
  const bool literal = domain.size() > 2 && domain.front() == '[' && domain.back() == ']';
  if (!std::all_of(domain.begin(), domain.end(), literal ? is_literal_octet : is_domain_octet)) return std::nullopt;
  if (!literal && !take_final_dot(domain)) return std::nullopt;
  return domain;
}

}  // namespace

void OutboundDialogue::on_command(const Command& command, const Line& line, Effects& out) {
  if (command.verb != Verb::rcpt) before_reply(out);
  switch (command.verb) {
    case Verb::ehlo:
    case Verb::helo: return hello(command, line, out);
    case Verb::mail: return mail(command, line, out);
    case Verb::rcpt: return recipient(command, line, out);
    case Verb::data: return data(line, out);
    case Verb::bdat: return bdat(command, line, out);
    case Verb::rset: return reset(line, out);
    case Verb::noop: return noop(line, out);
    case Verb::quit: return quit(line, out);
    case Verb::auth: return auth(line, out);
    case Verb::vrfy:
    case Verb::expn:
    case Verb::help:
    case Verb::etrn:
    case Verb::starttls:
    case Verb::xclient:
    case Verb::xforward:
    case Verb::http:
    case Verb::other:
    case Verb::invalid: POSTERN_ASSERT(false, "these are always refused");
  }
}

// --- commands that wait

// Nothing is outstanding; else the command comes again when that is so.
bool OutboundDialogue::in_turn(const Line& line) {
  if (answers_.empty()) return true;
  hold(line, State::await_turn);
  return false;
}

void OutboundDialogue::resumed(const Line& line, Effects& out) {
  const Command command = parse_command(line.text);
  verb_ = command.verb;
  obey(command, line, out);
}

// --- commands

void OutboundDialogue::hello(const Command& command, const Line& line, Effects& out) {
  if (!in_turn(line)) return;
  transaction_ = {};
  outcome_.helo = command.argument;
  nameless_ = command.argument.empty();
  if (!hello_refusal_.empty()) return turn_away(command, hello_refused_as_, hello_refusal_, out);
  if (facts_.greets_itself || (server_ == Server::open && link_.approved)) return answer_hello(command, out);
  if (server_ == Server::open) {  // opened for a recipient that could not go out there
    held_ = std::make_unique<std::string>(line.text);
    return ask({}, out);
  }
  asked_about_.clear();
  hold(line, State::opening);
  if (opening_) {
    opening_->introduce(name_for_remote(), out);
  } else {
    dial(out);
  }
  opening_moved(out);
}

bool OutboundDialogue::too_large(std::string_view mail_parameters) const {
  const auto size = declared_size(mail_parameters);
  if (!size) return false;
  const auto& ours = facts_.listener->ehlo.size_limit;
  if (ours && *size > ours->bytes) return true;
  if (facts_.greets_itself) return false;  // whatever server there is may not be the one for this message
  const EhloKeyword* theirs = link_.hello.find("SIZE");
  const auto limit = theirs != nullptr ? size_of(theirs->parameters) : std::nullopt;
  return limit && *limit > 0 && *size > *limit;  // RFC 1870 4: 0 is no limit
}

void OutboundDialogue::mail(const Command& command, const Line& line, Effects& out) {
  if (!in_turn(line)) return;
  if (!hello_refusal_.empty()) return turn_away(command, hello_refused_as_, hello_refusal_, out);
  if (transaction_.active()) return answer(Refusal::nested_mail, out);
  const auto from = parse_path_argument(command.argument, "FROM");
  if (!from) return answer(Refusal::malformed_path, out);
  if (!standing_.takes_parameters(command, from, config::Envelope::mail)) {
    return refuse_command(command, Refusal::parameter_not_offered, out);
  }
  if (too_large(from->parameters)) return answer(Refusal::message_too_large, out);
  transaction_ = {};
  input_.begin_message();
  transaction_.mail = std::string(line.text) + "\r\n";
  outcome_.envelope.mail(command.argument, true);
  transaction_.unanswered = true;  // a recipient that comes with it saves its 250 a packet of its own
}

void OutboundDialogue::recipient(const Command& command, const Line& line, Effects& out) {
  if (!transaction_.active() && !in_turn(line)) return;
  if (!transaction_.active()) return refuse_command(command, Refusal::mail_first, out);
  const auto to = parse_path_argument(command.argument, "TO");
  const auto domain = to && !to->path.empty() ? domain_to_judge(to->path) : std::nullopt;
  if (!domain) return refuse_command(command, Refusal::malformed_path, out);
  if (!standing_.takes_parameters(command, to, config::Envelope::rcpt)) {
    return refuse_command(command, Refusal::parameter_not_offered, out);
  }
  const bool changes = *domain != transaction_.domain && !transaction_.domain.empty();
  const bool known = std::find(link_.domains.begin(), link_.domains.end(), *domain) != link_.domains.end();
  const bool at_once = known && transaction_.refusal.empty() && !(facts_.greets_itself && changes);
  if (!at_once && !in_turn(line)) return;
  if (!transaction_.refusal.empty()) return turn_away(command, transaction_.refused_as, transaction_.refusal, out);
  if (facts_.greets_itself && changes && transaction_.accepted) {
    return refuse_command(command, Refusal::other_domain, out);
  }
  if (!known) {
    held_ = std::make_unique<std::string>(line.text);
    return ask(*domain, out);
  }
  // NOTIFY and the like, offered by another connection: this server's refusal of them would be one of the recipient.
  const bool too_much = link_.poorer && !link_takes(to->parameters);
  if (too_much) return refuse_command(command, Refusal::remote_unusable, out);
  if (!begin_at_remote(line, out)) return;
  transaction_.domain = *domain;
  outcome_.envelope.recipient(command.argument);
  forward(line, Expected::recipient, out);
}

// The kept MAIL goes ahead of the first recipient. False: the server takes one command at a time, and `line` is held.
bool OutboundDialogue::begin_at_remote(const Line& line, Effects& out) {
  if (transaction_.sent) return true;
  if (std::exchange(link_.dirty, false)) {
    out.send(Side::server, "RSET\r\n");
    answers_.expect(Expected::swallowed);
    if (!link_.pipelines) return in_turn(line);
  }
  const std::string_view mail(transaction_.mail.data(), transaction_.mail.size() - 2);
  const bool in_vain = standing_.says_size_in_vain(link_.extensions);
  out.send_copy(Side::server, in_vain ? without_parameter(mail, "SIZE") + "\r\n" : transaction_.mail);
  answers_.expect(Expected::mail);
  mail_reply_.clear();
  link_.dirty = true;
  transaction_.sent = true;
  return link_.pipelines || in_turn(line);
}

void OutboundDialogue::data(const Line& line, Effects& out) {
  // Behind recipients that are still to be answered it goes out with them. Whatever the server then says to it is the
  // client's to see: one that refused them all may still say 354, and refuses the content.
  const bool at_once = link_.pipelines && transaction_.sent && transaction_.refusal.empty() && !answers_.empty();
  if (!at_once && !in_turn(line)) return;
  if (!transaction_.active()) return answer(Refusal::mail_first, out);
  const bool lost = transaction_.refusal.starts_with('4');
  if (!transaction_.refusal.empty() && (transaction_.accepted || lost)) {
    answers_.note_turned_away(transaction_.refused_as, to_string(Verb::data), transaction_.refusal, out);
    return say(transaction_.refusal, out);
  }
  if (!at_once && (!transaction_.accepted || !transaction_.sent)) return answer(Refusal::recipients_first, out);
  out.send(Side::server, "DATA\r\n");
  answers_.expect(Expected::data);
  enter(State::await_reply);
}

void OutboundDialogue::bdat(const Command& command, const Line& line, Effects& out) {
  const auto argument = parse_bdat_argument(command.argument);
  if (!argument) return answer(Refusal::malformed_bdat, out);
  const bool at_once = transaction_.chunked && transaction_.refusal.empty();
  if (!at_once && !in_turn(line)) return;
  if (!transaction_.active()) return refuse_bdat(command, Refusal::mail_first, out);
  if (!transaction_.refusal.empty()) {
    turn_away(command, transaction_.refused_as, transaction_.refusal, out);
    return discard_chunk(*argument);
  }
  if (!transaction_.accepted || !transaction_.sent) return refuse_bdat(command, Refusal::recipients_first, out);
  // Offered by another connection: this server would take the chunk for commands.
  if (!link_.hello.has("CHUNKING")) return refuse_bdat(command, Refusal::remote_unusable, out);
  if (!input_.fits(argument->size)) return bdat_too_large(*argument, out);
  transaction_.chunked = !argument->last;
  forward_chunk(line, *argument, out);
}

// Chunks that have reached the server are taken back with its transaction: RSET comes before the next MAIL.
void OutboundDialogue::bdat_too_large(const BdatArgument& argument, Effects& out) {
  answers_.message_refused(row(Refusal::message_too_large).reply, out);
  transaction_.refusal = row(Refusal::message_too_large).reply;
  transaction_.refused_as = Refusal::message_too_large;
  answer(Refusal::message_too_large, out);
  discard_chunk(argument);
}

void OutboundDialogue::reset(const Line& line, Effects& out) {
  if (!in_turn(line)) return;
  transaction_ = {};
  if (!std::exchange(link_.dirty, false)) return say("250 2.0.0 Ok\r\n", out);
  out.send(Side::server, "RSET\r\n");
  answers_.expect(Expected::reset);
}

// Its argument means nothing and stays here.
void OutboundDialogue::noop(const Line& line, Effects& out) {
  if (server_ == Server::open && link_.approved) {
    out.send(Side::server, "NOOP\r\n");
    return answers_.expect(Expected::plain);
  }
  if (in_turn(line)) say("250 2.0.0 Ok\r\n", out);
}

void OutboundDialogue::quit(const Line& line, Effects& out) {
  if (!in_turn(line)) return;
  if (server_ == Server::open || (opening_ && opening_->greeted())) out.send(Side::server, "QUIT\r\n");
  bid_farewell(out);
}

}  // namespace postern::smtp
