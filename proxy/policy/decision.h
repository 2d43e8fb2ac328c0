// Why a remote server is trusted with a domain's mail, or is not: facts in, verdict and reason out. Pure; sessions and
// `postern probe` use the same two steps. First `demand_on` a host, before connecting: what must its TLS be. Then
// `judge` what the handshake brought. A session that serves several recipients is judged for each domain's demand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/policy/level.h"
#include "proxy/policy/mta_sts_policy.h"
#include "proxy/policy/report_types.h"
#include "proxy/policy/route.h"
#include "proxy/smtp/refusals.h"
#include "tls/verify_dane.h"

namespace postern::policy {

// What the operator wants for this recipient domain.
struct LocalPolicy {
  Level level = Level::may;
  bool dane = true;                // raise the level where TLSA demands it; some levels do in any case, none never
  bool mta_sts = true;             // likewise for MTA-STS
  bool observe = false;            // deliver as `may` would, and say what would have been refused
  std::vector<std::string> names;  // for `secure`, in place of the recipient domain
  std::vector<std::string> fingerprints;  // for `fingerprint`: SHA-256 of SPKI or certificate, 32 octets each

  bool uses_tls() const { return row_of(level).uses_tls; }
  bool wants_dane() const { return uses_tls() && (dane || row_of(level).wants_dane()); }
  bool wants_mta_sts() const { return uses_tls() && mta_sts; }
};

// What the domain wants by MTA-STS. A fetch that failed with nothing cached is no policy, and is reported.
struct MtaStsFacts {
  std::optional<MtaStsPolicy> policy;
  std::optional<ReportResult> trouble;  // sts_policy_fetch_error, sts_policy_invalid or sts_webpki_invalid
  std::string remark = {};              // for people: why there is trouble, or what is odd about the policy
  bool unasked = false;                 // nobody could be asked, for a reason of our own: it cannot be known now
};

// The policy that decided.
enum class Source : std::uint8_t { local, dane, mta_sts };
std::string_view to_string(Source source);

// Stable: these are metric labels and the log's words.
enum class Reason : std::uint8_t {
  satisfied,
  dns_failed,       // addresses or TLSA could not be looked up
  dns_bogus,        // or their signatures are wrong
  no_address,       // the host has none
  unreachable,      // no connection, or a greeting that refuses
  lost,             // it was reached, and closed, was silent or spoke no SMTP before it could be given anything
  host_not_listed,  // MTA-STS does not name this MX host
  dane_required,    // dane-only, and there is nothing usable
  tls_not_offered,  // no STARTTLS in the EHLO reply, or it was refused
  handshake_failed,
  certificate_expired,
  certificate_untrusted,
  certificate_name,
  fingerprint_mismatch,
  tlsa_mismatch,
  credentials_refused,  // by a relay, of ours
  auth_deferred,        // … not now (4yz)
  auth_not_offered,     // … never asked for, in the way that is configured
  tls_parameters,       // versions or groups of the TLS session are not those of the domain's policy
  routing_loop,         // the domain's mail hosts are this machine
};
std::string_view to_string(Reason reason);

// The reply of ours that a decision leads to is a row of the table of all of them: its code begins the line.
using Reply = smtp::Refusal;

// Why a host is not for this domain, whatever TLS session it has; or why there is no host.
struct Blocker {
  Source source = Source::local;
  Reason reason = Reason::satisfied;
  Reply reply = Reply::tls_failed;
  std::string detail;
  std::optional<ReportResult> report;
  bool policy = true;  // false: the host cannot be reached, so that not even `observe` can deliver
};

// What a host's TLS must be for one recipient domain. Demands add up: DANE and MTA-STS never take back what the
// operator asks, and DANE in full (signed MX, usable records) stands in for MTA-STS (RFC 8461 2).
struct Demand {
  std::optional<Blocker> blocker;
  bool try_tls = true;
  bool encrypt = false;           // no plaintext
  bool dane = false;              // one of the TLSA records must match
  bool dane_by_secure_mx = true;  // false: the MX records are unsigned, so a match makes the host "trusted" at most
  bool tlsa_unusable = false;     // records exist, none usable: encryption is demanded, nothing more
  bool mta_sts = false;           // Web-PKI chain, and the certificate names the MX host
  bool mta_sts_testing = false;   // the same is looked at for reports, and demanded of nobody
  bool mta_sts_listed = true;     // in testing mode: the policy lists the host
  bool observe = false;
  Proof proof = Proof::nothing;  // demanded by the operator
  std::vector<std::string> fingerprints;
  std::vector<std::string> names;  // for a proof by name: the certificate has one of these
  std::string host;                // the MX host's name
  std::string server_name;         // for SNI
  Level level = Level::may;        // the operator's level
  Source source = Source::local;   // the strongest of those that demand something
  std::optional<ReportResult> mta_sts_trouble;

  bool allows_plaintext() const { return !encrypt || observe; }
  // The Web-PKI chain must be built, be it for reports.
  bool wants_chain() const {
    return mta_sts || mta_sts_testing || proof == Proof::host_name || proof == Proof::domain_name;
  }
};

// `domain` is the recipient's, or the relay's name.
Demand demand_on(const MailHost& host, std::string_view domain, const LocalPolicy& local, const MtaStsFacts& mta_sts);

// What became of TLS with the host.
struct TlsOutcome {
  enum class Stage : std::uint8_t { not_tried, not_offered, refused, handshake_failed, established };
  enum class Chain : std::uint8_t { not_checked, trusted, expired, untrusted };
  Stage stage = Stage::not_tried;
  std::string error;  // for people: the refusal or the handshake's failure
  Chain chain = Chain::not_checked;
  std::string chain_error;
  std::vector<std::string> names;         // the certificate's dNSNames
  std::string nameless;                   // why there are none (tls::why_nameless)
  std::vector<std::string> fingerprints;  // SHA-256 of its SPKI and of itself
  tls::DaneResult dane;                   // against the records of the host in question
};

struct Verdict {
  bool satisfied = false;
  bool deliver = false;  // satisfied, or observing
  Source source = Source::local;
  Level demanded = Level::may;  // the operator's level, raised by what was published
  Level reached = Level::none;
  bool trusted_only = false;  // DANE matched, but the MX records were not signed
  Reason reason = Reason::satisfied;
  std::optional<Reply> reply = {};      // for the client, if no other host does better and we do not observe
  std::string detail = {};              // for people
  std::vector<ReportRow> reports = {};  // how TLSRPT counts this session, one row for each policy
};

Verdict judge(const Demand& demand, const TlsOutcome& outcome);

// The verdict that it leads to.
Verdict verdict_of(const Blocker& blocker, Level demanded);

// Why a route has no hosts; nothing if it has some.
std::optional<Blocker> blocker_of(const Route& route);

// "451 4.7.5 mx.example.org: DANE: no TLSA record matches …", without CRLF, printable ASCII, at most 500 octets.
std::string reply_line(Reply reply, Source source, std::string_view host, std::string_view detail);
std::string reply_line(const Blocker& blocker, std::string_view host);

}  // namespace postern::policy
