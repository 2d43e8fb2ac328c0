#include "proxy/process/host_name.h"

#include "config/values.h"
#include "tests/support/catch.h"

namespace host_name_test {

TEST_CASE("host name: whatever the machine says, it is a valid name") {
  CHECK(postern::config::is_host_name(postern::process::host_name()));
}

}  // namespace host_name_test
