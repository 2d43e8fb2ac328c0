// Any client, any remote server and any session's judgement: the input is a configuration octet and a list of events.
// Properties, whatever comes:
//  - no envelope and no content goes out before the session has said `proceed` for it, nor anything but EHLO, STARTTLS
//    and QUIT in plaintext where TLS is demanded, nor anything at all on a connection that has been injected into
//    (tests/proxy/smtp/outbound_watch.h and outbound_rig.h assert it);
//  - no message is accepted that no server accepted;
//  - one command of the client is the reason for a bounded number of connections: whatever is judged, for no more than
//    the dialogue's own bound; and judged as a session judges, for no more than the way there has addresses;
//  - the client is told whole replies;
//  - how the bytes are cut changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/assert.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/proxy/outbound/judged_rig.h"
#include "tests/proxy/smtp/outbound_rig.h"

namespace {

using namespace postern;
using smtp::Judgement;
using smtp::Side;
using smtp::outbound_rig::Options;
using smtp::outbound_rig::Rig;

// Lines that a byte-wise mutation finds slowly.
constexpr std::string_view client_words[] = {
    "EHLO client.example\r\n",
    "HELO c\r\n",
    "MAIL FROM:<a@b.c>\r\n",
    "MAIL FROM:<a@b.c> SIZE=99\r\n",
    "RCPT TO:<a@one.example>\r\n",
    "RCPT TO:<b@one.example>\r\n",
    "RCPT TO:<a@two.example>\r\n",
    "RCPT TO:<postmaster>\r\n",
    "DATA\r\n",
    "BDAT 5\r\nab\r\n.",
    "BDAT 3 LAST\r\n.\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "STARTTLS\r\n",
    "AUTH PLAIN\r\n",
    "AUTH PLAIN AGEAYg==\r\n",
    "AGEAYg==\r\n",
    "\r\n.\r\n",
    ".\r\n",
    "text\r\n",
    "\n.\n",
    "XCLIENT ADDR=1.2.3.4\r\n",
    "VRFY x\r\n",
    "EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@one.example>\r\nDATA\r\n",
    "MAIL FROM:<a@b.c>\r\nRCPT TO:<a@one.example>\r\nRCPT TO:<a@two.example>\r\n",
};
constexpr std::string_view server_words[] = {
    "220 s ESMTP\r\n",
    "250 ok\r\n",
    "250-s\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 CHUNKING\r\n",
    "250-s\r\n250-STARTTLS\r\n250 SIZE 50\r\n",
    "250-s\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
    "354 go\r\n",
    "334 \r\n",
    "235 ok\r\n",
    "421 bye\r\n",
    "550 no\r\n",
    "451 later\r\n",
    "502 what\r\n",
    "250-half\r\n",
    "220 go\r\n250 x\r\n",
    "x\r\n",
    "250 a\r\n250 b\r\n",
};

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t octet() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  template <std::size_t N>
  std::string_view word(const std::string_view (&words)[N]) {
    return words[octet() % N];
  }

 private:
  std::string_view bytes_;
};

Options options_of(Input& input) {
  using namespace config;
  const std::uint8_t a = input.octet();
  const std::uint8_t b = input.octet();
  Options options;
  options.listener.mode = a % 4 == 0 ? TlsMode::implicit : a % 4 == 1 ? TlsMode::starttls : TlsMode::none;
  options.greets_itself = (a & 4) != 0;
  options.plan.try_starttls = (a & 8) != 0;
  options.plan.demand_tls = (a & 16) != 0;
  options.plan.tls_first = (a & 32) != 0;
  if ((a & 64) != 0) options.plan.auth_mechanism = (a & 128) != 0 ? "PLAIN" : "LOGIN";
  options.listener.bare_newline = b % 3 == 0   ? BareNewline::normalize
                                  : b % 3 == 1 ? BareNewline::reject
                                               : BareNewline::pass;
  if ((b & 4) != 0) options.listener.ehlo.size_limit = ByteSize{7};
  if ((b & 8) != 0) options.listener.limits.errors = 3;
  options.tls_available = (b & 16) == 0;
  return options;
}

