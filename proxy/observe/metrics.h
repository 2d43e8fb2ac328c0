// What is counted: a row for each metric, with its help, its labels and the closed set of each label's values. A metric
// costs two places: its row here, and the place where it happens, which names the row (book.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

#include "proxy/smtp/endings.h"
#include "proxy/smtp/plaintext.h"
#include "proxy/smtp/refusals.h"

namespace postern::observe {

enum class Type : std::uint8_t {
  counter,
  gauge,      // goes up and down; those of the workers add up
  state,      // yes or no, as whoever looked last saw it
  histogram,  // of durations
};

// What is none of the values counts as `other`. A label without values has those of the configuration.
struct Label {
  std::string_view name;
  std::size_t size = 0;
  std::string_view (*value)(std::size_t) = nullptr;
};

enum class Owner : std::uint8_t { listener, process };

struct Row {
  std::string_view name;  // behind "postern_"
  Type type;
  std::string_view help;
  // Behind those of the listener, which come from the book.
  std::array<Label, 5> labels = {};
  std::span<const double> bounds = {};  // of a histogram's buckets, in seconds
  Owner owner = Owner::listener;
  bool names_direction = true;  // false: `listener` says it, since one direction alone has it
};

namespace rows {

template <const auto& list>
constexpr Label label(std::string_view name) {
  return {name, std::size(list), [](std::size_t index) { return std::string_view(list[index]); }};
}
// Of an enum whose to_string gives every value its word.
template <class Enum, std::size_t size>
constexpr Label words(std::string_view name) {
  return {name, size, [](std::size_t index) { return to_string(static_cast<Enum>(index)); }};
}

inline constexpr const char* sides[] = {"client", "server"};
inline constexpr const char* versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
// What the library knows, by the names of IANA.
inline constexpr const char* ciphers[] = {"TLS_AES_128_GCM_SHA256",
                                          "TLS_AES_256_GCM_SHA384",
                                          "TLS_CHACHA20_POLY1305_SHA256",
                                          "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                                          "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                                          "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                                          "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
                                          "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
                                          "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                          "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                                          "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
                                          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
                                          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
                                          "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
                                          "TLS_RSA_WITH_AES_128_GCM_SHA256",
                                          "TLS_RSA_WITH_AES_256_GCM_SHA384",
                                          "TLS_RSA_WITH_AES_128_CBC_SHA",
                                          "TLS_RSA_WITH_AES_256_CBC_SHA",
                                          "TLS_RSA_WITH_3DES_EDE_CBC_SHA"};
inline constexpr const char* groups[] = {"none", "X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"};
inline constexpr const char* truths[] = {"false", "true"};
inline constexpr const char* handshake_failures[] = {
    "no_common_version", "no_common_cipher",     "no_common_group", "timeout", "peer_closed",
    "peer_alert",        "certificate_required", "certificate_bad", "not_tls", "no_signature"};
inline constexpr const char* limits[] = {"command_length",
                                         "errors",
                                         "size",
                                         "sessions",
                                         "sessions_per_client",
                                         "connections_per_client_per_minute",
                                         "handshakes_per_client_per_minute",
                                         "buffer_limit"};
inline constexpr const char* accept_errors[] = {"descriptors", "system_descriptors", "memory", "aborted"};
inline constexpr const char* ways[] = {"in", "out"};
inline constexpr const char* policies[] = {"local", "dane", "mta-sts"};
inline constexpr const char* policy_results[] = {"satisfied", "observed", "refused"};
inline constexpr const char* dns_types[] = {"A", "AAAA", "CNAME", "MX", "TXT", "TLSA", "DNSKEY"};
inline constexpr const char* dns_results[] = {"secure", "insecure", "bogus", "failed", "absent"};
inline constexpr const char* mta_sts_results[] = {"success", "sts-policy-fetch-error", "sts-policy-invalid",
                                                  "sts-webpki-invalid"};
inline constexpr const char* report_results[] = {"success", "failure"};
inline constexpr double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

}  // namespace rows

inline constexpr Row metrics[] = {
    // --- a listener's
    {"sessions_active", Type::gauge, "Sessions that are running."},
    {"sessions_total", Type::counter, "Sessions begun."},
    {"session_ends_total",
     Type::counter,
     "Sessions ended, by how.",
     {rows::words<smtp::Ending, smtp::ending_count>("ended")}},
    {"plaintext_sessions_total", Type::counter, "Sessions ended whose client never had TLS."},
    {"limit_hits_total",
     Type::counter,
     "Refusals because of a limit of the configuration.",
     {rows::label<rows::limits>("limit")}},
    {"tls_handshakes_total",
     Type::counter,
     "TLS handshakes completed.",
     {rows::label<rows::sides>("side"), rows::label<rows::versions>("version"), rows::label<rows::ciphers>("cipher"),
      rows::label<rows::groups>("group"), rows::label<rows::truths>("resumed")}},
    {"tls_handshake_failures_total",
     Type::counter,
     "TLS handshakes that failed or took too long.",
     {rows::label<rows::sides>("side"), rows::label<rows::handshake_failures>("reason")}},
    {"tls_handshake_duration_seconds",
     Type::histogram,
     "Time that completed TLS handshakes took.",
     {rows::label<rows::sides>("side")},
     rows::seconds},
    {"messages_total",
     Type::counter,
     "Messages, by what came of them.",
     {rows::words<smtp::MessageResult, smtp::message_result_count>("result")}},
    {"messages_possibly_delivered_twice_total", Type::counter,
     "Messages that the server has or may have, though the client was not told so."},
    {"bytes_total",
     Type::counter,
     "Octets from (in) and to (out) the client, on the wire, counted when the session ends.",
     {rows::label<rows::ways>("way")}},
    {"rejections_total",
     Type::counter,
     "Refusals that the gateway said itself.",
     {{{"reason", smtp::refusal_count,
        [](std::size_t index) { return smtp::row(static_cast<smtp::Refusal>(index)).label; }}}}},
    {"policy_decisions_total",
     Type::counter,
     "Decisions about a recipient's domain, by the policy that decided.",
     {rows::label<rows::policies>("policy"), rows::label<rows::policy_results>("result")},
     {},
     Owner::listener,
     false},
    {"plaintext_deliveries_total",
     Type::counter,
     "Decisions to let mail leave without TLS, by why.",
     {rows::words<smtp::Plaintext, smtp::plaintext_count>("reason")}},
    {"backend_connect_failures_total", Type::counter, "Servers behind that could not be reached."},
    {"backend_connect_duration_seconds",
     Type::histogram,
     "Time until a server behind was connected to.",
     {},
     rows::seconds},
    {"backend_up",
     Type::state,
     "Whether the server behind could be reached when last tried.",
     {{{"backend"}}},
     {},
     Owner::listener,
     false},
    // --- a worker's
    {"accept_errors_total",
     Type::counter,
     "Connections that could not be accepted, at each try.",
     {rows::label<rows::accept_errors>("reason")},
     {},
     Owner::process},
    {"dns_queries_total",
     Type::counter,
     "Questions answered by DNS.",
     {rows::label<rows::dns_types>("type"), rows::label<rows::dns_results>("result")},
     {},
     Owner::process},
    {"dns_query_duration_seconds", Type::histogram, "Time until DNS answered.", {}, rows::seconds, Owner::process},
    {"mta_sts_fetches_total",
     Type::counter,
     "MTA-STS policies fetched, by what came of it.",
     {rows::label<rows::mta_sts_results>("result")},
     {},
     Owner::process},
    {"tls_report_sessions_total",
     Type::counter,
     "Sessions as TLSRPT counts them, for each policy of the domain.",
     {rows::label<rows::report_results>("result")},
     {},
     Owner::process},
};

// A row of such a table, by its name. A name that no row has does not compile.
template <const auto& table>
class RowOf {
 public:
  consteval RowOf(const char* name) : index_(find(name)) {}
  const auto& row() const { return table[index_]; }
  std::size_t index() const { return index_; }

 private:
  static consteval std::size_t find(std::string_view name) {
    std::size_t index = 0;
    while (table[index].name != name) ++index;  // past the end: no constant
    return index;
  }
  std::size_t index_;
};
using Metric = RowOf<metrics>;

}  // namespace postern::observe
