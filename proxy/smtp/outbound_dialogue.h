// Legacy client <-> remote server: the whole outbound protocol, sans-IO (design: which policy applies is known late).
// MAIL is answered by us and kept; each recipient's domain is asked about before anything of the envelope
// goes out, and again on every new connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "proxy/smtp/refusals.h"
#include "proxy/smtp/remote_opening.h"
#include "proxy/smtp/two_party_dialogue.h"

namespace postern::smtp {

struct OutboundFacts {
  const config::OutboundListener* listener = nullptr;  // outlives the dialogue
  std::string_view hostname;                           // ours; outlives the dialogue
  bool tls_available = true;                           // toward the client: false: STARTTLS is answered 454
  // No server is known before the first recipient (route: mx): we greet and answer EHLO ourselves.
  bool greets_itself = false;
  bool notes_envelopes = true;
};

// The session's answer to Effect::Kind::ask_policy.
struct PolicyAnswer {
  enum class Action : std::uint8_t {
    proceed,    // this connection will do
    reconnect,  // drop it and connect again: the session has another host, other TLS parameters, or plaintext in mind
    refuse,     // `reply` for the client; the connection, if any, stays for other recipients
  };
  Action action = Action::refuse;
  std::string reply;     // one line, without CRLF: "451 4.7.5 …"
  bool vouched = false;  // proceed: this connection satisfies what the listener itself demands of servers, so that the
                         // client's own credentials may go there (inside TLS)
  Refusal refusal = Refusal::remote_unusable;  // refuse: the row of `reply`, or the whole reply where that is empty
};

class OutboundDialogue final : public TwoPartyDialogue {
 public:
  // `gate` outlives it; null: nobody limits handshakes.
  explicit OutboundDialogue(const OutboundFacts& facts, HandshakeGate* gate = nullptr);
  ~OutboundDialogue() override;

  void start(Effects& out) override;

  // Set by the session before each on_connected.
  void plan(RemotePlan plan);
  // Answers Effect::Kind::ask_policy, whose `bytes` name the recipient's domain: lower case, without a final dot; an
  // address literal with its brackets; "." where the recipient has none (<postmaster>); empty: the connection as such,
  // before the client has been greeted or when it has been opened for the client's EHLO. Called later, never from
  // inside the effect's carrying out. A `proceed` for a connection that is gone, or in plaintext where the plan demands
  // TLS, is not believed: the client gets 451. So is a `reconnect` when may_reconnect() is false.
  void on_policy_answer(const PolicyAnswer& policy_answer, Effects& out);

  const RemoteState& remote() const { return remote_; }
  // Whatever the answers, one command of the client is the reason for no more connections than this.
  static constexpr unsigned connections_per_command = 20;
  // The number of the client's command (0: its connection) that waits for a server, or was the last to do so. Two
  // answers with one number: what came of the first was lost, and the client has had no answer meanwhile.
  std::uint32_t question() const { return commands(); }
  bool asking() const;
  // … or a connection is being made before anybody asks.
  bool undecided() const { return opening_ != nullptr || asking(); }
  // Connecting again would lose nothing: no recipient has been accepted on the present connection in this transaction,
  // and the client has not authenticated there.
  bool may_reconnect() const;

 private:
  // What is known of the present connection; a new one begins afresh.
  struct Link {
    bool approved = false;             // it may be used at all
    std::vector<std::string> domains;  // … and for mail to these
    EhloReply hello;
    bool pipelines = false;
    bool tls = false;
    bool demands_tls = false;
    bool vouched = false;
    config::ExtensionSet extensions = 0;  // extensions_of() hello
    bool poorer = false;                  // it lacks an extension that the client was offered
    bool our_auth = false;                // the credentials there are ours, or were to be
    bool dirty = false;   // a MAIL has been accepted there and not been ended: RSET comes before the next
    bool served = false;  // it has answered a recipient
  };
  // The client's, as far as it has come.
  struct Transaction {
    std::string mail;                              // the line kept, with CRLF; empty: there is no transaction
    bool unanswered = false;                       // the client is still to have our 250 to it
    bool sent = false;                             // … and given to the present connection
    bool accepted = false;                         // a recipient was
    bool chunked = false;                          // BDAT has begun
    std::string domain;                            // of the recipient sent last
    std::string refusal;                           // with CRLF: answers all that follows
    Refusal refused_as = Refusal::server_refused;  // … and its row
    bool active() const { return !mail.empty(); }
  };

