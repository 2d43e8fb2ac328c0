// Client <-> backend: the whole inbound protocol, sans-IO. Bytes and events in, effects out; no socket, no clock, no
// log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "proxy/smtp/answers.h"
#include "proxy/smtp/backend_opening.h"
#include "proxy/smtp/client_input.h"
#include "proxy/smtp/client_standing.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/hello_exchange.h"
#include "proxy/smtp/refusals.h"
#include "proxy/smtp/reply_reader.h"
#include "tls/session_facts.h"

namespace postern::smtp {

// What holds for one connection before its first octet.
struct InboundFacts {
  const config::InboundListener* listener = nullptr;  // outlives the dialogue
  std::string_view hostname;                          // ours; outlives the dialogue
  config::IpAddress client_address;
  std::uint16_t client_port = 0;
  bool tls_available = true;  // false: STARTTLS is answered 454
  bool notes_envelopes = true;
};

class InboundDialogue final : public Dialogue {
 public:
  explicit InboundDialogue(const InboundFacts& facts);
  ~InboundDialogue() override;

  // With mode implicit: asks for TLS first. A PROXY header, if any, has been taken off.
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
  // A second time it ends a session that is idle().
  void on_drain(Effects& out) override;
  const DialogueOutcome& outcome() const override;
  bool idle() const override;
  bool awaits_verdict() const override { return answers_.messages() > 0; }

 private:
  enum class State : std::uint8_t {
    await_greeting,  // the client has heard nothing yet: the server comes first
    await_backend,   // the client has been greeted; the server is on its way
    handshake,       // TLS with the client
    command,         // the client's next command
    await_reply,     // nothing of the client is read before the server's reply to its last command
    within,          // what its last command began goes on: an exchange of AUTH, content, a chunk (input_ knows)
    starttls,        // earlier replies go out, then our 220
    closing,         // our last reply waits for its turn
    ended,
  };
  enum class Server : std::uint8_t {
    none,
    opening,
    open,
    gone,  // it left while it owed nothing: the client is told at its next command
  };
  // What the client is told once its content has been thrown away, or its handshake is over; the session ends with it.
  struct Verdict {
    std::string reply;
    Ending ending = Ending::internal;
  };

  void enter(State next);
  bool takes_client_bytes() const;
  bool must_wait() const;
  void settle(Effects& out);
  void arm(Effects& out);
  Timer timer() const;
  void client_is_gone(Effects& out);
  void finish(Ending ending, Effects& out);

  // The client's half.
  void serve_client(std::string_view& rest, Effects& out);
  void take(std::string_view& rest, Effects& out);
  void starttls(std::string_view& rest, Effects& out);
  void on_line(const Line& line, Effects& out);
  void on_command(const Command& command, const Line& line, Effects& out);
  void refuse_command(const Command& command, Refusal refusal, Effects& out);
  void refuse_bdat(const Command& command, Refusal refusal, Effects& out);
  void bdat(const Command& command, const Line& line, Effects& out);
  void bdat_too_large(const BdatArgument& argument, Effects& out);
  void discard_chunk(const BdatArgument& argument);
  void forward(const Line& line, Expected reply, Effects& out);
  void hello(const Command& command, Effects& out);
  void response(const Line& line, Effects& out);
  void refuse_content(Refusal refusal, Ending ending, Effects& out);
  void end_content(std::string_view reply, Ending ending, Effects& out);
  void give_verdict(Effects& out);
  bool chunk_under_way() const { return input_.mode() == ClientInput::Mode::chunk; }

  // Our own replies.
  void answer(Refusal refusal, Effects& out);
  void not_smtp(Effects& out);
  void release_own_replies(Effects& out);
  void answer_without_server(const Command& command, Effects& out);
  void greet_ourselves(Effects& out);
  void refuse_now(Refusal refusal, Ending ending, Effects& out);

  // TLS with the client.
  void begin_client_tls(Effects& out);
  void on_client_tls(const tls::SessionFacts& facts, Effects& out);

  // The server's half.
  void dial(Effects& out);
  void dial_for(const Line& line, Effects& out);
  void server_is_ready(Effects& out);
  void server_rejected(Effects& out);
  void server_serves(Effects& out);
  void introduce_client(Effects& out);
  void resume_held_command(Effects& out);
  bool may_reopen(int code) const;
  void reopen(Effects& out);
  void server_failed(Ending ending, std::string_view why, Effects& out);
  void server_left(Ending ending, Effects& out);
  void bid_farewell(Effects& out);
  void answer_for_who_left(const Line& line, Effects& out);
  bool owes_nothing() const;
  std::string gone() const;
  std::string late() const;
  void on_piece(const ReplyPiece& piece, bool more, Effects& out);
  void early_reply(const ReplyPiece& piece, Effects& out);
  void unasked(const ReplyPiece& piece, Effects& out);
  void hello_reply(const ReplyPiece& piece, Effects& out);
  void pass_hello_line(const ReplyPiece& piece, Effects& out);
  void hello_accepted(const ReplyPiece& piece, Effects& out);
  void replied(Expected to, int code, Effects& out);
  std::vector<std::string> words_before_hello(bool extended, std::string_view name) const;
  EhloView view() const;

  InboundFacts facts_;
  DialogueOutcome outcome_;
  ClientStanding standing_;
  Answers answers_;
  ReplyReader replies_;
  ClientInput input_;
  std::unique_ptr<BackendOpening> opening_;  // while Server::opening
  std::unique_ptr<HelloExchange> hello_;     // while Expected::hello is outstanding
  std::unique_ptr<std::string> held_;        // the command for which the server is being dialled
  std::unique_ptr<Verdict> verdict_;
  config::ExtensionSet server_extensions_ = 0;  // of its last reply to EHLO
  std::string xclient_listed_;                  // what the server's XCLIENT takes, until it has been told; then empty
  State state_ = State::await_greeting;
  Server server_ = Server::none;
  Ending left_with_ = Ending::backend_closed;  // while Server::gone
  Timer armed_ = Timer::none;
  Verb verb_ = Verb::invalid;   // of the client's last command
  bool progress_ = false;       // something whole came: time starts anew
  bool client_closed_ = false;  // … and nothing more will come
  bool client_rest_ = false;    // the session still holds octets of the client that we have not taken
  bool draining_ = false;
  bool server_pipelines_ = false;
  bool server_said_farewell_ = false;  // 221, 421 or a refusal to serve: its closing needs no words of ours
  bool server_knows_client_ = false;   // more than EHLO, NOOP and the like has reached it in this standing
  bool server_knows_ehlo_ = false;     // it has taken one on this connection
  bool server_heard_hello_ = false;    // … or a HELO, of the client's
  std::uint8_t reopened_ = 0;          // connections made anew because a server takes one EHLO only
  bool oversized_ = false;             // a BDAT transaction went over the size limit: no more of it is taken
};

}  // namespace postern::smtp
