#include "proxy/intercept/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace postern::intercept {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t most_text = 4096;

void say(int socket, Guardian::Word word, const std::string& text = {}) {
  const std::string message = static_cast<char>(word) + text.substr(0, most_text - 1);
  (void)!::send(socket, message.data(), message.size(), MSG_NOSIGNAL);
}

// Why the wait is over; nothing: they stay.
std::optional<std::string> wait_for_word(int socket, const HeldSignals& signals, Clock::time_point until) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return "nobody said that they stay";
    std::array<pollfd, 2> ready = {pollfd{socket, POLLIN, 0}, pollfd{signals.descriptor(), POLLIN, 0}};
    ::poll(ready.data(), ready.size(), static_cast<int>(left.count()) + 1);
    if (ready[0].revents != 0) {
      char word = 0;
      const ssize_t size = ::recv(socket, &word, sizeof word, 0);
      if (size == 1 && word == static_cast<char>(Guardian::Word::kept)) return std::nullopt;
      return size == 1 ? "as was asked for" : "whoever put them in place has gone";
    }
    // A terminal that goes away is the other's to notice.
    const int number = ready[1].revents != 0 ? signals.next() : 0;
    if (number != 0 && number != SIGHUP) return std::string("a signal: ") + ::strsignal(number);
  }
}

void leave_the_terminal(int socket) {
  ::setsid();
  (void)!::chdir("/");
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (standard != socket) ::dup2(nothing.get(), standard);
  }
}

void take_back_and_say(int socket, const KernelRules& kernel, const Present& before, const std::string& handle,
                       const std::string& reason) {
  const auto back = kernel.put_back(before, handle);
  if (back && !*back) return say(socket, Guardian::Word::replaced);
  const std::string text = back ? reason : back.error().message;
  // Nobody may be there to hear it.
  ::syslog(LOG_DAEMON | LOG_WARNING, "postern intercept: the rules %s: %s",
           back ? "were taken back" : "could not be taken back", text.c_str());
  say(socket, back ? Guardian::Word::taken_back : Guardian::Word::failed, text);
}

void guard(int socket, const KernelRules& kernel, const Present& before, const std::string& rules, bool routes,
           std::chrono::milliseconds patience) {
  leave_the_terminal(socket);
  const HeldSignals signals;
  const auto until = Clock::now() + patience;  // however long the programs take
  if (const auto put = kernel.put(rules, routes); !put) {
    const auto back = kernel.put_back(before, {});
    return say(socket, back ? Guardian::Word::refused : Guardian::Word::failed, put.error().message);
  }
  const auto now = kernel.look();
  const std::string handle = now ? now->handle : std::string();
  say(socket, Guardian::Word::in_place);
  const auto reason = wait_for_word(socket, signals, until);
  if (!reason) return say(socket, Guardian::Word::kept);
  take_back_and_say(socket, kernel, before, handle, *reason);
}

}  // namespace

HeldSignals::HeldSignals() {
  sigset_t held;
  ::sigemptyset(&held);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&held, number);
  ::sigprocmask(SIG_BLOCK, &held, &before_);
  fd_ = UniqueFd(::signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
}

HeldSignals::~HeldSignals() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

int HeldSignals::next() const {
  signalfd_siginfo info{};
  const ssize_t size = ::read(fd_.get(), &info, sizeof info);
  return size == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

Result<Guardian> Guardian::start(const KernelRules& kernel, const Present& before, const std::string& rules,
                                 bool routes, std::chrono::milliseconds patience) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return fail(Errc::io, std::string("socketpair: ") + std::strerror(errno));
  }
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail(Errc::io, std::string("cannot fork: ") + std::strerror(errno));
  if (child == 0) {
    ours = UniqueFd();
    guard(theirs.get(), kernel, before, rules, routes, patience);
    ::_exit(0);
  }
  return Guardian(child, std::move(ours));
}

Guardian::~Guardian() {
  if (socket_.get() < 0) return;  // moved from
  socket_ = UniqueFd();
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::optional<Guardian::Message> Guardian::hear() const {
  std::array<char, most_text> text{};
  ssize_t size = 0;
  do {
    size = ::recv(socket_.get(), text.data(), text.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  return Message{static_cast<Word>(text[0]), std::string(text.data() + 1, static_cast<std::size_t>(size) - 1)};
}

void Guardian::keep() const {
  say(socket_.get(), Word::kept);
}

void Guardian::take_back() const {
  say(socket_.get(), Word::taken_back);
}

}  // namespace postern::intercept
