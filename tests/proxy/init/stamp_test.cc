#include "proxy/init/stamp.h"

#include "tests/support/catch.h"

namespace postern::init {
namespace stamp_test {

TEST_CASE("init: a file that was written is known again until somebody changes it") {
  const std::string file = stamped("user: postern\n");
  CHECK(is_untouched(file));
  CHECK_FALSE(is_untouched(file + "# mine\n"));
  CHECK_FALSE(is_untouched(file.substr(file.find('\n') + 1)));
  CHECK_FALSE(is_untouched(stamped("user: postern\n").replace(file.size() - 3, 1, "m")));
}

TEST_CASE("init: a file that says nothing is nobody's") {
  CHECK(is_untouched(""));
  CHECK(is_untouched("# a comment\n\n   # user: x\n"));
  CHECK_FALSE(is_untouched("# a comment\nuser: x"));
  CHECK_FALSE(is_untouched("no line end"));
}

}  // namespace stamp_test
}  // namespace postern::init
