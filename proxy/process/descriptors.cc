#include "proxy/process/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace postern::process {

namespace {
constexpr unsigned close_range_cloexec = 1U << 2U;  // CLOSE_RANGE_CLOEXEC, Linux 5.11

bool range_is_done([[maybe_unused]] int first, [[maybe_unused]] unsigned flags) {
#ifdef SYS_close_range
  return ::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, flags) == 0;
#else
  return false;
#endif
}
}  // namespace

void close_on_exec_from(int first) {
  if (range_is_done(first, close_range_cloexec)) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const int fd = std::atoi(entry->d_name);
    if (fd >= first) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

void close_from(int first) {
  if (range_is_done(first, 0)) return;
  const long limit = ::sysconf(_SC_OPEN_MAX);
  for (int fd = first; fd < limit; ++fd) ::close(fd);
}

}  // namespace postern::process
