#include "proxy/process/process_usage.h"

#include <fcntl.h>

#include <ctime>
#include <vector>

#include "tests/support/catch.h"

namespace process_usage_test {

using namespace postern;

TEST_CASE("process usage: descriptors, memory and time, as they are now") {
  const process::ProcessUsage usage;
  const auto before = usage.now();
  REQUIRE(before.open_descriptors);
  std::vector<UniqueFd> more;
  for (int i = 0; i < 500; ++i) more.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(more.back().get() >= 0);
  const auto after = usage.now();
  CHECK(*after.open_descriptors == *before.open_descriptors + more.size());
  CHECK(*after.most_descriptors >= *after.open_descriptors);
  CHECK(*after.resident_bytes > 1'000'000);
  CHECK(*after.virtual_bytes > *after.resident_bytes);
  CHECK(after.cpu_seconds >= before.cpu_seconds);
  CHECK(std::abs(after.start_time - static_cast<double>(std::time(nullptr))) < 60);
}

}  // namespace process_usage_test
