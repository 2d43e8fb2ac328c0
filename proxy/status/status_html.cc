#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "config/text.h"
#include "proxy/smtp/sasl_client.h"
#include "proxy/status/chart.h"
#include "proxy/status/page.h"
#include "proxy/status/status.h"
#include "tls/tlsa.h"

namespace postern::status {

namespace {

std::string decimal(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), number < 10 && number != std::floor(number) ? "%.1f" : "%.0f", number);
  return text.data();
}

void fact(Page& page, std::string_view name, std::string_view value, std::string_view kind = {}) {
  page.markup("<div><dt>").text(name).markup("</dt>").open("dd", kind).text(value).markup("</dd></div>");
}

// A heading, and each of them with its share of all.
void show_counts(Page& page, std::string_view title, Counts counts) {
  if (counts.empty()) return;
  std::ranges::stable_sort(counts, std::greater(), &Counts::value_type::second);
  const std::uint64_t all = sum_of(counts);
  page.markup("<div><h3>").text(title).markup("</h3>").table({"", "#", ""});
  for (const auto& [label, count] : counts) {
    page.markup("<tr>").cell(label, "w").cell(count).markup("<td>").markup(draw_bar(share(count, all)));
    page.text(" " + print_percent(share(count, all))).markup("</td></tr>");
  }
  page.end_table().markup("</div>");
}

void show_head(Page& page, const Status& status) {
  page.markup("<header><h1>").text(status.hostname).markup("</h1>");
  if (status.troubles.empty()) page.markup("<span class=\"state good\">ready</span>");
  for (const std::string& each : status.troubles) page.open("span", "state").text(each).markup("</span>");
  page.markup("<span class=\"faint\">Postern ").text(status.version).markup("</span></header>\n");
}

void show_process(Page& page, const Status& status) {
  const Process& process = status.process;
  const auto age = [&status](std::int64_t then) {
    return print_duration(static_cast<double>(status.now - then)) + " ago";
  };
  page.markup("<section><dl>");
  fact(page, "started", print_time(status.started) + ", " + age(status.started));
  fact(page, "configuration or file taken over", print_time(status.reloaded) + ", " + age(status.reloaded));
  fact(page, "last change", status.reload_failed ? "not taken over: the log says why" : "taken over",
       status.reload_failed ? "bad" : "good");
  fact(page, "restarts of the gateway", std::to_string(process.gateway_restarts),
       process.gateway_restarts != 0 ? "warn" : "");
  fact(page, "restarts of the resolver", std::to_string(process.resolver_restarts),
       process.resolver_restarts != 0 ? "warn" : "");
  if (status.drained) fact(page, "drained", print_drained(*status.drained), "warn");
  fact(page, "sandbox", print_sandbox(status.sandbox), status.sandbox.missing.empty() ? "" : "warn");
  fact(page, "workers", std::to_string(process.workers));
  fact(page, "CPU time", print_duration(process.cpu_seconds));
  if (process.resident_bytes) fact(page, "memory", print_bytes(static_cast<double>(*process.resident_bytes)));
  if (process.open_descriptors && process.most_descriptors) {
    const bool many = share(*process.open_descriptors, *process.most_descriptors) > 0.8;
    fact(page, "descriptors",
         Page::grouped(*process.open_descriptors) + " of " + Page::grouped(*process.most_descriptors),
         many ? "bad" : "");
  }
  fact(page, "waits for peers that do not read",
       print_bytes(static_cast<double>(process.buffered_bytes)) + " of " +
           print_bytes(static_cast<double>(process.buffer_limit_bytes)));
  if (process.log_lines_dropped != 0) {
    fact(page, "lines of the log lost", Page::grouped(process.log_lines_dropped), "warn");
  }
  page.markup("</dl></section>\n");
}

void show_overview(Page& page, const Status& status) {
  page.markup("<section><h2>Listeners</h2>");
  page.table({"", "#now", "#highest", "#limit", "#total", "#a second", "#accepted", "#refused", "#lost", "#in", "#out",
              "#denied", "#failed TLS", "sessions, 30 min"});
  for (const Listener& each : status.listeners) {
    page.markup("<tr>").cell(path_of(each)).cell(each.sessions).cell(each.highest);
    if (each.limit == 0) {
      page.cell("none", "n");
    } else {
      page.cell(each.limit);
    }
    page.cell(each.begun).cell(decimal(History::lately(each.trend.begun)), "n");
    page.cell(count_of(each.messages, "accepted"));
    page.cell(count_of(each.messages, "refused_temporarily") + count_of(each.messages, "refused_permanently"));
    page.cell(count_of(each.messages, "lost") + count_of(each.messages, "in_doubt"));
    page.cell(print_bytes(static_cast<double>(each.bytes_in)), "n");
    page.cell(print_bytes(static_cast<double>(each.bytes_out)), "n");
    page.cell(sum_of(each.denied)).cell(failed_handshakes(each)).markup("<td>");
    page.markup(draw_line(each.trend.sessions, "sessions at a time")).markup("</td></tr>\n");
  }
  page.end_table().markup("</section>\n");
}

