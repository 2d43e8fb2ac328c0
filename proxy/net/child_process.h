// A UCSPI program behind a socket pair: one process a session, reaped whatever happens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/result.h"
#include "proxy/net/handle.h"

namespace postern::net {

// As execve(2) wants them: they point into `strings`, and a null pointer is the last.
std::vector<char*> c_strings(std::vector<std::string>& strings);

// A program that somebody may ask to end (SIGTERM), or make it (SIGKILL). Harmless once it has exited.
class Child {
 public:
  virtual ~Child() = default;
  virtual void terminate() = 0;
  virtual void kill() = 0;
  virtual bool exited() const = 0;
};

class ChildProcess final : public Child {
 public:
  struct Started {
    std::unique_ptr<ChildProcess> process;
    StreamPtr socket;  // our end; the child's end is its descriptors 0 and 1
  };
  // Runs `argv` with exactly `environment` ("NAME=value"), stderr shared with ours, no other descriptor inherited.
  static Result<Started> start(uv_loop_t* loop, const std::vector<std::string>& argv,
                               const std::vector<std::string>& environment);

  void terminate() override;
  void kill() override;
  bool exited() const override { return exited_; }
  int pid() const;

 private:
  ChildProcess() = default;
  HandlePtr<uv_process_t> handle_;
  bool exited_ = false;
};

// Keeps the processes of ended sessions until they have exited: given some time, then SIGTERM, then SIGKILL.
class ChildReaper {
 public:
  // `patience` in milliseconds before SIGTERM; SIGKILL follows `kill_after` later.
  void take(std::unique_ptr<Child> child, std::uint64_t now, std::uint64_t patience);
  void sweep(std::uint64_t now);
  void kill_all();
  bool empty() const { return dying_.empty(); }

  static constexpr std::uint64_t kill_after = 10'000;

 private:
  struct Dying {
    std::unique_ptr<Child> child;
    std::uint64_t terminate_at = 0;
    std::uint64_t kill_at = 0;
  };
  std::vector<Dying> dying_;
};

}  // namespace postern::net
