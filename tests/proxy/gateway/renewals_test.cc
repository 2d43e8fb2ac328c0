#include "proxy/gateway/renewals.h"

#include "tests/support/catch.h"

namespace renewals_test {

using namespace postern;

// A file of a snapshot, and what it was told.
struct Heard {
  std::string content = "as it was";
  Errc error = Errc::unsupported;
  int told = 0;

  postern::runtime::LiveFile file(const std::string& path) {
    return {path, config::FileUse::secret, [this](const Result<config::File>& read) -> Result<bool> {
              ++told;
              if (!read) {
                error = read.error().code;
                return tl::unexpected(read.error());
              }
              content = read->content;
              return true;
            }};
  }
};

config::Files changed(const std::string& path, Result<config::File> file) {
  config::Files files;
  files.put(path, std::move(file));
  return files;
}

TEST_CASE("renewals: what is in a file now is handed to those who have its path, and that it is gone") {
  Heard heard;
  Heard too;
  Heard other;
  postern::gateway::Renewals renewals;
  renewals.of({heard.file("/secret"), too.file("/secret"), other.file("/other")});
  CHECK(renewals.renew(changed("/secret", config::File{"two"})));
  CHECK(heard.content == "two");
  CHECK(too.content == "two");
  CHECK(other.told == 0);
  CHECK_FALSE(renewals.renew(changed("/secret", fail(Errc::not_found, "gone"))));
  CHECK(heard.error == Errc::not_found);
  CHECK_FALSE(renewals.renew(changed("/nobody's", config::File{"three"})));
  CHECK(heard.told == 2);
}

TEST_CASE("renewals: what may not be read any more stays as it was") {
  Heard heard;
  postern::gateway::Renewals renewals;
  renewals.of({heard.file("/secret")});
  (void)renewals.renew(changed("/secret", fail(Errc::io, "cannot read /secret: Permission denied")));
  CHECK(heard.told == 0);
}

TEST_CASE("renewals: those of before are told no more") {
  Heard before;
  Heard heard;
  postern::gateway::Renewals renewals;
  renewals.of({before.file("/secret")});
  renewals.of({heard.file("/secret")});
  (void)renewals.renew(changed("/secret", config::File{"two"}));
  CHECK(before.told == 0);
  CHECK(heard.content == "two");
}

}  // namespace renewals_test