struct Played {
  std::string to_client;
  std::string to_server;
  std::vector<std::string> events;
  bool timing_matters = false;  // whether two things came together decides: cutting them apart does change something
};

// Connections for one question.
struct Dialed {
  std::uint32_t question = 0;
  std::size_t count = 0;
  std::size_t most = 0;
  void note(std::uint32_t now) {
    count = now == std::exchange(question, now) ? count + 1 : 1;
    most = std::max(most, count);
  }
};

class Player {
 public:
  Player(Input input, const Options& options) : input_(input), rig_(options) {}

  Played play() {
    rig_.start();
    for (int event = 0; event < 200 && !input_.empty() && !rig_.ended(); ++event) {
      happen();
      look();
    }
    played_.events = rig_.events;
    return played_;
  }

 private:
  void happen() {
    const std::uint8_t what = input_.octet() % 16;
    if (what < 6) return client(input_.word(client_words));
    if (what < 11) return server(input_.word(server_words));
    if (what < 13) return advance();
    if (what == 13) return judge();
    other(input_.octet() % 8);
  }

  void client(std::string_view said) {
    if (!client_handshake_ && !client_closed_) rig_.client(said);
  }

  void server(std::string_view said) {
    if (rig_.link != Rig::Link::up) return;
    const bool one_reply = said.find("\r\n250 x") == said.npos && said.find("\r\n250 b") == said.npos;
    if (!one_reply) played_.timing_matters = true;
    if (said.starts_with('2')) successes_ += one_reply ? 1 : 2;
    rig_.server(said);
  }

  // Whatever has been asked of the session.
  void advance() {
    if (rig_.link == Rig::Link::dialing) return rig_.connected();
    if (rig_.link == Rig::Link::handshake) return rig_.tls(Side::backend);
    if (!client_handshake_) return;
    client_handshake_ = false;
    rig_.unread.clear();  // nothing of the plaintext may be used from here on
    rig_.tls(Side::client);
  }

  void judge() {
    const std::uint8_t how = input_.octet();
    if (!rig_.judging) return;
    rig_.plan.demand_tls = (how & 8) != 0;
    rig_.plan.try_starttls = (how & 16) != 0;
    if (how % 4 == 0) return rig_.refuse((how & 32) != 0 ? "250 smuggled" : "451 4.7.5 no");
    if (how % 4 == 1) return rig_.reconnect();
    rig_.proceed();
  }

  void other(std::uint8_t which) {
    if (which == 0) rig_.time_out();
    if (which == 1) rig_.drain();
    if (which == 2) client_closed_ = true, rig_.close(Side::client);
    if (which == 3 && rig_.link != Rig::Link::down && rig_.link != Rig::Link::dialing) rig_.close(Side::backend);
    if (which == 4 && rig_.link == Rig::Link::dialing) rig_.connect_failed();
    if (which == 5 && client_handshake_) client_handshake_ = false, rig_.tls_failed(Side::client);
    if (which == 6 && rig_.link == Rig::Link::handshake) rig_.tls_failed(Side::backend);
  }

  void look() {
    for (; seen_ < rig_.events.size(); ++seen_) {
      const std::string& event = rig_.events[seen_];
      if (event == "dial") dialed_.note(rig_.dialogue().question());
      if (event == "tls client") client_handshake_ = true;
      if (event == "message accepted") ++accepted_;
      if (event == "end starttls_injection") played_.timing_matters = true;
    }
    POSTERN_ASSERT(accepted_ <= successes_, "a success that no server gave");
    POSTERN_ASSERT(dialed_.most <= smtp::OutboundDialogue::connections_per_command, "connections without end");
    const std::string told = rig_.take_client();
    POSTERN_ASSERT(fuzz::ends_whole(told), "the client was told part of a reply");
    played_.to_client += told;
    played_.to_server += rig_.take_server();
  }

