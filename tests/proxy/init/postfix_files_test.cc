#include "proxy/init/postfix_files.h"

#include "tests/support/catch.h"

namespace postern::init {
namespace postfix_files_test {

TEST_CASE("init: main.cf with comments, continued lines and a parameter that comes twice") {
  const auto parameters = parse_main_cf(
      "# myhostname = no\n"
      "myhostname = a.example\n"
      "mynetworks = 127.0.0.0/8,\n"
      "# in between\n"
      "\t10.0.0.0/8\n"
      "myhostname=b.example \r\n"
      "no parameter\n"
      "  empty =");
  CHECK(parameters.at("myhostname") == "b.example");
  CHECK(parameters.at("mynetworks") == "127.0.0.0/8, 10.0.0.0/8");
}

TEST_CASE("init: master.cf's services with what holds for each") {
  const auto services = parse_master_cf(
      "# service type  private unpriv  chroot  wakeup  maxproc command + args\n"
      "smtp      inet  n       -       y       -       -       smtpd\n"
      "pickup    unix  n       -       y       60      1       pickup\n"
      "127.0.0.1:2525 inet n - y - - smtpd -v\n"
      "  -o smtpd_authorized_xclient_hosts=10.0.0.0/8,127.0.0.0/8\n"
      "  -o { smtpd_upstream_proxy_protocol = haproxy }\n"
      "10.0.0.7:smtp inet n - n - 1 postscreen\n"
      "broken inet\n",
      parse_main_cf(
          "smtpd_authorized_xclient_hosts = 192.0.2.1 hash:/x\npostscreen_upstream_proxy_protocol = haproxy"));
  REQUIRE(services.size() == 3);
  CHECK(port_of(services[0]) == 25);
  CHECK_FALSE(own_address(services[0]).has_value());
  CHECK(services[0].line == 2);
  CHECK_FALSE(services[0].trusts_xclient);
  CHECK_FALSE(services[0].takes_proxy);
  CHECK(port_of(services[1]) == 2525);
  CHECK(config::to_string(*own_address(services[1])) == "127.0.0.1:2525");
  CHECK(services[1].trusts_xclient);
  CHECK(services[1].takes_proxy);
  CHECK(moved_line(services[0], "127.0.0.1:2525", config::ClientAddress::xclient) ==
        "127.0.0.1:2525 inet n - y - - smtpd -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no "
        "-o smtpd_authorized_xclient_hosts=127.0.0.1");
  CHECK(moved_line(services[1], "127.0.0.1:2", config::ClientAddress::proxy_v2) ==
        "127.0.0.1:2 inet n - y - - smtpd -v -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no "
        "-o smtpd_upstream_proxy_protocol=haproxy");
  CHECK(moved_line(services[2], "127.0.0.1:2", config::ClientAddress::none) ==
        "127.0.0.1:2 inet n - y - - smtpd -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no");
  CHECK(services[2].program == "postscreen");
  CHECK(services[2].takes_proxy);
  CHECK(port_of(services[2]) == 25);
}

}  // namespace postfix_files_test
}  // namespace postern::init
