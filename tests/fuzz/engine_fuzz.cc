// Octets to a TLS server: it ends in an error or waits for more, and how they are cut changes nothing.
#include "tls/engine.h"

#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"

using namespace postern;

namespace {

std::shared_ptr<const tls::Certificate> load(test_support::CertificateWish wish) {
  const test_support::TempDirectory directory;
  const auto made = test_support::make_certificate(wish);
  auto pair = tls::match(*tls::load_chain(directory.write("chain", made.certificate_pem())),
                         *tls::load_private_key(directory.write("key", made.key_pem())));
  return *pair;
}

const tls::ServerContext& server() {
  static const auto made = [] {
    tls::ServerContext::Options options;
    options.tls.min_version = config::TlsVersion::tls1_0;
    options.certificates =
        std::make_shared<const tls::CertificateStore>(std::vector<std::vector<std::shared_ptr<const tls::Certificate>>>{
            {load({.dns_names = {"*.example.org"}}), load({.existing_key = test_support::shared_rsa_key()})}});
    options.ticket_keys = tls::TicketKeys::random(std::chrono::hours(1));
    std::vector<tls::ServerContext::Complaint> complaints;
    return tls::ServerContext::make(options, complaints);
  }();
  return *made;
}

struct Outcome {
  std::string error;
  bool alerted = false;
  bool completed = false;
};

Outcome outcome_of(std::string_view octets, std::uint8_t seed, bool cut) {
  const auto engine = std::move(*server().make_engine());
  Outcome outcome;
  tls::OutputBuffer out;
  const auto feed = [&](std::string_view piece) {
    std::vector<char> plaintext(piece.size() + tls::Engine::max_record);
    const auto received = engine->receive(piece, plaintext, out);
    POSTERN_ASSERT(received.plaintext == 0, "there is no plaintext before the handshake is over");
    outcome.completed = outcome.completed || received.handshake_completed;
    if (received.error) outcome.error = received.error->message;
    return !received.error;
  };
  if (cut) {
    fuzz::in_pieces(octets, seed, feed);
  } else {
    feed(octets);
  }
  outcome.alerted = !out.empty();
  engine->close(out);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t seed = input.octet();
  const Outcome whole = outcome_of(input.rest(), seed, false);
  const Outcome cut = outcome_of(input.rest(), seed, true);
  POSTERN_ASSERT(!whole.completed && !cut.completed, "nobody guesses a Finished");
  POSTERN_ASSERT(whole.error == cut.error, "how the octets are cut changes the error");
  POSTERN_ASSERT(whole.alerted == cut.alerted, "how the octets are cut changes what is sent");
  return 0;
}
