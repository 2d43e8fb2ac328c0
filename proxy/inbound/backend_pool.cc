#include "proxy/inbound/backend_pool.h"

#include <algorithm>

#include "config/assert.h"

namespace postern::inbound {

BackendPool::BackendPool(const std::vector<config::Endpoint>& endpoints, const BackendPool* previous) {
  POSTERN_ASSERT(endpoints.size() <= max_backends, "more backends than a session can keep track of");
  for (const auto& endpoint : endpoints) {
    State& state = states_.emplace_back(State{endpoint, 0, first_rest});
    if (previous == nullptr) continue;
    const auto known = std::ranges::find(previous->states_, endpoint, &State::endpoint);
    if (known == previous->states_.end()) continue;
    state = *known;
    state.connections = 0;  // those are counted where they were begun
  }
}

std::optional<std::size_t> BackendPool::pick(std::uint64_t tried, std::uint64_t now) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if ((tried >> i & 1U) != 0) continue;
    if (!best) {
      best = i;
      continue;
    }
    const bool better_health = healthy(i, now) && !healthy(*best, now);
    const bool worse_health = !healthy(i, now) && healthy(*best, now);
    if (better_health || (!worse_health && states_[i].connections < states_[*best].connections)) best = i;
  }
  return best;
}

void BackendPool::connected(std::size_t index) {
  ++states_[index].connections;
}
void BackendPool::released(std::size_t index) {
  --states_[index].connections;
}

void BackendPool::note(State& state, bool up, std::uint64_t now) {
  if (state.up != up || state.tried_at == 0) state.since = now;
  state.up = up;
  state.tried_at = now;
}

void BackendPool::failed(std::size_t index, std::uint64_t now) {
  State& state = states_[index];
  note(state, false, now);
  state.rests_until = now + state.rest;
  state.rest = std::min(state.rest * 2, longest_rest);
}

void BackendPool::succeeded(std::size_t index, std::uint64_t now) {
  State& state = states_[index];
  note(state, true, now);
  state.rest = first_rest;
  state.rests_until = 0;
}

}  // namespace postern::inbound
