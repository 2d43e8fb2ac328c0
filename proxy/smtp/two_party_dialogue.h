// What the dialogues of both directions have in common: a client that is taken apart, answered in order and never
// understood beyond the end of its plaintext, and a server whose replies are read and waited for. What is decided of
// commands and replies is each direction's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/answers.h"
#include "proxy/smtp/client_input.h"
#include "proxy/smtp/client_standing.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/endings.h"
#include "proxy/smtp/refusals.h"
#include "proxy/smtp/reply_reader.h"
#include "tls/session_facts.h"

namespace postern::smtp {

class TwoPartyDialogue : public Dialogue {
 public:
  TwoPartyDialogue(const TwoPartyDialogue&) = delete;
  TwoPartyDialogue& operator=(const TwoPartyDialogue&) = delete;
  ~TwoPartyDialogue() override;

  std::size_t on_client_bytes(std::string_view plaintext, Effects& out) final;
  bool wants_client_bytes() const final;
  void on_server_bytes(std::string_view plaintext, Effects& out) final;
  void on_connected(Effects& out) final;
  void on_connect_failed(Effects& out) final;
  void on_tls(Side side, const tls::SessionFacts& facts, Effects& out) final;
  void on_tls_failed(Side side, Effects& out) final;
  void on_timer(Timer which, Effects& out) final;
  void on_closed(Side side, Effects& out) final;
  // A second time it ends a session that is idle().
  void on_drain(Effects& out) final;
  void on_cut(Effects& out) final;
  const DialogueOutcome& outcome() const final { return outcome_; }
  bool idle() const final;
  bool message_unanswered() const final { return answers_.messages() > 0; }

 protected:
  enum class State : std::uint8_t {
    await_greeting,  // the client has heard nothing yet: the server comes first
    handshake,       // TLS with the client
    command,         // the client's next command
    await_turn,      // held_ waits until every outstanding reply has come (outbound)
    opening,         // the client has been greeted, and it or held_ waits for the server to be there
    await_policy,    // held_ (or the greeting) waits for on_policy_answer (outbound)
    await_reply,     // nothing of the client is read before the server's reply to its last command
    within,          // what its last command began goes on: an exchange of AUTH, content, a chunk (input_ knows)
    starttls,        // earlier replies go out, then our 220
    closing,         // our last reply waits for its turn
    ended,
  };
  static constexpr std::size_t state_count = static_cast<std::size_t>(State::ended) + 1;
  enum class Server : std::uint8_t { none, opening, open };
  // What the client is told once its content has been thrown away, or its handshake is over; with an ending, the
  // session ends.
  struct LastWords {
    std::string reply;
    std::optional<Ending> ending;
  };
  // Where the directions differ by a word.
  struct Words {
    Timer reply;   // runs while the server owes one
    Refusal left;  // of the client's next command, when the server has left while it owed nothing
  };

  // The states that may follow one, as bits.
  static constexpr unsigned states(auto... following) {
    return ((1U << static_cast<unsigned>(following)) | ... | (1U << static_cast<unsigned>(State::ended)));
  }

  TwoPartyDialogue(const config::Listener& listener, Words words, bool tls_available, bool notes_envelopes,
                   HandshakeGate* gate);

  void tls_available(bool available) final { standing_.tls_available = available; }

  void enter(State next);
  // After each event: what can go on goes on, and the clock is set.
  void settle(Effects& out);
  void finish(Ending ending, Effects& out);

  // The client's half.
  void on_line(const Line& line, Effects& out);
  void obey(const Command& command, const Line& line, Effects& out);
  void starttls(const Command& command, Effects& out);
  void forward(const Line& line, Expected reply, Effects& out);
  void refuse_command(const Command& command, Refusal refusal, Effects& out);
  void hold(const Line& line, State state);
  void resume(Effects& out);

  // Content. A chunk is forwarded with its command, or goes nowhere.
  void forward_chunk(const Line& line, const BdatArgument& argument, Effects& out);
  void discard_chunk(const BdatArgument& argument);
  void refuse_bdat(const Command& command, Refusal refusal, Effects& out);
  // The message is refused without an end of data: the server, left in the middle of it, delivers nothing.
  void end_content(LastWords last_words, Effects& out);
  void discard_message(LastWords last_words, Effects& out);
  void say_last_words(Effects& out);
  bool in_content() const { return input_.mode() == ClientInput::Mode::content; }
  bool chunk_under_way() const { return input_.mode() == ClientInput::Mode::chunk; }

