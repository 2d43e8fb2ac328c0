#include "proxy/outbound/contact.h"

#include "proxy/smtp/plaintext.h"

namespace postern::outbound {

using Stage = smtp::RemoteState::Stage;

bool Contact::tls_failed() const {
  return state.stage == Stage::tls_failed || state.stage == Stage::tls_broken;
}

std::string Contact::trouble() const {
  if (state.trouble.empty() || error.empty()) return state.trouble.empty() ? std::string(error) : state.trouble;
  return state.trouble + " (" + std::string(error) + ")";
}

policy::AttemptOutcome outcome_of(const Contact& contact, std::string_view tls_error) {
  using Kind = policy::AttemptOutcome::Kind;
  using Tls = policy::TlsOutcome::Stage;
  policy::AttemptOutcome outcome;
  switch (contact.state.stage) {
    case Stage::none:
    case Stage::connect_failed:
      outcome.kind = Kind::unreachable;
      outcome.reply = contact.error;
      return outcome;
    case Stage::lost:
      outcome.kind = Kind::lost;
      outcome.reply = contact.trouble();
      return outcome;
    case Stage::greeting_failed:
      outcome.kind = Kind::refused;
      outcome.reply = contact.state.reply;
      return outcome;
    case Stage::tls_injected:
    case Stage::tls_failed:
    case Stage::tls_broken: {
      // Our own trouble never leads to plaintext: mail waits until it is over.
      if (contact.lacked_signature) {
        outcome.kind = Kind::lost;
        outcome.reply = smtp::tls_trouble(contact.state, contact.error);
        return outcome;
      }
      outcome.kind = Kind::tls_failed;
      const bool refused = smtp::plaintext_reason(contact.state, false) == smtp::Plaintext::refused;
      outcome.tls.stage = refused ? Tls::refused : Tls::handshake_failed;
      outcome.tls.error = smtp::tls_trouble(contact.state, contact.error);
      return outcome;
    }
    case Stage::tls_not_offered: outcome.tls.stage = Tls::not_offered; break;
    case Stage::tls_refused:
      outcome.tls.stage = Tls::refused;
      outcome.tls.error = smtp::tls_trouble(contact.state, contact.error);
      break;
    case Stage::auth_failed:
    case Stage::open:
      if (tls_error.empty()) break;
      outcome.tls.stage = Tls::handshake_failed;
      outcome.tls.error = tls_error;
      break;
  }
  outcome.kind = Kind::open;
  outcome.evidence = contact.evidence;
  return outcome;
}

std::optional<Handshake> once_more(const Handshake& made, const Contact& contact, bool unfit) {
  if (made.certificate && contact.state.stage == Stage::tls_failed && contact.lacked_signature) {
    return Handshake{made.post_quantum, made.resume, false};
  }
  const bool too_new = contact.state.stage == Stage::tls_failed && made.post_quantum && contact.offered_post_quantum;
  const bool too_old = contact.resumed && unfit;
  if (!made.resume || !(too_new || too_old)) return std::nullopt;
  return Handshake{made.post_quantum && !too_new, false, made.certificate};
}

bool may_have_credentials(const config::Relay& relay, const policy::MailHost& host, const policy::Evidence& evidence) {
  return !relay.auth || relay.auth->allow_unauthenticated || policy::is_authenticated(evidence, host);
}

// A refusal of the credentials, a server that cannot say now, and one that was never asked. No reply is quoted that no
// server gave.
policy::Verdict auth_failed(const smtp::RemoteState& state) {
  policy::Verdict verdict;
  const bool deferred = state.reply.starts_with('4');
  verdict.reason = state.reply.empty() ? policy::Reason::auth_not_offered
                   : deferred          ? policy::Reason::auth_deferred
                                       : policy::Reason::credentials_refused;
  verdict.reply = deferred ? policy::Reply::auth_deferred : policy::Reply::credentials;
  verdict.detail = state.reply.empty() ? state.trouble
                   : deferred          ? "the server does not authenticate us now: " + state.reply
                                       : "our credentials were refused: " + state.reply;
  return verdict;
}

}  // namespace postern::outbound
