#include "tls/pem.h"

#include <openssl/asn1.h>
#include <openssl/base64.h>

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"
#include "tls/certificates.h"
#include "tls/x509_text.h"

namespace postern::tls::pem_test {

using namespace test_support;

const std::string mark = "\xef\xbb\xbf";

// What became of a file: the common names that were read, then its warnings or its error, without its path.
std::string outcome(const std::string& content, PemUse use = PemUse::authorities) {
  const TempDirectory directory;
  const std::string path = directory.write("file", content);
  const auto without_path = [&path](std::string text) {
    while (text.find(path) != std::string::npos) text.replace(text.find(path), path.size(), "FILE");
    return text;
  };
  const auto loaded = load_pem_certificates(path, use);
  if (!loaded) return "! " + without_path(loaded.error().message);
  std::string names;
  for (const auto& one : loaded->certificates) names += (names.empty() ? "" : " ") + common_name_of(*one.parsed);
  for (const auto& warning : loaded->warnings) names += "\n" + without_path(warning);
  return names;
}

struct Three {
  std::string a = make_certificate({.common_name = "a", .is_ca = true}).certificate_pem();
  std::string b = make_certificate({.common_name = "b", .is_ca = true}).certificate_pem();
  std::string key = make_certificate({}).key_pem();
  std::size_t lines = static_cast<std::size_t>(std::count(a.begin(), a.end(), '\n'));
  std::string second_line = "line " + std::to_string(lines + 1) + ": ";
};

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
  return text;
}

std::string without_last(std::string text) {
  text.pop_back();
  return text;
}

TEST_CASE("pem: byte order marks, blanks and foreign line ends are passed over") {
  const Three pem;
  const std::string both = pem.a + pem.b;
  CHECK(outcome(both) == "a b");
  CHECK(outcome(mark + both) == "a b");
  CHECK(outcome(pem.a + mark + pem.b) == "a b");
  CHECK(outcome(mark + pem.a + mark + pem.b + mark) == "a b");
  CHECK(outcome(mark + mark + both) == "a b");
  CHECK(outcome(replaced(both, "\n", "\r\n")) == "a b");
  CHECK(outcome(replaced(both, "\n", "\r")) == "a b");
  CHECK(outcome(replaced(both, "\n", " \t\n")) == "a b");
  CHECK(outcome("    " + replaced(both, "\n", "\n    ")) == "a b");
  CHECK(outcome(replaced(both, "\n", "\n\n")) == "a b");
  CHECK(outcome(replaced(pem.a, "\n-----END", "\n" + mark + "-----END") + pem.b) == "a b");
  CHECK(outcome(without_last(both)) == "a b");
}

TEST_CASE("pem: keys, parameters and comments beside certificates are no news") {
  const Three pem;
  const std::string comment = "Bag Attributes\n    friendlyName: a - begin\nsubject=CN = a\n\nCertificate:\n  Data:\n";
  const std::string parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  CHECK(outcome(pem.key + parameters + comment + pem.a + "# the end of it\n======\n" + pem.b + pem.key) == "a b");
}

TEST_CASE("pem: blocks joined without a line end are read, and named with their line") {
  const Three pem;
  const std::string joined = without_last(pem.a) + pem.b;
  const std::string line = "line " + std::to_string(pem.lines) + ": ";
  CHECK(outcome(joined) ==
        "a b\nFILE: " + line + "this BEGIN CERTIFICATE is joined to the END before it: put it on a line of its own");
  CHECK(outcome(without_last(pem.a) + mark + pem.b).starts_with("a b\nFILE: " + line));
  CHECK(outcome(without_last(pem.a) + "  " + pem.b).starts_with("a b\nFILE: " + line));
  CHECK(outcome(replaced(pem.a, "\n-----END", "-----END") + pem.b).starts_with("a b\nFILE: line "));
  CHECK(outcome(replaced(pem.a, "CERTIFICATE-----\n", "CERTIFICATE-----") + "\n" + pem.b)
            .starts_with("a b\nFILE: line 1: "));
  CHECK(outcome(replaced(pem.a + pem.b, "\n", "")).starts_with("a b\nFILE: line 1: "));
}

