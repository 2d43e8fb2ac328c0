#include "tls/verify_dane.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/support/catch.h"
#include "tls/verify_name.h"

namespace verify_dane_test {

using postern::tls::DaneOutcome;
using postern::tls::DaneResult;
using postern::tls::make_tlsa;
using postern::tls::TlsaRecord;
using postern::tls::verify_dane;

constexpr std::time_t now = 1'800'000'000;
constexpr long day = 86400;

bssl::UniquePtr<EVP_PKEY> make_key() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  REQUIRE(EC_KEY_generate_key(ec.get()) == 1);
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  REQUIRE(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1);
  return key;
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, nullptr, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  REQUIRE(extension);
  REQUIRE(X509_add_ext(certificate, extension.get(), -1) == 1);
}

void set_name(X509_NAME* name, const std::string& common_name) {
  REQUIRE(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const std::uint8_t*>(common_name.data()),
                                     static_cast<int>(common_name.size()), -1, 0) == 1);
}

struct Party {
  std::string name;
  bssl::UniquePtr<EVP_PKEY> key = make_key();
  bssl::UniquePtr<X509> certificate;
};

struct Wish {
  std::string common_name;
  bool authority = false;
  std::vector<std::string> names;
  long from = -day;
  long until = day;
};

// A certificate as wished, signed by `issuer`, or by itself, for the key of `twin`, or a new one.
Party issue(const Wish& wish, const Party* issuer, const Party* twin = nullptr) {
  static long serial = 1;
  Party party{wish.common_name, twin ? bssl::UpRef(twin->key) : make_key(), bssl::UniquePtr<X509>(X509_new())};
  X509* certificate = party.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  set_name(X509_get_subject_name(certificate), wish.common_name);
  set_name(X509_get_issuer_name(certificate), issuer ? issuer->name : wish.common_name);
  ASN1_TIME_set(X509_getm_notBefore(certificate), now + wish.from);
  ASN1_TIME_set(X509_getm_notAfter(certificate), now + wish.until);
  X509_set_pubkey(certificate, party.key.get());
  if (wish.authority) {
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_key_usage, "critical,keyCertSign");
  }
  std::string names;
  for (const std::string& name : wish.names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  if (!names.empty()) add_extension(certificate, NID_subject_alt_name, names);
  REQUIRE(X509_sign(certificate, issuer ? issuer->key.get() : party.key.get(), EVP_sha256()) > 0);
  return party;
}

using Chain = bssl::UniquePtr<STACK_OF(X509)>;

Chain chain_of(std::initializer_list<const Party*> parties) {
  Chain chain(sk_X509_new_null());
  for (const Party* party : parties) REQUIRE(bssl::PushToStack(chain.get(), bssl::UpRef(party->certificate.get())));
  return chain;
}

TlsaRecord record_for(const Party& party, int usage, int selector, int matching_type) {
  return *make_tlsa(*party.certificate, static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector),
                    static_cast<std::uint8_t>(matching_type));
}

DaneResult verify(const std::vector<TlsaRecord>& records, const Chain& chain,
                  const std::vector<std::string>& names = {"mx.example.org"}) {
  return verify_dane(records, chain.get(), names, now);
}

// root -> intermediate -> leaf, all well, and a stranger.
struct World {
  Party root = issue({"root", true, {}}, nullptr);
  Party intermediate = issue({"intermediate", true, {}}, &root);
  Party leaf = issue({"leaf", false, {"mx.example.org"}}, &intermediate);
  Party other = issue({"other", true, {}}, nullptr);
  Chain whole = chain_of({&leaf, &intermediate, &root});
  Chain short_chain = chain_of({&leaf, &intermediate});
};

TEST_CASE("verify_dane: DANE-EE matches the leaf with every selector and matching type") {
  const World world;
  for (const int selector : {0, 1})
    for (const int type : {0, 1, 2}) {
      const auto result = verify({record_for(world.leaf, 3, selector, type)}, world.whole);
      CHECK(result.outcome == DaneOutcome::matched);
      CHECK(result.record == 0);
    }
}

