// Any client and any server of either direction: what happens to a dialogue, one event after the other, and what must
// hold after each of them:
//  - a message is taken for accepted only by a reply of the server's that has just become whole and says 2yz, one each;
//  - no plaintext is left over when TLS begins, and nothing of the plaintext phase reaches the server after it;
//  - the client is told whole replies.
// That how the bytes are cut changes nothing is for the targets to see: they play everything twice.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/assert.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/proxy/smtp/dialogue_rig.h"

namespace postern::fuzz {

using smtp::Side;
using smtp::dialogue_rig::Link;

// The whole replies of one connection, as they come in pieces.
class Replies {
 public:
  // How many replies with a code of 2yz became whole by this.
  std::size_t successes_in(std::string_view said) {
    std::size_t found = 0;
    unread_ += said;
    for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1)) {
      const bool last = end < 4 || unread_[3] != '-';
      if (last && unread_[0] == '2') ++found;
    }
    return found;
  }

 private:
  std::string unread_;
};

struct Played {
  std::string to_client;
  std::string to_server;
  smtp::dialogue_rig::Events events;
  bool ended = false;
  bool timing_matters = false;  // whether two things came together decides: cutting them apart does change something
};

inline void must_be_the_same(const Played& whole, const Played& cut) {
  if (whole.timing_matters || cut.timing_matters) return;
  // Where the input ends before the session does, a reply to MAIL may still wait for what was said with it.
  const auto& shorter = whole.to_client.size() < cut.to_client.size() ? whole.to_client : cut.to_client;
  const auto& longer = &shorter == &cut.to_client ? whole.to_client : cut.to_client;
  const bool said = whole.ended && cut.ended ? longer == shorter : longer.starts_with(shorter);
  POSTERN_ASSERT(said, "the client is told something else when bytes are cut");
  POSTERN_ASSERT(whole.to_server == cut.to_server, "the server is told something else when bytes are cut");
  POSTERN_ASSERT(whole.events == cut.events, "something else happens when bytes are cut");
}

template <class Rig, class Options>
class DialoguePlayer {
 public:
  DialoguePlayer(Input input, const Options& options) : input_(input), rig_(options) {}
  virtual ~DialoguePlayer() = default;

  Played play() {
    rig_.start();
    look();
    for (int event = 0; event < 200 && !input_.empty() && !rig_.ended(); ++event) {
      successes_ = 0;
      happen();
      look();
    }
    played_.events = rig_.events;
    played_.ended = rig_.ended();
    return played_;
  }

 protected:
  virtual void happen() = 0;
  virtual void look_at(const std::string& event) = 0;

  void client(std::string_view said) {
    if (client_handshake_ || client_closed_) return;
    introduced_ = true;
    rig_.client(said);
  }

  void server(std::string_view said) {
    if (rig_.link != Link::up) return;
    successes_ = replies_.successes_in(said);
    rig_.server(said);
  }

  // Whatever has been asked of the session; TLS is done only where it was asked for.
  void advance() {
    if (rig_.link == Link::dialing) return rig_.connected();
    if (rig_.link == Link::handshake) return rig_.tls(Side::server);
    if (!client_handshake_) return;
    client_handshake_ = introduced_ = false;
    rig_.tls(Side::client, input_.octet() % 2 == 0 ? tls::Verification::verified : tls::Verification::no_certificate);
  }

  void goes_wrong(std::uint8_t which) {
    if (which == 0) rig_.time_out();
    if (which == 1) rig_.drain();
    if (which == 2) client_closed_ = true, rig_.close(Side::client);
    if (which == 3 && rig_.link != Link::down && rig_.link != Link::dialing) rig_.close(Side::server);
    if (which == 4 && rig_.link == Link::dialing) rig_.connect_failed();
    if (which == 5 && client_handshake_) client_handshake_ = false, rig_.tls_failed(Side::client);
    if (which == 7) rig_.cut();
    if (which == 6 && rig_.link == Link::handshake) rig_.tls_failed(Side::server);
  }

  Rig& rig() { return rig_; }
  Input& input() { return input_; }
  void timing_matters() { played_.timing_matters = true; }

 private:
  void look() {
    std::size_t accepted = 0;
    for (; seen_ < rig_.events.size(); ++seen_) {
      const std::string& event = rig_.events[seen_];
      if (event == "message accepted") ++accepted;
      if (event == "dial" || event == "drop" || event == "tls server") replies_ = {};
      if (event == "tls client") {
        client_handshake_ = true;
        POSTERN_ASSERT(rig_.unread.empty(), "plaintext is left over when TLS begins");
      }
      // How much of it went out before that was known, and what is seen of the rest, is for the cuts to say.
      if (event == "refused message_too_large") timing_matters();
      look_at(event);
    }
    POSTERN_ASSERT(accepted <= successes_, "a success that no server gave");
    const std::string told = rig_.take_client();
    POSTERN_ASSERT(ends_whole(told), "the client was told part of a reply");
    played_.to_client += told;
    const std::string heard = rig_.take_server();
    POSTERN_ASSERT(introduced_ || !tells_of_a_client(heard), "plaintext reached the server after TLS");
    played_.to_server += heard;
  }

  // Commands of a client; our own words with the server are others.
  static bool tells_of_a_client(std::string_view heard) {
    constexpr std::string_view words[] = {"MAIL", "RCPT", "DATA", "BDAT", "AUTH", "VRFY", "client.example", "HELO"};
    return std::any_of(std::begin(words), std::end(words),
                       [&](std::string_view word) { return heard.find(word) != std::string_view::npos; });
  }

  Input input_;
  Rig rig_;
  Played played_;
  Replies replies_;  // of the server that is connected
  std::size_t seen_ = 0;
  std::size_t successes_ = 0;  // 2yz replies that it has given in this event
  bool client_handshake_ = false;
  bool client_closed_ = false;
  bool introduced_ = true;  // since TLS began the client has said something
};

}  // namespace postern::fuzz
