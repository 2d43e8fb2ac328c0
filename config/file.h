// Whole files, read and written: the one place that does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::config {

struct File {
  std::string content;
  bool world_readable = false;
  bool key_elsewhere = false;  // a private key's, which another process has: `content` is the public key alone
};

// A regular file: nobody is waited for who might write into a FIFO or type at a device. Errc::not_found, Errc::io or
// Errc::limit_exceeded (larger than `limit` octets). Every message names the path.
Result<File> read_file(const std::string& path, std::size_t limit);

// As much of a regular file as `limit` lets through; errors as above.
Result<File> read_beginning(const std::string& path, std::size_t limit);

// What a person names on the command line may be a pipe ("<(…)", /dev/stdin): whoever writes into it is waited for. Of
// what is larger than `limit` there is one octet more. The messages do not name the path.
Result<std::string> read_given_file(const std::string& path, std::size_t limit);

// Readers see the old file or the new one, whole, a crash notwithstanding. It is for its owner alone. Errc::not_found
// (the folder is not there) or Errc::io; every message names the path.
std::optional<Error> write_file(const std::string& path, std::string_view content);

// Removes what a process that was killed in write_file() left in `folder`: whatever is an hour old, as another process
// may be writing now.
void remove_unfinished_files(const std::string& folder);

// All of it, whatever interrupts; false and errno where that fails.
bool write_all(int fd, std::string_view octets);

}  // namespace postern::config
