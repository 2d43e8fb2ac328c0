// Legacy client <-> remote server: the whole outbound protocol, sans-IO (design: which policy applies is known late).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/endings.h"

namespace postern::smtp {

struct OutboundFacts {
  const config::OutboundListener* listener = nullptr;  // outlives the dialogue
  std::string_view hostname;                           // ours; outlives the dialogue
  bool tls_available = true;                           // toward the client: false: STARTTLS is answered 454
  // No server is known before the first recipient (route: mx): we greet and answer EHLO ourselves.
  bool greets_itself = false;
};

// How to begin with a remote server: the session's plan for the connection that it has just made.
struct RemotePlan {
  bool tls_first = false;      // implicit TLS: the handshake comes before the greeting (the session does it)
  bool try_starttls = true;    // use STARTTLS where it is offered
  bool demand_tls = false;     // say nothing but EHLO, STARTTLS and QUIT in plaintext
  std::string auth_mechanism;  // "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"; empty: none
  std::string auth_user;
  std::string auth_secret;  // password or token; never in any log or record
};

// How far we came with the remote server. The session judges it.
struct RemoteState {
  enum class Stage : std::uint8_t {
    none,  // not connected yet
    connect_failed,
    greeting_failed,  // a 4yz or 5yz greeting or EHLO reply: `reply` holds it
    lost,             // closed, silent too long, or not SMTP
    tls_not_offered,  // open, in plaintext
    tls_refused,      // STARTTLS was answered 4yz or 5yz (`reply`); open, in plaintext
    tls_injected,     // octets behind the 220 to STARTTLS: never to be used
    tls_failed,       // the handshake failed: nothing more can be said on this connection
    auth_failed,      // `reply` holds the server's refusal
    open,             // TLS as planned (or plaintext where the plan does not try TLS), ready for MAIL
  };
  Stage stage = Stage::none;
  std::string reply;  // one line, without CRLF
};

// The session's answer to Effect::Kind::judge.
struct Judgement {
  enum class Action : std::uint8_t {
    proceed,    // this connection will do
    reconnect,  // drop it and connect again: the session has another host, other TLS parameters, or plaintext in mind
    refuse,     // `reply` for the client; the connection, if any, stays for other recipients
  };
  Action action = Action::refuse;
  std::string reply;  // one line, without CRLF: "451 4.7.5 …"
};

class OutboundDialogue final : public Dialogue {
 public:
  explicit OutboundDialogue(const OutboundFacts& facts);
  ~OutboundDialogue() override;

  void start(Effects& out) override;
  std::size_t on_client_bytes(std::string_view plaintext, Effects& out) override;
  bool wants_client_bytes() const override;
  void on_server_bytes(std::string_view plaintext, Effects& out) override;
  void on_connected(Effects& out) override;
  void on_connect_failed(Effects& out) override;
  void on_tls(Side side, const tls::SessionFacts& facts, Effects& out) override;
  void on_tls_failed(Side side, Effects& out) override;
  void on_timer(Timer which, Effects& out) override;
  void on_closed(Side side, Effects& out) override;
  void on_drain(Effects& out) override;
  const DialogueOutcome& outcome() const override;
  bool idle() const override;

  // Set by the session before each on_connected.
  void plan(RemotePlan plan);
  // Answers Effect::Kind::judge, whose `bytes` name the recipient's domain (empty: the connection as such, when it has
  // been opened for the client's EHLO). Called later, never from inside the effect's carrying out.
  void on_judged(const Judgement& judgement, Effects& out);

  const RemoteState& remote() const;
  // Connecting again would lose nothing: no recipient has been accepted on the present connection.
  bool may_reconnect() const;
};

}  // namespace postern::smtp
