#include "proxy/session/session_record.h"

#include <cstdio>
#include <vector>

#include "proxy/observe/log.h"

namespace postern::session {

namespace {

using log::Field;

// The names of the fields of one side's TLS connection.
struct TlsNames {
  std::string_view version, cipher, group, resumed, sni, verification, error, subject;
};
constexpr TlsNames client_names{"client_tls",
                                "client_cipher",
                                "client_group",
                                "client_resumed",
                                "sni",
                                "client_certificate",
                                "client_certificate_error",
                                "client_subject"};
constexpr TlsNames backend_names{"backend_tls",
                                 "backend_cipher",
                                 "backend_group",
                                 "backend_resumed",
                                 "backend_sni",
                                 "backend_verification",
                                 "backend_verification_error",
                                 "backend_subject"};

void add_tls(std::vector<Field>& fields, const TlsNames& names, const tls::SessionFacts* facts) {
  if (facts == nullptr) {
    fields.emplace_back(names.version, "none");
    return;
  }
  fields.emplace_back(names.version, facts->version);
  fields.emplace_back(names.cipher, facts->cipher);
  if (!facts->group.empty()) fields.emplace_back(names.group, facts->group);
  fields.emplace_back(names.resumed, facts->resumed);
  if (!facts->sni.empty()) fields.emplace_back(names.sni, facts->sni);
  if (facts->verification == tls::Verification::not_requested) return;
  fields.emplace_back(names.verification, tls::to_string(facts->verification));
  if (!facts->verification_error.empty()) fields.emplace_back(names.error, facts->verification_error);
  if (!facts->peer_subject.empty()) fields.emplace_back(names.subject, facts->peer_subject);
}

std::string name_of_session(const SessionRecord& record) {
  char id[17];
  std::snprintf(id, sizeof id, "%012llx", static_cast<unsigned long long>(record.id));
  return id;
}

void add_policy(std::vector<Field>& fields, const PolicyFacts& facts) {
  fields.emplace_back("policy", facts.policy);
  fields.emplace_back("level", facts.demanded);
  fields.emplace_back("level_reached", facts.reached);
  fields.emplace_back("policy_result", facts.result);
  if (facts.result != "satisfied") fields.emplace_back("policy_reason", facts.reason);
  if (!facts.plaintext) return;
  fields.emplace_back("plaintext", smtp::to_string(*facts.plaintext));
  if (!facts.plaintext_detail.empty()) fields.emplace_back("plaintext_detail", facts.plaintext_detail);
}

// What is known where a server behind went without a word, neither its own nor the kernel's.
std::string_view why(smtp::Ending ending) {
  using enum smtp::Ending;
  if (ending == backend_closed) return "the server closed the connection";
  if (ending == backend_lost) return "the server closed the connection while it owed a reply";
  if (ending == backend_unreachable) return "the server closed the connection before it had begun";
  if (ending == backend_tls_failed) return "the server closed the connection where TLS should begin";
  return {};
}

}  // namespace

void log_decision(const SessionRecord& record, const std::string& listener) {
  const PolicyFacts& facts = *record.policy;
  const bool harmless = facts.result == "satisfied" && facts.plaintext != smtp::Plaintext::injected;
  const auto level = harmless ? config::LogLevel::info : config::LogLevel::warning;
  if (!log::enabled(level)) return;
  const std::string id = name_of_session(record);
  std::vector<Field> fields;
  fields.emplace_back("session", id);
  fields.emplace_back("listener", listener);
  fields.emplace_back("domain", facts.domain);
  if (!facts.host.empty()) fields.emplace_back("host", facts.host);
  if (!record.server.empty()) fields.emplace_back("server", record.server);
  add_policy(fields, facts);
  if (!facts.detail.empty()) fields.emplace_back("detail", facts.detail);
  log::write(level, "policy decision", fields);
}

void log_doubt(const SessionRecord& record, const std::string& listener, std::string_view reason,
               std::string_view about) {
  const std::string id = name_of_session(record);
  const std::string client = net::to_string(record.client);
  std::vector<Field> fields;
  fields.emplace_back("session", id);
  fields.emplace_back("listener", listener);
  fields.emplace_back("client", client);
  if (!record.server.empty()) fields.emplace_back("server", record.server);
  if (!reason.empty()) fields.emplace_back("reason", reason);
  if (!about.empty()) fields.emplace_back("envelope", about);
  log::write(config::LogLevel::warning, "a message is possibly delivered twice", fields);
}

void log_session(const SessionRecord& record, std::string_view direction, const std::string& listener,
                 const smtp::DialogueOutcome& outcome, const SessionTotals& totals) {
  if (!log::enabled(config::LogLevel::info)) return;
  const std::string id = name_of_session(record);
  const std::string client = net::to_string(record.client);

  std::vector<Field> fields;
  fields.reserve(32);
  fields.emplace_back("session", id);
  fields.emplace_back("direction", direction);
  fields.emplace_back("listener", listener);
  fields.emplace_back("client", client);
  if (!outcome.helo.empty()) fields.emplace_back("helo", outcome.helo);
  if (!record.server.empty()) fields.emplace_back("server", record.server);
  add_tls(fields, client_names, record.client_tls.get());
  const bool backend_may_have_tls = record.policy != nullptr && !record.server.empty();
  if (record.backend_tls || backend_may_have_tls) add_tls(fields, backend_names, record.backend_tls.get());
  if (record.policy) add_policy(fields, *record.policy);
  if (outcome.authenticated) fields.emplace_back("authenticated", true);
  fields.emplace_back("messages", outcome.messages_accepted);
  if (outcome.messages_refused != 0) fields.emplace_back("messages_refused", outcome.messages_refused);
  if (outcome.errors != 0) fields.emplace_back("refusals", outcome.errors);
  if (outcome.blank_lines != 0) fields.emplace_back("blank_reply_lines", outcome.blank_lines);
  if (record.in_doubt != 0) fields.emplace_back("possibly_delivered_twice", record.in_doubt);
  const auto refused = record.refused.items();
  if (!refused.empty()) fields.emplace_back("refused", refused);
  if (record.refused.left_out() != 0) fields.emplace_back("refused_before", record.refused.left_out());
  const auto envelope = outcome.envelope.items();
  if (!envelope.empty()) fields.emplace_back("envelope", envelope);
  if (outcome.envelope.left_out() != 0) fields.emplace_back("envelope_before", outcome.envelope.left_out());
  fields.emplace_back("bytes_in", totals.bytes_in);
  fields.emplace_back("bytes_out", totals.bytes_out);
  fields.emplace_back("duration", static_cast<double>(totals.duration) / 1000.0);
  fields.emplace_back("ended", record.ending ? smtp::to_string(*record.ending) : "client_closed");
  std::string_view reason = record.reason.empty() ? std::string_view(outcome.trouble) : record.reason;
  if (reason.empty() && record.ending && direction == "inbound") reason = why(*record.ending);
  if (!reason.empty()) fields.emplace_back("reason", reason);
  log::write(config::LogLevel::info, "session ended", fields);
}

}  // namespace postern::session
