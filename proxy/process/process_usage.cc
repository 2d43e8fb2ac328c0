#include "proxy/process/process_usage.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <sstream>
#include <string>

namespace postern::process {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Entries of a directory that is open, from its beginning: "." and ".." among them.
std::optional<std::uint64_t> count_entries(int directory) {
  if (directory < 0 || ::lseek(directory, 0, SEEK_SET) != 0) return std::nullopt;
  alignas(8) char entries[16 * 1024];
  std::uint64_t count = 0;
  for (;;) {
    const long size = ::syscall(SYS_getdents64, directory, entries, sizeof entries);
    if (size < 0) return std::nullopt;
    if (size == 0) return count;
    for (long at = 0; at < size; ++count) {
      unsigned short length = 0;  // d_reclen, behind d_ino and d_off
      std::memcpy(&length, entries + at + 16, sizeof length);
      at += length;
    }
  }
}

}  // namespace

ProcessUsage::ProcessUsage()
    : descriptors_(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      memory_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)),
      start_time_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()) {}

ProcessUsage::Now ProcessUsage::now() const {
  Now now;
  now.start_time = start_time_;
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) now.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) now.most_descriptors = limit.rlim_cur;
  if (const auto entries = count_entries(descriptors_.get()); entries && *entries >= 2) {
    now.open_descriptors = *entries - 2;
  }
  char text[128] = {};
  const ssize_t size = memory_.get() < 0 ? -1 : ::pread(memory_.get(), text, sizeof text - 1, 0);
  std::uint64_t total = 0, resident = 0;
  if (size > 0 && std::istringstream(std::string(text, static_cast<std::size_t>(size))) >> total >> resident) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    now.virtual_bytes = total * page;
    now.resident_bytes = resident * page;
  }
  return now;
}

}  // namespace postern::process
