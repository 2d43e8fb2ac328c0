#include "proxy/smtp/refusals.h"

#include <set>
#include <string>

#include "tests/support/catch.h"

namespace postern::smtp::refusals_test {

TEST_CASE("refusals: each is one reply line with an enhanced code of the same class") {
  for (std::size_t i = 0; i < refusal_count; ++i) {
    const std::string reply(row(static_cast<Refusal>(i)).reply);
    INFO(reply);
    REQUIRE(reply.size() > 11);
    CHECK(reply.ends_with("\r\n"));
    CHECK(reply.find('\n') == reply.size() - 1);
    CHECK(reply[3] == ' ');
    CHECK(reply[4] == reply[0]);
    CHECK(reply[5] == '.');
  }
}

TEST_CASE("refusals: labels are there and differ") {
  std::set<std::string_view> labels;
  for (std::size_t i = 0; i < refusal_count; ++i) labels.insert(row(static_cast<Refusal>(i)).label);
  CHECK(labels.size() == refusal_count);
  CHECK(labels.count("") == 0);
}

TEST_CASE("refusals: 421, and nothing that goes on, ends the session with a reason") {
  for (std::size_t i = 0; i < refusal_count; ++i) {
    const RefusalRow& refusal = row(static_cast<Refusal>(i));
    INFO(refusal.label);
    if (refusal.reply.starts_with("421")) CHECK(refusal.ends);
    CHECK(refusal.ends == (refusal.ending != Ending::internal));
  }
}

TEST_CASE("refusals: the codes of the public contract") {
  CHECK(row(Refusal::tls_required).reply == "530 5.7.0 Must issue a STARTTLS command first\r\n");
  CHECK(row(Refusal::auth_needs_tls).reply.starts_with("538 5.7.11 "));
  CHECK(row(Refusal::starttls_injection).reply.starts_with("503 5.5.1 "));
  CHECK(row(Refusal::tls_unavailable).reply.starts_with("454 4.7.0 "));
  CHECK(row(Refusal::too_many_sessions).reply.starts_with("421 4.7.0 "));
  CHECK(row(Refusal::client_sessions).reply.starts_with("421 4.7.0 "));
  CHECK(row(Refusal::client_connections).reply.starts_with("421 4.7.0 "));
  CHECK(row(Refusal::client_handshakes).reply.starts_with("454 4.7.0 "));
  CHECK(row(Refusal::buffers_full).reply.starts_with("421 4.3.2 "));
  CHECK(row(Refusal::backend_unavailable).reply.starts_with("421 4.3.2 "));
  CHECK(row(Refusal::bare_newline).reply.starts_with("521 5.5.2 "));
}

}  // namespace postern::smtp::refusals_test
