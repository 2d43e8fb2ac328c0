#include "proxy/session/session_record.h"

#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include "proxy/limits/tally.h"
#include "proxy/observe/log.h"

namespace postern::session {

namespace {

using log::Field;

// The names of the fields of one side's TLS connection.
struct TlsNames {
  std::string_view version, cipher, group, resumed, sni, verification, error, subject, failure;
};
constexpr TlsNames client_names{"client_tls",
                                "client_cipher",
                                "client_group",
                                "client_resumed",
                                "sni",
                                "client_certificate",
                                "client_certificate_error",
                                "client_subject",
                                "client_tls_failure"};
constexpr TlsNames backend_names{"backend_tls",
                                 "backend_cipher",
                                 "backend_group",
                                 "backend_resumed",
                                 "backend_sni",
                                 "backend_verification",
                                 "backend_verification_error",
                                 "backend_subject",
                                 "backend_tls_failure"};
constexpr TlsNames server_names{"server_tls",
                                "server_cipher",
                                "server_group",
                                "server_resumed",
                                "server_sni",
                                "server_verification",
                                "server_verification_error",
                                "server_subject",
                                "server_tls_failure"};

void add_tls(std::vector<Field>& fields, const TlsNames& names, const tls::SessionFacts* facts,
             std::string_view failure) {
  if (facts == nullptr) {
    fields.emplace_back(names.version, "none");
    if (!failure.empty()) fields.emplace_back(names.failure, failure);
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
  if (ending == server_closed) return "the server closed the connection";
  if (ending == server_lost) return "the server closed the connection while it owed a reply";
  if (ending == server_unreachable) return "the server closed the connection before it had begun";
  if (ending == server_tls_failed) return "the server closed the connection where TLS should begin";
  return {};
}

smtp::Ending ended(const SessionRecord& record) {
  return record.ending.value_or(smtp::Ending::client_closed);
}

std::string_view name_of(smtp::Side side) {
  return side == smtp::Side::client ? "client" : "server";
}

// The limit of the configuration that it is about; empty: none.
std::string_view limit_of(smtp::Refusal refusal) {
  using enum smtp::Refusal;
  if (refusal == line_too_long) return "command_length";
  if (refusal == too_many_errors) return "errors";
  if (refusal == message_too_large) return "size";
  if (refusal == too_many_sessions) return limits::to_string(limits::Limit::sessions);
  if (refusal == client_sessions) return limits::to_string(limits::Limit::client_sessions);
  if (refusal == client_connections) return limits::to_string(limits::Limit::client_connections);
  if (refusal == client_handshakes) return limits::to_string(limits::Limit::client_handshakes);
  if (refusal == buffers_full) return limits::to_string(limits::Limit::buffers);
  return {};
}

}  // namespace

void SessionRecord::begin(observe::Book& book, std::uint64_t now) {
  book_ = &book;
  started = now;
  book_->add("sessions_total");
  book_->add("sessions_active");
}

void SessionRecord::note_handshake_begins(smtp::Side side, std::uint64_t now) {
  began_[static_cast<std::size_t>(side)] = static_cast<std::uint32_t>(now - started);
}

std::uint64_t SessionRecord::since(smtp::Side side, std::uint64_t now) const {
  return now - started - began_[static_cast<std::size_t>(side)];
}

void SessionRecord::note_handshake(smtp::Side side, tls::SessionFacts facts, std::uint64_t now) {
  book_->add("tls_handshakes_total", {name_of(side), facts.version, facts.cipher,
                                      facts.group.empty() ? "none" : facts.group, facts.resumed ? "true" : "false"});
  book_->time("tls_handshake_duration_seconds", {name_of(side)}, since(side, now));
  auto& kept = side == smtp::Side::client ? client_tls : server_tls;
  kept = std::make_unique<tls::SessionFacts>(std::move(facts));
}

void SessionRecord::note_failed_handshake(smtp::Side side, std::string_view why) {
  book_->add("tls_handshake_failures_total", {name_of(side), why});
  (side == smtp::Side::client ? client_tls_failure : server_tls_failure) = why;
}

void SessionRecord::note_dialing(std::uint64_t now) {
  note_handshake_begins(smtp::Side::server, now);
}

void SessionRecord::note_connection(std::string name, std::uint64_t now) {
  server = std::move(name);
  book_->time("backend_connect_duration_seconds", {}, since(smtp::Side::server, now));
}

void SessionRecord::note_no_connection() {
  book_->add("backend_connect_failures_total");
}

void SessionRecord::note_refusal(smtp::Refusal refusal, std::string_view what, std::string_view why) {
  if (smtp::row(refusal).is_error) ++errors;
  if (const auto limit = limit_of(refusal); !limit.empty()) book_->add("limit_hits_total", {limit});
  note_in_line(refusal, what, smtp::row(refusal).reply, why);
}

void SessionRecord::note_turned_away(smtp::Refusal refusal, std::string_view what, std::string_view reply) {
  note_in_line(refusal, what, reply, {});
}

void SessionRecord::note_in_line(smtp::Refusal refusal, std::string_view what, std::string_view reply,
                                 std::string_view why) {
  book_->add("rejections_total", {smtp::row(refusal).label});
  if (!refused) refused = std::make_unique<RefusalNotes>();
  refused->add(what, smtp::row(refusal).label, reply, why);
}

void SessionRecord::note_message(smtp::MessageResult result) {
  book_->add("messages_total", {smtp::to_string(result)});
  switch (result) {
    case smtp::MessageResult::accepted: ++accepted; break;
    case smtp::MessageResult::refused_temporarily:
    case smtp::MessageResult::refused_permanently: ++messages_refused; break;
    case smtp::MessageResult::lost:
    case smtp::MessageResult::in_doubt: break;
  }
}

void SessionRecord::note_doubt() {
  book_->add("messages_possibly_delivered_twice_total");
  ++in_doubt;
}

void SessionRecord::note_decision(PolicyFacts facts) {
  book_->add("policy_decisions_total", {facts.policy, facts.result});
  if (facts.plaintext) book_->add("plaintext_deliveries_total", {smtp::to_string(*facts.plaintext)});
  if (facts.result != "satisfied") {
    book_->recent().note(observe::Recent::Unsatisfied{facts.domain, facts.host, facts.policy, facts.result,
                                                      facts.reason, facts.detail, std::time(nullptr)});
  }
  policy = std::make_unique<PolicyFacts>(std::move(facts));
}

// Who would be shut out by a higher minimum version.
void SessionRecord::note_old_tls(std::string_view helo) {
  const auto is_old = [](const auto& facts) { return facts && facts->version != "TLSv1.3"; };
  if (is_old(client_tls)) {
    book_->recent().note(observe::Recent::OldTls{"client", std::string(client_tls->version),
                                                 config::to_string(client.address), std::string(helo),
                                                 std::time(nullptr)});
  }
  if (is_old(server_tls)) {
    std::string name = server_tls->sni.empty() && policy ? policy->host : server_tls->sni;
    book_->recent().note(observe::Recent::OldTls{"server", std::string(server_tls->version), server, std::move(name),
                                                 std::time(nullptr)});
  }
}

void SessionRecord::note_end(const SessionTotals& totals, std::string_view helo) {
  note_old_tls(helo);
  book_->take("sessions_active");
  book_->add("session_ends_total", {smtp::to_string(ended(*this))});
  if (!client_tls && ending != smtp::Ending::limit) book_->add("plaintext_sessions_total");
  book_->add("bytes_total", {"in"}, totals.bytes_in);
  book_->add("bytes_total", {"out"}, totals.bytes_out);
}

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

void with_line(const SessionRecord& record, std::string_view direction, const std::string& listener,
               const smtp::DialogueOutcome& outcome, const SessionTotals& totals, const UseLine& use) {
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
  add_tls(fields, client_names, record.client_tls.get(), record.client_tls_failure);
  const bool inbound = direction == "inbound";
  const bool server_may_have_tls = record.policy != nullptr && !record.server.empty();
  if (record.server_tls || server_may_have_tls || !record.server_tls_failure.empty()) {
    add_tls(fields, inbound ? backend_names : server_names, record.server_tls.get(), record.server_tls_failure);
  }
  if (record.policy) add_policy(fields, *record.policy);
  if (outcome.authenticated) fields.emplace_back("authenticated", true);
  fields.emplace_back("messages", record.accepted);
  if (record.messages_refused != 0) fields.emplace_back("messages_refused", record.messages_refused);
  if (record.errors != 0) fields.emplace_back("refusals", record.errors);
  if (outcome.blank_lines != 0) fields.emplace_back("blank_reply_lines", outcome.blank_lines);
  if (record.in_doubt != 0) fields.emplace_back("possibly_delivered_twice", record.in_doubt);
  const auto refused = record.refused ? record.refused->items() : std::vector<std::string>();
  if (!refused.empty()) fields.emplace_back("refused", refused);
  if (record.refused && record.refused->left_out() != 0) {
    fields.emplace_back("refused_before", record.refused->left_out());
  }
  const auto envelope = outcome.envelope.items();
  if (!envelope.empty()) fields.emplace_back("envelope", envelope);
  if (outcome.envelope.left_out() != 0) fields.emplace_back("envelope_before", outcome.envelope.left_out());
  fields.emplace_back("bytes_in", totals.bytes_in);
  fields.emplace_back("bytes_out", totals.bytes_out);
  fields.emplace_back("duration", static_cast<double>(totals.duration) / 1000.0);
  const auto way = inbound ? config::Direction::inbound : config::Direction::outbound;
  fields.emplace_back("ended", smtp::to_string(ended(record), way));
  std::string_view reason = record.reason.empty() ? std::string_view(outcome.trouble) : record.reason;
  if (reason.empty() && record.ending && inbound) reason = why(*record.ending);
  if (!reason.empty()) fields.emplace_back("reason", reason);
  use(fields);
}

void log_session(const SessionRecord& record, std::string_view direction, const std::string& listener,
                 const smtp::DialogueOutcome& outcome, const SessionTotals& totals) {
  if (!log::enabled(config::LogLevel::info)) return;
  with_line(record, direction, listener, outcome, totals,
            [](const std::vector<Field>& fields) { log::write(config::LogLevel::info, "session ended", fields); });
}

}  // namespace postern::session
