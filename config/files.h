// The files of a configuration: which ones it names, and what was read of them. Whoever makes something of their
// contents is given these and opens nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/file.h"
#include "config/file_use.h"
#include "config/load.h"

namespace postern::config {

// A file that an option names.
struct NamedFile {
  std::string option;  // "certificates.mx[0].key"
  std::string path;    // as the operator wrote it
  FileUse use = FileUse::none;
  Place place;  // {0,0} where it stands in the file by default only
};

// From the schema's rows whose kind is file(use), in their order. A path that several options name is there for each;
// what the machine calls its own (ca_file: system) is not there, see uses_system_authorities. Only for settings that
// are ok().
std::vector<NamedFile> files_of(const Loaded& loaded);

// How large the content of each may be, by path: one file may be read for several things.
std::map<std::string, std::size_t> limits_of(const std::vector<NamedFile>& files);

// Whether this machine's own list of CAs is asked: to vouch for servers, or whether it knows who issued a certificate.
bool uses_system_authorities(const Settings& settings);

// Contents by path, or why there is none. Not to be copied, and wiped in the end: there are keys among them.
class Files {
 public:
  // Where the machine's own list of CAs stands, and what is in it.
  struct Authorities {
    std::string path;
    Result<File> file;
  };

  Files();
  ~Files();
  Files(Files&&) = default;
  Files& operator=(Files&& other) noexcept;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // What was there before is wiped.
  void put(const std::string& path, Result<File> file);
  void put_authorities(Authorities found) { authorities_ = std::move(found); }

  // All that `other` has, as by put(), and leaves it empty.
  void take(Files& other);
  // What `other` has is ours now, and it has what we had of that; what we had nothing of it has as never read.
  void exchange(Files& other);
  bool empty() const { return files_.empty() && authorities_.path.empty(); }

  // Errc::not_found for one that was never put.
  const Result<File>& at(const std::string& path) const;
  const Authorities& authorities() const { return authorities_; }

  using ByPath = std::map<std::string, Result<File>, std::less<>>;
  const ByPath& by_path() const { return files_; }

 private:
  void wipe() noexcept;

  ByPath files_;
  Authorities authorities_;
};

// Reads all that the configuration names, each file once. Nothing of it waits for anybody. Only for settings that are
// ok().
Files read_files(const Loaded& loaded);

// The file that SSL_CERT_FILE names, or else the first that exists of the places where distributions keep the CAs of
// the Web PKI. Errc::not_found, or as read_file.
Files::Authorities read_system_authorities();

// Overwrites what it held: for keys and passwords.
void wipe(std::string& secret) noexcept;

}  // namespace postern::config
