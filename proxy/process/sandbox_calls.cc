// seccomp: which system calls there are.
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <set>

#include "proxy/process/sandbox.h"

namespace postern::process {

namespace {

// By name, as older headers lack some, and some machines others. Those that the C library, libuv, jemalloc and the
// libraries of DNS and TLS use for what we have them do; what a call is used on is for Landlock and user rights to say.
constexpr const char* allowed[] = {
    // memory; executable, see below
    "brk", "madvise", "membarrier", "mincore", "mremap", "msync", "munmap", "mseal",
    // threads and time
    "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex", "futex_time64", "futex_waitv",
    "get_robust_list", "getcpu", "getitimer", "gettid", "gettimeofday", "nanosleep", "restart_syscall", "rseq",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield", "set_robust_list", "set_tid_address",
    "time", "clock_gettime64", "clock_nanosleep_time64", "arch_prctl",
    // about ourselves
    "capget", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getpgrp", "getpid",
    "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "getuid",
    "getuid32", "sysinfo", "times", "ugetrlimit", "umask", "uname",
    // signals, to itself alone
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "sigaltstack", "sigreturn",
    // files
    "access", "chmod", "close", "close_range", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
    "fallocate", "fchmod", "fchmodat", "fcntl", "fcntl64", "fdatasync", "flock", "fstat", "fstat64", "fstatat64",
    "fstatfs", "fsync", "ftruncate", "getcwd", "getdents", "getdents64", "link", "linkat", "lseek", "lstat", "mkdir",
    "mkdirat", "newfstatat", "open", "openat", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2",
    "read", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "stat", "stat64", "statfs",
    "statx", "truncate", "unlink", "unlinkat", "utimensat", "write", "writev", "_llseek",
    // waiting
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "pipe",
    "pipe2", "poll", "ppoll", "ppoll_time64", "pselect6", "select", "timerfd_create", "timerfd_gettime",
    "timerfd_settime",
    // sockets; what kinds, see below
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom",
    "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair"};

// What has something older to fall back to, where the kernel does not have it.
constexpr const char* too_new[] = {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"};

class Filter {
 public:
  explicit Filter(const Sandbox& sandbox)
      : only_logs_(sandbox.mode == config::SandboxMode::log),
        context_(seccomp_init(only_logs_ ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM))) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  // Calls that this machine does not have are passed over.
  void allow(const char* name, std::initializer_list<scmp_arg_cmp> where = {}) {
    const int number = seccomp_syscall_resolve_name(name);
    allowed_.insert(number);
    add(SCMP_ACT_ALLOW, number, where);
  }
  void deny_as_unknown(int number) {
    if (!only_logs_ && allowed_.insert(number).second) add(SCMP_ACT_ERRNO(ENOSYS), number, {});
  }
  void deny_as_unknown(const char* name) { deny_as_unknown(seccomp_syscall_resolve_name(name)); }
  bool load() {
    if (context_ == nullptr || failed_ != 0) return false;
    (void)seccomp_attr_set(context_, SCMP_FLTATR_CTL_LOG, 1);  // older kernels cannot
    failed_ = seccomp_load(context_);
    return failed_ == 0;
  }
  std::string why() const { return context_ == nullptr ? "it cannot be had" : std::strerror(-failed_); }

 private:
  void add(std::uint32_t action, int number, std::initializer_list<scmp_arg_cmp> where) {
    if (context_ == nullptr || number == __NR_SCMP_ERROR) return;
    const int result =
        seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(where.size()), where.begin());
    if (result != 0 && result != -EDOM) failed_ = result;
  }

  bool only_logs_;
  std::set<int> allowed_;  // or dealt with otherwise
  scmp_filter_ctx context_;
  int failed_ = 0;
};

constexpr scmp_arg_cmp is(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}
constexpr scmp_arg_cmp has(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

void allow_sockets(Filter& filter, bool udp) {
  constexpr std::uint64_t type_mask = 0xf;  // beside it, SOCK_CLOEXEC and SOCK_NONBLOCK
  filter.allow("socket", {is(0, AF_UNIX)});
  for (const std::uint64_t family : {AF_INET, AF_INET6}) {
    filter.allow("socket", {is(0, family), has(1, type_mask, SOCK_STREAM)});
    if (udp) filter.allow("socket", {is(0, family), has(1, type_mask, SOCK_DGRAM)});
  }
  filter.allow("socket", {is(0, AF_NETLINK), is(2, NETLINK_ROUTE)});  // the machine's addresses
}

void allow_parts(Filter& filter, bool loads_libraries) {
#ifdef __s390__
  constexpr unsigned flags_of_clone = 1;
#else
  constexpr unsigned flags_of_clone = 0;
#endif
  filter.allow("clone", {has(flags_of_clone, CLONE_THREAD, CLONE_THREAD)});  // a thread, and no process
  for (const char* name : {"mmap", "mmap2", "mprotect"}) {
    if (loads_libraries) {
      filter.allow(name);
    } else {
      filter.allow(name, {has(2, PROT_EXEC, 0)});
    }
  }
  // Its last words, when it aborts.
  const auto self = static_cast<std::uint64_t>(::getpid());
  filter.allow("tgkill", {is(0, self)});
  filter.allow("kill", {is(0, self)});
  for (const std::uint64_t request : {FIOCLEX, FIONBIO, FIONREAD, TCGETS, TIOCOUTQ})
    filter.allow("ioctl", {is(1, request)});
  for (const std::uint64_t what : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS}) {
    filter.allow("prctl", {is(0, what)});
  }
  filter.allow("prlimit64", {is(2, 0)});  // to ask, and not to change
}

}  // namespace

std::string confine_calls(const Sandbox& sandbox) {
  const bool is_resolver = sandbox.of == Sandbox::Of::resolver;
  Filter filter(sandbox);
  for (const char* name : allowed) filter.allow(name);
  allow_sockets(filter, is_resolver);
  allow_parts(filter, is_resolver);  // nsswitch.conf names libraries
  for (const char* name : too_new) filter.deny_as_unknown(name);
  // Numbers are the same on all machines from here on. What the C library learns to use some day it can do without.
  for (int number = 424; number < 512; ++number) filter.deny_as_unknown(number);
  return filter.load() ? std::string() : filter.why();
}

}  // namespace postern::process
