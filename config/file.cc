#include "config/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>

#include "config/unique_fd.h"

namespace postern::config {
namespace {

constexpr std::size_t piece_size = 16 * 1024;
constexpr std::string_view unfinished = ".postern-";  // and a random number: what is not yet what it is to be

UniqueFd open_file(const std::string& path, int flags) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (fd.get() >= 0 || errno != EINTR) return fd;
  }
}

// Appends until the end or until there are `limit` octets. A string that has room for all of it is not moved, so that
// no other copy of a key remains in memory.
bool read_up_to(const UniqueFd& fd, std::size_t limit, std::string& content) {
  while (content.size() < limit) {
    const std::size_t before = content.size();
    content.resize(std::min(limit, before < content.capacity() ? content.capacity() : before + piece_size));
    const ssize_t got = ::read(fd.get(), content.data() + before, content.size() - before);
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) break;
    if (got < 0 && errno != EINTR) return false;
  }
  return true;
}

Error system_error(const std::string& what) {
  const int error = errno;
  return {error == ENOENT ? Errc::not_found : Errc::io, what + ": " + std::strerror(error)};
}

// Not by mkostemp(3): ThreadSanitizer does not know that one, and takes the descriptor for the one of the same number
// that another thread has closed before.
UniqueFd create_beside(const std::string& path, std::string& name) {
  std::random_device random;
  for (int attempt = 0;; ++attempt) {
    const std::uint64_t number = (std::uint64_t{random()} << 32U) | random();
    name = std::filesystem::path(path).replace_filename(std::string(unfinished) + std::to_string(number)).string();
    UniqueFd fd = open_file(name, O_WRONLY | O_CREAT | O_EXCL);
    if (fd.get() >= 0 || errno != EEXIST || attempt == 3) return fd;
  }
}

}  // namespace

Result<File> read_beginning(const std::string& path, std::size_t limit) {
  const std::string what = "cannot read " + path;
  const UniqueFd fd = open_file(path, O_RDONLY | O_NONBLOCK);
  struct stat status = {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) return tl::unexpected(system_error(what));
  if (!S_ISREG(status.st_mode)) return fail(Errc::io, what + ": not a regular file");
  File file;
  file.world_readable = (status.st_mode & S_IROTH) != 0;
  file.content.reserve(std::min(static_cast<std::size_t>(status.st_size) + 1, limit));
  if (!read_up_to(fd, limit, file.content)) return tl::unexpected(system_error(what));
  return file;
}

Result<File> read_file(const std::string& path, std::size_t limit) {
  auto file = read_beginning(path, limit + 1);
  if (file && file->content.size() > limit) {
    return fail(Errc::limit_exceeded, path + " is larger than " + std::to_string(limit) + " octets");
  }
  return file;
}

Result<std::string> read_given_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  if (fd.get() < 0) return tl::unexpected(system_error("cannot be opened"));
  std::string content;
  if (!read_up_to(fd, limit + 1, content)) return tl::unexpected(system_error("cannot be read"));
  return content;
}

std::optional<Error> write_file(const std::string& path, std::string_view content) {
  const std::string what = "cannot write " + path;
  std::string temporary;
  const UniqueFd fd = create_beside(path, temporary);
  if (fd.get() < 0) return system_error(what);
  if (write_all(fd.get(), content) && ::fsync(fd.get()) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) {
    return std::nullopt;
  }
  Error error = system_error(what);
  ::unlink(temporary.c_str());
  return error;
}

void remove_unfinished_files(const std::string& folder) {
  namespace fs = std::filesystem;
  const auto before = fs::file_time_type::clock::now() - std::chrono::hours(1);
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    if (!file->path().filename().string().starts_with(unfinished)) continue;
    std::error_code unknown;
    const auto written = file->last_write_time(unknown);
    if (!unknown && written < before) ::unlink(file->path().c_str());
  }
}

bool write_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t written = ::write(fd, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace postern::config
