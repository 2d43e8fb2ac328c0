// Landlock, which the C library has no functions for.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "config/unique_fd.h"
#include "proxy/process/sandbox.h"

namespace postern::process {

namespace {

// The rights that each version of Landlock knows, as bits from 0 on: younger headers than ours have names for them.
constexpr std::uint64_t rights_of(long version) {
  if (version >= 5) return (1U << 16) - 1;  // and IOCTL_DEV
  if (version >= 3) return (1U << 15) - 1;  // and TRUNCATE
  if (version == 2) return (1U << 14) - 1;  // and REFER
  return (1U << 13) - 1;
}

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t of_a_file =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | (1U << 14) | (1U << 15);
constexpr std::uint64_t executing = LANDLOCK_ACCESS_FS_EXECUTE;

class Rules {
 public:
  // A negative one: there is no Landlock.
  explicit Rules(long version) : rights_(rights_of(version)) {
    // The first member of every version's attributes.
    fd_ = UniqueFd(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rights_, sizeof rights_, 0)));
  }

  // What is not there is not allowed. The place stays open where `pinned`: the kernel forgets and remakes what is below
  // /proc.
  void allow(const std::string& path, std::uint64_t rights, bool pinned = false) {
    UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat about {};
    if (place.get() < 0 || ::fstat(place.get(), &about) != 0) return;
    if (!S_ISDIR(about.st_mode)) rights &= of_a_file;
    landlock_path_beneath_attr attribute{};
    attribute.allowed_access = rights & rights_;
    attribute.parent_fd = place.get();
    (void)::syscall(SYS_landlock_add_rule, fd_.get(), LANDLOCK_RULE_PATH_BENEATH, &attribute, 0);
    if (pinned) (void)place.release();
  }
  bool made() const { return fd_.get() >= 0; }
  bool apply() const { return ::syscall(SYS_landlock_restrict_self, fd_.get(), 0) == 0; }
  std::uint64_t all() const { return rights_ & ~executing; }

 private:
  std::uint64_t rights_;
  UniqueFd fd_;
};

}  // namespace

std::string confine_files(const Sandbox& sandbox) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return errno == ENOSYS ? "this kernel does not have it" : std::strerror(errno);
  Rules rules(version);
  if (!rules.made()) return std::strerror(errno);
  rules.allow("/dev/null", of_a_file);
  switch (sandbox.of) {
    case Sandbox::Of::gateway:
      rules.allow("/proc/self", reading, true);
      if (!sandbox.directory.empty()) rules.allow(sandbox.directory, rules.all());
      break;
    case Sandbox::Of::resolver:
      // nsswitch.conf may name libraries that read anything about names: hosts, what follows DHCP, caches.
      for (const char* path : {"/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/var/lib/sss", "/dev/urandom",
                               "/dev/random", "/sys/devices/system/cpu"}) {
        rules.allow(path, reading);
      }
      rules.allow("/proc/self", reading, true);
      rules.allow("/proc/sys", reading);
      break;
  }
  return rules.apply() ? std::string() : std::strerror(errno);
}

}  // namespace postern::process
