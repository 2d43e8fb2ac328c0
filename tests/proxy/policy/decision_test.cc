#include "proxy/policy/decision.h"

#include "tests/support/catch.h"

namespace decision_test {

using namespace postern::policy;
using postern::tls::DaneOutcome;
using postern::tls::TlsaRecord;
using Stage = TlsOutcome::Stage;
using Chain = TlsOutcome::Chain;

const TlsaRecord usable{3, 1, 1, std::string(32, 'k')};
const TlsaRecord unusable{1, 1, 1, std::string(32, 'k')};

MailHost host(DaneState dane = DaneState::not_applicable, std::vector<TlsaRecord> tlsa = {}, bool mx_secure = true) {
  MailHost host;
  host.name = "mx.example.org";
  host.tlsa_base = "mx.example.org";
  host.address_state = MailHost::Addresses::found;
  host.addresses.resize(1);
  host.mx_secure = mx_secure;
  host.dane = dane;
  host.tlsa = std::move(tlsa);
  return host;
}
MailHost dane_host() {
  return host(DaneState::records, {usable});
}

LocalPolicy level(Level value) {
  LocalPolicy policy;
  policy.level = value;
  return policy;
}

MtaStsFacts sts(MtaStsMode mode, std::vector<std::string> mx = {"mx.example.org"}) {
  return {MtaStsPolicy{mode, std::chrono::seconds(86400), std::move(mx)}, std::nullopt};
}

TlsOutcome plaintext() {
  TlsOutcome outcome;
  outcome.stage = Stage::not_offered;
  return outcome;
}
TlsOutcome encrypted() {
  TlsOutcome outcome;
  outcome.stage = Stage::established;
  outcome.chain = Chain::untrusted;
  outcome.chain_error = "self signed certificate";
  outcome.dane = {DaneOutcome::no_match, std::nullopt, "no TLSA record matches"};
  return outcome;
}
TlsOutcome with_dane(DaneOutcome result = DaneOutcome::matched) {
  TlsOutcome outcome = encrypted();
  outcome.dane.outcome = result;
  return outcome;
}
TlsOutcome with_chain(std::vector<std::string> names = {"mx.example.org"}) {
  TlsOutcome outcome = encrypted();
  outcome.chain = Chain::trusted;
  outcome.names = std::move(names);
  return outcome;
}

Verdict decide(const MailHost& mail_host, const LocalPolicy& local, const MtaStsFacts& mta_sts,
               const TlsOutcome& outcome) {
  return judge(demand_on(mail_host, "example.org", local, mta_sts), outcome);
}

void check_refused(const Verdict& verdict, Source source, Reason reason, std::string_view reply) {
  CHECK_FALSE(verdict.satisfied);
  CHECK_FALSE(verdict.deliver);
  CHECK(verdict.source == source);
  CHECK(verdict.reason == reason);
  CHECK(code_of(verdict.reply) == reply);
}

void check_satisfied(const Verdict& verdict, Level reached) {
  CHECK(verdict.satisfied);
  CHECK(verdict.deliver);
  CHECK(verdict.reason == Reason::satisfied);
  CHECK_FALSE(verdict.reply);
  CHECK(verdict.reached == reached);
}

const ReportRow tlsa_success{ReportPolicy::tlsa, std::nullopt};
const ReportRow sts_success{ReportPolicy::sts, std::nullopt};
ReportRow tlsa_failure(ReportResult result) {
  return {ReportPolicy::tlsa, result};
}
ReportRow sts_failure(ReportResult result) {
  return {ReportPolicy::sts, result};
}

// --- the operator's levels, with nothing published

TEST_CASE("decision: none asks for no TLS, whatever is published") {
  const Demand demand = demand_on(dane_host(), "example.org", level(Level::none), sts(MtaStsMode::enforce));
  CHECK_FALSE(demand.try_tls);
  CHECK(demand.allows_plaintext());
  check_satisfied(judge(demand, TlsOutcome{}), Level::none);
}

TEST_CASE("decision: may takes what it gets") {
  check_satisfied(decide(host(), level(Level::may), {}, plaintext()), Level::none);
  check_satisfied(decide(host(), level(Level::may), {}, encrypted()), Level::encrypt);
  check_satisfied(decide(host(), level(Level::may), {}, with_chain()), Level::verify);
  TlsOutcome failed;
  failed.stage = Stage::handshake_failed;
  check_satisfied(decide(host(), level(Level::may), {}, failed), Level::none);
}

TEST_CASE("decision: encrypt wants TLS from anybody") {
  check_satisfied(decide(host(), level(Level::encrypt), {}, encrypted()), Level::encrypt);
  check_refused(decide(host(), level(Level::encrypt), {}, plaintext()), Source::local, Reason::tls_not_offered,
                "451 4.7.4");
  TlsOutcome failed;
  failed.stage = Stage::handshake_failed;
  check_refused(decide(host(), level(Level::encrypt), {}, failed), Source::local, Reason::handshake_failed,
                "451 4.7.5");
  failed.stage = Stage::refused;
  check_refused(decide(host(), level(Level::encrypt), {}, failed), Source::local, Reason::tls_not_offered, "451 4.7.4");
}

TEST_CASE("decision: fingerprint wants a listed key or certificate, and no chain") {
  LocalPolicy local = level(Level::fingerprint);
  local.fingerprints = {std::string(32, 'a'), std::string(32, 'b')};
  TlsOutcome outcome = encrypted();
  outcome.fingerprints = {std::string(32, 'x'), std::string(32, 'b')};
  check_satisfied(decide(host(), local, {}, outcome), Level::fingerprint);
  outcome.fingerprints = {std::string(32, 'x')};
  check_refused(decide(host(), local, {}, outcome), Source::local, Reason::fingerprint_mismatch, "451 4.7.5");
  local.fingerprints.clear();
  check_refused(decide(host(), local, {}, outcome), Source::local, Reason::fingerprint_mismatch, "451 4.7.5");
}

TEST_CASE("decision: verify wants a chain and the MX host's name") {
  const LocalPolicy local = level(Level::verify);
  check_satisfied(decide(host(), local, {}, with_chain()), Level::verify);
  check_refused(decide(host(), local, {}, with_chain({"example.org"})), Source::local, Reason::certificate_name,
                "451 4.7.5");
  check_refused(decide(host(), local, {}, encrypted()), Source::local, Reason::certificate_untrusted, "451 4.7.5");
  TlsOutcome expired = with_chain();
  expired.chain = Chain::expired;
  check_refused(decide(host(), local, {}, expired), Source::local, Reason::certificate_expired, "451 4.7.5");
  TlsOutcome unchecked = with_chain();
  unchecked.chain = Chain::not_checked;
  check_refused(decide(host(), local, {}, unchecked), Source::local, Reason::certificate_untrusted, "451 4.7.5");
}

TEST_CASE("decision: secure wants the recipient domain's name, or one of the policy's, never just the MX host's") {
  LocalPolicy local = level(Level::secure);
  check_refused(decide(host(), local, {}, with_chain()), Source::local, Reason::certificate_name, "451 4.7.5");
  check_satisfied(decide(host(), local, {}, with_chain({"example.org"})), Level::secure);
  local.names = {"one.example", "two.example"};
  check_satisfied(decide(host(), local, {}, with_chain({"two.example"})), Level::secure);
  check_refused(decide(host(), local, {}, with_chain({"example.org"})), Source::local, Reason::certificate_name,
                "451 4.7.5");
}

TEST_CASE("decision: dane without records is may") {
  check_satisfied(decide(host(), level(Level::dane), {}, plaintext()), Level::none);
  CHECK(decide(host(), level(Level::dane), {}, plaintext()).demanded == Level::dane);
}

// --- the DANE table, row by row (what MX, address and TLSA lookups make of a host is in route_test.cc)

TEST_CASE("decision: no route, no host: each reason has its reply") {
  Route route;
  const auto reply = [&route](Route::Outcome outcome) {
    route.outcome = outcome;
    return std::string(code_of(blocker_of(route).value().reply));
  };
  CHECK(reply(Route::Outcome::dns_failed) == "451 4.4.3");
  CHECK(reply(Route::Outcome::dns_bogus) == "451 4.4.3");
  CHECK(reply(Route::Outcome::null_mx) == "556 5.1.10");
  CHECK(reply(Route::Outcome::no_such_domain) == "550 5.1.2");
  route.outcome = Route::Outcome::hosts;
  CHECK_FALSE(blocker_of(route));
}

TEST_CASE("decision: DANE row, insecure MX and usable records: the match is demanded but makes the host trusted only") {
  const MailHost unsigned_mx = host(DaneState::records, {usable}, false);
  const Verdict verdict = decide(unsigned_mx, level(Level::may), {}, with_dane());
  check_satisfied(verdict, Level::dane);
  CHECK(verdict.trusted_only);
  check_refused(decide(unsigned_mx, level(Level::may), {}, encrypted()), Source::dane, Reason::tlsa_mismatch,
                "451 4.7.5");
  check_refused(decide(unsigned_mx, level(Level::dane_only), {}, with_dane()), Source::dane, Reason::dane_required,
                "451 4.7.5");
}

TEST_CASE("decision: DANE row, no DANE for this host: MTA-STS or the operator's level decides") {
  for (const DaneState state : {DaneState::not_applicable, DaneState::absent}) {
    check_satisfied(decide(host(state), level(Level::may), {}, plaintext()), Level::none);
    check_refused(decide(host(state), level(Level::may), sts(MtaStsMode::enforce), encrypted()), Source::mta_sts,
                  Reason::certificate_untrusted, "451 4.7.5");
    check_refused(decide(host(state), level(Level::encrypt), {}, plaintext()), Source::local, Reason::tls_not_offered,
                  "451 4.7.4");
    const Verdict verdict = decide(host(state), level(Level::dane_only), {}, with_dane());
    check_refused(verdict, Source::dane, Reason::dane_required, "451 4.7.5");
    CHECK(verdict.reports == std::vector<ReportRow>{tlsa_failure(ReportResult::dane_required)});
  }
}

TEST_CASE("decision: DANE row, address lookup failed: this host is unusable") {
  MailHost broken = dane_host();
  broken.address_state = MailHost::Addresses::failed;
  check_refused(decide(broken, level(Level::may), {}, with_dane()), Source::local, Reason::dns_failed, "451 4.4.3");
  broken.address_state = MailHost::Addresses::bogus;
  check_refused(decide(broken, level(Level::may), {}, with_dane()), Source::local, Reason::dns_bogus, "451 4.4.3");
  broken.address_state = MailHost::Addresses::none;
  check_refused(decide(broken, level(Level::may), {}, with_dane()), Source::local, Reason::no_address, "451 4.4.1");
}

TEST_CASE(
    "decision: DANE row, TLSA lookup failed or bogus: unusable, never plaintext, not even with MTA-STS satisfied") {
  for (const DaneState state : {DaneState::failed, DaneState::bogus}) {
    const Demand demand = demand_on(host(state), "example.org", level(Level::may), sts(MtaStsMode::enforce));
    REQUIRE(demand.blocker);
    const Reason reason = state == DaneState::bogus ? Reason::dns_bogus : Reason::dns_failed;
    const Verdict verdict = judge(demand, with_chain());
    check_refused(verdict, Source::dane, reason, "451 4.4.3");
    CHECK(verdict.reports == std::vector<ReportRow>{tlsa_failure(ReportResult::dnssec_invalid)});
  }
}

TEST_CASE("decision: DANE row, records but none usable: TLS is mandatory and unauthenticated") {
  const MailHost none_usable = host(DaneState::records, {unusable});
  const Verdict verdict = decide(none_usable, level(Level::may), {}, encrypted());
  check_satisfied(verdict, Level::encrypt);
  CHECK(verdict.demanded == Level::encrypt);
  CHECK(verdict.reports == std::vector<ReportRow>{tlsa_failure(ReportResult::tlsa_invalid)});
  check_refused(decide(none_usable, level(Level::may), {}, plaintext()), Source::dane, Reason::tls_not_offered,
                "451 4.7.4");
  check_refused(decide(none_usable, level(Level::dane_only), {}, encrypted()), Source::dane, Reason::dane_required,
                "451 4.7.5");
}

TEST_CASE("decision: DANE row, none usable: MTA-STS may add authentication, and never relaxes") {
  const MailHost none_usable = host(DaneState::records, {unusable});
  check_refused(decide(none_usable, level(Level::may), sts(MtaStsMode::enforce), encrypted()), Source::mta_sts,
                Reason::certificate_untrusted, "451 4.7.5");
  check_satisfied(decide(none_usable, level(Level::may), sts(MtaStsMode::enforce), with_chain()), Level::verify);
  check_refused(decide(none_usable, level(Level::may), sts(MtaStsMode::testing), plaintext()), Source::dane,
                Reason::tls_not_offered, "451 4.7.4");
  CHECK(decide(none_usable, level(Level::may), sts(MtaStsMode::testing), encrypted()).satisfied);
}

TEST_CASE("decision: DANE row, usable records: STARTTLS and a match are mandatory") {
  const Verdict matched = decide(dane_host(), level(Level::may), {}, with_dane());
  check_satisfied(matched, Level::dane);
  CHECK_FALSE(matched.trusted_only);
  CHECK(matched.demanded == Level::dane);
  CHECK(matched.reports == std::vector<ReportRow>{tlsa_success});
  check_satisfied(decide(dane_host(), level(Level::dane), {}, with_dane()), Level::dane);
  check_satisfied(decide(dane_host(), level(Level::dane_only), {}, with_dane()), Level::dane);

  const Demand demand = demand_on(dane_host(), "example.org", level(Level::may), {});
  CHECK_FALSE(demand.allows_plaintext());
  const Verdict stripped = judge(demand, plaintext());
  check_refused(stripped, Source::dane, Reason::tls_not_offered, "451 4.7.4");
  CHECK(stripped.reports == std::vector<ReportRow>{tlsa_failure(ReportResult::starttls_not_supported)});
  check_refused(judge(demand, with_chain()), Source::dane, Reason::tlsa_mismatch, "451 4.7.5");
}

TEST_CASE("decision: each way to fail DANE has its reason and TLSRPT result") {
  struct Row {
    DaneOutcome outcome;
    Reason reason;
    ReportResult report;
  };
  for (const Row& row :
       {Row{DaneOutcome::no_match, Reason::tlsa_mismatch, ReportResult::validation_failure},
        Row{DaneOutcome::not_checked, Reason::tlsa_mismatch, ReportResult::validation_failure},
        Row{DaneOutcome::no_certificate, Reason::tlsa_mismatch, ReportResult::validation_failure},
        Row{DaneOutcome::not_trusted, Reason::certificate_untrusted, ReportResult::certificate_not_trusted},
        Row{DaneOutcome::expired, Reason::certificate_expired, ReportResult::certificate_expired},
        Row{DaneOutcome::name_mismatch, Reason::certificate_name, ReportResult::certificate_host_mismatch}}) {
    const Verdict verdict = decide(dane_host(), level(Level::may), {}, with_dane(row.outcome));
    check_refused(verdict, Source::dane, row.reason, "451 4.7.5");
    CHECK(verdict.reports == std::vector<ReportRow>{tlsa_failure(row.report)});
  }
}

TEST_CASE("decision: the operator may leave DANE out, but levels dane and dane-only bring it back") {
  LocalPolicy local = level(Level::may);
  local.dane = false;
  check_satisfied(decide(dane_host(), local, {}, plaintext()), Level::none);
  CHECK_FALSE(decide(host(DaneState::failed), local, {}, plaintext()).reason == Reason::dns_failed);
  local.level = Level::dane;
  check_refused(decide(dane_host(), local, {}, plaintext()), Source::dane, Reason::tls_not_offered, "451 4.7.4");
}

TEST_CASE("decision: SNI is the TLSA base domain, or the host's name") {
  MailHost alias = dane_host();
  alias.tlsa_base = "real.example.net";
  CHECK(demand_on(alias, "example.org", level(Level::may), {}).server_name == "real.example.net");
  CHECK(demand_on(host(), "example.org", level(Level::may), {}).server_name == "mx.example.org");
}

// --- MTA-STS

TEST_CASE("decision: MTA-STS enforce wants a chain and the MX host's name") {
  const MtaStsFacts facts = sts(MtaStsMode::enforce);
  const Verdict verdict = decide(host(), level(Level::may), facts, with_chain());
  check_satisfied(verdict, Level::verify);
  CHECK(verdict.source == Source::mta_sts);
  CHECK(verdict.demanded == Level::verify);
  CHECK(verdict.reports == std::vector<ReportRow>{sts_success});
  check_refused(decide(host(), level(Level::may), facts, plaintext()), Source::mta_sts, Reason::tls_not_offered,
                "451 4.7.4");
  check_refused(decide(host(), level(Level::may), facts, encrypted()), Source::mta_sts, Reason::certificate_untrusted,
                "451 4.7.5");
  TlsOutcome expired = with_chain();
  expired.chain = Chain::expired;
  const Verdict late = decide(host(), level(Level::may), facts, expired);
  check_refused(late, Source::mta_sts, Reason::certificate_expired, "451 4.7.5");
  CHECK(late.reports == std::vector<ReportRow>{sts_failure(ReportResult::certificate_expired)});
}

TEST_CASE("decision: MTA-STS, the certificate must name the MX host, a name that fits the pattern is not enough") {
  check_refused(
      decide(host(), level(Level::may), sts(MtaStsMode::enforce, {"*.example.org"}), with_chain({"other.example.org"})),
      Source::mta_sts, Reason::certificate_name, "451 4.7.5");
  check_satisfied(
      decide(host(), level(Level::may), sts(MtaStsMode::enforce, {"*.example.org"}), with_chain({"*.example.org"})),
      Level::verify);
}

TEST_CASE("decision: MTA-STS enforce refuses a host that the policy does not list, whatever its certificate") {
  const Demand demand =
      demand_on(host(), "example.org", level(Level::may), sts(MtaStsMode::enforce, {"mx.example.net"}));
  REQUIRE(demand.blocker);
  check_refused(judge(demand, with_chain()), Source::mta_sts, Reason::host_not_listed, "451 4.7.5");
}

TEST_CASE("decision: MTA-STS testing delivers and reports") {
  const MtaStsFacts facts = sts(MtaStsMode::testing);
  const Verdict plain = decide(host(), level(Level::may), facts, plaintext());
  check_satisfied(plain, Level::none);
  CHECK(plain.reports == std::vector<ReportRow>{sts_failure(ReportResult::starttls_not_supported)});
  const Verdict untrusted = decide(host(), level(Level::may), facts, encrypted());
  check_satisfied(untrusted, Level::encrypt);
  CHECK(untrusted.reports == std::vector<ReportRow>{sts_failure(ReportResult::certificate_not_trusted)});
  const Verdict unlisted = decide(host(), level(Level::may), sts(MtaStsMode::testing, {"x.example"}), with_chain());
  check_satisfied(unlisted, Level::verify);
  CHECK(unlisted.reports == std::vector<ReportRow>{sts_failure(ReportResult::validation_failure)});
  CHECK(demand_on(host(), "example.org", level(Level::may), facts).wants_chain());
}

TEST_CASE("decision: MTA-STS none, no policy and a failed fetch demand nothing; the failure is reported") {
  check_satisfied(decide(host(), level(Level::may), sts(MtaStsMode::none), plaintext()), Level::none);
  const MtaStsFacts failed{std::nullopt, ReportResult::sts_policy_fetch_error};
  const Verdict verdict = decide(host(), level(Level::may), failed, plaintext());
  check_satisfied(verdict, Level::none);
  CHECK(verdict.reports == std::vector<ReportRow>{sts_failure(ReportResult::sts_policy_fetch_error)});
  MtaStsFacts cached = sts(MtaStsMode::enforce);
  cached.trouble = ReportResult::sts_policy_fetch_error;
  CHECK(decide(host(), level(Level::may), cached, with_chain()).reports == std::vector<ReportRow>{sts_success});
}

TEST_CASE("decision: the operator may leave MTA-STS out") {
  LocalPolicy local = level(Level::may);
  local.mta_sts = false;
  check_satisfied(decide(host(), local, sts(MtaStsMode::enforce), plaintext()), Level::none);
}

// --- who wins

TEST_CASE("decision: DANE wins over MTA-STS: a match needs no Web-PKI, and no Web-PKI heals a mismatch") {
  const MtaStsFacts facts = sts(MtaStsMode::enforce, {"elsewhere.example"});
  check_satisfied(decide(dane_host(), level(Level::may), facts, with_dane()), Level::dane);
  check_refused(decide(dane_host(), level(Level::may), sts(MtaStsMode::enforce), with_chain()), Source::dane,
                Reason::tlsa_mismatch, "451 4.7.5");
}

TEST_CASE("decision: DANE behind unsigned MX records does not stand in for MTA-STS") {
  const MailHost unsigned_mx = host(DaneState::records, {usable}, false);
  TlsOutcome both = with_chain();
  both.dane.outcome = DaneOutcome::matched;
  check_satisfied(decide(unsigned_mx, level(Level::may), sts(MtaStsMode::enforce), both), Level::dane);
  check_refused(decide(unsigned_mx, level(Level::may), sts(MtaStsMode::enforce, {"x.example"}), both), Source::mta_sts,
                Reason::host_not_listed, "451 4.7.5");
}

TEST_CASE("decision: what is published raises the operator's level and never lowers it") {
  check_refused(decide(dane_host(), level(Level::secure), {}, with_dane()), Source::local,
                Reason::certificate_untrusted, "451 4.7.5");
  TlsOutcome both = with_chain({"example.org"});
  both.dane.outcome = DaneOutcome::matched;
  check_satisfied(decide(dane_host(), level(Level::secure), {}, both), Level::dane);
  check_refused(decide(host(), level(Level::secure), sts(MtaStsMode::enforce), with_chain()), Source::local,
                Reason::certificate_name, "451 4.7.5");
  check_refused(decide(host(), level(Level::encrypt), sts(MtaStsMode::testing), plaintext()), Source::local,
                Reason::tls_not_offered, "451 4.7.4");
}

// --- the name servers hand on no proof

TEST_CASE("decision: where DANE cannot be known, who demands it waits, and the rest go on as if there were none") {
  const MailHost unknowable = host(DaneState::unknowable);
  for (const Level demanded : {Level::dane, Level::dane_only}) {
    const Verdict verdict = decide(unknowable, level(demanded), {}, encrypted());
    check_refused(verdict, Source::local, Reason::dns_failed, "451 4.4.3");
    CHECK(verdict.detail.starts_with("DANE is demanded and cannot be known: "));
    LocalPolicy observed = level(demanded);
    observed.observe = true;
    CHECK(decide(unknowable, observed, {}, plaintext()).deliver);
    CHECK_FALSE(decide(unknowable, observed, {}, plaintext()).satisfied);
  }
  for (const Level indifferent : {Level::none, Level::may, Level::encrypt}) {
    CHECK(decide(unknowable, level(indifferent), {}, encrypted()).satisfied);
  }
  CHECK(decide(unknowable, level(Level::may), {}, plaintext()).satisfied);
  check_refused(decide(unknowable, level(Level::encrypt), {}, plaintext()), Source::local, Reason::tls_not_offered,
                "451 4.7.4");
  // MTA-STS needs no proof.
  check_refused(decide(unknowable, level(Level::may), sts(MtaStsMode::enforce, {"x.example"}), encrypted()),
                Source::mta_sts, Reason::host_not_listed, "451 4.7.5");
}

// --- observe

TEST_CASE("decision: observe delivers and says what would have been refused") {
  LocalPolicy local = level(Level::secure);
  local.observe = true;
  const Demand demand = demand_on(host(), "example.org", local, {});
  CHECK(demand.allows_plaintext());
  const Verdict verdict = judge(demand, plaintext());
  CHECK_FALSE(verdict.satisfied);
  CHECK(verdict.deliver);
  CHECK(verdict.reason == Reason::tls_not_offered);
  CHECK(verdict.reply == Reply::tls_not_offered);

  local.level = Level::may;
  CHECK(decide(dane_host(), local, {}, encrypted()).deliver);
  CHECK(decide(host(DaneState::bogus), local, {}, encrypted()).deliver);
  CHECK(decide(host(), local, sts(MtaStsMode::enforce, {"x.example"}), encrypted()).deliver);
  local.level = Level::dane_only;
  CHECK(decide(host(), local, {}, plaintext()).deliver);
}

TEST_CASE("decision: even observe cannot deliver to a host without an address") {
  LocalPolicy local = level(Level::may);
  local.observe = true;
  MailHost nowhere = host();
  nowhere.address_state = MailHost::Addresses::failed;
  CHECK_FALSE(decide(nowhere, local, {}, encrypted()).deliver);
}

TEST_CASE("decision: with no policy at all, sessions are counted under no-policy-found") {
  CHECK(decide(host(), level(Level::may), {}, encrypted()).reports ==
        std::vector<ReportRow>{{ReportPolicy::no_policy_found, std::nullopt}});
  CHECK(decide(host(), level(Level::may), {}, plaintext()).reports ==
        std::vector<ReportRow>{{ReportPolicy::no_policy_found, ReportResult::starttls_not_supported}});
}

TEST_CASE("decision: a reply is one line of printable ASCII, whatever the peer said") {
  CHECK(reply_line(Reply::tls_failed, Source::dane, "mx.example.org", "no TLSA record matches") ==
        "451 4.7.5 mx.example.org: DANE: no TLSA record matches");
  CHECK(reply_line(Reply::tls_not_offered, Source::mta_sts, "mx", "a\r\n250 ok\xff") ==
        "451 4.7.4 mx: MTA-STS: a??250 ok?");
  CHECK(reply_line(Reply::dns_failed, Source::local, "mx", std::string(1000, 'x')).size() == 500);
}

}  // namespace decision_test
