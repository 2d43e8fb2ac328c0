#include "tls/library_facts.h"

#include "tests/support/catch.h"

namespace postern::tls::library_facts_test {

TEST_CASE("library facts: the library tells its version") {
  CHECK(library_facts().api_version >= 17);
}

TEST_CASE("library facts: what is neither quick nor slow for P-256 is not known") {
  CHECK(p256_assembly_by(28.7) == Presence::yes);
  CHECK(p256_assembly_by(8.6) == Presence::no);
  CHECK(p256_assembly_by(14) == Presence::unknown);
  CHECK(p256_assembly_by(0) == Presence::unknown);
}

}  // namespace postern::tls::library_facts_test
