#include "proxy/smtp/client_standing.h"

#include <string>

#include "tests/support/catch.h"

namespace postern::smtp::client_standing_test {

// The label of the refusal; "passes": the direction decides.
std::string_view asked(std::string_view line, const ClientStanding& standing, config::TlsMode mode) {
  config::Listener listener;
  listener.mode = mode;
  const auto refusal = refusal_for(parse_command(line), standing, listener);
  return refusal ? row(*refusal).label : "passes";
}
std::string_view asked(std::string_view line, const ClientStanding& standing = {}) {
  return asked(line, standing, config::TlsMode::starttls);
}

TEST_CASE("standing: what is for no server goes to none, in any standing") {
  ClientStanding after_tls;
  after_tls.tls = after_tls.ehlo_first = true;
  for (const auto& standing : {ClientStanding{}, after_tls}) {
    CHECK(asked("GET / HTTP/1.0", standing) == "http_request");
    CHECK(asked("", standing) == "malformed_line");
    CHECK(asked("XCLIENT ADDR=1.2.3.4", standing) == "xclient_forbidden");
    CHECK(asked("XFORWARD NAME=x", standing) == "xclient_forbidden");
    CHECK(asked("EHLO " + std::string(256, 'x'), standing) == "malformed_helo");
    for (const std::string_view line : {"EHLO x", "HELO x", "NOOP", "RSET", "QUIT"})
      CHECK(asked(line, standing) == "passes");
  }
}

TEST_CASE("standing: after TLS everything begins with EHLO") {
  ClientStanding standing;
  standing.tls = standing.ehlo_first = true;
  for (const std::string_view line : {"MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "BDAT 3", "AUTH PLAIN", "VRFY x",
                                      "EXPN x", "HELP", "ETRN x", "XFOO"}) {
    INFO(line);
    CHECK(asked(line, standing) == "ehlo_first");
  }
}

TEST_CASE("standing: STARTTLS begins where it is offered, without argument, once") {
  CHECK(asked("STARTTLS") == "passes");
  CHECK(asked("STARTTLS now") == "starttls_argument");
  CHECK(asked("STARTTLS", {}, config::TlsMode::none) == "starttls_not_offered");
  ClientStanding standing;
  standing.tls_available = false;
  CHECK(asked("STARTTLS", standing) == "tls_unavailable");
  standing.tls = true;
  CHECK(asked("STARTTLS", standing) == "starttls_active");
}

TEST_CASE("standing: AUTH and BDAT pass as far as they were offered") {
  CHECK(asked("AUTH PLAIN") == "verb_not_offered");
  CHECK(asked("BDAT 3") == "verb_not_offered");
  EhloReply shown;
  shown.add_line("mx.example");
  shown.add_line("AUTH PLAIN");
  shown.add_line("CHUNKING");
  ClientStanding standing;
  standing.offer(shown);
  CHECK(asked("AUTH PLAIN", standing) == "passes");
  CHECK(asked("AUTH LOGIN", standing) == "mechanism_not_offered");
  CHECK(asked("BDAT 3", standing) == "passes");
}

TEST_CASE("standing: without the certificate that is demanded there is only QUIT") {
  ClientStanding standing;
  standing.tls = standing.certificate_missing = true;
  CHECK(asked("QUIT", standing) == "passes");
  CHECK(asked("EHLO x", standing) == "client_certificate");
  CHECK(asked("NOOP", standing) == "client_certificate");
  CHECK(asked("GET / HTTP/1.0", standing) == "http_request");
}

}  // namespace postern::smtp::client_standing_test
