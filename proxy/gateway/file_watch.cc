#include "proxy/gateway/file_watch.h"

#include <utility>

#include "config/files.h"
#include "proxy/observe/log.h"

namespace postern::gateway {

FileWatch::FileWatch(net::Loop& loop, std::chrono::milliseconds interval)
    : interval_(interval), timer_(loop.raw(), [this] {
        look();
        timer_.start(interval_);
      }) {}

void FileWatch::watch(std::vector<runtime::LiveFile> files) {
  files_.clear();
  for (runtime::LiveFile& file : files) files_.push_back({std::move(file), {}});
  if (files_.empty()) return timer_.stop();
  timer_.start(interval_);
}

void FileWatch::look() {
  for (Watched& watched : files_) look_at(watched);
}

void FileWatch::look_at(Watched& watched) {
  const runtime::LiveFile& file = watched.file;
  auto read = config::read_file(file.path, config::largest_file(file.use));
  const bool stays = !read && read.error().code == Errc::io;
  const auto renewed = stays ? tl::unexpected(read.error()) : file.renew(read);
  if (read) config::wipe(read->content);
  const std::string trouble = renewed ? std::string() : renewed.error().message;
  if (trouble != std::exchange(watched.trouble, trouble) && !trouble.empty()) {
    log::warning("a file cannot be read again",
                 {{"file", file.path}, {"use", config::to_string(file.use)}, {"reason", trouble}});
  }
  if (renewed && *renewed) {
    log::info("a file was read again", {{"file", file.path}, {"use", config::to_string(file.use)}});
  }
}

}  // namespace postern::gateway