TEST_CASE("pem: text that hides a block is a warning with its line") {
  const Three pem;
  const std::string hidden = "FILE: " + pem.second_line + "text stands in front of this BEGIN CERTIFICATE";
  CHECK(outcome(pem.a + "x" + pem.b).starts_with("a\n" + hidden));
  CHECK(outcome(pem.a + "# " + replaced(without_last(pem.b), "\n", "\n# ") + "\n").starts_with("a\n" + hidden));
  CHECK(
      outcome(pem.a + "# " + replaced(without_last(pem.b), "\n", "\n# ") + "\n" + pem.b).starts_with("a b\n" + hidden));
  CHECK(outcome("x" + pem.a).starts_with("! FILE holds no certificate"));
  CHECK(outcome("x" + pem.a).find("line 1: text stands in front") != std::string::npos);
}

TEST_CASE("pem: what looks like a block but is none is told with its line") {
  const Three pem;
  const auto spoilt = [&pem](const std::string& what, const std::string& with) {
    return outcome(pem.a + replaced(pem.b, what, with));
  };
  const std::string at_begin = "! FILE: " + pem.second_line;
  for (const char* begin : {"----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----", "------BEGIN CERTIFICATE-----",
                            "-----BEGIN CERTIFICATE------", "-----BEGIN CERTIFICATE", "----- BEGIN CERTIFICATE -----",
                            "-----begin certificate-----", "-----BEGINCERTIFICATE-----", "-----BEGIN  CERTIFICATE-----",
                            "\xe2\x80\x94\xe2\x80\x94-BEGIN CERTIFICATE-----", "-BEGIN CERTIFICATE-"}) {
    CAPTURE(begin);
    CHECK(spoilt("-----BEGIN CERTIFICATE-----", begin).starts_with(at_begin));
  }
  CHECK(spoilt("-----BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE-----").starts_with("! FILE: line "));
  CHECK(spoilt("-----BEGIN CERTIFICATE-----\n", "").starts_with("! FILE: line "));
  for (const char* end : {"----END CERTIFICATE-----", "-----END CERTIFICATE----", "-----END CERTIFCATE-----",
                          "-----END PRIVATE KEY-----", "-----END CERTIFICATE", "", "-----End Certificate-----"}) {
    CAPTURE(end);
    CHECK(spoilt("-----END CERTIFICATE-----", end).starts_with("! FILE: line "));
    CHECK(outcome(replaced(pem.a, "-----END CERTIFICATE-----", end) + pem.b).starts_with("! FILE: line "));
  }
  CHECK(outcome(pem.a + pem.b.substr(0, pem.b.size() / 2)) ==
        at_begin + "the block of CERTIFICATE that begins here has no END");
  CHECK(
      outcome(pem.a + replaced(replaced(pem.b, "-----BEGIN CERTIFICATE-----\n", ""), "-----END CERTIFICATE-----\n", ""))
          .starts_with("a\nFILE: " + pem.second_line + "this looks like the content of a block"));
  CHECK(spoilt("MII", "MI!I").starts_with(at_begin + "broken PEM"));
  CHECK(spoilt("MII", "").starts_with(at_begin));
}

TEST_CASE("pem: blocks of another kind are named, and those that hold certificates are an error") {
  const Three pem;
  const auto block = [](const std::string& label) {
    return "-----BEGIN " + label + "-----\nMAA=\n-----END " + label + "-----\n";
  };
  CHECK(outcome(pem.a + block("X509 CRL")) == "a\nFILE: " + pem.second_line + "this block of X509 CRL is passed over");
  CHECK(
      outcome(block("CERTIFICATE REQUEST") + pem.a).starts_with("a\nFILE: line 1: this block of CERTIFICATE REQUEST"));
  CHECK(outcome(pem.a + block("PKCS7")).starts_with("! FILE: " + pem.second_line + "certificates in a PKCS7 block"));
  CHECK(outcome(replaced(pem.a, "CERTIFICATE", "X509 CERTIFICATE")) == "a");
  CHECK(outcome(replaced(pem.a, "CERTIFICATE", "CERTIFICATES")).starts_with("! FILE holds no certificate"));
}

