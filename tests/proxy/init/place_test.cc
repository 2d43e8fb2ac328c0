#include "proxy/init/place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "config/file.h"
#include "proxy/init/stamp.h"
#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace postern::init {
namespace place_test {

using test_support::TempDirectory;

std::string content(const std::string& path) {
  const auto file = config::read_file(path, 1 << 20);
  return file ? file->content : file.error().message;
}
unsigned mode(const std::string& path) {
  struct stat found = {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
}

TEST_CASE("init: what was there before stays beside, and the mode is what it was") {
  const TempDirectory folder;
  const std::string path = folder.path("etc/postern/postern.yaml");
  REQUIRE(put_configuration(path, "one\n"));
  CHECK(content(path) == "one\n");
  CHECK(mode(path) == 0644);
  ::chmod(path.c_str(), 0640);
  REQUIRE(put_configuration(path, "two\n"));
  CHECK(content(path) == "two\n");
  CHECK(content(path + ".old") == "one\n");
  CHECK(mode(path) == 0640);
}

TEST_CASE("init: a link stays one") {
  const TempDirectory folder;
  folder.write("real", "one\n");
  REQUIRE(::symlink("real", folder.path("link").c_str()) == 0);
  REQUIRE(put_configuration(folder.path("link"), "two\n"));
  CHECK(content(folder.path("real")) == "two\n");
  CHECK(content(folder.path("real.old")) == "one\n");
}

TEST_CASE("init: what somebody has written stays beside however often it is replaced") {
  const TempDirectory folder;
  const std::string path = folder.write("postern.yaml", "theirs\n");
  REQUIRE(put_configuration(path, stamped("one\n")));
  REQUIRE(put_configuration(path, stamped("two\n")));
  CHECK(content(path + ".old") == "theirs\n");
  CHECK(mode(path + ".old.1") == 0);  // what was made again is not kept
  folder.write("postern.yaml", "theirs again\n");
  const auto may = may_be_written(path);
  REQUIRE_FALSE(may);
  CHECK(may.error().message.find("postern.yaml.old.1)") != std::string::npos);
  REQUIRE(put_configuration(path, stamped("three\n")));
  CHECK(content(path + ".old") == "theirs\n");
  CHECK(content(path + ".old.1") == "theirs again\n");
}

TEST_CASE("init: a pair that vouches for itself is taken back as if it had never been made") {
  const TempDirectory folder;
  const std::string chain = folder.path("self-signed.pem");
  const std::string key = folder.path("self-signed.key");
  const auto first = put_self_signed(chain, key, "mx.example.org");
  REQUIRE(first);
  const std::string chain_before = content(chain);
  const std::string key_before = content(key);
  const auto second = put_self_signed(chain, key, "other.example.org");
  REQUIRE(second);
  CHECK(content(key) != key_before);
  CHECK(content(second->old_key) == key_before);
  CHECK(mode(second->old_key) == 0600);
  take_back(chain, key, *second);
  CHECK(content(chain) == chain_before);
  CHECK(content(key) == key_before);
  CHECK(mode(second->old_chain) + mode(second->old_key) == 0);
  take_back(chain, key, *put_self_signed(chain, key, "mx.example.org"));
  CHECK(content(key) == key_before);  // it was good, and nothing was done
  take_back(chain, key, *first);
  CHECK(mode(chain) + mode(key) == 0);
}

TEST_CASE("init: where a new pair cannot be put the old one stays") {
  const TempDirectory folder;
  const std::string chain = folder.path("self-signed.pem");
  const std::string key = folder.path("self-signed.key");
  REQUIRE(put_self_signed(chain, key, "mx.example.org"));
  const std::string chain_before = content(chain);
  const std::string key_before = content(key);
  std::filesystem::create_directories(chain + ".new/in the way");
  CHECK_FALSE(put_self_signed(chain, key, "other.example.org"));
  CHECK(content(chain) == chain_before);
  CHECK(content(key) == key_before);
  CHECK(mode(chain + ".old") + mode(key + ".old") == 0);
}

TEST_CASE("init: a file that somebody has changed is refused") {
  const TempDirectory folder;
  CHECK(may_be_written(folder.path("none")));
  CHECK(may_be_written(folder.write("ours", stamped("user: x\n"))));
  const auto may = may_be_written(folder.write("theirs", "user: x\n"));
  REQUIRE_FALSE(may);
  CHECK(may.error().code == Errc::refused);
  CHECK_FALSE(may_be_written(folder.path(".")));
}

TEST_CASE("init: a pair that vouches for itself is made once for a name, with a key for its owner alone") {
  const TempDirectory folder;
  const std::string chain = folder.path("new/self-signed.pem");
  const std::string key = folder.path("new/self-signed.key");
  REQUIRE(put_self_signed(chain, key, "mx.example.org").value_or(PutPair{}).made);
  CHECK(mode(key) == 0600);
  const std::string first = content(chain);
  CHECK_FALSE(put_self_signed(chain, key, "MX.example.org").value_or(PutPair{true}).made);
  CHECK(content(chain) == first);
  CHECK(put_self_signed(chain, key, "other.example.org").value_or(PutPair{}).made);
  CHECK(content(chain) != first);
  folder.write("new/self-signed.pem", "not ours\n");
  CHECK_FALSE(put_self_signed(chain, key, "mx.example.org").has_value());
  CHECK(content(chain) == "not ours\n");
}

}  // namespace place_test
}  // namespace postern::init
