// A key that is pressed, by whoever sits at our terminal.
#pragma once

#include <termios.h>

#include <cstdint>

namespace postern::intercept {

// Keys come one by one and unseen for as long as it lives; those pressed before do not count. Ctrl-C goes on to be a
// signal.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_ours() const { return ours_; }  // there is one, and we are in its foreground
  int descriptor() const { return ours_ ? 0 : -1; }
  enum class Press : std::uint8_t { none, key, gone };
  Press press() const;  // once it is readable

 private:
  bool ours_ = false;
  termios before_{};
};

}  // namespace postern::intercept
