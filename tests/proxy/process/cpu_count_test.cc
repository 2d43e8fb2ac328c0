#include "proxy/process/cpu_count.h"

#include <map>

#include "tests/support/catch.h"

namespace cpu_count_test {

using namespace postern::process;

std::optional<unsigned> limit_with(std::map<std::string, std::string> files) {
  return cgroup_cpu_limit([files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  });
}

TEST_CASE("cpu count: a quota is rounded up to whole CPUs") {
  CHECK(parse_cpu_max("100000 100000\n") == 1U);
  CHECK(parse_cpu_max("150000 100000\n") == 2U);
  CHECK(parse_cpu_max("5000 100000\n") == 1U);
  CHECK(parse_cpu_max("800000 100000") == 8U);
}

TEST_CASE("cpu count: no quota and nonsense are no limit") {
  CHECK(parse_cpu_max("max 100000\n") == std::nullopt);
  CHECK(parse_cpu_max("") == std::nullopt);
  CHECK(parse_cpu_max("100000") == std::nullopt);
  CHECK(parse_cpu_max("1 0") == std::nullopt);
  CHECK(parse_cfs_quota("-1\n", "100000\n") == std::nullopt);
  CHECK(parse_cfs_quota("9223372036854775807", "1") == 2147483647U);
}

TEST_CASE("cpu count: the tightest group from ours up to the root decides") {
  CHECK(limit_with({{"/proc/self/cgroup", "0::/system.slice/postern.service\n"},
                    {"/sys/fs/cgroup/system.slice/postern.service/cpu.max", "max 100000\n"},
                    {"/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n"}}) == 3U);
  CHECK(limit_with({{"/proc/self/cgroup", "0::/a/b\n"},
                    {"/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n"},
                    {"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"}}) == 2U);
}

TEST_CASE("cpu count: in a container the group's own files are at the top") {
  CHECK(limit_with({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "100000 50000\n"}}) == 2U);
  CHECK(limit_with({{"/proc/self/cgroup", "12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n"},
                    {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"},
                    {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}) == 3U);
}

TEST_CASE("cpu count: without control groups there is no limit, and at least one CPU") {
  CHECK(limit_with({}) == std::nullopt);
  CHECK(limit_with({{"/proc/self/cgroup", "nonsense\n:\n::\n"}}) == std::nullopt);
  CHECK(cpu_count() >= 1);
}

}  // namespace cpu_count_test
