// A password or a token that stands in a file of its own.
#pragma once

#include <memory>
#include <string>

#include "config/file.h"
#include "config/published.h"
#include "config/result.h"

namespace postern::process {

// What was read of the file at `path`, without its final line breaks and a byte order mark before it. Fails where it
// could not be read, is empty, longer than 64 KiB or in UTF-16, or holds a NUL or a line break in its middle.
Result<std::string> secret_in(const std::string& path, const Result<config::File>& read);

// One that may be replaced while others use it. Thread-safe, but for two who renew it at once.
class Secret {
 public:
  explicit Secret(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // What is in the file now, or why there is nothing to be used. True: it is another than before.
  bool renew(const Result<config::File>& read);
  // As it was last renewed.
  Result<std::string> now() const { return *now_.get(); }

 private:
  std::string path_;
  config::Published<Result<std::string>> now_{std::make_shared<const Result<std::string>>()};
};

}  // namespace postern::process
