#include "proxy/net/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

namespace postern::net {

namespace {

using namespace std::chrono_literals;

// A child that has ended and is not reaped yet; 0: there is none.
pid_t ended(idtype_t which, pid_t child) {
  siginfo_t found{};
  if (::waitid(which, static_cast<id_t>(child), &found, WEXITED | WNOHANG | WNOWAIT) != 0) return 0;
  return found.si_pid;
}

bool is_of_libuv(uv_loop_t* loop, pid_t child) {
  struct Search {
    pid_t child = 0;
    bool found = false;
  } search{child, false};
  uv_walk(
      loop,
      [](uv_handle_t* handle, void* argument) noexcept {
        auto* sought = static_cast<Search*>(argument);
        if (handle->type != UV_PROCESS || uv_is_active(handle) == 0) return;
        sought->found |= uv_process_get_pid(reinterpret_cast<uv_process_t*>(handle)) == sought->child;
      },
      &search);
  return search.found;
}

}  // namespace

// What has ended before anybody looked makes no signal any more.
Reaper::Reaper(Loop& loop)
    : loop_(loop), signal_(loop.raw(), SIGCHLD, [this] { look(); }), again_(loop.raw(), [this] { look(); }) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  again_.start(0ms);
}

Reaper::~Reaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

void Reaper::watch(pid_t child, OnEnd on_end) {
  watched_[child] = std::move(on_end);
}

void Reaper::forget(pid_t child) {
  watched_.erase(child);
}

void Reaper::look() {
  if (reap_all()) {
    pause_ = 0ms;
    return;
  }
  again_.start(pause_);
  pause_ = std::min(pause_ * 2 + 10ms, std::chrono::milliseconds(1s));
}

// False: there may be more, behind one that libuv has yet to reap. Those of ours are found all the same.
bool Reaper::reap_all() {
  while (const pid_t child = ended(P_ALL, 0)) {
    if (!is_of_libuv(loop_.raw(), child)) {
      reap(child);
      continue;
    }
    std::vector<pid_t> ours;
    for (const auto& [watched, on_end] : watched_) ours.push_back(watched);
    for (const pid_t each : ours) {
      if (ended(P_PID, each) == each) reap(each);
    }
    return false;
  }
  return true;
}

void Reaper::reap(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) != child) return;
  const auto found = watched_.find(child);
  if (found == watched_.end()) return;
  const OnEnd on_end = std::move(found->second);
  watched_.erase(found);
  on_end(status);
}

}  // namespace postern::net
