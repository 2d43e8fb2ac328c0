// The servers behind a listener, as one worker sees them: least connections, and a failed one is left alone for a
// while.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/values.h"

namespace postern::inbound {

class BackendPool {
 public:
  // `previous`: the listener's pool in the snapshot before, or null; what is known of a server's health goes on.
  explicit BackendPool(const std::vector<config::Endpoint>& endpoints, const BackendPool* previous = nullptr);

  // The best server not in `tried` (a bit for each index): healthy ones before failed ones, then the fewest
  // connections. Nothing once all were tried. `now` in milliseconds of a monotonic clock.
  std::optional<std::size_t> pick(std::uint64_t tried, std::uint64_t now) const;

  void connected(std::size_t index);                     // a connection begins …
  void released(std::size_t index);                      // … and ends
  void failed(std::size_t index, std::uint64_t now);     // could not be reached: left alone for rest() longer each time
  void succeeded(std::size_t index, std::uint64_t now);  // reached: healthy again

  const config::Endpoint& endpoint(std::size_t index) const { return states_[index].endpoint; }
  bool healthy(std::size_t index, std::uint64_t now) const { return states_[index].rests_until <= now; }
  std::size_t size() const { return states_.size(); }
  // Whether it could be reached when last tried, and when that was (0: never yet, which counts as yes).
  bool up(std::size_t index) const { return states_[index].up; }
  std::uint64_t tried_at(std::size_t index) const { return states_[index].tried_at; }
  std::uint64_t since(std::size_t index) const { return states_[index].since; }  // it has been like that
  std::uint32_t connections(std::size_t index) const { return states_[index].connections; }

  static constexpr std::uint64_t first_rest = 2'000;
  static constexpr std::uint64_t longest_rest = 60'000;
  static constexpr std::size_t max_backends = 64;

 private:
  struct State {
    config::Endpoint endpoint;
    std::uint32_t connections = 0;
    std::uint64_t rest = 0;  // how long the next failure puts it aside
    std::uint64_t rests_until = 0;
    std::uint64_t tried_at = 0;
    std::uint64_t since = 0;
    bool up = true;
  };
  static void note(State& state, bool up, std::uint64_t now);
  std::vector<State> states_;
};

}  // namespace postern::inbound
