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
}

void close_on_exec_from(int first) {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, close_range_cloexec) == 0) return;
#endif
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const int fd = std::atoi(entry->d_name);
    if (fd >= first) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace postern::process
