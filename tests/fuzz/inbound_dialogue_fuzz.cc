// Any client and any server: the input is a configuration and a list of events. Properties, whatever comes:
//  - a message is taken for accepted only by a reply of the server's that has just become whole and says 2yz, one each;
//  - no plaintext is left over when TLS begins, and nothing of the plaintext phase reaches the server after it;
//  - the client is told whole replies;
//  - how the bytes are cut changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/assert.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/proxy/smtp/dialogue_rig.h"

namespace {

using namespace postern;
using smtp::Side;
using smtp::dialogue_rig::Options;
using smtp::dialogue_rig::Rig;

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
  std::string text() {
    const std::size_t wanted = octet() % 64;  // first: it takes an octet itself
    const std::size_t size = std::min(wanted, bytes_.size());
    const std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  template <std::size_t N>
  std::string word(const std::string_view (&words)[N]) {
    return std::string(words[octet() % N]);
  }

 private:
  std::string_view bytes_;
};

Options options_of(Input& input) {
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
  std::vector<std::string> events;
  bool unasked = false;  // a server said what nobody had asked for, or took its leave
};

// Commands of a client; our own words with the server are others.
bool tells_of_a_client(std::string_view heard) {
  constexpr std::string_view words[] = {"MAIL", "RCPT", "DATA", "BDAT", "AUTH", "VRFY", "client.example", "HELO"};
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view word) { return heard.find(word) != std::string_view::npos; });
}

// One octet says what happens; TLS is done only where it was asked for, as a session would have it.
Played play(std::string_view bytes, bool cut) {
  Input input(bytes);
  Options options = options_of(input);
  options.cut = cut;
  Rig rig(options);
  Played played;
  std::size_t seen = 0;
  Replies replies;                 // of the server that is connected
  std::size_t successes_said = 0;  // 2yz replies that it has given in this event
  std::size_t accepted_before = 0;
  bool client_in_tls = false;
  bool client_closed = false;
  bool introduced = true;  // since TLS began
  bool backend_in_tls = false;
  bool dialing = false;
  bool connected = false;
  const auto look = [&] {
    for (; seen < rig.events.size(); ++seen) {
      const std::string& event = rig.events[seen];
      if (event == "dial") dialing = true;
      if (event == "drop") dialing = connected = backend_in_tls = false;
      if (event == "dial" || event == "drop" || event == "tls backend") replies = {};
      if (event == "tls client") {
        client_in_tls = true;
        POSTERN_ASSERT(rig.unread.empty(), "plaintext is left over when TLS begins");
      }
      if (event == "tls backend") backend_in_tls = true;
    }
    const std::size_t accepted =
        static_cast<std::size_t>(std::count(rig.events.begin(), rig.events.end(), std::string("message accepted")));
    POSTERN_ASSERT(accepted - accepted_before <= successes_said, "a success that no server gave");
    accepted_before = accepted;
    const std::string told = rig.take_client();
    POSTERN_ASSERT(fuzz::ends_whole(told), "the client was told part of a reply");
    played.to_client += told;
    const std::string heard = rig.take_server();
    POSTERN_ASSERT(introduced || !tells_of_a_client(heard), "plaintext reached the server after TLS");
    played.to_server += heard;
  };
  rig.start();
  look();
  for (int event = 0; event < 200 && !input.empty() && !rig.ended(); ++event) {
    const std::uint8_t what = input.octet() % 16;
    successes_said = 0;
    if (what < 8) {
      const std::string said = what < 6 ? input.word(client_words) : input.text();
      if (!client_in_tls && !client_closed) {
        introduced = true;
        rig.client(said);
      }
    } else if (what < 13) {
      const std::string said = what < 12 ? input.word(server_words) : input.text();
      if (connected && !backend_in_tls) {
        successes_said = replies.successes_in(said);
        rig.server(said);
      }
    } else if (what == 13) {
      if (dialing) {
        dialing = false;
        connected = true;
        rig.connected();
      } else if (client_in_tls) {
        client_in_tls = false;
        introduced = false;
        rig.tls(Side::client, input.octet() % 2 == 0 ? tls::Verification::verified : tls::Verification::no_certificate);
      } else if (backend_in_tls) {
        backend_in_tls = false;
        rig.tls(Side::backend);
      }
    } else if (what == 14) {
      const std::uint8_t which = input.octet() % 8;
      if (which == 0) rig.time_out();
      if (which == 1) rig.drain();
      if (which == 2) client_closed = true, rig.close(Side::client);
      if (which == 3 && connected) connected = false, rig.close(Side::backend);
      if (which == 4 && dialing) dialing = false, rig.connect_failed();
      if (which == 5 && client_in_tls) client_in_tls = false, rig.tls_failed(Side::client);
    }
    look();
  }
  POSTERN_ASSERT(std::count(rig.events.begin(), rig.events.end(), "dial") <= 12, "too many connections to the server");
  played.unasked = rig.reasons.find("the server said what") != std::string::npos ||
                   rig.reasons.find("the server took its leave") != std::string::npos;
  played.events = rig.events;
  return played;
}

// Octets right behind a STARTTLS or its 220 are an injection, a second reply may come before its command.
bool timing_matters(const Played& played) {
  if (played.unasked) return true;
  return std::any_of(played.events.begin(), played.events.end(), [](const std::string& event) {
    return event == "end starttls_injection" || event == "end backend_tls_failed" || event == "end backend_protocol";
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Played whole = play(bytes, false);
  const Played cut = play(bytes, true);
  // Where what counts is whether two things came together, cutting them apart does change something.
  if (timing_matters(whole) || timing_matters(cut)) return 0;
  POSTERN_ASSERT(whole.to_client == cut.to_client, "the client is told something else when bytes are cut");
  POSTERN_ASSERT(whole.events == cut.events, "something else happens when bytes are cut");
  return 0;
}
