#include "proxy/session/refusal_notes.h"

#include "tests/support/catch.h"

namespace refusal_notes_test {

using postern::session::RefusalNotes;

TEST_CASE("refusal notes: a refusal has what was refused, the reply, its label, and why") {
  RefusalNotes notes;
  CHECK(notes.items().empty());
  notes.add("auth", "ehlo_first", "503 5.5.1 EHLO or HELO comes first\r\n", {});
  notes.add("rcpt", {}, "451 4.7.5 mx.example: no", {});
  notes.add({}, "backend_unavailable", "421 4.3.2 Not available\r\n", "connection refused");
  CHECK(notes.items() == std::vector<std::string>{"AUTH: 503 5.5.1 EHLO or HELO comes first [ehlo_first]",
                                                  "RCPT: 451 4.7.5 mx.example: no",
                                                  "421 4.3.2 Not available [backend_unavailable]: connection refused"});
}

TEST_CASE("refusal notes: what is no verb that we know is not named, as it may be a password") {
  RefusalNotes notes;
  notes.add("other", {}, "502 no", {});
  notes.add("invalid", {}, "500 no", {});
  CHECK(notes.items() == std::vector<std::string>{"an unknown command: 502 no", "a malformed command: 500 no"});
}

TEST_CASE("refusal notes: the same again is counted, and the oldest make room") {
  RefusalNotes notes;
  for (int i = 0; i < 3; ++i) notes.add("vrfy", {}, "502 no", {});
  CHECK(notes.items() == std::vector<std::string>{"VRFY: 502 no (3 times)"});
  for (int i = 0; i < 100; ++i) notes.add("rcpt", {}, "550 " + std::string(1000, i % 2 == 0 ? 'a' : 'b'), {});
  CHECK(notes.items().size() == RefusalNotes::entry_limit);
  CHECK(notes.left_out() == 3 + 100 - RefusalNotes::entry_limit);
  CHECK(notes.items().back().size() == RefusalNotes::text_limit + 3);
}

}  // namespace refusal_notes_test
