#include "proxy/net/child_process.h"

#include <sys/socket.h>
#include <csignal>

#include <cerrno>
#include <cstring>

#include "config/unique_fd.h"

namespace postern::net {

std::vector<char*> c_strings(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (auto& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

Result<ChildProcess::Started> ChildProcess::start(uv_loop_t* loop, const std::vector<std::string>& argv,
                                                  const std::vector<std::string>& environment) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Errc::io, std::string("socketpair: ") + std::strerror(errno));
  }
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);

  std::vector<std::string> arguments = argv;
  std::vector<std::string> variables = environment;
  auto argument_pointers = c_strings(arguments);
  auto variable_pointers = c_strings(variables);
  uv_stdio_container_t stdio[3];
  stdio[0].flags = UV_INHERIT_FD;
  stdio[0].data.fd = theirs.get();
  stdio[1] = stdio[0];
  stdio[2].flags = UV_INHERIT_FD;
  stdio[2].data.fd = 2;

  uv_process_options_t options{};
  options.file = argument_pointers[0];
  options.args = argument_pointers.data();
  options.env = variable_pointers.data();
  options.stdio = stdio;
  options.stdio_count = 3;
  options.exit_cb = [](uv_process_t* handle, std::int64_t, int) noexcept {
    if (handle->data != nullptr) static_cast<ChildProcess*>(handle->data)->exited_ = true;
  };

  Started started{std::unique_ptr<ChildProcess>(new ChildProcess), make_pipe(loop)};
  auto handle = std::make_unique<uv_process_t>();
  const int status = uv_spawn(loop, handle.get(), &options);
  handle->data = started.process.get();
  started.process->handle_.reset(handle.release());  // initialised even where spawning failed
  if (status != 0) {
    started.process->exited_ = true;
    return fail(Errc::io, argv[0] + ": " + uv_strerror(status));
  }
  auto* pipe = reinterpret_cast<uv_pipe_t*>(started.socket.get());
  if (const int opened = uv_pipe_open(pipe, ours.get()); opened != 0) {
    started.process->kill();
    return fail(Errc::io, std::string("socketpair: ") + uv_strerror(opened));
  }
  ours.release();
  return started;
}

void ChildProcess::terminate() {
  if (!exited_) uv_process_kill(handle_.get(), SIGTERM);
}
void ChildProcess::kill() {
  if (!exited_) uv_process_kill(handle_.get(), SIGKILL);
}
int ChildProcess::pid() const {
  return uv_process_get_pid(handle_.get());
}

void ChildReaper::take(std::unique_ptr<Child> child, std::uint64_t now, std::uint64_t patience) {
  if (child->exited()) return;
  if (patience == 0) child->terminate();
  dying_.push_back({std::move(child), now + patience, now + patience + kill_after});
}

void ChildReaper::sweep(std::uint64_t now) {
  std::erase_if(dying_, [&](Dying& dying) {
    if (dying.child->exited()) return true;
    if (now >= dying.kill_at) {
      dying.child->kill();
    } else if (now >= dying.terminate_at) {
      dying.child->terminate();
    }
    return false;
  });
}

void ChildReaper::kill_all() {
  for (auto& dying : dying_) dying.child->kill();
}

}  // namespace postern::net