// As `openssl x509 -trustout` writes it, with `settings` behind the certificate.
std::string trusted(const TestCertificate& certificate, const std::string& settings) {
  const std::string both = certificate.der() + settings;
  std::string text(4 * both.size() / 3 + 8, '\0');
  text.resize(EVP_EncodeBlock(reinterpret_cast<std::uint8_t*>(text.data()),
                              reinterpret_cast<const std::uint8_t*>(both.data()), both.size()));
  return "-----BEGIN TRUSTED CERTIFICATE-----\n" + text + "\n-----END TRUSTED CERTIFICATE-----\n";
}

TEST_CASE("pem: a TRUSTED CERTIFICATE is read, unless what it says of trust would be lost") {
  const auto made = make_certificate({.common_name = "t", .is_ca = true});
  const std::string alias("\x30\x04\x0c\x02me", 6);
  const std::string server_auth("\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 14);
  const std::string rejected("\x30\x0c\xa0\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 14);
  for (const PemUse use : {PemUse::chain, PemUse::authorities, PemUse::system_authorities}) {
    CHECK(outcome(trusted(made, ""), use) == "t");
    CHECK(outcome(trusted(made, alias), use) == "t");
  }
  for (const std::string& settings : {server_auth, rejected}) {
    CHECK(outcome(trusted(made, settings), PemUse::chain) == "t");
    CHECK(outcome(trusted(made, settings)).starts_with("! FILE: line 1: this TRUSTED CERTIFICATE says"));
    CHECK(outcome(trusted(made, settings), PemUse::system_authorities).starts_with("! FILE holds no certificate"));
  }
}

TEST_CASE("pem: a file that is no text is called what it is") {
  const auto made = make_certificate({});
  CHECK(outcome(made.der()).starts_with("! FILE is DER"));
  CHECK(outcome(std::string("\xff\xfe-\0-\0", 6)).starts_with("! FILE is no plain text (UTF-16?)"));
}

TEST_CASE("pem: a list of the system is read as far as it goes") {
  const Three pem;
  CHECK(outcome(pem.a + "-----BEGIN CERTIFICATE-----\n" + pem.b, PemUse::system_authorities) == "a b");
  CHECK(outcome("----BEGIN CERTIFICATE-----\n" + pem.b, PemUse::system_authorities) == "b");
}

TEST_CASE("pem: keys are found in files as odd") {
  const TempDirectory directory;
  const auto made = make_certificate({});
  const auto load = [&directory](const std::string& content) {
    return load_private_key(directory.write("key", content));
  };
  const std::string key = made.key_pem();
  for (const std::string& content :
       {mark + key, made.certificate_pem() + mark + key, without_last(made.certificate_pem()) + key,
        replaced(key, "\n", "\r\n"), replaced(key, "\n", "\r"), "  " + replaced(key, "\n", "\n  "),
        replaced(key, "\n", ""), replaced(key, "\n", "\n\n"), replaced(key, "\n", " \n")}) {
    CAPTURE(content);
    CHECK(load(content).has_value());
  }
  CHECK(load("# " + replaced(without_last(key), "\n", "\n# ") + "\n" + key)->warnings.size() == 1);
  CHECK(load(replaced(key, "-----BEGIN", "----BEGIN")).error().message.find("line 1: ") != std::string::npos);
  CHECK(load(key.substr(0, key.size() - 10)).error().message.find("line ") != std::string::npos);
  CHECK(load(mark + made.encrypted_key_pem("secret")).error().message.find("is encrypted") != std::string::npos);
}

}  // namespace postern::tls::pem_test
