#include "config/suggest.h"

#include "tests/support/catch.h"

namespace suggest_test {

using namespace postern::config;

TEST_CASE("suggest: the distance counts changed, added, dropped and swapped letters") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("listen", "listen") == 0);
  CHECK(edit_distance("lisen", "listen") == 1);
  CHECK(edit_distance("lsiten", "listen") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("suggest: the one near word is proposed, case ignored") {
  const std::vector<std::string_view> known = {"listen", "limits", "inbound", "tls", "warning"};
  CHECK(nearest("lisen", known) == "listen");
  CHECK(nearest("LISTEN", known) == "listen");
  CHECK(nearest("inbuond", known) == "inbound");
  CHECK(nearest("tsl", known) == "tls");
  CHECK(nearest("warn", known) == "warning");
  CHECK(did_you_mean("lisen", known) == "; did you mean 'listen'?");
}

TEST_CASE("suggest: nothing is proposed when nothing is near or two are as near") {
  const std::vector<std::string_view> known = {"inbound", "tls", "TLSv1.0", "TLSv1.2", "a"};
  CHECK(nearest("outbound", known).empty());
  CHECK(nearest("dns", known).empty());
  CHECK(nearest("TLSv1.4", known).empty());
  CHECK(nearest("b", known).empty());
  CHECK(nearest("", known).empty());
  CHECK(nearest(std::string(100'000, 'x'), known).empty());
  CHECK(did_you_mean("outbound", known).empty());
}

}  // namespace suggest_test
