// An inbound dialogue in a rig: between a client and the server behind.
#pragma once

#include "proxy/smtp/inbound_dialogue.h"
#include "tests/proxy/smtp/dialogue_rig.h"

namespace postern::smtp::inbound_rig {

using dialogue_rig::Link;

struct Options {
  static constexpr auto direction = config::Direction::inbound;
  config::InboundListener listener;
  bool tls_available = true;
  config::IpAddress client_address = *config::parse_ip_address("192.0.2.7");
  HandshakeGate* gate = nullptr;
  bool cut = false;  // every input octet by octet

  Options() { listener.mode = config::TlsMode::starttls; }

  InboundFacts facts() const {
    InboundFacts facts;
    facts.listener = &listener;
    facts.hostname = "gateway.example";
    facts.client_address = &client_address;
    facts.client_port = 4025;
    facts.tls_available = tls_available;
    return facts;
  }
};

class Rig final : public dialogue_rig::DialogueRig<InboundDialogue, Options> {
 public:
  explicit Rig(const Options& options = {}) : DialogueRig(options) {}

  // The usual beginning: connected, greeted, and what was said forgotten.
  void start_with(std::string_view greeting) {
    start();
    connected();
    server(greeting);
    to_client.clear();
    events.clear();
  }

 private:
  void look_at(const Effect& effect) override {
    if (effect.kind == Effect::Kind::drop_server) to_server.clear();  // what it has not read yet
  }
};

}  // namespace postern::smtp::inbound_rig
