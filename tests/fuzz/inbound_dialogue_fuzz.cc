// Any client and any server: the input is a configuration and a list of events. What must hold, whatever comes, is in
// tests/fuzz/dialogue_player.h; here also:
//  - no session makes more than a dozen connections to the server;
//  - how the bytes are cut changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/assert.h"
#include "tests/fuzz/dialogue_player.h"
#include "tests/proxy/smtp/inbound_rig.h"

namespace {

using namespace postern;
using smtp::inbound_rig::Options;
using smtp::inbound_rig::Rig;

// Lines that a byte-wise mutation finds slowly.
constexpr std::string_view client_words[] = {"EHLO client.example\r\n",
                                             "HELO c\r\n",
                                             "MAIL FROM:<a@b.c>\r\n",
                                             "RCPT TO:<a@example.org>\r\n",
                                             "DATA\r\n",
                                             "BDAT 5\r\nab\r\n.",
                                             "BDAT 3 LAST\r\n.\r\n",
                                             "RSET\r\n",
                                             "NOOP\r\n",
                                             "QUIT\r\n",
                                             "STARTTLS\r\n",
                                             "AUTH PLAIN\r\n",
                                             "AGEAYg==\r\n",
                                             "\r\n.\r\n",
                                             ".\r\n",
                                             "text\r\n",
                                             "\n.\n",
                                             "\r",
                                             "XCLIENT ADDR=1.2.3.4\r\n",
                                             "BDAT 99999999\r\n",
                                             "VRFY x\r\n",
                                             "XFOO\r\n",
                                             "GET / HTTP/1.0\r\n"};
constexpr std::string_view server_words[] = {"220 s ESMTP\r\n",
                                             "250 ok\r\n",
                                             "250-s\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 CHUNKING\r\n",
                                             "250-s\r\n250-STARTTLS\r\n250 XCLIENT ADDR NAME PROTO HELO\r\n",
                                             "354 go\r\n",
                                             "334 \r\n",
                                             "235 ok\r\n",
                                             "421 bye\r\n",
                                             "550 no\r\n",
                                             "451 later\r\n",
                                             "221 bye\r\n",
                                             "502 what\r\n",
                                             "250-half\r\n",
                                             "220 go\r\n250 x\r\n",
                                             "250 s\r\n",
                                             "x\r\n"};

Options options_of(fuzz::Input& input) {
  using namespace config;
  const std::uint8_t a = input.octet();
  const std::uint8_t b = input.octet();
  Options options;
  auto& listener = options.listener;
  listener.mode = a % 4 == 0 ? TlsMode::none : a % 4 == 1 ? TlsMode::implicit : TlsMode::starttls;
  listener.greeting = (a & 4) != 0 ? GreetingMode::gateway : GreetingMode::backend;
  listener.require_tls = (a & 8) != 0;
  listener.auth_requires_tls = (a & 16) != 0;
  if ((a & 32) != 0) listener.backend.client_address = ClientAddress::xclient;
  if ((a & 64) != 0) listener.backend.tls = TlsMode::starttls;
  if ((a & 128) != 0) listener.ehlo.size_limit = ByteSize{40};
  listener.bare_newline = b % 3 == 0 ? BareNewline::normalize : b % 3 == 1 ? BareNewline::reject : BareNewline::pass;
  if ((b & 4) != 0) listener.recipients.allow_domains = {{"example.org"}};
  if ((b & 8) != 0) listener.client_certificates.mode = ClientCertificateMode::require;
  if ((b & 16) != 0) listener.ehlo.name = "front.example";
  if ((b & 32) != 0) listener.limits.errors = 3;
  options.tls_available = (b & 64) == 0;
  return options;
}

// One octet says what happens.
class Player final : public fuzz::DialoguePlayer<Rig, Options> {
 public:
  using DialoguePlayer::DialoguePlayer;

 private:
  void happen() override {
    const std::uint8_t what = input().octet() % 16;
    if (what < 6) return client(input().word(client_words));
    if (what < 8) return client(input().text());
    if (what < 12) return server(input().word(server_words));
    if (what == 12) return server(input().text());
    if (what == 13) return advance();
    if (what == 14) return goes_wrong(input().octet() % 8);
  }

  void look_at(const std::string& event) override {
    if (event == "dial") ++dials_;
    POSTERN_ASSERT(dials_ <= 12, "too many connections to the server");
    // Octets right behind a STARTTLS or its 220 are an injection, a second reply may come before its command.
    if (event == "end starttls_injection" || event == "end backend_tls_failed" || event == "end backend_protocol") {
      timing_matters();
    }
    // A server said what nobody had asked for, or took its leave.
    if (rig().reasons.find("the server said what") != std::string::npos ||
        rig().reasons.find("the server took its leave") != std::string::npos) {
      timing_matters();
    }
  }

  int dials_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Options options = options_of(input);
  const auto whole = Player(input, options).play();
  options.cut = true;
  fuzz::must_be_the_same(whole, Player(input, options).play());
  return 0;
}
