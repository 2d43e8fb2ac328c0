#include "proxy/net/helper_process.h"

#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

namespace postern::net {

namespace {

// As execve(2) wants them: they point into `strings`, and a null pointer is the last.
std::vector<char*> c_strings(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

uv_stdio_container_t inherited(int fd) {
  uv_stdio_container_t container{};
  container.flags = UV_INHERIT_FD;
  container.data.fd = fd;
  return container;
}

std::string describe(std::int64_t status, int signal) {
  return signal != 0 ? "killed by signal " + std::to_string(signal) : "exit status " + std::to_string(status);
}

}  // namespace

std::vector<std::string> inherited_environment() {
  std::vector<std::string> variables;
  for (const char* each :
       {"PATH", "LANG", "LC_ALL", "LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES", "MALLOC_CONF", "ASAN_OPTIONS",
        "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH", "LD_PRELOAD"}) {
    if (const char* value = std::getenv(each)) variables.push_back(std::string(each) + "=" + value);
  }
  return variables;
}

Result<std::unique_ptr<HelperProcess>> HelperProcess::start(uv_loop_t* loop, const std::string& file,
                                                            const std::vector<std::string>& argv,
                                                            const std::vector<std::string>& environment,
                                                            const std::vector<UniqueFd>& descriptors, OnEnd on_end) {
  std::vector<std::string> arguments = argv;
  std::vector<std::string> variables = environment;
  auto argument_pointers = c_strings(arguments);
  auto variable_pointers = c_strings(variables);
  uv_stdio_container_t nothing{};
  nothing.flags = UV_IGNORE;
  std::vector<uv_stdio_container_t> stdio = {nothing, nothing, inherited(2)};
  for (const UniqueFd& fd : descriptors) stdio.push_back(inherited(fd.get()));

  uv_process_options_t options{};
  options.file = file.c_str();
  options.args = argument_pointers.data();
  options.env = variable_pointers.data();
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  options.exit_cb = [](uv_process_t* handle, std::int64_t status, int signal) noexcept {
    auto* self = static_cast<HelperProcess*>(handle->data);
    if (self == nullptr) return;
    self->ended_ = true;
    const auto callback = self->on_end_;
    if (callback) callback(describe(status, signal));
  };
  std::unique_ptr<HelperProcess> process(new HelperProcess);
  auto handle = std::make_unique<uv_process_t>();
  const int status = uv_spawn(loop, handle.get(), &options);
  handle->data = process.get();
  process->handle_.reset(handle.release());  // initialised even where spawning failed
  process->ended_ = status != 0;
  process->on_end_ = std::move(on_end);
  if (status != 0) return fail(Errc::io, argv[0] + ": " + uv_strerror(status));
  return process;
}

void HelperProcess::kill() {
  if (!ended_) uv_process_kill(handle_.get(), SIGKILL);
}

// The loop reaps what ends while it turns; here nobody else does.
HelperProcess::~HelperProcess() {
  if (ended_) return;
  const int child = pid();
  handle_.reset();
  constexpr int looks = 100;
  for (int look = 0; look < looks; ++look) {
    if (::waitpid(child, nullptr, WNOHANG) != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace postern::net
