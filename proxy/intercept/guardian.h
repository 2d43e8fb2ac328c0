// The process that puts rules in place and takes them back unless it is told in time that they stay.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/intercept/kernel_rules.h"

namespace postern::intercept {

class Guardian {
 public:
  enum class Word : char {
    in_place = 'I',
    refused = 'E',  // and why: all is as it was
    kept = 'K',
    taken_back = 'B',  // and why
    replaced = 'R',
    failed = 'F',  // and why: they could not be taken back
  };
  struct Message {
    Word word = Word::failed;
    std::string text;
  };

  // Forks: there must be no thread but the caller's.
  static Result<Guardian> start(const KernelRules& kernel, const Present& before, const std::string& rules, bool routes,
                                std::chrono::milliseconds patience);
  Guardian(Guardian&&) = default;
  Guardian& operator=(Guardian&&) = delete;
  ~Guardian();

  int socket() const { return socket_.get(); }  // readable: it has something to say
  // The next it says; nothing: it is gone.
  std::optional<Message> hear() const;
  void keep() const;
  // It takes them back, and says so.
  void take_back() const;

 private:
  Guardian(pid_t child, UniqueFd socket) : child_(child), socket_(std::move(socket)) {}

  pid_t child_;
  UniqueFd socket_;
};

// Blocks what ends a wait, for as long as it lives; it is read from a descriptor then.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  int descriptor() const { return fd_.get(); }
  // The number of the next one; 0: none.
  int next() const;

 private:
  sigset_t before_{};
  UniqueFd fd_;
};

}  // namespace postern::intercept
