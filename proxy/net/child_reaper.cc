#include "proxy/net/child_reaper.h"

#include <utility>

namespace postern::net {

void ChildReaper::take(std::unique_ptr<Child> child, std::uint64_t now, std::uint64_t patience) {
  if (child->exited()) return;
  dying_.push_back({std::move(child), now + patience, now + patience + kill_after, Told::nothing});
  if (patience > 0) return;
  dying_.back().child->terminate();
  dying_.back().told = Told::to_end;
}

void ChildReaper::sweep(std::uint64_t now) {
  std::erase_if(dying_, [&](Dying& dying) {
    if (dying.child->exited()) return true;
    if (now >= dying.kill_at && dying.told != Told::killed) {
      dying.child->kill();
      dying.told = Told::killed;
    } else if (now >= dying.terminate_at && dying.told == Told::nothing) {
      dying.child->terminate();
      dying.told = Told::to_end;
    }
    return false;
  });
}

void ChildReaper::kill_all() {
  for (auto& dying : dying_) dying.child->kill();
}

}  // namespace postern::net