void show_backends(Page& page, const Status& status) {
  const auto has_none = [](const Listener& each) { return each.backends.empty(); };
  if (std::ranges::all_of(status.listeners, has_none)) return;
  page.markup("<section><h2>Servers behind</h2>").table({"listener", "address", "state", "since", "#connections"});
  for (const Listener& listener : status.listeners) {
    for (const Backend& each : listener.backends) {
      page.markup("<tr>").cell(path_of(listener)).cell(each.address);
      page.cell(each.up ? (each.seconds ? "up" : "not tried yet") : "down", each.up ? "good" : "bad");
      page.cell(each.seconds ? print_duration(*each.seconds) : "").cell(each.connections).markup("</tr>");
    }
  }
  page.end_table().markup("</section>\n");
}

void show_old_tls(Page& page, const Status& status) {
  page.markup("<section><h2>Who would be shut out by a higher minimum version</h2>");
  bool any = false;
  for (const Listener& listener : status.listeners) {
    for (const Tls& tls : listener.tls) {
      for (const ShutOut& each : shut_out(tls)) {
        if (!any) page.table({"listener", "whose", "version", "#handshakes", "share"});
        any = true;
        page.markup("<tr>").cell(path_of(listener)).cell(tls.side).cell(each.version).cell(each.handshakes);
        page.markup("<td>").markup(draw_bar(each.share)).text(" " + print_percent(each.share)).markup("</td></tr>");
      }
    }
  }
  if (!any) {
    page.markup("<p class=\"faint\">Nobody: all that had TLS had 1.3.</p></section>\n");
    return;
  }
  page.end_table().markup("<h3>The last of them</h3>");
  page.table({"last seen", "listener", "whose", "version", "address", "name", "#sessions"});
  for (const Listener& listener : status.listeners) {
    for (const auto& each : listener.recent.old_tls()) {
      page.markup("<tr>").cell(print_time(each.last)).cell(path_of(listener)).cell(each.side).cell(each.version);
      page.cell(each.peer).cell(each.name, "t").cell(each.times).markup("</tr>");
    }
  }
  page.end_table().markup("</section>\n");
}

void show_policies(Page& page, const Status& status) {
  const bool outbound =
      std::ranges::any_of(status.listeners, [](const Listener& each) { return each.direction == "outbound"; });
  if (!outbound) return;
  page.markup("<section><h2>Policies</h2><div class=\"columns\">");
  for (const Listener& each : status.listeners) {
    show_counts(page, "decisions, " + path_of(each), each.policies);
    show_counts(page, "mail without TLS, " + path_of(each), each.plaintext);
  }
  show_counts(page, "answers of DNS", status.dns);
  show_counts(page, "MTA-STS policies fetched", status.mta_sts);
  show_counts(page, "sessions for TLS reports", status.tls_reports);
  page.markup("</div><h3>Last refused, or delivered all the same (observed)</h3>");
  page.table({"last", "listener", "domain", "host", "policy", "result", "reason", "", "#times"});
  for (const Listener& listener : status.listeners) {
    for (const auto& each : listener.recent.unsatisfied()) {
      page.markup("<tr>").cell(print_time(each.last)).cell(path_of(listener)).cell(each.domain, "t");
      page.cell(each.host, "t").cell(each.policy).cell(each.result, each.result == "refused" ? "bad" : "warn");
      page.cell(each.reason).cell(each.detail, "t").cell(each.times).markup("</tr>");
    }
  }
  page.end_table().markup("</section>\n");
}

void show_certificates(Page& page, const Status& status) {
  if (status.certificates.empty()) return;
  page.markup("<section><h2>Certificates</h2>");
  page.table({"name", "subject", "names", "until", "of its life left", "served by", "on disk"});
  for (const Certificate& each : status.certificates) {
    const bool late = each.share_left < 0.2;
    page.markup("<tr>").cell(each.name).cell(each.subject, "t");
    page.cell(config::listed(each.names), "t");
    page.cell(print_time(each.not_after)).markup("<td>").markup(draw_bar(each.share_left, late ? "bad" : "good"));
    page.text(" " + print_percent(each.share_left)).markup("</td>");
    page.cell(config::listed(each.served_by), "t");
    const std::string why = each.why.empty() ? "the log says why" : each.why;
    page.cell(each.differs_from_disk ? "another: " + why : "the same", each.differs_from_disk ? "t bad" : "");
    page.markup("</tr>\n");
  }
  page.end_table().markup("</section>\n");
}

