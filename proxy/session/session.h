// One client's session: performs the effects of its dialogue, owns both streams and its timer. Thin on purpose:
// whatever is protocol stands in the dialogue.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxy/net/child_process.h"
#include "proxy/net/loop.h"
#include "proxy/observe/counters.h"
#include "proxy/runtime.h"
#include "proxy/session/backend_dialer.h"
#include "proxy/session/backend_pool.h"
#include "proxy/session/session_record.h"
#include "proxy/session/stream.h"
#include "proxy/smtp/inbound_dialogue.h"

namespace postern::session {

class Session;

// What a worker lends to its sessions. All of it outlives them.
struct Surroundings {
  net::Loop& loop;
  Scratch& scratch;
  smtp::Effects& effects;
  net::ChildReaper& reaper;
  observe::Counters& counters;
  // Takes over what must outlive the callback that ended it; freed at the end of the turn.
  std::function<void(Session&)> retire;
  std::function<void(std::unique_ptr<Stream>)> bury;
};

// A listener as one worker serves it.
struct ServedListener {
  std::size_t index = 0;  // in Settings::inbound
  BackendPool pool;
};

class Session final : public Stream::Owner {
 public:
  Session(Surroundings& surroundings, std::shared_ptr<const Runtime> runtime, ServedListener& listener,
          std::uint64_t id, net::StreamPtr client);
  ~Session();

  void start();
  // Called every so often: has what we wait for taken too long?
  void sweep(std::uint64_t now);
  void on_drain();
  // Ends at once, without a word (the process is stopping).
  void abandon();

  std::size_t slot = 0;  // the worker's: where it keeps us

 private:
  const config::InboundListener& settings() const { return runtime_->settings.inbound[listener_.index]; }

  void on_bytes(smtp::Side side, std::string_view bytes) override;
  void on_handshake(smtp::Side side, Result<tls::SessionFacts> facts) override;
  void on_end(smtp::Side side, std::string_view error) override;
  void on_drained(smtp::Side side) override;

  void take_proxy_header(std::string_view bytes);
  void refuse_proxy_header(std::string reason);
  void begin();
  void offer(std::string_view bytes);
  void feed_held();

  void pump();
  void carry_out();
  void perform(const smtp::Effect& effect);
  void flush();
  void update_reading();

  void start_client_tls();
  void start_backend_tls();
  void dial();
  void dial_program();
  void on_dialed(Result<BackendDialer::Connected> connected);
  void adopt_backend(BackendDialer::Connected connected);
  void greet_backend_with_proxy_header();
  void drop_backend();
  void arm(smtp::Timer timer);

  void finish(smtp::Ending ending);
  void retire();

  Surroundings& around_;
  std::shared_ptr<const Runtime> runtime_;
  ServedListener& listener_;
  Stream client_;
  std::optional<smtp::InboundDialogue> dialogue_;  // begins once the client's address is known
  std::unique_ptr<Stream> backend_;
  std::unique_ptr<BackendDialer> dialer_;
  std::unique_ptr<net::ChildProcess> child_;
  std::optional<std::size_t> pooled_;
  std::string held_;            // bytes of the client that the dialogue did not take yet
  std::size_t held_taken_ = 0;  // of held_, already consumed
  std::uint64_t deadline_ = 0;  // loop time; 0: none
  std::uint64_t draining_since_ = 0;
  smtp::Timer timer_ = smtp::Timer::none;
  // Events that happened while effects were carried out, and are told to the dialogue afterwards.
  struct Pending {
    bool connected = false;
    bool connect_failed = false;
    bool client_tls_failed = false;
    bool backend_tls_failed = false;
  } pending_;
  bool dial_after_handshake_ = false;  // the server is to learn TLS facts that are not there yet
  bool finishing_ = false;
  bool retired_ = false;
  SessionRecord record_;
};

}  // namespace postern::session
