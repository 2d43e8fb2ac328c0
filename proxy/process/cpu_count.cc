#include "proxy/process/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <limits>
#include <thread>

#include "config/file.h"
#include "config/text.h"

namespace postern::process {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<unsigned> smaller(std::optional<unsigned> a, std::optional<unsigned> b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

// Whether `list` ("cpu,cpuacct") holds `name`.
bool holds(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == name) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Calls visit(controllers, path) for every line "ID:CONTROLLERS:PATH" of /proc/self/cgroup.
template <class Visit>
void each_membership(std::string_view file, Visit visit) {
  while (!file.empty()) {
    const auto end = std::min(file.find('\n'), file.size());
    const std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    const auto first = line.find(':');
    const auto second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second != line.npos) visit(line.substr(first + 1, second - first - 1), line.substr(second + 1));
  }
}

// Calls limit_at(folder) from mount/path up to the mount itself. Every level counts, and in a container the path may be
// the host's, of which only the mount's top can be seen.
template <class LimitAt>
std::optional<unsigned> up_from(const std::string& mount, std::string_view path, LimitAt limit_at) {
  std::optional<unsigned> limit;
  while (!path.empty() && path != "/") {
    limit = smaller(limit, limit_at(mount + std::string(path)));
    path = path.substr(0, std::min(path.rfind('/'), path.size()));
  }
  return smaller(limit, limit_at(mount));
}

std::optional<std::string> content_of(const std::string& path) {
  auto file = config::read_beginning(path, 65536);
  return file ? std::optional(std::move(file->content)) : std::nullopt;
}

unsigned affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines beyond 1024 CPUs, where the mask is too small.
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  return std::thread::hardware_concurrency();
}

}  // namespace

std::optional<unsigned> parse_cfs_quota(std::string_view quota, std::string_view period) {
  const auto allowed = config::whole_number<std::int64_t>(trimmed(quota));
  const auto every = config::whole_number<std::int64_t>(trimmed(period));
  if (!allowed || !every || *allowed <= 0 || *every <= 0) return std::nullopt;
  const std::int64_t whole = *allowed / *every + (*allowed % *every != 0 ? 1 : 0);
  return static_cast<unsigned>(std::min<std::int64_t>(whole, std::numeric_limits<int>::max()));
}

std::optional<unsigned> parse_cpu_max(std::string_view text) {
  text = trimmed(text);
  const auto blank = text.find(' ');
  if (blank == text.npos) return std::nullopt;
  return parse_cfs_quota(text.substr(0, blank), text.substr(blank + 1));
}

std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read) {
  const auto memberships = read("/proc/self/cgroup");
  if (!memberships) return std::nullopt;

  const auto limit_v2 = [&](const std::string& folder) -> std::optional<unsigned> {
    const auto text = read(folder + "/cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  };
  const auto limit_v1 = [&](const std::string& folder) -> std::optional<unsigned> {
    const auto quota = read(folder + "/cpu.cfs_quota_us");
    const auto period = read(folder + "/cpu.cfs_period_us");
    return quota && period ? parse_cfs_quota(*quota, *period) : std::nullopt;
  };
  std::optional<unsigned> limit;
  each_membership(*memberships, [&](std::string_view controllers, std::string_view path) {
    if (controllers.empty()) {
      limit = smaller(limit, up_from("/sys/fs/cgroup", path, limit_v2));
    } else if (holds(controllers, "cpu")) {
      limit = smaller(limit, up_from("/sys/fs/cgroup/cpu", path, limit_v1));
    }
  });
  return limit;
}

unsigned cpu_count() {
  const unsigned count = smaller(affinity_count(), cgroup_cpu_limit(content_of)).value_or(1);
  return std::max(count, 1U);
}

}  // namespace postern::process
