#include "proxy/probe/probe_connection.h"

#include <utility>

namespace postern::probe {

ProbeConnection::ProbeConnection(const Means& means, const tls::ClientContext& context, Plan plan,
                                 std::function<void(Found)> on_done)
    : stream::Errand(means, plan.connect_patience),
      context_(context),
      plan_(std::move(plan)),
      on_done_(std::move(on_done)),
      opening_(plan_.hello) {
  connect(plan_.address, plan_.connect);
}

void ProbeConnection::on_connected() {
  be_patient(plan_.greeting_patience);
  plan_.tls_first ? secure() : begin();
}

void ProbeConnection::begin() {
  smtp::RemotePlan plan;
  plan.tls_first = plan_.tls_first;
  plan.try_starttls = plan_.use_tls;
  opening_.on_connected(std::move(plan));
}

void ProbeConnection::secure() {
  start_tls(context_,
            {plan_.server_name, net::to_string(plan_.address), plan_.handshake.post_quantum, plan_.handshake.resume});
}

void ProbeConnection::on_plaintext(std::string_view bytes) {
  be_patient(plan_.reply_patience);
  while (!opening_.over()) {
    const auto piece = replies_.next(bytes);
    if (!piece) break;
    if (*piece) {
      opening_.on_reply(**piece, !bytes.empty(), effects_);
    } else {
      found_.error = piece->error().message;
      opening_.on_lost(found_.error, true);
    }
    if (opening_.greeted()) opening_.introduce(plan_.hello, effects_);
    carry_out();
  }
  if (opening_.over()) done();
}

void ProbeConnection::on_secured(tls::SessionFacts facts) {
  found_.tls = std::move(facts);
  found_.certificates = stream().engine()->peer_certificates();
  replies_ = smtp::ReplyReader();
  if (plan_.tls_first) return begin();
  opening_.on_tls(effects_);
  carry_out();
}

void ProbeConnection::on_failed(Step step, std::string why) {
  if (step == Step::time) why = "the server was silent for too long";
  if (found_.error.empty()) found_.error = why;
  if (step == Step::connect || opening_.state() == smtp::RemoteOpening::State::connecting) {
    step == Step::tls ? opening_.on_tls_failed() : opening_.on_connect_failed();
  } else if (step == Step::tls) {
    opening_.on_tls_failed();
  } else {
    opening_.on_lost(why);
  }
  done();
}

void ProbeConnection::on_closed() {
  if (opening_.state() == smtp::RemoteOpening::State::connecting) return Errand::on_closed();
  opening_.on_lost();
  done();
}

void ProbeConnection::carry_out() {
  bool tls = false;
  for (const auto& effect : effects_.list()) {
    if (effect.kind == smtp::Effect::Kind::send) send(effect.bytes);
    tls = tls || effect.kind == smtp::Effect::Kind::start_tls;
  }
  flush();
  effects_.clear();
  if (tls) secure();
}

void ProbeConnection::done() {
  if (finished()) return;
  found_.state = opening_.result();
  if (found_.state.stage == smtp::RemoteState::Stage::lost) found_.error.clear();  // its trouble says it all
  if (found_.state.usable()) send("QUIT\r\n");
  finish([this] {
    const auto on_done = std::move(on_done_);
    on_done(std::move(found_));
  });
}

}  // namespace postern::probe
