#include "proxy/intercept/tools.h"

#include <linux/capability.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include "config/file.h"
#include "config/text.h"
#include "config/unique_fd.h"
#include "config/values.h"

namespace postern::intercept {

namespace {

constexpr std::size_t most_output = std::size_t{1} << 20U;

tl::unexpected<Error> tool_failure(const std::string& what, int error) {
  return fail(Errc::io, what + ": " + std::strerror(error));
}

// Files in memory: neither side can wait for the other.
Result<UniqueFd> memory_with(std::string_view content) {
  UniqueFd fd(::memfd_create("postern-intercept", MFD_CLOEXEC));
  if (fd.get() < 0 || !config::write_all(fd.get(), content) || ::lseek(fd.get(), 0, SEEK_SET) != 0) {
    return tool_failure("cannot keep what a program is to read", errno);
  }
  return fd;
}

std::string content_of_memory(const UniqueFd& fd) {
  std::string content(most_output, '\0');
  const ssize_t size = ::pread(fd.get(), content.data(), content.size(), 0);
  content.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return content;
}

class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t set;
    ::sigemptyset(&set);
    ::posix_spawnattr_setsigmask(&attributes_, &set);
    ::sigfillset(&set);
    ::posix_spawnattr_setsigdefault(&attributes_, &set);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  Result<pid_t> start(const std::vector<std::string>& argv, int input, int output) {
    ::posix_spawn_file_actions_adddup2(&files_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, output, STDERR_FILENO);
    std::vector<char*> words;
    words.reserve(argv.size() + 1);
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LC_ALL=C";  // what went wrong is read
    const std::array<char*, 3> environment = {path.data(), language.data(), nullptr};
    pid_t child = 0;
    const int error = ::posix_spawn(&child, argv.front().c_str(), &files_, &attributes_, words.data(),
                                    const_cast<char**>(environment.data()));
    if (error != 0) return tool_failure("cannot run " + argv.front(), error);
    return child;
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

// How it ended; nothing: it has not, within that time. Time is taken by the piece, which needs nothing of the kernel
// that may be missing.
Result<std::optional<int>> wait_for(pid_t child, std::chrono::milliseconds patience) {
  constexpr int piece = 5;
  const auto until = std::chrono::steady_clock::now() + patience;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return tool_failure("cannot wait for a program", errno);
    if (std::chrono::steady_clock::now() >= until) return std::nullopt;
    ::poll(nullptr, 0, piece);
  }
}

}  // namespace

const std::vector<std::string> tool_folders = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

Result<std::string> find_tool(const std::string& name, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    std::string path = folder;
    path.append("/").append(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(Errc::not_found, "there is no program " + name + " in " + config::listed(folders));
}

Result<Ran> run_tool(const std::vector<std::string>& argv, std::string_view input, std::chrono::milliseconds patience) {
  const auto read = memory_with(input);
  const auto written = memory_with({});
  if (!read || !written) return tl::unexpected(read ? written.error() : read.error());
  const auto child = SpawnPlan().start(argv, read->get(), written->get());
  if (!child) return tl::unexpected(child.error());
  const auto ended = wait_for(*child, patience);
  if (!ended) return tl::unexpected(ended.error());
  if (!*ended) {
    ::kill(*child, SIGKILL);
    // One that hangs in the kernel does not even end by that.
    (void)wait_for(*child, std::chrono::seconds(1));
    return fail(Errc::timeout, argv.front() + " has not ended within " + config::to_string(patience));
  }
  const int status = **ended;
  return Ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content_of_memory(*written)};
}

bool may_change_network() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

}  // namespace postern::intercept
