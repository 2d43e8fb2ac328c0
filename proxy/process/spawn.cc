#include "proxy/process/spawn.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "config/unique_fd.h"

namespace postern::process {

namespace {

// The C library's own functions change every thread of a process, by means that a forked child had better not use.
#ifdef SYS_setresuid32
constexpr long set_groups = SYS_setgroups32;
constexpr long set_group = SYS_setresgid32;
constexpr long set_user = SYS_setresuid32;
#else
constexpr long set_groups = SYS_setgroups;
constexpr long set_group = SYS_setresgid;
constexpr long set_user = SYS_setresuid;
#endif
constexpr unsigned close_range_cloexec = 1U << 2U;  // CLOSE_RANGE_CLOEXEC, Linux 5.11

enum class Step : std::uint8_t { become, drop_capabilities, descriptors, execute, late };

struct Failure {
  Step step = Step::become;
  int error = 0;
};

// All that the child needs, made before there is one: between fork and exec other threads' locks may be held, so that
// it makes system calls only.
struct Plan {
  std::vector<std::string> files;  // to be tried
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<char*> shell_argv;  // for a script that names no interpreter: as execvp(3) does
  std::vector<int> descriptors;   // those to be marked, where the kernel cannot mark a range
  bool marks_range = false;
  const Identity* identity = nullptr;  // null: stays who we are
  int socket = -1;
  int report = -1;
};

bool range_can_be_marked() {
#ifdef SYS_close_range
  static const bool can = ::syscall(SYS_close_range, ~0U, ~0U, close_range_cloexec) == 0;
  return can;
#else
  return false;
#endif
}

std::vector<int> open_descriptors() {
  std::vector<int> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (!folder) return found;
  while (const dirent* entry = ::readdir(folder.get())) {
    const int fd = std::atoi(entry->d_name);
    if (fd > STDERR_FILENO) found.push_back(fd);
  }
  return found;
}

// Where execvp(3) would look.
std::vector<std::string> places_of(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = "/bin:/usr/bin";
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> places;
  while (true) {
    const std::size_t end = path.find(':');
    const std::string folder(path.substr(0, end));
    places.push_back(folder.empty() ? name : folder + "/" + name);
    if (end == std::string_view::npos) return places;
    path.remove_prefix(end + 1);
  }
}

// execve(2) wants them so, and changes none of them.
std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 2);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// A descriptor above the three that the child makes its own, whatever is open here.
Result<UniqueFd> above_standard(int fd) {
  UniqueFd higher(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (higher.get() < 0) return fail(Errc::io, std::string("cannot start a program: ") + std::strerror(errno));
  return higher;
}

// What the child has to say of a failure; closed by its success.
struct Report {
  UniqueFd read;
  UniqueFd write;
};
Result<Report> make_report() {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fail(Errc::io, std::string("pipe: ") + std::strerror(errno));
  Report report{UniqueFd(pipe[0]), UniqueFd(pipe[1])};
  if (report.write.get() > STDERR_FILENO) return report;
  auto higher = above_standard(report.write.get());
  if (!higher) return tl::unexpected(higher.error());
  report.write = std::move(*higher);
  return report;
}

Plan plan_for(const Program& program, const std::optional<Identity>& identity) {
  static const std::string shell = "sh";
  Plan plan;
  plan.files = places_of(program.argv.front(), program.environment);
  plan.argv = pointers_to(program.argv);
  plan.environment = pointers_to(program.environment);
  plan.shell_argv = plan.argv;
  plan.shell_argv.insert(plan.shell_argv.begin(), const_cast<char*>(shell.c_str()));
  plan.marks_range = range_can_be_marked();
  if (!plan.marks_range) plan.descriptors = open_descriptors();
  if (::geteuid() == 0 && identity) plan.identity = &*identity;
  return plan;
}

// --- in the child

[[noreturn]] void give_up(const Plan& plan, Step step) {
  const Failure failure{step, errno};
  (void)!::write(plan.report, &failure, sizeof failure);
  ::_exit(127);
}

void become(const Plan& plan) {
  const uid_t uid = plan.identity->user.uid;
  const gid_t gid = plan.identity->user.gid;
  const auto& groups = plan.identity->groups;
  if (::syscall(set_groups, groups.size(), groups.data()) != 0 || ::syscall(set_group, gid, gid, gid) != 0 ||
      ::syscall(set_user, uid, uid, uid) != 0) {
    give_up(plan, Step::become);
  }
  // A system call that reports success and changes nothing has happened before.
  if (::getuid() != uid || ::geteuid() != uid || ::getgid() != gid || ::getegid() != gid) {
    errno = EPERM;
    give_up(plan, Step::become);
  }
}

void drop_capabilities(const Plan& plan) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // a kernel without them refuses
  if (::syscall(SYS_capset, &header, none.data()) != 0) give_up(plan, Step::drop_capabilities);
}

void arrange_descriptors(const Plan& plan) {
  if (::dup2(plan.socket, STDIN_FILENO) < 0 || ::dup2(plan.socket, STDOUT_FILENO) < 0) {
    give_up(plan, Step::descriptors);
  }
#ifdef SYS_close_range
  if (plan.marks_range) {
    const unsigned first = STDERR_FILENO + 1;
    if (::syscall(SYS_close_range, first, ~0U, close_range_cloexec) != 0) give_up(plan, Step::descriptors);
  }
#endif
  for (const int fd : plan.descriptors) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void default_signals() {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &by_default, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// The error that execvp(3) would report: the last, but that a file that was there counts more than those that were not.
void execute(Plan& plan) {
  int denied = 0;
  for (const std::string& file : plan.files) {
    ::execve(file.c_str(), plan.argv.data(), plan.environment.data());
    if (errno == ENOEXEC) {
      plan.shell_argv[1] = const_cast<char*>(file.c_str());
      ::execve("/bin/sh", plan.shell_argv.data(), plan.environment.data());
    }
    if (errno == EACCES) denied = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  if (denied != 0) errno = denied;
}

[[noreturn]] void run(Plan& plan) {
  if (plan.identity != nullptr) become(plan);
  drop_capabilities(plan);
  arrange_descriptors(plan);
  default_signals();
  execute(plan);
  give_up(plan, Step::execute);
}

// --- here

std::string describe(const Failure& failure, const Program& program, const std::optional<Identity>& identity) {
  const std::string why = std::string(": ") + std::strerror(failure.error);
  switch (failure.step) {
    case Step::become: return "cannot become " + (identity ? identity->user.name : std::string("another user")) + why;
    case Step::drop_capabilities: return "cannot drop capabilities" + why;
    case Step::descriptors: return "cannot hand over a socket" + why;
    case Step::late: return program.argv.front() + ": it was not executed in time";
    case Step::execute: break;
  }
  return program.argv.front() + why;
}

// Whoever may send signals to the user that the child has become can stop it before it is executed, and a disk may
// hang: that is to cost one program, and not those who wait for us.
constexpr int patience = 2'000;  // milliseconds

// Nothing: it is executed.
std::optional<Failure> hear(const UniqueFd& report) {
  pollfd readable{report.get(), POLLIN, 0};
  int found = 0;
  do {
    found = ::poll(&readable, 1, patience);
  } while (found < 0 && errno == EINTR);
  if (found != 1) return Failure{Step::late, 0};
  Failure failure;
  const ssize_t size = ::read(report.get(), &failure, sizeof failure);
  if (size == 0) return std::nullopt;
  return size == sizeof failure ? failure : Failure{Step::execute, EIO};
}

// Signals that come between fork and exec must not run a handler of ours in the child.
pid_t fork_and_run(Plan& plan) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) run(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return child;
}

}  // namespace

// The pages that the child shares with us are copied as we write to them: better to wait until it has others.
Result<pid_t> spawn(const Program& program, const std::optional<Identity>& identity) {
  auto report = make_report();
  if (!report) return tl::unexpected(report.error());
  Plan plan = plan_for(program, identity);
  plan.socket = program.socket;
  UniqueFd higher;
  if (plan.socket <= STDERR_FILENO) {
    auto moved = above_standard(plan.socket);
    if (!moved) return tl::unexpected(moved.error());
    higher = std::move(*moved);
    plan.socket = higher.get();
  }
  plan.report = report->write.get();

  const pid_t child = fork_and_run(plan);
  if (child < 0) return fail(Errc::io, std::string("cannot fork: ") + std::strerror(errno));
  report->write = UniqueFd();
  const auto failure = hear(report->read);
  if (!failure) return child;
  ::kill(child, SIGKILL);
  if (failure->step != Step::late) ::waitpid(child, nullptr, 0);
  return fail(Errc::io, describe(*failure, program, identity));
}

}  // namespace postern::process
