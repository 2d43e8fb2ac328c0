#include "config/extensions.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "tests/support/catch.h"

namespace extensions_test {

using namespace postern::config;

std::string owner(std::string_view word, Envelope of) {
  const Extension* found = extension_of_parameter(word, of);
  return found == nullptr ? "nobody" : std::string(found->keyword);
}

TEST_CASE("extensions: every row has a keyword and a bit of its own, and says why it is not shown") {
  std::set<std::string_view> keywords;
  ExtensionSet bits = 0;
  for (const Extension& each : extensions()) {
    INFO(each.keyword);
    CHECK(keywords.insert(each.keyword).second);
    CHECK((bits & bit_of(each)) == 0);
    bits |= bit_of(each);
    CHECK(find_extension(each.keyword) == &each);
    const bool shown = each.inbound == Offer::shown && each.outbound == Offer::shown;
    CHECK(shown == each.why.empty());
  }
  CHECK(find_extension("XFOO") == nullptr);
  CHECK(find_extension("size") == nullptr);
}

TEST_CASE("extensions: a parameter belongs to one extension") {
  CHECK(owner("SIZE=100", Envelope::mail) == "SIZE");
  CHECK(owner("size", Envelope::mail) == "SIZE");
  CHECK(owner("SIZE=100", Envelope::rcpt) == "nobody");
  CHECK(owner("BODY=8BITMIME", Envelope::mail) == "8BITMIME");
  CHECK(owner("BODY=7BIT", Envelope::mail) == "8BITMIME");
  CHECK(owner("body=BinaryMIME", Envelope::mail) == "BINARYMIME");
  CHECK(owner("PRDR", Envelope::mail) == "PRDR");
  CHECK(owner("NOTIFY=NEVER", Envelope::rcpt) == "DSN");
  CHECK(owner("HOLDUNTIL=x", Envelope::mail) == "FUTURERELEASE");
  CHECK(owner("SIZ=1", Envelope::mail) == "nobody");
  CHECK(owner("", Envelope::mail) == "nobody");
  CHECK(owner("=", Envelope::mail) == "nobody");
}

TEST_CASE("extensions: the documentation has a row for each") {
  std::ifstream file(POSTERN_TESTS "/../docs/extensions.md", std::ios::binary);
  const std::string documented{std::istreambuf_iterator<char>(file), {}};
  for (const Extension& each : extensions()) {
    INFO(each.keyword);
    CHECK(documented.find("`" + std::string(each.keyword) + "`") != std::string::npos);
  }
}

}  // namespace extensions_test
