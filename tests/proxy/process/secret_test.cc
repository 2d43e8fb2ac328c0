#include "proxy/process/secret.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "config/files.h"
#include "tests/support/catch.h"

namespace secret_test {

using namespace postern;

// As whoever makes a snapshot reads it.
Result<config::File> read(const std::string& path) {
  return config::read_file(path, config::largest_file(config::FileUse::secret));
}
Result<std::string> read_secret_file(const std::string& path) {
  return process::secret_in(path, read(path));
}

// A file that says so, as long as the test runs.
struct Secret {
  std::string path = (std::filesystem::temp_directory_path() / "secret-test-XXXXXX").string();
  explicit Secret(const std::string& content) {
    ::close(::mkstemp(path.data()));
    std::ofstream(path) << content;
  }
  ~Secret() { std::filesystem::remove(path); }
};

TEST_CASE("secret file: its one line, without the line break, and anew each time") {
  const Secret secret("open sesame\n");
  CHECK(*read_secret_file(secret.path) == "open sesame");
  std::ofstream(secret.path) << "another\r\n";
  CHECK(*read_secret_file(secret.path) == "another");
}

TEST_CASE("secret file: what editors add is no part of the secret") {
  for (const char* content : {"\xef\xbb\xbfopen sesame\n", "open sesame\r\n\r\n", "open sesame\n\n", "open sesame\r",
                              "\xef\xbb\xbfopen sesame"}) {
    const Secret secret(content);
    CHECK(*read_secret_file(secret.path) == "open sesame");
  }
  const Secret blanks(" open sesame \n");  // they may be meant
  CHECK(*read_secret_file(blanks.path) == " open sesame ");
}

TEST_CASE("secret file: what cannot be a secret is refused with its reason") {
  CHECK(read_secret_file("/no/such/file").error().code == Errc::io);
  const Secret empty("\n");
  const Secret lines("one\ntwo\n");
  const Secret long_one(std::string(70000, 'x'));
  CHECK(read_secret_file(empty.path).error().message == empty.path + " is empty");
  CHECK(read_secret_file(lines.path).error().message == lines.path + " holds more than one line");
  const Secret utf16(std::string("\xff\xfeo\0p\0e\0n\0", 10));
  const Secret nul(std::string("open\0sesame", 11));
  const Secret mark("\xef\xbb\xbf\r\n");
  CHECK(read_secret_file(utf16.path).error().message == utf16.path + " is in UTF-16: save it in UTF-8");
  CHECK(read_secret_file(nul.path).error().message == nul.path + " holds a NUL octet");
  CHECK(read_secret_file(mark.path).error().message == mark.path + " is empty");
  CHECK(read_secret_file(long_one.path).error().code == Errc::limit_exceeded);
}

TEST_CASE("secret file: nobody is waited for who might write into a fifo") {
  const std::string fifo = std::filesystem::temp_directory_path() / ("secret-test-fifo-" + std::to_string(::getpid()));
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(read_secret_file(fifo).error().message == "cannot read " + fifo + ": not a regular file");
  std::filesystem::remove(fifo);
  CHECK(read_secret_file("/").error().message == "cannot read /: not a regular file");
}

TEST_CASE("secret: who uses it has what was in the file when that was last looked at, or why there is nothing") {
  const Secret file("open sesame\n");
  process::Secret secret(file.path);
  CHECK(secret.renew(read(file.path)));
  CHECK_FALSE(secret.renew(read(file.path)));
  CHECK(*secret.now() == "open sesame");
  std::ofstream(file.path) << "another\n";
  CHECK(*secret.now() == "open sesame");
  CHECK(secret.renew(read(file.path)));
  CHECK(*secret.now() == "another");
  std::ofstream(file.path) << "\n";
  CHECK(secret.renew(read(file.path)));
  CHECK(secret.now().error().message == file.path + " is empty");
  CHECK_FALSE(secret.renew(read(file.path)));
  CHECK(secret.renew(read("/no/such/file")));
  CHECK(secret.now().error().message == "cannot read /no/such/file: No such file or directory");
}

TEST_CASE("secret: it is replaced while others read it") {
  process::Secret secret("/run/secret");
  secret.renew(config::File{"a", false});
  std::atomic<bool> good = true;
  std::thread reader([&] {
    for (int i = 0; i < 2000; ++i) good = good && secret.now()->size() <= 50;
  });
  for (std::size_t i = 0; i < 2000; ++i) secret.renew(config::File{std::string(1 + i % 50, 'x'), false});
  reader.join();
  CHECK(good);
}

}  // namespace secret_test
