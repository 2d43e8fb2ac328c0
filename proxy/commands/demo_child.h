// Another run of this very program, started by `postern demo` and ended with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "config/result.h"

namespace postern::commands {

class DemoChild {
 public:
  // Runs /proc/self/exe with `arguments`; what it says on stdout and stderr goes into the file `output`.
  static Result<DemoChild> start(const std::vector<std::string>& arguments, const std::string& output);
  DemoChild(DemoChild&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  DemoChild& operator=(DemoChild&&) = delete;
  // SIGTERM, and SIGKILL where that does not help within five seconds.
  ~DemoChild();

  bool running();

 private:
  explicit DemoChild(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

}  // namespace postern::commands
