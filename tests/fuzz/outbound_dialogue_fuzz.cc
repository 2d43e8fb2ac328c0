// Any client, any remote server and any session's judgement: the input is a configuration octet and a list of events.
// What must hold, whatever comes, is in tests/fuzz/dialogue_player.h; here also:
//  - no envelope and no content goes out before the session has said `proceed` for it, nor anything but EHLO, STARTTLS
//    and QUIT in plaintext where TLS is demanded, nor anything at all on a connection that has been injected into
//    (tests/proxy/smtp/outbound_watch.h and outbound_rig.h assert it);
//  - one command of the client is the reason for a bounded number of connections: whatever is judged, for no more than
//    the dialogue's own bound; and judged as a session judges, for no more than the way there has addresses;
//  - how the bytes are cut changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/assert.h"
#include "tests/fuzz/dialogue_player.h"
#include "tests/proxy/outbound/judged_rig.h"
#include "tests/proxy/smtp/outbound_rig.h"

namespace {

using namespace postern;
using smtp::PolicyAnswer;
using smtp::Side;
using smtp::outbound_rig::Link;
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

Options options_of(fuzz::Input& input) {
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

class Player final : public fuzz::DialoguePlayer<Rig, Options> {
 public:
  using DialoguePlayer::DialoguePlayer;

 private:
  void happen() override {
    const std::uint8_t what = input().octet() % 16;
    if (what < 6) return client(input().word(client_words));
    if (what < 11) return remote(input().word(server_words));
    if (what < 13) return advance();
    if (what == 13) return judge();
    if (what == 14) return goes_wrong(input().octet() % 8);
    client(input().text());
  }

  void remote(std::string_view said) {
    const bool one_reply = said.find("\r\n250 x") == said.npos && said.find("\r\n250 b") == said.npos;
    if (!one_reply && rig().link == Link::up) timing_matters();
    server(said);
  }

  void judge() {
    const std::uint8_t how = input().octet();
    if (!rig().judging) return;
    rig().plan.demand_tls = (how & 8) != 0;
    rig().plan.try_starttls = (how & 16) != 0;
    if (how % 4 == 0) return rig().refuse((how & 32) != 0 ? "250 smuggled" : "451 4.7.5 no");
    if (how % 4 == 1) return rig().reconnect();
    rig().proceed();
  }

  void look_at(const std::string& event) override {
    if (event == "dial") dialed_.note(rig().dialogue().question());
    POSTERN_ASSERT(dialed_.most <= smtp::OutboundDialogue::connections_per_command, "connections without end");
    if (event == "end starttls_injection") timing_matters();
  }

  Dialed dialed_;
};

// The same events, judged by RemoteChoice. The client here is one that says nothing before its last words are answered,
// so that each of its commands can be told from the next.
class Traveller {
 public:
  Traveller(fuzz::Input input, const session::judged_rig::Journey& journey, const Options& options)
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
    if (rig.link == Link::up && what < 11) return judged_.server(input_.word(server_words));
    if (judged_.dialing()) return what == 4 ? judged_.connect_failed() : judged_.connected();
    if (rig.link == Link::handshake) {
      if (what % 2 == 0) return judged_.secured();
      return judged_.tell([](Rig& all) { all.tls_failed(Side::server); });
    }
    if (what == 13) return judged_.tell([](Rig& all) { all.time_out(); });
    if (rig.link == Link::up) judged_.tell([](Rig& all) { all.close(Side::server); });
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

  fuzz::Input input_;
  const session::judged_rig::Journey& journey_;
  session::judged_rig::Judged judged_;
  std::size_t made_before_ = 0;
};

void travel(fuzz::Input input) {
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
  fuzz::Input input(data, size);
  travel(input);
  Options options = options_of(input);
  const auto whole = Player(input, options).play();
  options.cut = true;
  fuzz::must_be_the_same(whole, Player(input, options).play());
  return 0;
}
