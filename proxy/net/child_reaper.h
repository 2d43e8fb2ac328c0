// The programs of sessions that are over: given some time to end, then asked to, then made to.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace postern::net {

// A program that somebody may ask to end (SIGTERM), or make it (SIGKILL). Harmless once it has exited.
class Child {
 public:
  virtual ~Child() = default;
  virtual void terminate() = 0;
  virtual void kill() = 0;
  virtual bool exited() const = 0;
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
  enum class Told : std::uint8_t { nothing, to_end, killed };
  struct Dying {
    std::unique_ptr<Child> child;
    std::uint64_t terminate_at = 0;
    std::uint64_t kill_at = 0;
    Told told = Told::nothing;  // a signal is said once
  };
  std::vector<Dying> dying_;
};

}  // namespace postern::net
