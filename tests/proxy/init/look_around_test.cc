#include "proxy/init/look_around.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "config/unique_fd.h"
#include "proxy/init/ask_server.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/temp_directory.h"

namespace postern::init {
namespace look_around_test {

using test_support::make_certificate;
using test_support::TempDirectory;

void put(const TempDirectory& root, const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(root.path(path)).parent_path());
  root.write(path, content);
}

Facts look_at(const TempDirectory& root) {
  return look_around({root.path(""), true, "machine.example.org", [](const auto& user) { return user == "qmaild"; }});
}

TEST_CASE("init: an empty machine has nothing") {
  const TempDirectory root;
  const Facts facts = look_at(root);
  CHECK_FALSE((facts.qmail.found || facts.postfix.found || facts.exim.found || facts.has_service ||
               facts.has_state_directory || facts.has_trust_anchor || facts.has_control_folder));
  CHECK(facts.has_ipv6);  // who knows
  CHECK(facts.certificates.empty());
  CHECK(facts.listening.empty());
  CHECK(facts.has_user("qmaild"));
  CHECK_FALSE(facts.has_user("postern"));
}

TEST_CASE("init: qmail, with what starts it and what its rules say") {
  const TempDirectory root;
  put(root, "var/qmail/bin/qmail-smtpd", "");
  put(root, "var/qmail/control/me", "mx.example.org\n");
  put(root, "etc/tcp.smtp", "10.:allow,RELAYCLIENT=\"\"\n");
  put(root, "service/smtpd/run", "exec tcpserver 0 25 /var/qmail/bin/qmail-smtpd\n");
  put(root, "service/pop/run", "exec tcpserver 0 110 qmail-popup\n");
  const Facts facts = look_at(root);
  CHECK(facts.qmail.found);
  CHECK(facts.qmail.hostname == "mx.example.org");
  CHECK_FALSE(facts.qmail.has_rcpthosts);
  CHECK(facts.qmail.relays_by_rules);
  CHECK(facts.qmail.services == std::vector<std::string>{"/service/smtpd"});
}

TEST_CASE("init: Postfix and Exim, and what Postern's package brings") {
  const TempDirectory root;
  put(root, "etc/postfix/main.cf", "myhostname = mail.example.org\n");
  put(root, "etc/postfix/master.cf", "smtp inet n - y - - smtpd\n");
  put(root, "usr/sbin/exim4", std::string("\0hosts_proxy\0", 13));
  put(root, "etc/exim4/update-exim4.conf.conf", "");
  put(root, "lib/systemd/system/postern.service", "");
  put(root, "usr/share/dns/root.key", "");
  const Facts facts = look_at(root);
  CHECK(facts.postfix.hostname == "mail.example.org");
  CHECK(facts.postfix.services.size() == 1);
  CHECK(facts.exim.program == "/usr/sbin/exim4");
  CHECK(facts.exim.knows_proxy);
  CHECK(facts.exim.by_debian);
  CHECK((facts.has_service && facts.has_control_folder && facts.has_trust_anchor));
}

TEST_CASE("init: certificates where programs keep them, with their flaws") {
  const TempDirectory root;
  const auto authority = make_certificate({.common_name = "CA", .is_ca = true});
  const auto good = make_certificate({.dns_names = {"mx.example.org"}, .issuer = &authority});
  const auto own = make_certificate({.dns_names = {"own.example.org"}});
  put(root, "etc/letsencrypt/archive/mx/fullchain1.pem", good.certificate_pem());
  put(root, "etc/letsencrypt/archive/mx/privkey1.pem", good.key_pem());
  std::filesystem::create_directories(root.path("etc/letsencrypt/live/mx"));
  for (const std::string name : {"fullchain", "privkey"}) {
    std::filesystem::create_symlink("../../archive/mx/" + name + "1.pem",
                                    root.path("etc/letsencrypt/live/mx/" + name + ".pem"));
  }
  put(root, "etc/letsencrypt/live/README", "");
  put(root, "etc/postern/mx.crt", good.certificate_pem());
  put(root, "etc/postern/mx.key", own.key_pem());
  put(root, "etc/postfix/main.cf",
      "smtpd_tls_cert_file = /etc/ssl/own.pem\nsmtpd_tls_key_file = $smtpd_tls_cert_file\n");
  put(root, "etc/ssl/own.pem", own.key_pem() + own.certificate_pem());
  const auto found = look_for_certificates(root.path(""));
  REQUIRE(found.size() == 3);
  CHECK(found[0].files.chain == "/etc/letsencrypt/live/mx/fullchain.pem");
  CHECK(found[0].names == std::vector<std::string>{"mx.example.org"});
  CHECK(found[0].flaw.empty());
  CHECK_FALSE((found[0].self_issued || found[0].is_rsa));
  CHECK(found[1].files.key == "/etc/postern/mx.key");
  CHECK_FALSE(found[1].flaw.empty());
  CHECK(found[2].files.key == "/etc/ssl/own.pem");
  CHECK(found[2].self_issued);
}

// A port of this machine, and who has it: we do.
TEST_CASE("init: who listens is found, as far as it may be seen") {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(socket.get(), 1) == 0);
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const std::uint16_t port = ntohs(address.sin_port);
  const Facts facts = look_around({"", false, "", {}});
  const Listening* const found = facts.listener_on(port);
  REQUIRE(found != nullptr);
  CHECK(found->process == ::getpid());
  CHECK(found->program == "test_init");
  CHECK(config::to_string(found->at) == "127.0.0.1:" + std::to_string(port));
}

TEST_CASE("init: XCLIENT is offered by a keyword, not by a word") {
  CHECK(offers_xclient("250-mx\r\n250-XCLIENT NAME ADDR\r\n250 SIZE\r\n"));
  CHECK(offers_xclient("250-mx\r\n250 xclient\r\n"));
  CHECK_FALSE(offers_xclient("250-XCLIENTS\r\n250 8BITMIME\r\n"));
  CHECK_FALSE(offers_xclient("250-mx XCLIENT\r\n250\r\n"));
}

}  // namespace look_around_test
}  // namespace postern::init
