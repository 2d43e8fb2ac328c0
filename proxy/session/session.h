// One client's session: performs the effects of its dialogue, owns both streams and its timer. Thin on purpose:
// whatever is protocol stands in the dialogue; what differs between the directions, in the classes made from this one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/limits/tally.h"
#include "proxy/net/child_reaper.h"
#include "proxy/net/loop.h"
#include "proxy/observe/book.h"
#include "proxy/programs/client.h"
#include "proxy/resolver/client.h"
#include "proxy/runtime/runtime.h"
#include "proxy/session/session_record.h"
#include "proxy/smtp/dialogue.h"
#include "proxy/stream/stream.h"

namespace postern::session {

class Session;

// What a worker lends to its sessions. All of it outlives them.
struct Surroundings {
  net::Loop& loop;
  stream::Scratch& scratch;
  smtp::Effects& effects;
  net::ChildReaper& reaper;
  observe::Books& books;
  // Takes over what must outlive the callback that ended it; freed at the end of the turn.
  std::function<void(Session&)> retire;
  std::function<void(std::unique_ptr<stream::Stream>)> bury;
  postern::resolver::Client* resolver = nullptr;  // null where no name is looked up
  programs::Client* programs = nullptr;           // null where no program is started
};

// When a session that drains is told, and when it ends: times of the loop.
struct Drain {
  std::uint64_t tell = 0;  // from then on it is told 421 unasked, if it is idle
  std::uint64_t end = 0;   // whatever runs then is cut
};
// How one that drained has ended.
enum class Drained : std::uint8_t { by_itself, told, cut };

class Session : public stream::Stream::Owner, private smtp::HandshakeGate {
 public:
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  // Called every so often: has what we wait for taken too long?
  void sweep(std::uint64_t now);
  // It ends at the next command after the running transaction. Told again, what is sooner counts.
  void on_drain(const Drain& drain);
  // Whether somebody signs for this worker's handshakes has changed.
  void on_signer();
  // Ends at once, without a word (the process is stopping).
  void abandon();
  // Once it has ended. Nothing: it was not told to drain.
  std::optional<Drained> drained() const;

  std::uint32_t slot = 0;  // the worker's: where it keeps us
  std::uint32_t door = 0;  // likewise: which of its sockets took our client

 protected:
  Session(Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime, std::uint64_t id,
          net::StreamPtr client);

  // --- what a direction decides
  // The client is there and record_.client says who: begin(), or wait for something before.
  virtual void on_client() = 0;
  // Bytes of the client while there is no dialogue yet, and how it came that there never was one.
  virtual void on_early_bytes(std::string_view bytes) = 0;
  enum class Early : std::uint8_t { closed, silent };
  virtual void on_early_end(Early how) = 0;
  // False: these bytes of the client are not to be had, and the session has been finished.
  virtual bool welcome(std::string_view) { return true; }
  // Performs connect_server: now or later, connected() or connect_failed().
  virtual void dial() = 0;
  // What takes too long is given up. True: something else is being tried, and is waited for anew.
  virtual bool dial_timed_out() = 0;
  // drop_server: whatever belongs to the connection or its making, beyond the stream.
  virtual void release_server() = 0;
  virtual Result<std::unique_ptr<tls::Engine>> make_engine(smtp::Side side) = 0;
  virtual void on_tls_up(smtp::Side side) = 0;
  virtual void ask_policy(std::string_view domain) = 0;
  // After every event: what a direction has to tell the dialogue. True: it told something.
  virtual bool tell_more() { return false; }
  virtual const config::Listener& listener() const = 0;
  virtual const tls::ServerContext* client_tls() const { return nullptr; }  // null: none is offered
  virtual limits::Tally& tally() const = 0;                                 // the listener's
  // As the listener's options say.
  virtual std::chrono::milliseconds wait_for(smtp::Timer timer) const;
  virtual std::string_view direction() const = 0;

