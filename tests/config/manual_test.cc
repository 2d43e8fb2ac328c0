#include "config/manual.h"

#include "config/reference.h"
#include "config/schema.h"
#include "tests/support/catch.h"

namespace manual_test {

using namespace postern::config;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("manual: nothing that is printed is taken for a request or an escape") {
  CHECK(roff("--config") == "\\-\\-config");
  CHECK(roff(".example\n'quoted'\na\\b") == "\\&.example\n\\&'quoted'\na\\eb");
}

TEST_CASE("manual: every option is there, with its default") {
  const std::string page = print_manual("1.2.3");
  CHECK(page.starts_with(".TH POSTERN.YAML 5 \"\" \"Postern 1.2.3\" Postern\n"));
  for (const Option& option : list_options(sample_settings())) {
    INFO(option.path);
    CHECK(has(page, roff(option.help)));
    CHECK(has(page, roff(option.expected)));
  }
  CHECK(has(page, "\\fBinbound.\\fINAME\\fB.timeouts.command\\fP\n"));
  CHECK(has(page, "\\fBoutbound.\\fINAME\\fB.policies[].match\\fP\n"));
  CHECK(has(page, "Default: \\fBTLSv1.2\\fP.\n"));
}

TEST_CASE("manual: what the sample only shows is no default") {
  const std::string page = print_manual("1.2.3");
  CHECK(has(page, "For example: \\fB/etc/postern/mx.key\\fP.\n"));
  CHECK_FALSE(has(page, "Default: \\fB/etc/postern/mx.key\\fP.\n"));
}

}  // namespace manual_test