void show_events(Page& page, const Status& status) {
  if (status.events.empty()) return;
  page.markup("<section><h2>Reloads and restarts</h2>").table({"when", "what", ""});
  for (const Event& each : status.events) {
    const bool well = each.kind == "reloaded" || each.kind == "file read again";
    page.markup("<tr>").cell(print_time(each.time)).cell(each.kind, well ? "" : "bad").cell(each.text, "t");
    page.markup("</tr>\n");
  }
  page.end_table().markup("</section>\n");
}

void show_trend(Page& page, std::string_view title, const std::vector<double>& values, std::string_view unit,
                std::string (*print)(double)) {
  if (values.size() < 2) return;
  const double most = *std::ranges::max_element(values);
  const std::string caption = std::string(title) + ": " + print(values.back()) + std::string(unit) + ", at most " +
                              print(most) + std::string(unit);
  page.markup("<figure>").markup(draw_line(values, caption + " within half an hour"));
  page.markup("<figcaption>").text(caption).markup("</figcaption></figure>");
}

void show_listener(Page& page, const Listener& listener) {
  page.markup("<details open id=\"").text(path_of(listener)).markup("\"><summary>").text(path_of(listener));
  page.markup("</summary><p class=\"faint\">");
  for (const std::string& each : listener.addresses) page.text(each + " ");
  if (listener.addresses.empty()) page.text("The configuration has it no more.");
  if (!listener.mode.empty())
    page.text("· mode " + listener.mode +
              (listener.min_version.empty() ? "" : ", " + listener.min_version + " and newer"));
  page.markup("</p><div class=\"columns\">");
  show_trend(page, "sessions", listener.trend.sessions, "", decimal);
  show_trend(page, "begun", listener.trend.begun, "/s", decimal);
  show_trend(page, "messages accepted", listener.trend.messages, "/s", decimal);
  show_trend(page, "octets", listener.trend.octets, "/s", print_bytes);
  show_trend(page, "denied or failed", listener.trend.denied, "/s", decimal);
  page.markup("</div><div class=\"columns\">");
  show_counts(page, "denied, by reason", listener.denied);
  show_counts(page, "limits reached", listener.limits);
  show_counts(page, "messages", listener.messages);
  show_counts(page, "how sessions ended", listener.endings);
  for (const Tls& each : listener.tls) {
    const std::string side = ", " + std::string(each.side) + "s";
    show_counts(page, "TLS versions" + side, each.versions);
    show_counts(page, "TLS ciphers" + side, each.ciphers);
    show_counts(page, "TLS groups" + side, each.groups);
    show_counts(page, "TLS handshakes" + side, {{"full", each.handshakes - each.resumed}, {"resumed", each.resumed}});
    show_counts(page, "failed handshakes" + side, each.failures);
  }
  page.markup("</div></details>\n");
}

}  // namespace

std::string content_security_policy() {
  static const std::string policy = [] {
    const auto hash = [](std::string_view text) { return "'sha256-" + smtp::in_base64(tls::sha256(text)) + "'"; };
    return "default-src 'none'; style-src " + hash(page_style()) + "; script-src " + hash(page_script()) +
           "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  }();
  return policy;
}

std::string print_html(const Status& status) {
  Page page;
  page.markup("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
  page.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
  page.text(status.hostname).markup(" · Postern</title><link rel=\"icon\" href=\"data:,\"><style>");
  page.markup(page_style()).markup("</style></head><body><main>\n");
  show_head(page, status);
  show_process(page, status);
  show_overview(page, status);
  show_backends(page, status);
  show_certificates(page, status);
  show_events(page, status);
  show_old_tls(page, status);
  show_policies(page, status);
  for (const Listener& each : status.listeners) show_listener(page, each);
  page.markup("<footer><p>As of ").text(print_time(status.now)).markup(". <span id=\"refresh\"></span> Also as ");
  page.markup("<a href=\"/status?format=json\">JSON</a> and <a href=\"/status?format=text\">text</a>.</p></footer>");
  page.markup("\n</main><script>").markup(page_script()).markup("</script></body></html>\n");
  return page.take();
}

}  // namespace postern::status
