#include "proxy/session/session_record.h"

#include "tests/proxy/session/session_rig.h"

namespace session_record_test {

using namespace postern;
using session::SessionRecord;
using session_rig::World;
using smtp::MessageResult;
using smtp::Refusal;
using smtp::Side;

// A session of which things are noted, and both places where they show.
struct Noted {
  Noted() { record.begin(book, 1000); }

  std::string line() const {
    std::string text;
    session::with_line(record, "inbound", "mx", {}, totals,
                       [&](const auto& fields) { log::append_text(text, "session ended", fields); });
    return text + " ";
  }
  bool says(const std::string& words) const { return line().find(" " + words + " ") != std::string::npos; }

  observe::Book book;
  SessionRecord record;
  session::SessionTotals totals{120, 340, 1500};
};

TEST_CASE("session record: a session and its end") {
  Noted noted;
  CHECK(noted.book.sum("sessions_active") == 1);
  noted.record.ending = smtp::Ending::timeout;
  noted.record.note_end(noted.totals);
  CHECK(noted.book.sum("sessions_active") == 0);
  CHECK(noted.book.sum("sessions_total") == 1);
  CHECK(noted.book.sum("session_ends_total", {"timeout"}) == 1);
  CHECK(noted.book.sum("plaintext_sessions_total") == 1);
  CHECK(noted.book.sum("bytes_total", {"in"}) == 120);
  CHECK(noted.book.sum("bytes_total", {"out"}) == 340);
  CHECK(noted.says("ended=timeout"));
  CHECK(noted.says("client_tls=none"));
  CHECK(noted.says("bytes_in=120"));
  CHECK(noted.says("bytes_out=340"));
}

TEST_CASE("session record: who had TLS older than 1.3 is known by name, and nobody else") {
  Noted noted;
  tls::SessionFacts facts;
  facts.version = "TLSv1.3";
  noted.record.note_handshake(Side::client, facts, 1100);
  facts.version = "TLSv1.1";
  facts.sni = "mx.example.org";
  noted.record.server = "192.0.2.1:25";
  noted.record.note_handshake(Side::server, facts, 1100);
  noted.record.note_end(noted.totals, "client.example");
  REQUIRE(noted.book.recent().old_tls().size() == 1);
  const auto& known = noted.book.recent().old_tls()[0];
  CHECK(known.side == "server");
  CHECK(known.version == "TLSv1.1");
  CHECK(known.peer == "192.0.2.1:25");
  CHECK(known.name == "mx.example.org");
  facts.version = "TLSv1.2";
  noted.record.server_tls.reset();
  noted.record.client = {*config::parse_ip_address("192.0.2.7"), 4321};
  noted.record.note_handshake(Side::client, facts, 1100);
  noted.record.note_end(noted.totals, "client.example");
  REQUIRE(noted.book.recent().old_tls().size() == 2);
  CHECK(noted.book.recent().old_tls()[0].peer == "192.0.2.7");
  CHECK(noted.book.recent().old_tls()[0].name == "client.example");
}

TEST_CASE("session record: a handshake") {
  Noted noted;
  tls::SessionFacts facts;
  facts.version = "TLSv1.2";
  facts.cipher = "TLS_RSA_WITH_AES_128_CBC_SHA";
  facts.resumed = true;
  noted.record.note_handshake_begins(Side::client, 1040);
  noted.record.note_handshake(Side::client, facts, 1100);
  noted.record.note_end(noted.totals);
  CHECK(noted.book.sum("tls_handshakes_total", {"client", "TLSv1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", "none", "true"}) ==
        1);
  CHECK(noted.book.sum("plaintext_sessions_total") == 0);
  for (const auto& sample : noted.book.samples()) {
    if (sample.row.name == "tls_handshake_duration_seconds") CHECK(sample.seconds == 0.06);
  }
  CHECK(noted.says("client_tls=TLSv1.2"));
  CHECK(noted.says("client_cipher=TLS_RSA_WITH_AES_128_CBC_SHA"));
  CHECK(noted.says("client_resumed=true"));
}

TEST_CASE("session record: every word for a failed handshake is one of the label's") {
  Noted noted;
  for (unsigned i = 0; i <= static_cast<unsigned>(tls::HandshakeFailure::not_tls); ++i) {
    noted.record.note_failed_handshake(Side::server, tls::to_string(static_cast<tls::HandshakeFailure>(i)));
  }
  noted.record.note_failed_handshake(Side::client, "timeout");
  noted.record.note_failed_handshake(Side::client, "peer_closed");
  CHECK(noted.book.sum("tls_handshake_failures_total", {"", "other"}) == 1);  // HandshakeFailure::other itself
  CHECK(noted.book.sum("tls_handshake_failures_total", {"server"}) == 8);
  CHECK(noted.book.sum("tls_handshake_failures_total", {"client"}) == 2);
}

TEST_CASE("session record: the line has the word for a handshake that failed, unless another one succeeded") {
  Noted noted;
  CHECK(noted.line().find("tls_failure") == std::string::npos);
  noted.record.note_failed_handshake(Side::client, "no_common_version");
  noted.record.note_failed_handshake(Side::server, "peer_alert");
  CHECK(noted.says("client_tls=none client_tls_failure=no_common_version"));
  CHECK(noted.says("backend_tls=none backend_tls_failure=peer_alert"));
  tls::SessionFacts facts;
  facts.version = "TLSv1.3";
  noted.record.note_handshake(Side::server, facts, 1100);
  CHECK(noted.says("backend_tls=TLSv1.3"));
  CHECK(noted.line().find("backend_tls_failure") == std::string::npos);
}

TEST_CASE("session record: messages, whatever comes of them") {
  Noted noted;
  for (std::size_t i = 0; i < smtp::message_result_count; ++i) {
    noted.record.note_message(static_cast<MessageResult>(i));
    noted.record.note_message(static_cast<MessageResult>(i));
    CHECK(noted.book.sum("messages_total", {to_string(static_cast<MessageResult>(i))}) == 2);
  }
  noted.record.note_doubt();
  CHECK(noted.book.sum("messages_possibly_delivered_twice_total") == 1);
  CHECK(noted.says("messages=2"));
  CHECK(noted.says("messages_refused=4"));
  CHECK(noted.says("possibly_delivered_twice=1"));
}

TEST_CASE("session record: a policy's decision") {
  Noted noted;
  noted.record.note_decision({"example.org", "mx.example.org", "mta-sts", "verify", "none", "observed", "no_tls", "",
                              smtp::Plaintext::refused, ""});
  CHECK(noted.book.sum("policy_decisions_total", {"mta-sts", "observed"}) == 1);
  CHECK(noted.book.sum("plaintext_deliveries_total", {"starttls_refused"}) == 1);
  CHECK(noted.says("policy=mta-sts"));
  CHECK(noted.says("policy_result=observed"));
  CHECK(noted.says("plaintext=starttls_refused"));
}

TEST_CASE("session record: a server that was reached, and one that was not") {
  Noted noted;
  noted.record.note_dialing(1100);
  noted.record.note_connection("192.0.2.1:25", 1350);
  noted.record.note_no_connection();
  CHECK(noted.book.sum("backend_connect_duration_seconds") == 1);
  CHECK(noted.book.sum("backend_connect_failures_total") == 1);
  CHECK(noted.says("server=192.0.2.1:25"));
}

TEST_CASE("session record: limits that were reached") {
  Noted noted;
  noted.record.note_refusal(Refusal::line_too_long, "mail");
  noted.record.note_refusal(Refusal::too_many_errors, "noop");
  noted.record.note_refusal(Refusal::message_too_large, "data");
  for (const char* limit : {"command_length", "errors", "size"}) {
    CHECK(noted.book.sum("limit_hits_total", {limit}) == 1);
  }
  CHECK(noted.says("refusals=3"));
}

// Refuses everything that can be refused, one after the other.
class Refuser final : public smtp::Dialogue {
 public:
  void tls_available(bool) override {}
  explicit Refuser(Refusal refusal, bool in_own_words) : refusal_(refusal), in_own_words_(in_own_words) {}
  void start(smtp::Effects& out) override {
    if (in_own_words_) {
      out.turned_away(refusal_, "rcpt", "451 4.7.5 mx.example.org: it says why\r\n");
    } else {
      out.refused(refusal_, "rcpt");
    }
  }
  std::size_t on_client_bytes(std::string_view plaintext, smtp::Effects&) override { return plaintext.size(); }
  bool wants_client_bytes() const override { return true; }
  void on_server_bytes(std::string_view, smtp::Effects&) override {}
  void on_connected(smtp::Effects&) override {}
  void on_connect_failed(smtp::Effects&) override {}
  void on_tls(Side, const tls::SessionFacts&, smtp::Effects&) override {}
  void on_tls_failed(Side, smtp::Effects&) override {}
  void on_timer(smtp::Timer, smtp::Effects&) override {}
  void on_closed(Side, smtp::Effects& out) override { out.finish(smtp::Ending::client_closed); }
  bool message_unanswered() const override { return false; }
  void on_drain(smtp::Effects&) override {}
  void on_cut(smtp::Effects&) override {}
  const smtp::DialogueOutcome& outcome() const override { return outcome_; }
  bool idle() const override { return true; }

