// How many CPUs this process may really use: fewer than the machine has, under taskset or in a container.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern::process {

// The CPUs of the affinity mask or of the cgroup's quota (rounded up), whichever is fewer; at least 1.
unsigned cpu_count();

// The pure parts.

// Reads a whole small file; nothing where it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;
// The smallest CPU quota from this process's control group up to the root, rounded up; nothing where none is set.
// Knows cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us), at their usual places under /sys/fs/cgroup.
std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read);

// "150000 100000\n" is 2, "max 100000\n" is nothing (cgroup v2, cpu.max).
std::optional<unsigned> parse_cpu_max(std::string_view text);
// Quota and period in microseconds; a quota of -1 is none (cgroup v1).
std::optional<unsigned> parse_cfs_quota(std::string_view quota, std::string_view period);

}  // namespace postern::process
