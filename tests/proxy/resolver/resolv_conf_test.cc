#include "proxy/resolver/resolv_conf.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"

namespace resolv_conf_test {

using namespace postern::resolver;

struct Folder {
  std::string path = std::filesystem::temp_directory_path() / ("resolv_conf_test." + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directory(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name = "resolv.conf") const { return path + "/" + name; }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
};

TEST_CASE("resolv_conf: it is read at the first look, and when another has taken its place") {
  const Folder folder;
  Folder::write(folder.file(), "nameserver 192.0.2.1\n");
  ResolvConf watched(folder.file());
  const auto first = watched.changed();
  REQUIRE((first && *first));
  CHECK((*first)->servers == std::vector<std::string>{"192.0.2.1@53"});
  CHECK((*first)->origin == folder.file());
  CHECK_FALSE(*watched.changed());

  Folder::write(folder.file("new"), "nameserver 192.0.2.2\n");
  std::filesystem::rename(folder.file("new"), folder.file());
  const auto second = watched.changed();
  REQUIRE((second && *second));
  CHECK((*second)->servers == std::vector<std::string>{"192.0.2.2@53"});

  Folder::write(folder.file(), "nameserver 192.0.2.33\n");
  REQUIRE(*watched.changed());
  CHECK_FALSE(*watched.changed());
}

TEST_CASE("resolv_conf: one that is gone or empty is nobody's word that there are no name servers") {
  const Folder folder;
  ResolvConf watched(folder.file());
  CHECK_FALSE(watched.changed());
  Folder::write(folder.file(), "");
  CHECK_FALSE(*watched.changed());
  Folder::write(folder.file(), "nameserver 192.0.2.1\n");
  CHECK(*watched.changed());
  std::filesystem::remove(folder.file());
  CHECK_FALSE(watched.changed());
}

}  // namespace resolv_conf_test