  unsigned may_follow(State state) const override;
  bool in_transaction() const override { return transaction_.active(); }
  void end_transaction() override { transaction_ = {}; }
  void go_on(Effects& out) override;
  bool drains_at_once() const override;
  bool goes_on_without_client() const override { return message_unanswered(); }
  void on_client_tls(const tls::SessionFacts& facts, Effects& out) override;
  Timer opening_timer() const override;
  void time_is_up(Timer which, Effects& out) override;
  void server_is_silent(Effects& out);

  // The client's half.
  std::optional<Refusal> refusal_for(const Command& command) const override;
  void on_command(const Command& command, const Line& line, Effects& out) override;
  void resumed(const Line& line, Effects& out) override;
  void hello(const Command& command, const Line& line, Effects& out);
  void mail(const Command& command, const Line& line, Effects& out);
  void recipient(const Command& command, const Line& line, Effects& out);
  bool link_takes(std::string_view recipient_parameters) const;
  bool begin_at_remote(const Line& line, Effects& out);
  void data(const Line& line, Effects& out);
  void bdat(const Command& command, const Line& line, Effects& out);
  void bdat_too_large(const BdatArgument& argument, Effects& out);
  void reset(const Line& line, Effects& out);
  void noop(const Line& line, Effects& out);
  void quit(const Line& line, Effects& out);
  void auth(const Line& line, Effects& out);
  void turn_away(const Command& command, Refusal refusal, std::string_view reply, Effects& out);
  bool too_large(std::string_view mail_parameters) const;

  // Commands that wait.
  bool in_turn(const Line& line);

  // Our own replies.
  void answer_mail(Effects& out);
  void before_reply(Effects& out) override;
  void say(std::string_view reply, Effects& out);
  void answer_hello(const Command& command, Effects& out);
  EhloReply own_hello() const;
  EhloReply shown_hello() const;
  bool takes_clients_auth() const;
  std::string_view name_for_remote() const;
  void greet(std::string_view greeting, Effects& out);
  void greet_ourselves(Effects& out);

  // The remote half.
  bool server_pipelines() const override { return link_.pipelines; }
  bool expects_challenge() const override;
  void on_server_connected() override;
  void on_server_unreachable(Effects& out) override;
  void on_server_closed(Effects& out) override;
  void on_server_tls(Effects& out) override { opening_->on_tls(out); }
  void on_server_tls_failed(Effects& out) override;
  void abandon_server(Effects& out) override;
  void dial(Effects& out);
  void drop_remote(Effects& out);
  void opening_moved(Effects& out);
  void opening_is_over(Effects& out);
  void ask(std::string domain, Effects& out);
  void let_proceed(bool vouched, Effects& out);
  void reconnect(Effects& out);
  void turned_down(const PolicyAnswer& policy_answer, Effects& out);
  bool fit() const;
  bool before_recipient() const;
  bool tries_again() const;
  std::string_view due() const;
  void server_gone(Ending ending, std::string_view why, Effects& out) override;
  void lose(Ending ending, const std::string& trouble, Effects& out);
  bool give_up_replies(Ending ending, Effects& out);
  std::string lost_reply(Refusal refusal, Ending ending) const;
  void on_piece(const ReplyPiece& piece, bool more, Effects& out) override;
  void pass_on(Expected to, const ReplyPiece& piece, Effects& out);
  void early_reply(const ReplyPiece& piece, Effects& out);
  void unasked(const ReplyPiece& piece, Effects& out);
  void replied(Expected to, int code, Effects& out);
  void mail_replied(bool positive);
  void refuse_recipient(Effects& out);
  void message_result(Expected to, int code, Effects& out);

  OutboundFacts facts_;
  RemotePlan plan_;
  RemoteState remote_;
  Link link_;
  Transaction transaction_;
  std::unique_ptr<RemoteOpening> opening_;  // while Server::opening, and until its failure has been dealt with
  config::ExtensionSet shown_ = 0;          // with parameters, by the reply to the client's EHLO
  std::string asked_about_;                 // what was or will be asked
  std::string mail_reply_;                  // the remote's to MAIL, so far
  std::string hello_refusal_;               // with CRLF: what came of the client's EHLO, instead of a server
  Refusal hello_refused_as_ = Refusal::remote_unusable;  // its row
  bool fit_when_asked_ = false;
  bool introduced_ = false;  // EHLO or HELO in this standing
  bool nameless_ = false;    // … without a name: the server is told ours
  bool greeted_ = false;     // the client has been
};

}  // namespace postern::smtp