TEST_CASE("verify_dane: DANE-EE asks for no name, no date, and no issuer") {
  const Party issuer = issue({"somebody", true, {}}, nullptr);
  const Party leaf = issue({"leaf", false, {"wrong.example"}, -20 * day, -10 * day}, &issuer);
  CHECK(verify({record_for(leaf, 3, 1, 1)}, chain_of({&leaf})).outcome == DaneOutcome::matched);
}

TEST_CASE("verify_dane: DANE-EE looks at the leaf alone") {
  const World world;
  CHECK(verify({record_for(world.intermediate, 3, 1, 1)}, world.whole).outcome == DaneOutcome::no_match);
  CHECK(verify({record_for(world.other, 3, 1, 1)}, world.whole).outcome == DaneOutcome::no_match);
}

TEST_CASE(
    "verify_dane: DANE-TA matches any authority of the chain, a root or not, by every selector and matching type") {
  const World world;
  for (const Party* authority : {&world.intermediate, &world.root})
    for (const int selector : {0, 1})
      for (const int type : {0, 1, 2})
        CHECK(verify({record_for(*authority, 2, selector, type)}, world.whole).outcome == DaneOutcome::matched);
}

TEST_CASE("verify_dane: DANE-TA given by digest must be in the chain that the peer sent") {
  const World world;
  CHECK(verify({record_for(world.root, 2, 0, 1)}, world.short_chain).outcome == DaneOutcome::no_match);
  CHECK(verify({record_for(world.root, 2, 1, 2)}, world.short_chain).outcome == DaneOutcome::no_match);
}

TEST_CASE("verify_dane: DANE-TA given whole may be absent from the chain") {
  const World world;
  CHECK(verify({record_for(world.root, 2, 0, 0)}, world.short_chain).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(world.root, 2, 1, 0)}, world.short_chain).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(world.intermediate, 2, 0, 0)}, chain_of({&world.leaf})).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(world.intermediate, 2, 1, 0)}, chain_of({&world.leaf})).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(world.root, 2, 0, 0)}, chain_of({&world.leaf})).outcome == DaneOutcome::not_trusted);
  CHECK(verify({record_for(world.root, 2, 1, 0)}, chain_of({&world.leaf})).outcome == DaneOutcome::no_match);
}

TEST_CASE("verify_dane: an authority that the peer shows but that did not sign its chain is worth nothing") {
  const World world;
  const Chain padded = chain_of({&world.leaf, &world.intermediate, &world.other});
  CHECK(verify({record_for(world.other, 2, 0, 1)}, padded).outcome == DaneOutcome::not_trusted);
  CHECK(verify({record_for(world.other, 2, 1, 0)}, padded).outcome == DaneOutcome::not_trusted);
  const Party same_name = issue({"intermediate", true, {}}, nullptr);
  CHECK(verify({record_for(same_name, 2, 0, 0)}, chain_of({&world.leaf})).outcome == DaneOutcome::not_trusted);
}

TEST_CASE("verify_dane: a leaf that is no authority cannot stand as one for another") {
  const World world;
  const Party forged = issue({"forged", false, {"mx.example.org"}}, &world.leaf);
  const Chain chain = chain_of({&forged, &world.leaf, &world.intermediate});
  CHECK(verify({record_for(world.leaf, 2, 1, 1)}, chain).outcome == DaneOutcome::not_trusted);
  CHECK(verify({record_for(world.intermediate, 2, 1, 1)}, chain).outcome == DaneOutcome::not_trusted);
}

TEST_CASE("verify_dane: the leaf's own digest is no DANE-TA match") {
  const World world;
  CHECK(verify({record_for(world.leaf, 2, 1, 1)}, world.whole).outcome == DaneOutcome::no_match);
}