  // --- what it does it with
  // Once record_.client is who it is, before begin(). False: a limit of this client is reached, and the session over.
  // `is_client`: false where it is a balancer that only looks whether we are there.
  bool admit(bool is_client = true);
  // In place of begin(): ends at once, with the refusal's reply.
  void turn_away(smtp::Refusal refusal, smtp::Ending ending);
  smtp::HandshakeGate& gate() { return *this; }
  void begin(std::unique_ptr<smtp::Dialogue> dialogue);
  void adopt_server(net::StreamPtr socket);
  void start_tls(smtp::Side side);
  void connected() { pending_.connected = true; }
  void connect_failed(std::string reason);
  void tls_failed(smtp::Side side, std::string reason);
  // Tells the dialogue what is pending, and sends what it answers. After anything that came from outside.
  void pump();
  void carry_out();
  void flush();
  void arm(smtp::Timer timer);
  void finish(smtp::Ending ending);
  bool over() const { return finishing_ || retired_; }
  // A handshake with the client can be begun.
  bool tls_available() const;
  void because(std::string_view reason);
  smtp::Effects& effects() { return around_.effects; }

  Surroundings& around_;
  std::shared_ptr<const runtime::Runtime> runtime_;
  stream::Stream client_;
  std::unique_ptr<smtp::Dialogue> dialogue_;  // begins once the client is known
  std::unique_ptr<stream::Stream> server_;
  SessionRecord record_;
  bool closed_in_handshake_ = false;  // why the last handshake that failed did
  bool lacked_signature_ = false;     // the last one with the server did: see tls::Engine

 private:
  void on_bytes(stream::Stream& from, std::string_view bytes) override;
  void on_handshake(stream::Stream& with, Result<tls::SessionFacts> facts) override;
  void on_end(stream::Stream& of, std::string_view error) override;
  void on_drained(stream::Stream& stream) override;

  smtp::Side side_of(const stream::Stream& stream) const {
    return &stream == &client_ ? smtp::Side::client : smtp::Side::server;
  }
  bool may_begin_handshake() override;
  std::uint64_t microseconds() const;
  bool full();  // the listener, or the memory for what waits: the session is over
  void refuse(limits::Limit limit);
  void note_limit(limits::Limit limit);
  void keep(std::string_view bytes);
  void forget_kept();
  void offer(std::string_view bytes);
  void feed_held();
  bool tell_pending();
  void client_is_broken();
  void look_after_client(std::uint64_t now);
  bool end_drain(std::uint64_t now);
  bool told_by_now(std::uint64_t now) const;
  void perform(const smtp::Effect& effect);
  void note_slow_handshakes();
  void message(const smtp::Effect& effect);
  void doubt(std::string_view reason, std::string_view about);
  void update_reading();
  void drop_server();
  void retire();

  limits::Seat seat_;
  std::string held_;              // bytes of the client that the dialogue did not take yet
  std::size_t held_taken_ = 0;    // of held_, already consumed
  std::string_view end_error_;    // of the stream whose end is being told
  std::uint64_t deadline_ = 0;    // loop time; 0: none
  std::uint64_t drain_end_ = 0;   // likewise; 0: it does not drain
  std::uint32_t tell_ahead_ = 0;  // of drain_end_, in milliseconds: when it may be told unasked
  smtp::Timer timer_ = smtp::Timer::none;
  std::uint64_t looked_at_ = 0;         // when the client was, while nothing of it is read
  std::uint64_t leaving_since_ = 0;     // it has said all that it will, and for so long nothing has come of it
  std::uint64_t leaving_progress_ = 0;  // of its octets used, and of replies sent to it, then
  // Events that happened while effects were carried out, and are told to the dialogue afterwards.
  struct Pending {
    bool connected = false;
    bool connect_failed = false;
    bool client_tls_failed = false;
    bool server_tls_failed = false;
  } pending_;
  bool client_is_deaf_ = false;  // its connection is broken: no reply reaches it
  bool finishing_ = false;
  bool retired_ = false;
  bool cut_ = false;
};

}  // namespace postern::session
