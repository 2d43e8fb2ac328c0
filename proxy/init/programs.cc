// Who has a socket: /proc/PID/fd, as far as it may be looked at.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <system_error>

#include "config/file.h"
#include "config/text.h"
#include "proxy/init/look_around.h"

namespace postern::init {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_descriptors = 1'000'000;  // of all processes together

template <class Number>
Number number_of(std::string_view text) {
  Number number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : Number{0};
}

// "socket:[4711]"; 0: none.
std::uint64_t inode_of(const fs::path& link) {
  std::error_code error;
  const std::string target = fs::read_symlink(link, error).string();
  constexpr std::string_view begin = "socket:[";
  return !error && target.starts_with(begin) ? number_of<std::uint64_t>(target.substr(begin.size())) : 0;
}

std::string command_of(const fs::path& process) {
  const auto file = config::read_beginning((process / "comm").string(), 64);
  return file ? std::string(config::trim(std::string_view(file->content).substr(0, file->content.find('\n'))))
              : std::string();
}

}  // namespace

void name_programs(std::vector<Listening>& listening, const std::string& root) {
  std::multimap<std::uint64_t, Listening*> nameless;
  for (Listening& each : listening) nameless.emplace(each.inode, &each);
  std::size_t looked = 0;
  std::error_code error;
  for (fs::directory_iterator process(root + "/proc", error), end; !error && process != end; process.increment(error)) {
    const int number = number_of<int>(process->path().filename().string());
    if (number == 0 || nameless.empty()) continue;
    std::error_code closed;
    for (fs::directory_iterator fd(process->path() / "fd", closed), last; !closed && fd != last; fd.increment(closed)) {
      if (++looked > most_descriptors) return;
      const auto [first, behind] = nameless.equal_range(inode_of(fd->path()));
      if (first == behind) continue;
      for (auto found = first; found != behind; ++found) {
        found->second->program = command_of(process->path());
        found->second->process = number;
      }
      nameless.erase(first, behind);
    }
  }
}

}  // namespace postern::init
