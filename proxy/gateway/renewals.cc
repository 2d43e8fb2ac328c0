#include "proxy/gateway/renewals.h"

#include <utility>

#include "proxy/observe/log.h"

namespace postern::gateway {

void Renewals::of(std::vector<runtime::LiveFile> files) {
  files_.clear();
  for (runtime::LiveFile& file : files) files_.push_back({std::move(file), {}});
}

bool Renewals::renew(const config::Files& changed) {
  bool any = false;
  for (Renewed& renewed : files_) {
    const auto found = changed.by_path().find(renewed.file.path);
    if (found != changed.by_path().end() && renew(renewed, found->second)) any = true;
  }
  return any;
}

bool Renewals::renew(Renewed& renewed, const Result<config::File>& read) {
  const runtime::LiveFile& file = renewed.file;
  const bool stays = !read && read.error().code == Errc::io;
  const auto done = stays ? tl::unexpected(read.error()) : file.renew(read);
  const std::string trouble = done ? std::string() : done.error().message;
  if (trouble != std::exchange(renewed.trouble, trouble) && !trouble.empty()) {
    log::warning("a file cannot be read again",
                 {{"file", file.path}, {"use", config::to_string(file.use)}, {"reason", trouble}});
  }
  if (!done || !*done) return false;
  log::info("a file was read again", {{"file", file.path}, {"use", config::to_string(file.use)}});
  return true;
}

}  // namespace postern::gateway
