#include "proxy/observe/log.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/support/catch.h"

namespace log_test {

using namespace postern;

// What `action` writes to stderr.
template <class Action>
std::string captured(Action action) {
  std::FILE* file = std::tmpfile();
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  action();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST_CASE("log: a text line has time, level, message and fields") {
  const std::string line = captured([] {
    log::start(config::LogLevel::info, config::LogFormat::text);
    log::debug("not this one");
    log::info("listening", {{"address", "127.0.0.1:25"}});
    log::stop();
  });
  REQUIRE(line.size() > 24);
  CHECK(line[4] == '-');
  CHECK(line[10] == 'T');
  CHECK(line[19] == '.');
  CHECK(line.substr(23) == "Z info listening address=127.0.0.1:25\n");
}

TEST_CASE("log: a JSON line is one object") {
  const std::string line = captured([] {
    log::start(config::LogLevel::debug, config::LogFormat::json);
    log::warning("{} %v \"quoted\"", {{"n", 1}});
    log::stop();
  });
  CHECK(line.substr(0, 9) == R"({"time":")");
  CHECK(line.find(R"(Z","level":"warning","message":"{} %v \"quoted\"","n":1})") != std::string::npos);
  CHECK(line.back() == '\n');
}

TEST_CASE("log: level and format can change while it runs") {
  const std::string lines = captured([] {
    log::start(config::LogLevel::warning, config::LogFormat::text);
    log::info("not this one");
    log::change(config::LogLevel::info, config::LogFormat::json);
    log::info("one");
    log::change(config::LogLevel::error, config::LogFormat::text);
    log::warning("nor this one");
    log::error("two");
    log::stop();
  });
  CHECK(lines.find("one\"}\n") != std::string::npos);
  CHECK(lines.find("Z error two\n") != std::string::npos);
  CHECK(lines.find("this one") == std::string::npos);
}

TEST_CASE("log: before the start errors go to stderr plainly") {
  const std::string line = captured([] {
    log::info("nobody hears this");
    log::error("cannot start", {{"why", "no socket"}});
  });
  CHECK(line == "postern: cannot start why=\"no socket\"\n");
}

TEST_CASE("log: with format json the lines before the start are JSON, too") {
  log::set_early_format(config::LogFormat::json);
  const std::string line = captured([] { log::warning("configuration", {{"line", 7}, {"reason", "two\nlines"}}); });
  log::set_early_format(config::LogFormat::text);
  REQUIRE(line.size() > 33);
  CHECK(line.substr(0, 9) == R"({"time":")");
  CHECK(line.substr(32) ==
        "Z\",\"level\":\"warning\",\"message\":\"configuration\",\"line\":7,\"reason\":\"two\\u000alines\"}\n");
}

TEST_CASE("log: a level that is off is known to be off") {
  CHECK_FALSE(log::enabled(config::LogLevel::info));
  captured([] {
    log::start(config::LogLevel::error, config::LogFormat::text);
    CHECK_FALSE(log::enabled(config::LogLevel::warning));
    CHECK(log::enabled(config::LogLevel::error));
    CHECK(log::dropped() == 0);
    log::stop();
  });
}

}  // namespace log_test
