#include "proxy/init/place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "config/file.h"
#include "config/text.h"
#include "proxy/init/look_around.h"
#include "proxy/init/stamp.h"
#include "tls/self_signed.h"

namespace postern::init {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_configuration = std::size_t{1} << 20U;
constexpr mode_t for_all_to_read = 0644;
constexpr mode_t for_its_owner = 0600;
constexpr auto worth_keeping = std::chrono::hours(7 * 24);  // a certificate of a trial

tl::unexpected<Error> failed(const std::string& what) {
  return fail(Errc::io, what + ": " + std::strerror(errno));
}

Result<void> make_folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) return fail(Errc::io, "cannot make " + folder.string() + ": " + error.message());
  return {};
}

// Where a link leads to, so that the link stays.
std::string where_it_is(const std::string& path) {
  std::error_code error;
  const fs::path found = fs::canonical(path, error);
  return error ? path : found.string();
}

Result<void> write_with_mode(const std::string& path, std::string_view text, mode_t mode,
                             const std::optional<struct stat>& before) {
  const std::string temporary = path + ".new";
  if (auto error = config::write_file(temporary, text)) return tl::unexpected(std::move(*error));
  const bool owned = !before || ::geteuid() != 0 || ::chown(temporary.c_str(), before->st_uid, before->st_gid) == 0;
  if (owned && ::chmod(temporary.c_str(), mode) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const auto error = failed("cannot write " + path);
  ::unlink(temporary.c_str());
  return error;
}

std::optional<struct stat> status_of(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return found;
}

// The first name beside it that nobody has.
std::string name_for_old(const std::string& path) {
  std::string name = path + ".old";
  struct stat found = {};
  for (int i = 1; ::lstat(name.c_str(), &found) == 0; ++i) name = path + ".old." + std::to_string(i);
  return name;
}

// By a second name, so that there is always a file at the first one.
Result<std::string> keep_beside(const std::string& path) {
  const std::string old = name_for_old(path);
  if (::link(path.c_str(), old.c_str()) != 0) return failed("cannot keep " + path + " as " + old);
  return old;
}

void take_back_one(const std::string& path, const std::string& old) {
  if (old.empty()) {
    ::unlink(path.c_str());
  } else if (::rename(old.c_str(), path.c_str()) == 0) {
    ::unlink(old.c_str());  // two names of one file both stay
  }
}

Result<void> put_pair(const std::string& chain, const std::string& key, const tls::SelfSigned& made, PutPair& done) {
  for (const auto& [path, old] : {std::pair{&chain, &done.old_chain}, std::pair{&key, &done.old_key}}) {
    if (!status_of(*path)) continue;
    auto kept = keep_beside(*path);
    if (!kept) {
      if (!done.old_chain.empty()) ::unlink(done.old_chain.c_str());
      return tl::unexpected(kept.error());
    }
    *old = std::move(*kept);
  }
  done.made = true;
  // The key first: a chain alone would be taken for a pair that somebody is putting there.
  if (auto put = write_with_mode(key, made.key_pem, for_its_owner, {}); !put) return put;
  return write_with_mode(chain, made.certificate_pem, for_all_to_read, {});
}

}  // namespace

Result<void> may_be_written(const std::string& path) {
  const auto file = config::read_file(path, longest_configuration);
  if (!file && file.error().code == Errc::not_found) return {};
  if (!file) return tl::unexpected(file.error());
  if (is_untouched(file->content)) return {};
  return fail(Errc::refused, path + " has been edited: say --force to have it replaced (it is kept as " +
                                 name_for_old(where_it_is(path)) + "), or --output with another file");
}

Result<void> put_configuration(const std::string& path, std::string_view text) {
  if (auto made = make_folder_of(path); !made) return made;
  const std::string real = where_it_is(path);
  const auto before = status_of(real);
  // What is made again needs no keeping, and would take the name of what somebody has written.
  const auto file = config::read_file(real, longest_configuration);
  if (before && !(file && is_as_stamped(file->content))) {
    if (const auto kept = keep_beside(real); !kept) return tl::unexpected(kept.error());
  }
  return write_with_mode(real, text, before ? before->st_mode & 07777U : for_all_to_read, before);
}

Result<PutPair> put_self_signed(const std::string& chain, const std::string& key, const std::string& name) {
  if (status_of(chain) || status_of(key)) {
    const FoundCertificate found = look_at_certificate({chain, key}, "");
    const auto soon = std::chrono::system_clock::now() + worth_keeping;
    const bool fits = std::ranges::find(found.names, config::lower_case(name)) != found.names.end();
    if (found.flaw.empty() && found.self_issued && fits && found.not_after > soon) return PutPair{};
    if (status_of(chain) && !found.self_issued) {
      return fail(Errc::refused,
                  chain +
                      " is there already, and is not a certificate that vouches for itself: say --certificate "
                      "to have it used, or name another folder");
    }
  }
  const auto made = tls::make_self_signed(name);
  if (!made) return tl::unexpected(made.error());
  if (auto folder = make_folder_of(chain); !folder) return tl::unexpected(folder.error());
  PutPair done;
  if (auto put = put_pair(chain, key, *made, done); !put) {
    take_back(chain, key, done);
    return tl::unexpected(put.error());
  }
  return done;
}

void take_back(const std::string& chain, const std::string& key, const PutPair& done) {
  if (!done.made) return;
  take_back_one(chain, done.old_chain);
  take_back_one(key, done.old_key);
}

}  // namespace postern::init