TEST_CASE("verify_dane: DANE-TA wants one of the reference names") {
  const World world;
  const std::vector<TlsaRecord> records = {record_for(world.intermediate, 2, 0, 1)};
  CHECK(verify(records, world.whole, {"other.example", "MX.example.org."}).outcome == DaneOutcome::matched);
  CHECK(verify(records, world.whole, {"example.org"}).outcome == DaneOutcome::name_mismatch);
  CHECK(verify(records, world.whole, {}).outcome == DaneOutcome::name_mismatch);
}

TEST_CASE("verify_dane: DANE-TA refuses certificates out of their time, the authority's own too") {
  const World world;
  const Party late = issue({"leaf", false, {"mx.example.org"}, -20 * day, -10 * day}, &world.intermediate);
  const Party early = issue({"leaf", false, {"mx.example.org"}, 10 * day, 20 * day}, &world.intermediate);
  for (const int type : {0, 1}) {
    const std::vector<TlsaRecord> records = {record_for(world.intermediate, 2, 1, type)};
    CHECK(verify(records, chain_of({&late, &world.intermediate})).outcome == DaneOutcome::expired);
    CHECK(verify(records, chain_of({&early, &world.intermediate})).outcome == DaneOutcome::expired);
  }
  CHECK(verify({record_for(world.intermediate, 2, 1, 0)}, chain_of({&late})).outcome == DaneOutcome::expired);

  const Party old = issue({"old", true, {}, -20 * day, -10 * day}, &world.root);
  const Party leaf = issue({"leaf", false, {"mx.example.org"}}, &old);
  CHECK(verify({record_for(old, 2, 0, 1)}, chain_of({&leaf, &old})).outcome == DaneOutcome::expired);
}

TEST_CASE("verify_dane: an expired twin of an authority hides nothing, in front of the valid one or behind it") {
  const World world;
  const Party old = issue({"intermediate", true, {}, -20 * day, -10 * day}, &world.root, &world.intermediate);
  const Party old_root = issue({"root", true, {}, -20 * day, -10 * day}, nullptr, &world.root);
  const std::vector<Chain> chains = [&] {
    std::vector<Chain> all;
    all.push_back(chain_of({&world.leaf, &old, &world.intermediate, &world.root}));
    all.push_back(chain_of({&world.leaf, &world.intermediate, &old, &world.root}));
    all.push_back(chain_of({&world.leaf, &old, &old_root, &world.intermediate, &world.root}));
    return all;
  }();
  for (const Chain& chain : chains)
    for (const Party* authority : {&world.intermediate, &world.root})
      for (const int selector : {0, 1})
        for (const int type : {0, 1})
          CHECK(verify({record_for(*authority, 2, selector, type)}, chain).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(old, 2, 0, 1)}, chains[0]).outcome == DaneOutcome::expired);
  CHECK(verify({record_for(old, 2, 1, 1)}, chain_of({&world.leaf, &old})).outcome == DaneOutcome::expired);
}

TEST_CASE("verify_dane: one matching record among others suffices, of either usage") {
  const World world;
  const auto result = verify(
      {record_for(world.other, 3, 1, 1), record_for(world.other, 2, 0, 0), record_for(world.intermediate, 2, 0, 1)},
      world.whole);
  CHECK(result.outcome == DaneOutcome::matched);
  CHECK(result.record == 2);
  CHECK(verify({record_for(world.other, 2, 1, 1), record_for(world.leaf, 3, 1, 1)}, world.whole).record == 1);
}

