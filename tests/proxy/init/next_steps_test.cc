#include "proxy/init/next_steps.h"

#include "tests/proxy/init/machines.h"
#include "tests/support/catch.h"

namespace postern::init {
namespace next_steps_test {

using machines::bare_machine;
using machines::listens;
using machines::now;
using machines::with_exim;
using machines::with_postfix;
using machines::with_qmail;

std::string steps_for(const Facts& facts, const std::vector<std::pair<Wish, std::vector<std::string>>>& said,
                      const std::string& file = "/etc/postern/postern.yaml") {
  Wishes wishes;
  wishes.say(Wish::self_signed, {"yes"});
  wishes.say(Wish::outbound, {"off"});
  wishes.say(Wish::submission, {"no"});
  for (const auto& [wish, words] : said) wishes.say(wish, words);
  const Decision decision = decide(facts, wishes, {"/etc/postern", now(), {}});
  REQUIRE(std::holds_alternative<Plan>(decision));
  return next_steps(std::get<Plan>(decision), facts, file);
}

bool says(const std::string& steps, const std::string& text) {
  INFO(steps);
  CHECK(steps.find(text) != std::string::npos);
  return true;
}

TEST_CASE("init: the lines of master.cf that change are shown as they stand and as they are to be") {
  const std::string steps = steps_for(with_postfix(bare_machine(),
                                                   "smtp inet n - y - - smtpd\n"
                                                   "submission inet n - y - - smtpd\n"
                                                   "  -o smtpd_sasl_auth_enable=yes\n"),
                                      {{Wish::submission, {"yes"}}});
  says(steps, "line 1: 'smtp inet n - y - - smtpd'");
  says(steps, "postconf -MX smtp/inet\n");
  says(steps, "postconf -Me '127.0.0.1:2525/inet=127.0.0.1:2525 inet n - y - - smtpd -o smtpd_tls_security_level=none");
  says(steps, "postconf -MX submission/inet\n");
  says(steps, "127.0.0.1:2587 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=none");
  says(steps, "systemctl restart postfix");
}

TEST_CASE("init: a Postfix that is ready has nothing to be done to it") {
  const std::string steps = steps_for(with_postfix(bare_machine(), "127.0.0.1:2525 inet n - y - - smtpd\n",
                                                   "smtpd_authorized_xclient_hosts = 127.0.0.1\n"),
                                      {});
  CHECK(steps.find("postfix") == std::string::npos);
}

TEST_CASE("init: qmail's tcpserver is stopped, and others on the port are named") {
  Facts facts = with_qmail(bare_machine());
  facts.qmail.relays_by_rules = true;
  facts.listening = {listens(25, "other\nthing")};
  facts.has_service = facts.confines_programs = facts.has_state_directory = true;
  const std::string steps = steps_for(facts, {{Wish::outbound, {"mx"}}});
  says(steps, "svc -d /service/qmail-smtpd && touch /service/qmail-smtpd/down");
  says(steps, "tcp.smtp");
  says(steps, "install -D -m 644 /usr/share/postern/exec.conf /etc/systemd/system/postern.service.d/exec.conf");
  says(steps, "install -d -o qmaild -m 700 /var/lib/postern-qmaild");  // the other folder is the package's user's
  says(steps, "'other\\x0athing' (process 4711) listens on port 25");
  says(steps, "apt-get install dns-root-data");
  says(steps, "systemctl enable --now postern");
  says(steps, "echo ':127.0.0.1:10025' >>/var/qmail/control/smtproutes");
  says(steps, "openssl s_client -quiet -crlf -starttls smtp -servername mx.example.org -connect localhost:25");
}

TEST_CASE("init: a program of Exim's is not given a user that Exim does not believe") {
  Facts facts = with_exim(bare_machine(), false);
  facts.users = {};
  const std::string steps = steps_for(facts, {});
  CHECK(steps.find("adduser") == std::string::npos);
  CHECK(steps.find("user: postern") == std::string::npos);
  says(steps, "/usr/sbin/exim4 -bP exim_user");
}

TEST_CASE("init: a file in an odd place is one word to a shell") {
  says(steps_for(with_qmail(bare_machine()), {}, "/tmp/it's here"), "postern run --config '/tmp/it'\\''s here'");
}

}  // namespace next_steps_test
}  // namespace postern::init
