// The gateway's resolver process: its workers ask it, and its main thread sees to it that there is one.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/gateway/worker.h"
#include "proxy/net/loop.h"
#include "proxy/resolver/supervisor.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

class ResolverWatch {
 public:
  using Workers = std::vector<std::unique_ptr<Worker>>;
  // Starts it, and connects the workers, which may not run yet. `loop`, the main thread's, and `workers` outlive it.
  static Result<std::unique_ptr<ResolverWatch>> start(net::Loop& loop, const runtime::Runtime& runtime,
                                                      const Workers& workers);

  // How many processes were lost.
  std::uint64_t losses() const { return supervisor_.losses(); }

 private:
  ResolverWatch(net::Loop& loop, const runtime::Runtime& runtime, const Workers& workers, resolver::Program program);
  void connect(std::vector<UniqueFd> connections, std::uint64_t run);

  net::Loop& loop_;
  const Workers& workers_;
  std::shared_ptr<ResolverWatch*> alive_;  // what workers post to the loop holds it weakly
  resolver::Supervisor supervisor_;
};

}  // namespace postern::gateway
