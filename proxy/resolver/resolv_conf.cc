#include "proxy/resolver/resolv_conf.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "config/settings.h"

namespace postern::resolver {

Result<std::optional<dns::NameServers>> ResolvConf::changed() {
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0) return fail(Errc::io, path_ + ": " + std::strerror(errno));
  const Stamp stamp{found.st_dev, found.st_ino, static_cast<unsigned long>(found.st_size), found.st_mtim.tv_sec,
                    found.st_mtim.tv_nsec};
  // An empty one is about to be written.
  if (seen_ == stamp || found.st_size == 0) return std::optional<dns::NameServers>();
  auto servers = dns::read_resolv_conf(path_);
  if (!servers) return tl::unexpected(servers.error());
  seen_ = stamp;
  return std::optional(std::move(*servers));
}

}  // namespace postern::resolver