TEST_CASE("verify_dane: digest agility, a weaker digest is ignored beside a stronger one of its usage and selector") {
  const World world;
  const TlsaRecord weak = record_for(world.leaf, 3, 1, 1);
  const TlsaRecord strong_of_another = record_for(world.other, 3, 1, 2);
  const DaneResult stale = verify({weak, strong_of_another}, world.whole);
  CHECK(stale.outcome == DaneOutcome::no_match);
  CHECK(stale.reason == "no TLSA record matches the certificate chain; " + to_string(weak).substr(0, 22) +
                            " does not count beside " + to_string(strong_of_another).substr(0, 22) +
                            ", which has a stronger digest (RFC 7671 9)");
  CHECK(verify({strong_of_another}, world.whole).reason == "no TLSA record matches the certificate chain");
  CHECK(verify({weak, record_for(world.other, 3, 0, 2)}, world.whole).outcome == DaneOutcome::matched);
  CHECK(verify({weak, record_for(world.other, 2, 1, 2)}, world.whole).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(world.leaf, 3, 1, 0), strong_of_another}, world.whole).outcome == DaneOutcome::matched);
  TlsaRecord malformed = strong_of_another;
  malformed.data.pop_back();
  CHECK(verify({weak, malformed}, world.whole).outcome == DaneOutcome::matched);
}

TEST_CASE("verify_dane: unusable records alone demand nothing, beside usable ones they change nothing") {
  const World world;
  const TlsaRecord pkix = record_for(world.leaf, 1, 1, 1);
  const auto result = verify({pkix}, world.whole);
  CHECK(result.outcome == DaneOutcome::no_usable_record);
  CHECK_FALSE(result.reason.empty());
  CHECK(verify({}, world.whole).outcome == DaneOutcome::no_usable_record);
  CHECK(verify({pkix, record_for(world.leaf, 3, 1, 1)}, world.whole).record == 1);
  CHECK_FALSE(postern::tls::any_usable(std::vector<TlsaRecord>{pkix}));
}

TEST_CASE("verify_dane: no certificate is no match") {
  const World world;
  CHECK(verify_dane(std::vector<TlsaRecord>{record_for(world.leaf, 3, 1, 1)}, nullptr, {}, now).outcome ==
        DaneOutcome::no_certificate);
  CHECK(verify({record_for(world.leaf, 3, 1, 1)}, chain_of({})).outcome == DaneOutcome::no_certificate);
}

TEST_CASE(
    "verify_dane: a self-signed leaf is fine with DANE-EE, and with DANE-TA only where the record holds it whole") {
  const Party self = issue({"self", false, {"mx.example.org"}}, nullptr);
  CHECK(verify({record_for(self, 3, 0, 1)}, chain_of({&self})).outcome == DaneOutcome::matched);
  CHECK(verify({record_for(self, 2, 0, 1)}, chain_of({&self})).outcome == DaneOutcome::no_match);
  CHECK(verify({record_for(self, 2, 0, 0)}, chain_of({&self})).outcome == DaneOutcome::matched);
}

TEST_CASE("verify_name: the names of a certificate are its dNSNames, not its common name") {
  const Party party = issue({"cn.example.org", false, {"a.example.org", "*.example.net"}}, nullptr);
  CHECK(postern::tls::certificate_dns_names(*party.certificate) ==
        std::vector<std::string>{"a.example.org", "*.example.net"});
  const Party bare = issue({"cn.example.org", false, {}}, nullptr);
  CHECK(postern::tls::certificate_dns_names(*bare.certificate).empty());
}

TEST_CASE("verify_name: a certificate that names nobody says why") {
  using postern::tls::why_nameless;
  CHECK(why_nameless(*issue({"cn.example.org", false, {"a.example.org"}}, nullptr).certificate).empty());
  CHECK(why_nameless(*issue({"cn.example.org", false, {}}, nullptr).certificate) ==
        ": it has a common name only (cn.example.org), and no subjectAltName, without which no name counts (RFC 9525)");
  CHECK(why_nameless(*issue({"\xe2\x80\xae evil", false, {}}, nullptr).certificate) ==
        ": it has a common name only, and no subjectAltName, without which no name counts (RFC 9525)");
  CHECK(why_nameless(*issue({"mx", false, {"b\xc3\xa9"}}, nullptr).certificate) ==
        ": its subjectAltName has no DNS name");
}

}  // namespace verify_dane_test
