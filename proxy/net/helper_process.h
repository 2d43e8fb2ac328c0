// A process of our own beside this one: executed afresh, with nothing of ours but the descriptors that it is given.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/handle.h"

namespace postern::net {

// What the C library, an allocator and whoever tests us tell a process by its environment, as "NAME=value"; nothing
// that an operator keeps secret.
std::vector<std::string> inherited_environment();

class HelperProcess {
 public:
  // `how` is for people: "killed by signal 9", "exit status 1". May destroy the process.
  using OnEnd = std::function<void(const std::string& how)>;
  static constexpr std::string_view ended_well = "exit status 0";

  // Executes `file`. It finds `descriptors` from 3 on, /dev/null for 0 and 1, our stderr, and `environment`
  // ("NAME=value") alone.
  static Result<std::unique_ptr<HelperProcess>> start(uv_loop_t* loop, const std::string& file,
                                                      const std::vector<std::string>& argv,
                                                      const std::vector<std::string>& environment,
                                                      const std::vector<UniqueFd>& descriptors, OnEnd on_end);
  // One that still runs is waited for, half a second; then it is killed. Close first what it waits at.
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  int pid() const { return uv_process_get_pid(handle_.get()); }
  void kill();
  // It goes on, whatever becomes of us.
  void let_go() { ended_ = true; }

 private:
  HelperProcess() = default;
  HandlePtr<uv_process_t> handle_;
  OnEnd on_end_;
  bool ended_ = false;
};

}  // namespace postern::net
