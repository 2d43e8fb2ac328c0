// Client <-> backend: the whole inbound protocol, sans-IO. Bytes and events in, effects out; no socket, no clock, no
// log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "proxy/smtp/backend_opening.h"
#include "proxy/smtp/hello_exchange.h"
#include "proxy/smtp/two_party_dialogue.h"
#include "tls/session_facts.h"

namespace postern::smtp {

// What holds for one connection before its first octet.
struct InboundFacts {
  const config::InboundListener* listener = nullptr;  // outlives the dialogue
  std::string_view hostname;                          // ours; outlives the dialogue
  const config::IpAddress* client_address = nullptr;  // outlives the dialogue
  std::uint16_t client_port = 0;
  bool tls_available = true;  // false: STARTTLS is answered 454
  bool notes_envelopes = true;
};

class InboundDialogue final : public TwoPartyDialogue {
 public:
  // `gate` outlives it; null: nobody limits handshakes.
  explicit InboundDialogue(const InboundFacts& facts, HandshakeGate* gate = nullptr);
  ~InboundDialogue() override;

  // With mode implicit: asks for TLS first. A PROXY header, if any, has been taken off.
  void start(Effects& out) override;

 private:
  unsigned may_follow(State state) const override;
  bool in_transaction() const override { return standing_.transaction; }
  void end_transaction() override { standing_.transaction = false; }
  bool goes_on_without_client() const override { return state_ != State::opening || held_ != nullptr; }
  void on_client_tls(const tls::SessionFacts& facts, Effects& out) override;
  Timer opening_timer() const override;
  void time_is_up(Timer which, Effects& out) override;

  // The client's half.
  std::optional<Refusal> refusal_for(const Command& command) const override;
  void on_command(const Command& command, const Line& line, Effects& out) override;
  void resumed(const Line& line, Effects& out) override { on_line(line, out); }
  void hello(const Command& command, Effects& out);
  void bdat(const Command& command, const Line& line, Effects& out);
  void bdat_too_large(const BdatArgument& argument, Effects& out);
  void begin_message();
  void answer_without_server(const Command& command, Effects& out);
  void greet_ourselves(Effects& out);
  EhloView view() const;

  // The server's half.
  bool server_pipelines() const override { return server_pipelines_; }
  void dial(Effects& out);
  void dial_for(const Line& line, Effects& out);
  void server_is_ready(Effects& out);
  void server_rejected(Effects& out);
  void server_serves(Effects& out);
  void introduce_client(Effects& out);
  void begin_hello(bool extended, Effects& out);
  bool may_reopen(int code) const;
  void reopen(Effects& out);
  void on_server_connected() override;
  void on_server_unreachable(Effects& out) override;
  void on_server_tls(Effects& out) override;
  void on_server_tls_failed(Effects& out) override;
  void on_server_closed(Effects& out) override;
  void abandon_server(Effects& out) override;
  void server_gone(Ending ending, std::string_view why, Effects& out) override;
  void server_left(Ending ending, Effects& out);
  bool owes_nothing() const;
  std::string gone() const;
  std::string late() const;
  void on_piece(const ReplyPiece& piece, bool more, Effects& out) override;
  void early_reply(const ReplyPiece& piece, Effects& out);
  void unasked(const ReplyPiece& piece, Effects& out);
  void hello_reply(const ReplyPiece& piece, Effects& out);
  void pass_hello_line(const ReplyPiece& piece, Effects& out);
  void hello_accepted(const ReplyPiece& piece, Effects& out);
  void replied(Expected to, int code, Effects& out);
  std::vector<std::string> words_before_hello(bool extended) const;

  InboundFacts facts_;
  std::unique_ptr<BackendOpening> opening_;     // while Server::opening
  std::unique_ptr<HelloExchange> hello_;        // while Expected::hello is outstanding
  std::string xclient_listed_;                  // what the server's XCLIENT takes, until it has been told; then empty
  config::ExtensionSet server_extensions_ = 0;  // of its last reply to EHLO
  bool server_pipelines_ = false;
  bool server_said_farewell_ = false;  // 221, 421 or a refusal to serve: its closing needs no words of ours
  bool server_knows_client_ = false;   // more than EHLO, NOOP and the like has reached it in this standing
  bool server_knows_ehlo_ = false;     // it has taken one on this connection
  bool server_heard_hello_ = false;    // … or a HELO, of the client's
  std::uint8_t reopened_ = 0;          // connections made anew because a server takes one EHLO only
  bool oversized_ = false;             // a BDAT transaction went over the size limit: no more of it is taken
};

}  // namespace postern::smtp
