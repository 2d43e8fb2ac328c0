// What a dialogue asks for. A session carries effects out in order; the worker owns and reuses the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::smtp {

enum class Side : std::uint8_t { client, server };

// What a session is waiting for; each has a duration in the settings. Arming one replaces the one before it.
enum class Timer : std::uint8_t {
  none,
  handshake,  // TLS on the client's side (outbound: on either), or a PROXY header
  greeting,   // the server's 220; inbound also the gateway's own words with it (EHLO, STARTTLS, XCLIENT)
  reply,      // outbound: the server's next line in reply to a command, the gateway's own included
  connect,
  command,     // the client's next whole command; inbound also the server's reply to one
  data_block,  // more content
  data_end,    // the server's reply to the end of data
  closing,     // what is queued drains to the client, then the session ends (10 s)
};

enum class Refusal : std::uint8_t;  // refusals.h
enum class Ending : std::uint8_t;   // endings.h
enum class MessageResult : std::uint8_t {
  accepted,
  refused_temporarily,
  refused_permanently,
  lost,      // never whole at the server
  in_doubt,  // sent whole, and no reply to it that could be read: the server may have it, and the client sends it again
};
inline constexpr std::size_t message_result_count = static_cast<std::size_t>(MessageResult::in_doubt) + 1;
std::string_view to_string(MessageResult result);  // the enumerator's name

struct Effect {
  enum class Kind : std::uint8_t {
    send,            // `bytes` to `side`
    start_tls,       // on `side`: everything sent before leaves in plaintext, then the handshake begins
    connect_server,  // dial (or start) the server; answered by on_connected or on_connect_failed
    drop_server,     // close the connection to the server at once, unsent bytes thrown away
    arm,             // `timer`
    ask_policy,      // may mail for the domain in `bytes` leave on the present connection? Answered by on_policy_answer
    refused,         // count `refusal` (its reply, if any, is a send of its own); `bytes`: what was refused, a verb
    turned_away,     // count `refusal` and note that `bytes` was refused with the reply in `reason`, which is not the
                     // row's
    message,         // count a message and `message_result`; `bytes`: what is known of it
    because,         // `bytes` say why what follows happens: a sentence for the record, in place of an earlier one
    finish,          // send what is queued to the client, then close everything; `ending` for the record
  };
  Kind kind = Kind::send;
  Side side = Side::client;
  Timer timer = Timer::none;
  MessageResult message_result = MessageResult::accepted;
  Refusal refusal{};
  Ending ending{};
  std::string_view bytes = {};   // into the dialogue's input, static storage, or text that Effects keeps
  std::string_view reason = {};  // of refused, turned_away, message: a sentence for the log, or empty
};

class Effects {
 public:
  // Sends `bytes`, which must outlive the carrying out: the dialogue's input or static storage.
  // Bytes that directly continue the last send to the same side join it.
  void send(Side side, std::string_view bytes);
  // Sends a copy, kept until clear().
  void send_copy(Side side, std::string_view bytes);

  void start_tls(Side side);
  void connect_server();
  void drop_server();
  void arm(Timer timer);
  void ask_policy(std::string_view domain);  // copied
  // `what` is static storage, a verb; `reason`, copied, says more than the refusal's own reply does.
  void refused(Refusal refusal, std::string_view what = {}, std::string_view reason = {});
  void turned_away(Refusal refusal, std::string_view what, std::string_view reply);  // `reply` copied
  // `reason` and `about`, which says what message it is, are copied; they are logged where it is in doubt.
  void message(MessageResult result, std::string_view reason = {}, std::string_view about = {});
  void because(std::string_view reason);  // copied
  void finish(Ending ending);

  const std::vector<Effect>& list() const { return list_; }
  bool empty() const { return list_.empty(); }
  void clear();  // keeps the list's memory

 private:
  std::string_view keep(std::string_view text);

  std::vector<Effect> list_;
  std::vector<std::unique_ptr<std::string>> kept_;
};

}  // namespace postern::smtp
