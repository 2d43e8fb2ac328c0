#include "proxy/process/sandbox.h"

namespace postern::process {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool looks_into_itself = true;
#elif defined(__has_feature)
constexpr bool looks_into_itself = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool looks_into_itself = false;
#endif

void add(std::string& list, const std::string& what, const std::string& why) {
  list += (list.empty() ? "" : "; ") + what + ": " + why;
}

}  // namespace

SandboxState enter_sandbox(const Sandbox& sandbox) {
  SandboxState state;
  state.mode = sandbox.mode;
  if (sandbox.mode == config::SandboxMode::off) return state;
  if (looks_into_itself) {
    state.missing = "this is a binary for looking into itself";
    return state;
  }
  // A kernel that only tells what Landlock would refuse there is not yet.
  if (sandbox.mode == config::SandboxMode::on) {
    const std::string why = confine_files(sandbox);
    state.files = why.empty();
    if (!state.files) add(state.missing, "landlock", why);
  }
  const std::string why = confine_calls(sandbox);
  state.calls = why.empty() && sandbox.mode == config::SandboxMode::on;
  if (!why.empty()) add(state.missing, "seccomp", why);
  return state;
}

}  // namespace postern::process