 private:
  smtp::DialogueOutcome outcome_;
  Refusal refusal_;
  bool in_own_words_;
};

class RefusingSession final : public session::Session {
 public:
  RefusingSession(World& world, std::string_view direction, Refusal refusal, bool in_own_words, net::StreamPtr client)
      : Session(world.around, world.runtime, 1, std::move(client)),
        direction_(direction),
        refusal_(refusal),
        in_own_words_(in_own_words) {}
  const SessionRecord& noted() const { return record_; }

 private:
  void on_client() override { begin(std::make_unique<Refuser>(refusal_, in_own_words_)); }
  void on_early_bytes(std::string_view) override {}
  void on_early_end(Early) override {}
  void dial() override {}
  bool dial_timed_out() override { return false; }
  void release_server() override {}
  Result<std::unique_ptr<tls::Engine>> make_engine(Side) override { return fail(Errc::tls, "there is none"); }
  void on_tls_up(Side) override {}
  void ask_policy(std::string_view) override {}
  const config::Listener& listener() const override { return runtime_->settings.inbound[0]; }
  limits::Tally& tally() const override { return runtime_->inbound.begin()->second.tally; }
  std::string_view direction() const override { return direction_; }

  std::string_view direction_;
  Refusal refusal_;
  bool in_own_words_;
};

TEST_CASE("session record: every refusal of both directions is counted when it happens, and stands in the line") {
  World world(
      "hostname: gateway.example\ninbound: { mx: { listen: [\"127.0.0.1:2525\"], mode: none, allow_open_relay_risk: "
      "true, backend: { address: \"SERVER\" } } }\n");
  for (const std::string_view direction : {"inbound", "outbound"}) {
    for (std::size_t i = 0; i < smtp::refusal_count; ++i) {
      const auto& row = smtp::row(static_cast<Refusal>(i));
      INFO(direction << " " << row.label);
      for (const bool in_own_words : {false, true}) {
        const RefusingSession* session = nullptr;
        world.begin([&](net::StreamPtr client) {
          auto made = std::make_unique<RefusingSession>(world, direction, static_cast<Refusal>(i), in_own_words,
                                                        std::move(client));
          session = made.get();
          return made;
        });
        REQUIRE(session->noted().refused);
        const std::string reply =
            in_own_words ? "451 4.7.5 mx.example.org: it says why" : std::string(line_of(row.refusal));
        CHECK(session->noted().refused->items() ==
              std::vector<std::string>{"RCPT: " + reply + " [" + std::string(row.label) + "]"});
        CHECK(world.books.of(direction, "mx").sum("rejections_total", {row.label}) == (in_own_words ? 2 : 1));
        world.abandon();
      }
    }
    CHECK(world.books.of(direction, "mx").sum("rejections_total") == 2 * smtp::refusal_count);
    CHECK(world.books.of(direction, "mx").sum("rejections_total", {"other"}) == 0);
  }
}

}  // namespace session_record_test