  Input input_;
  Rig rig_;
  Played played_;
  std::size_t seen_ = 0;
  std::size_t successes_ = 0;
  std::size_t accepted_ = 0;
  Dialed dialed_;
  bool client_handshake_ = false;
  bool client_closed_ = false;
};

// The same events, judged by RemoteChoice. The client here is one that says nothing before its last words are answered,
// so that each of its commands can be told from the next.
class Traveller {
 public:
  Traveller(Input input, const session::judged_rig::Journey& journey, const Options& options)
      : input_(input), journey_(journey), judged_(journey, options) {}

  void play() {
    judged_.start();
    for (int event = 0; event < 200 && !input_.empty() && !judged_.rig().ended(); ++event) {
      happen(input_.octet() % 16);
      judged_.rig().take_client();
      judged_.rig().take_server();
      const std::size_t made = judged_.connections - made_before_;
      POSTERN_ASSERT(made <= journey_.most_connections(),
                     "one command costs more connections than there are addresses");
    }
  }

 private:
  void happen(std::uint8_t what) {
    Rig& rig = judged_.rig();
    if (what < 4) {
      if (judged_.rig().dialogue().asking() || !rig.unread.empty()) return;
      made_before_ = judged_.connections;
      return judged_.client(input_.word(lone_words));
    }
    if (rig.link == Rig::Link::up && what < 11) return judged_.server(input_.word(server_words));
    if (judged_.dialing()) return what == 4 ? judged_.connect_failed() : judged_.connected();
    if (rig.link == Rig::Link::handshake) {
      if (what % 2 == 0) return judged_.secured();
      return judged_.tell([](Rig& all) { all.tls_failed(Side::backend); });
    }
    if (what == 13) return judged_.tell([](Rig& all) { all.time_out(); });
    if (rig.link == Rig::Link::up) judged_.tell([](Rig& all) { all.close(Side::backend); });
  }

  static constexpr std::string_view lone_words[] = {
      "EHLO client.example\r\n",
      "MAIL FROM:<a@b.c>\r\n",
      "RCPT TO:<a@one.example>\r\n",
      "RCPT TO:<a@two.example>\r\n",
      "RCPT TO:<postmaster>\r\n",
      "DATA\r\n",
      "RSET\r\n",
      "NOOP\r\n",
      ".\r\n",
      "BDAT 3 LAST\r\nabc",
  };

  Input input_;
  const session::judged_rig::Journey& journey_;
  session::judged_rig::Judged judged_;
  std::size_t made_before_ = 0;
};

void travel(Input input) {
  using namespace config;
  const std::uint8_t octet = input.octet();
  const auto route = octet % 3 == 0   ? OutboundRoute::relay
                     : octet % 3 == 1 ? OutboundRoute::mx
                                      : OutboundRoute::original_destination;
  const auto level = (octet & 4) != 0 ? TlsLevel::may : (octet & 8) != 0 ? TlsLevel::encrypt : TlsLevel::none;
  const bool pinned = route == OutboundRoute::original_destination;
  const session::judged_rig::Journey journey(route, level, pinned ? 1 : 1 + octet / 64);
  Traveller(input, journey, Options()).play();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(std::string_view(reinterpret_cast<const char*>(data), size));
  travel(input);
  Options options = options_of(input);
  const Played whole = Player(input, options).play();
  options.cut = true;
  const Played cut = Player(input, options).play();
  if (whole.timing_matters || cut.timing_matters) return 0;
  POSTERN_ASSERT(whole.to_client == cut.to_client, "the client is told something else when bytes are cut");
  POSTERN_ASSERT(whole.to_server == cut.to_server, "the server is told something else when bytes are cut");
  POSTERN_ASSERT(whole.events == cut.events, "something else happens when bytes are cut");
  return 0;
}
