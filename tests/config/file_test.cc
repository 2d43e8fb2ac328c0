#include "config/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "config/unique_fd.h"
#include "tests/support/catch.h"

namespace file_test {

using namespace postern;
using namespace postern::config;
namespace fs = std::filesystem;

struct Folder {
  std::string path = (fs::temp_directory_path() / "file-test-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const char* name) const { return path + "/" + name; }
  std::size_t size() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), {})); }
};

std::string octets(std::size_t count) {
  std::string text(count, '\0');
  for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>(i * 7 + i / 256);
  return text;
}

TEST_CASE("file: what is written is read, whole") {
  const Folder folder;
  const std::string path = folder / "one";
  for (const std::size_t size : {0U, 1U, 4096U, 16384U, 16385U, 300000U}) {
    CHECK_FALSE(write_file(path, octets(size)).has_value());
    const auto file = read_file(path, 300000);
    REQUIRE(file.has_value());
    CHECK(file->content == octets(size));
    CHECK(*read_given_file(path, 300000) == octets(size));
    CHECK(read_beginning(path, 1000)->content == octets(std::min<std::size_t>(size, 1000)));
  }
  CHECK(folder.size() == 1);
}

TEST_CASE("file: a file that says nothing of its size is read all the same") {
  CHECK(read_file("/proc/self/stat", 65536)->content.size() > 10);
  CHECK(read_file("/proc/self/stat", 10).error().code == Errc::limit_exceeded);
}

TEST_CASE("file: a limit is the last size that is taken") {
  const Folder folder;
  const std::string path = folder / "ten";
  REQUIRE_FALSE(write_file(path, "0123456789").has_value());
  CHECK(read_file(path, 10)->content == "0123456789");
  const auto larger = read_file(path, 9);
  CHECK(larger.error().code == Errc::limit_exceeded);
  CHECK(larger.error().message == path + " is larger than 9 octets");
  CHECK(*read_given_file(path, 9) == "0123456789");
  CHECK(*read_given_file(path, 5) == "012345");
  CHECK(read_given_file("/dev/zero", 100)->size() == 101);
}

TEST_CASE("file: what cannot be read has its reason, with the path") {
  CHECK(read_file("/no/such/file", 1).error().code == Errc::not_found);
  CHECK(read_file("/no/such/file", 1).error().message == "cannot read /no/such/file: No such file or directory");
  CHECK(read_file("/dev/zero", 1).error().message == "cannot read /dev/zero: not a regular file");
  CHECK(read_file("/", 1).error().code == Errc::io);
  CHECK(read_given_file("/no/such/file", 1).error().message == "cannot be opened: No such file or directory");
  CHECK(read_given_file("/", 1).error().message == "cannot be read: Is a directory");
}

TEST_CASE("file: nobody is waited for who might write into a fifo") {
  const Folder folder;
  const std::string path = folder / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(read_file(path, 1).error().message == "cannot read " + path + ": not a regular file");
  CHECK_FALSE(read_beginning(path, 1).has_value());
}

TEST_CASE("file: what is named on the command line may be a pipe, and signals do not end the waiting") {
  const Folder folder;
  const std::string path = folder / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  struct sigaction before = {};
  struct sigaction ignoring = {};
  ignoring.sa_handler = [](int) {};  // without SA_RESTART
  REQUIRE(::sigaction(SIGUSR1, &ignoring, &before) == 0);
  std::thread writer([&, reader = ::pthread_self()] {
    const auto disturb = [&] {
      for (int i = 0; i < 20; ++i) {
        ::pthread_kill(reader, SIGUSR1);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
    disturb();  // while it opens
    const UniqueFd fd(::open(path.c_str(), O_WRONLY));
    for (const char* text : {"hostname: ", "mx.example.org\n"}) {
      disturb();  // while it reads
      write_all(fd.get(), text);
    }
  });
  const auto text = read_given_file(path, 1000);
  writer.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  REQUIRE(text.has_value());
  CHECK(*text == "hostname: mx.example.org\n");
}

TEST_CASE("file: who may read it") {
  const Folder folder;
  const std::string path = folder / "key";
  REQUIRE_FALSE(write_file(path, "secret").has_value());
  CHECK((fs::status(path).permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK_FALSE(read_file(path, 100)->world_readable);
  fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
  CHECK(read_file(path, 100)->world_readable);
}

TEST_CASE("file: a reader keeps the old file, another sees the new one") {
  const Folder folder;
  const std::string path = folder / "one";
  REQUIRE_FALSE(write_file(path, "old").has_value());
  const UniqueFd old(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE_FALSE(write_file(path, "new").has_value());
  char text[3];
  CHECK(::read(old.get(), text, 3) == 3);
  CHECK(std::string_view(text, 3) == "old");
  CHECK(read_file(path, 3)->content == "new");
}

TEST_CASE("file: what cannot be written leaves all as it was") {
  const Folder folder;
  const auto nowhere = write_file(folder / "a/b", "text");
  REQUIRE(nowhere.has_value());
  CHECK(nowhere->code == Errc::not_found);
  CHECK(nowhere->message == "cannot write " + folder.path + "/a/b: No such file or directory");
  fs::create_directory(folder / "taken");
  const auto taken = write_file(folder / "taken", "text");
  REQUIRE(taken.has_value());
  CHECK(taken->message == "cannot write " + folder.path + "/taken: Is a directory");
  CHECK(folder.size() == 1);
}

TEST_CASE("file: what a crash left half written goes, once nobody can be writing it any more") {
  const Folder folder;
  for (const char* name : {".postern-1", ".postern-2", ".other", "postern-3"}) {
    REQUIRE_FALSE(write_file(folder / name, "half").has_value());
  }
  for (const char* name : {".postern-1", ".other", "postern-3"}) {
    fs::last_write_time(folder / name, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  remove_unfinished_files(folder.path);
  CHECK_FALSE(fs::exists(folder / ".postern-1"));
  CHECK(fs::exists(folder / ".postern-2"));
  CHECK(folder.size() == 3);
  remove_unfinished_files("/no/such/folder");
}

}  // namespace file_test
