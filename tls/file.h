// A small file, whole.
#pragma once

#include <cstddef>
#include <string>

#include "config/result.h"

namespace postern::tls {

struct File {
  std::string content;
  bool world_readable = false;
};

// Errc::not_found, Errc::io (not a regular file, no permission, …) or Errc::limit_exceeded. Every message names the
// path.
Result<File> read_file(const std::string& path, std::size_t limit);

}  // namespace postern::tls
