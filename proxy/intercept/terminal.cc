#include "proxy/intercept/terminal.h"

#include <unistd.h>

#include <cerrno>

namespace postern::intercept {

Terminal::Terminal() {
  if (::tcgetattr(STDIN_FILENO, &before_) != 0 || ::tcgetpgrp(STDIN_FILENO) != ::getpgrp()) return;
  termios by_key = before_;
  by_key.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  by_key.c_cc[VMIN] = 1;
  by_key.c_cc[VTIME] = 0;
  by_key.c_cc[VSUSP] = _POSIX_VDISABLE;  // who is stopped hears no key, and would leave the terminal like this
  ours_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &by_key) == 0;
}

Terminal::~Terminal() {
  if (ours_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Terminal::Press Terminal::press() const {
  char key = 0;
  const ssize_t size = ::read(STDIN_FILENO, &key, sizeof key);
  if (size == 1) return Press::key;
  return size < 0 && (errno == EINTR || errno == EAGAIN) ? Press::none : Press::gone;
}

}  // namespace postern::intercept
