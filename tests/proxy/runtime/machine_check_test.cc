#include "proxy/runtime/machine_check.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace machine_check_test {

using namespace postern;
using test_support::TempDirectory;

std::string warnings_of(const std::string& program, void (*check)(config::Loaded&) = runtime::check_programs) {
  config::Loaded loaded;
  loaded.settings.inbound.emplace_back().name = "mx";
  loaded.settings.inbound.back().backend.exec = {program};
  check(loaded);
  std::string text;
  for (const auto& diagnostic : loaded.diagnostics) text += config::to_string(diagnostic);
  return text;
}

struct Program {
  TempDirectory directory;
  std::string path = directory.path("program");
  explicit Program(const std::string& content, bool executable = true) {
    std::ofstream(path) << content;
    using std::filesystem::perms;
    std::filesystem::permissions(path, executable ? perms::owner_all | perms::others_exec : perms::owner_read);
  }
};

TEST_CASE("machine check: a program that is there and can be run is no matter of complaint") {
  CHECK(warnings_of("/bin/sh") == "");
  CHECK(warnings_of(Program("#!/bin/sh\n").path) == "");
  CHECK(warnings_of(Program("#! /bin/sh -e\n").path) == "");
  CHECK(warnings_of(Program("").path) == "");
}

TEST_CASE("machine check: a program that cannot be run is told with its reason") {
  const auto says = [](const std::string& program, const std::string& words) {
    INFO(warnings_of(program));
    return warnings_of(program).find("warning: inbound.mx.backend.exec[0]: '" + program + "'" + words) !=
           std::string::npos;
  };
  CHECK(says("/no/such/program", " is not there"));
  CHECK(says("/bin/sh -c", " is not there; each word of a command is an item of its own"));
  CHECK(says("/bin/sh/x", " is not there"));
  CHECK(says("/tmp", " is a directory"));
  CHECK(says("/dev/null", " is no program"));
  CHECK(says("#!/bin/sh", " is not there"));
  const Program plain("#!/bin/sh\n", false);
  CHECK(says(plain.path, " may not be run: make it executable"));
  const Program foreign("#!/no/such/interpreter -x\n");
  CHECK(says(foreign.path, " is a script for /no/such/interpreter, which is not there"));
  const Program dos("#!/bin/sh\r\n");
  CHECK(says(dos.path, " is a script whose first line ends in CR LF"));
}

TEST_CASE("machine check: names of backends are looked up, and addresses are not") {
  config::Loaded loaded;
  auto& listener = loaded.settings.inbound.emplace_back();
  listener.name = "mx";
  for (const char* address : {"127.0.0.1:25", "localhost:25", "no-such-host.invalid:25", "unix:/run/x"}) {
    listener.backend.addresses.push_back(config::parse_endpoint(address).value());
  }
  runtime::check_backend_names(loaded);
  REQUIRE(loaded.diagnostics.size() == 1);
  const std::string said = config::to_string(loaded.diagnostics[0]);
  CHECK(said.find("warning: inbound.mx.backend.address[2]: 'no-such-host.invalid' has no address now: ") !=
        std::string::npos);
}

TEST_CASE("machine check: root without a user is told, without a place that has nothing to do with it") {
  const std::string said = warnings_of("/bin/sh", runtime::check_root);
  CHECK((::geteuid() == 0) == (said == ": warning: started as root, the gateway stays root after binding: name another "
                                       "user, as in 'user: postern'"));
}

}  // namespace machine_check_test
