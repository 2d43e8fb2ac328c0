#include "proxy/smtp/plaintext.h"

#include <set>
#include <string>

#include "tests/support/catch.h"

namespace postern::smtp::plaintext_test {

using Stage = RemoteState::Stage;

TEST_CASE("plaintext: every cause of it is told from the others") {
  CHECK(plaintext_reason({Stage::tls_not_offered, {}}, false) == Plaintext::not_offered);
  CHECK(plaintext_reason({Stage::tls_refused, "454 4.7.0 no"}, false) == Plaintext::refused);
  CHECK(plaintext_reason({Stage::tls_injected, {}}, false) == Plaintext::injected);
  CHECK(plaintext_reason({Stage::tls_failed, {}}, false) == Plaintext::handshake_failed);
  CHECK(plaintext_reason({Stage::tls_failed, {}}, true) == Plaintext::closed);
  CHECK(plaintext_reason({Stage::tls_broken, {}}, false) == Plaintext::closed);
  CHECK(plaintext_reason({Stage::tls_broken, "354 go"}, false) == Plaintext::misanswered);
  CHECK(plaintext_reason({Stage::tls_broken, "421 bye"}, false) == Plaintext::refused);
  RemoteState garbled{Stage::tls_broken, {}};
  garbled.garbled = true;
  CHECK(plaintext_reason(garbled, false) == Plaintext::misanswered);
}

TEST_CASE("plaintext: where TLS is no question there is no reason") {
  for (const Stage stage :
       {Stage::none, Stage::connect_failed, Stage::greeting_failed, Stage::lost, Stage::auth_failed, Stage::open}) {
    CHECK(!plaintext_reason({stage, {}}, false));
  }
}

TEST_CASE("plaintext: each reason has a word of its own") {
  std::set<std::string> words;
  for (std::size_t i = 0; i < plaintext_count; ++i) words.emplace(to_string(static_cast<Plaintext>(i)));
  CHECK(words.size() == plaintext_count);
}

}  // namespace postern::smtp::plaintext_test
