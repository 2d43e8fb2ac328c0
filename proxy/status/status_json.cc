#include "proxy/status/status.h"
#include "proxy/wire/json.h"

namespace postern::status {

namespace {

using Json = wire::JsonWriter;

void add_counts(Json& json, std::string_view key, const Counts& counts) {
  json.begin_object(key);
  for (const auto& [label, count] : counts) json.value(label, count);
  json.end_object();
}

void add_tls(Json& json, const Tls& tls) {
  json.begin_object();
  json.value("side", tls.side);
  json.value("handshakes", tls.handshakes);
  json.value("resumed", tls.resumed);
  add_counts(json, "versions", tls.versions);
  add_counts(json, "ciphers", tls.ciphers);
  add_counts(json, "groups", tls.groups);
  add_counts(json, "failures", tls.failures);
  json.end_object();
}

void add_recent(Json& json, const observe::Recent& recent) {
  json.begin_array("old_tls");
  for (const auto& each : recent.old_tls()) {
    json.begin_object();
    json.value("side", each.side);
    json.value("version", each.version);
    json.value("peer", each.peer);
    json.value("name", each.name);
    json.value("last", each.last);
    json.value("times", each.times);
    json.end_object();
  }
  json.end_array();
  json.begin_array("unsatisfied");
  for (const auto& each : recent.unsatisfied()) {
    json.begin_object();
    json.value("domain", each.domain);
    json.value("host", each.host);
    json.value("policy", each.policy);
    json.value("result", each.result);
    json.value("reason", each.reason);
    json.value("detail", each.detail);
    json.value("last", each.last);
    json.value("times", each.times);
    json.end_object();
  }
  json.end_array();
}

void add_backends(Json& json, const std::vector<Backend>& backends) {
  json.begin_array("backends");
  for (const Backend& each : backends) {
    json.begin_object();
    json.value("address", each.address);
    json.flag("up", each.up);
    if (each.seconds) json.value("seconds", *each.seconds);
    json.value("connections", std::uint64_t{each.connections});
    json.end_object();
  }
  json.end_array();
}

void add_listener(Json& json, const Listener& listener) {
  json.begin_object();
  json.value("direction", listener.direction);
  json.value("name", listener.name);
  json.values("addresses", listener.addresses);
  json.value("mode", listener.mode);
  json.value("min_version", listener.min_version);
  json.begin_object("sessions");
  json.value("active", listener.sessions);
  json.value("highest", listener.highest);
  json.value("limit", listener.limit);
  json.value("total", listener.begun);
  json.value("without_tls", listener.without_tls);
  json.value("per_second", History::lately(listener.trend.begun));
  json.end_object();
  json.value("messages_per_second", History::lately(listener.trend.messages));
  json.value("bytes_per_second", History::lately(listener.trend.octets));
  json.value("bytes_in", listener.bytes_in);
  json.value("bytes_out", listener.bytes_out);
  add_counts(json, "messages", listener.messages);
  add_counts(json, "endings", listener.endings);
  add_counts(json, "denied", listener.denied);
  add_counts(json, "limits", listener.limits);
  add_counts(json, "policies", listener.policies);
  add_counts(json, "plaintext", listener.plaintext);
  json.begin_array("tls");
  for (const Tls& each : listener.tls) add_tls(json, each);
  json.end_array();
  add_backends(json, listener.backends);
  add_recent(json, listener.recent);
  json.end_object();
}

void add_certificate(Json& json, const Certificate& certificate) {
  json.begin_object();
  json.value("name", certificate.name);
  json.value("subject", certificate.subject);
  json.value("not_before", certificate.not_before);
  json.value("not_after", certificate.not_after);
  json.value("share_left", certificate.share_left);
  json.values("names", certificate.names);
  json.values("served_by", certificate.served_by);
  json.flag("differs_from_disk", certificate.differs_from_disk);
  if (!certificate.why.empty()) json.value("why", certificate.why);
  json.end_object();
}

void add_process(Json& json, const Process& process) {
  json.begin_object("process");
  json.value("workers", process.workers);
  json.value("cpu_seconds", process.cpu_seconds);
  if (process.resident_bytes) json.value("resident_bytes", *process.resident_bytes);
  if (process.open_descriptors) json.value("open_descriptors", *process.open_descriptors);
  if (process.most_descriptors) json.value("most_descriptors", *process.most_descriptors);
  json.value("buffered_bytes", process.buffered_bytes);
  json.value("buffer_limit_bytes", process.buffer_limit_bytes);
  json.value("log_lines_dropped", process.log_lines_dropped);
  json.begin_object("restarts");
  json.value("gateway", process.gateway_restarts);
  json.value("resolver", process.resolver_restarts);
  json.end_object();
  json.end_object();
}

void add_sandbox(Json& json, const Sandbox& sandbox) {
  json.begin_object("sandbox");
  json.value("mode", sandbox.mode);
  json.flag("landlock", sandbox.landlock);
  json.flag("seccomp", sandbox.seccomp);
  json.value("missing", sandbox.missing);
  json.end_object();
}

void add_drained(Json& json, const Drained& drained) {
  json.begin_object("drained");
  json.value("by_themselves", drained.by_themselves);
  json.value("told", drained.told);
  json.value("cut", drained.cut);
  json.end_object();
}

void add_events(Json& json, const std::vector<Event>& events) {
  json.begin_array("events");
  for (const Event& each : events) {
    json.begin_object();
    json.value("time", each.time);
    json.value("kind", each.kind);
    json.value("text", each.text);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

std::string print_json(const Status& status) {
  Json json;
  json.begin_object();
  json.value("hostname", status.hostname);
  json.value("version", status.version);
  json.value("now", status.now);
  json.value("started", status.started);
  json.flag("ready", status.troubles.empty());
  json.values("troubles", status.troubles);
  json.begin_object("configuration");
  json.value("taken_over", status.reloaded);
  json.flag("last_reload_successful", !status.reload_failed);
  json.end_object();
  add_process(json, status.process);
  add_sandbox(json, status.sandbox);
  if (status.drained) add_drained(json, *status.drained);
  add_events(json, status.events);
  json.begin_array("listeners");
  for (const Listener& each : status.listeners) add_listener(json, each);
  json.end_array();
  json.begin_array("certificates");
  for (const Certificate& each : status.certificates) add_certificate(json, each);
  json.end_array();
  add_counts(json, "dns", status.dns);
  add_counts(json, "mta_sts", status.mta_sts);
  add_counts(json, "tls_reports", status.tls_reports);
  json.end_object();
  return json.take() + "\n";
}

}  // namespace postern::status