  // Our own replies.
  void answer(Refusal refusal, Effects& out);
  void release_own_replies(Effects& out);
  // Ends the session, whatever was outstanding.
  void refuse_now(Refusal refusal, Ending ending, Effects& out);
  void bid_farewell(Effects& out, Ending ending = Ending::quit);

  // The server's half.
  void dial(Effects& out);
  std::uint32_t dials() const { return connections_ - connections_before_; }  // for the client's last command
  std::uint32_t commands() const { return commands_; }
  // The reply to DATA, AUTH or a response: 354 and 334 ask the client for more.
  void go_within(Expected to, int code);
  void server_takes_leave(Effects& out);
  static std::string took_leave(const ReplyPiece& piece);  // for the record
  static std::string alone(const ReplyPiece& piece);       // the line, as if it were the whole reply

  DialogueOutcome outcome_;
  ClientStanding standing_;
  Answers answers_;
  ClientInput input_;
  ReplyReader replies_;
  std::unique_ptr<std::string> held_;  // a command that waits, without CRLF
  std::unique_ptr<LastWords> last_words_;

 private:
  // The moves of each direction: states() for each State.
  virtual unsigned may_follow(State state) const = 0;
  virtual bool in_transaction() const = 0;
  virtual void end_transaction() = 0;
  virtual std::optional<Refusal> refusal_for(const Command& command) const = 0;
  virtual void on_command(const Command& command, const Line& line, Effects& out) = 0;
  virtual void resumed(const Line& line, Effects& out) = 0;  // held_ is no more, and here it is
  virtual void before_reply(Effects&) {}                     // one of ours is about to be said, or to take its place
  virtual void go_on(Effects&) {}
  virtual bool drains_at_once() const { return false; }
  virtual bool goes_on_without_client() const = 0;  // while the client waits
  virtual void on_client_tls(const tls::SessionFacts& facts, Effects& out) = 0;

  virtual bool server_pipelines() const = 0;
  virtual bool expects_challenge() const { return answers_.is_next(Expected::auth); }
  virtual void on_piece(const ReplyPiece& piece, bool more, Effects& out) = 0;
  virtual void server_gone(Ending ending, std::string_view why, Effects& out) = 0;
  virtual void on_server_connected() = 0;
  virtual void on_server_unreachable(Effects& out) = 0;
  virtual void on_server_closed(Effects& out) = 0;
  virtual void on_server_tls(Effects& out) = 0;
  virtual void on_server_tls_failed(Effects& out) = 0;
  virtual void abandon_server(Effects& out) = 0;  // in the middle of a message
  virtual Timer opening_timer() const = 0;
  virtual void time_is_up(Timer which, Effects& out) = 0;

  bool takes_client_bytes() const;
  bool must_wait() const;
  void serve_client(std::string_view& rest, Effects& out);
  void take(std::string_view& rest, Effects& out);
  void not_smtp(Effects& out);
  void response(const Line& line, Effects& out);
  void refuse_content(Refusal refusal, Ending ending, Effects& out);
  void answer_for_who_left(const Line& line, Effects& out);
  void client_is_gone(Effects& out);
  void begin_client_tls(Effects& out);
  void begin_standing();
  void arm(Effects& out);
  Timer timer() const;

  std::uint32_t commands_ = 0;
  std::uint32_t connections_ = 0;
  std::uint32_t connections_before_ = 0;  // the client's last command

 protected:
  State state_ = State::await_greeting;
  Server server_ = Server::none;
  std::optional<Ending> left_with_;  // the server left while it owed nothing: the client's next command is told
  Verb verb_ = Verb::invalid;        // of the client's last command
  bool progress_ = false;            // something whole came: time starts anew
  bool draining_ = false;

 private:
  Words words_;
  HandshakeGate* gate_;  // null: nobody limits handshakes
  Timer armed_ = Timer::none;
  bool client_closed_ = false;  // nothing more of it will come
  bool client_rest_ = false;    // the session still holds octets of the client that we have not taken
};

}  // namespace postern::smtp
