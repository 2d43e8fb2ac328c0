// Plays the scripts of tests/conversations, of both directions: whole, cut after every octet, and pipelined. Their
// language is described in tests/conversations/README.
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/proxy/smtp/conversation_script.h"
#include "tests/support/catch.h"

namespace postern::smtp::conversation_test {

using namespace conversation;
using dialogue_rig::Link;

enum class Play { whole, cut, pipelined };

std::string_view name_of(Play play) {
  switch (play) {
    case Play::whole: return "whole";
    case Play::cut: return "cut";
    case Play::pipelined: return "pipelined";
  }
  return "";
}

// --- what happens in one direction only; false: no event of that name

bool happens_there(inbound_rig::Rig&, const std::string&, const std::string&) {
  return false;
}

// The plan of the next connection.
RemotePlan plan_of(const std::string& text) {
  RemotePlan plan;
  const auto all = words(text);
  for (auto word = all.begin(); word != all.end(); ++word) {
    if (*word == "demand_tls") plan.demand_tls = true;
    if (*word == "no_starttls") plan.try_starttls = false;
    if (*word == "tls_first") plan.tls_first = true;
    if (*word != "auth") continue;
    REQUIRE(all.end() - word > 3);
    plan.auth_mechanism = *++word;
    plan.auth_user = *++word;
    plan.auth_secret = *++word;
  }
  return plan;
}

bool happens_there(outbound_rig::Rig& rig, const std::string& what, const std::string& rest) {
  if (what == "plan") return rig.plan = plan_of(rest), true;
  if (what != "proceed" && what != "reconnect" && what != "refuse") return false;
  REQUIRE(rig.judging);
  rig.vouched = rest != "unvouched";
  if (what == "proceed") rig.proceed();
  if (what == "reconnect") rig.reconnect();
  if (what == "refuse") rig.refuse(rest);
  return true;
}

std::string known(inbound_rig::Rig&, const std::string&) {
  return {};
}
std::string known(outbound_rig::Rig& rig, const std::string& what) {
  return what == "stage" ? rig.stage() : std::string();
}

// --- playing

template <class Rig, class Options>
class Player {
 public:
  Player(const Script<Options>& script, Play play) : script_(script), play_(play), rig_(options(script, play)) {}

  void play() {
    rig_.start();
    for (at_ = 0; at_ < script_.steps.size(); ++at_) {
      const Step& step = script_.steps[at_];
      INFO(name_of(play_) << ", " << step.place << ": " << step.key << " " << step.value);
      INFO("client was sent: " << rig_.to_client << "\nserver was sent: " << rig_.to_server);
      perform(step);
    }
    INFO("at the end of playing " << name_of(play_));
    nothing_unexpected();
    auto events = rig_.events;
    for (auto& event : events) event.erase(event.find_last_not_of(' ') + 1);
    if (play_ == Play::pipelined) {
      std::sort(events.begin(), events.end());
      std::sort(expected_events_.begin(), expected_events_.end());
    }
    CHECK(events == expected_events_);
  }

 private:
  static Options options(const Script<Options>& script, Play play) {
    Options result = script.options;
    result.cut = play == Play::cut;
    return result;
  }

  void perform(const Step& step) {
    switch (step.key[0]) {
      case 'C': return client_says(step);
      case 'S':
        if (play_ != Play::pipelined) CHECK(rig_.to_server.empty());
        return rig_.server(step.value);
      case 'c': expected_client_ += step.value; return;
      case 's': return server_hears(step);
      case '!':
        if (begins_segment(step)) {
          nothing_unexpected();
          segment_sent_ = false;
        }
        return happens(step.value);
      case '?': expected_events_.push_back(step.value); return;
      case '=': {
        const std::string what = words(step.value).at(0);
        CHECK(what + " " + known(rig_, what) == step.value);
        return;
      }
      default: FAIL("unknown step " << step.key);
    }
  }

  // What happens between the gateway, its session and a server, and not to one that is in use, is no reason for a
  // client to pause.
  static bool begins_segment(const Step& step) {
    static const std::vector<std::string> others = {"connected", "connect-failed", "plan",       "proceed",
                                                    "reconnect", "refuse",         "tls server", "tls-failed server"};
    return std::none_of(others.begin(), others.end(),
                        [&](const std::string& other) { return step.value.starts_with(other); });
  }

  void client_says(const Step& step) {
    if (play_ != Play::pipelined) {
      if (at_ > 0 && script_.steps[at_ - 1].key[0] == 'c') client_heard_all();
      return rig_.client(step.value);
    }
    if (std::exchange(segment_sent_, true)) return;
    // All that the client says up to where it must wait, at once.
    std::string all;
    for (std::size_t i = at_; i < script_.steps.size(); ++i) {
      const Step& next = script_.steps[i];
      if (next.key == "!" && begins_segment(next)) break;
      if (next.key[0] == 'C') all += next.value;
    }
    rig_.client(all);
  }

  void server_hears(const Step& step) {
    REQUIRE(rig_.to_server.substr(0, step.value.size()) == step.value);
    rig_.to_server.erase(0, step.value.size());
  }

  void client_heard_all() {
    CHECK(rig_.to_client == expected_client_);
    rig_.to_client.clear();
    expected_client_.clear();
  }

  void nothing_unexpected() {
    client_heard_all();
    CHECK(rig_.to_server.empty());
    rig_.to_server.clear();
  }

  void happens(const std::string& text) {
    static const std::map<std::string, Side> sides = {{"client", Side::client}, {"server", Side::server}};
    const auto event = words(text);
    const std::string& what = event.at(0);
    if (what == "connected" || what == "connect-failed") {
      REQUIRE(rig_.link == Link::dialing);
      return what == "connected" ? rig_.connected() : rig_.connect_failed();
    }
    if (what == "drain") return rig_.drain();
    if (what == "cut") return rig_.cut();
    if (what == "close") return rig_.close(choose(sides, event.at(1)));
    if (what == "tls-failed") return rig_.tls_failed(choose(sides, event.at(1)));
    if (what == "tls") {
      const bool verified = event.size() > 2 && event[2] == "verified";
      return rig_.tls(choose(sides, event.at(1)),
                      verified ? tls::Verification::verified : tls::Verification::not_requested);
    }
    if (what == "timeout") {
      CHECK(dialogue_rig::name_of(rig_.timer) == event.at(1));
      return rig_.time_out();
    }
    if (!happens_there(rig_, what, text.size() > what.size() ? text.substr(what.size() + 1) : "")) {
      FAIL("unknown event " << what);
    }
  }

  const Script<Options>& script_;
  Play play_;
  Rig rig_;
  std::size_t at_ = 0;
  bool segment_sent_ = false;
  std::string expected_client_;
  std::vector<std::string> expected_events_;
};

template <class Rig, class Options>
void play_all(const std::string& direction, std::size_t at_least) {
  std::vector<std::filesystem::path> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(POSTERN_TESTS "/conversations/" + direction)) {
    if (entry.path().extension() == ".txt") scripts.push_back(entry.path());
  }
  std::sort(scripts.begin(), scripts.end());
  REQUIRE(scripts.size() >= at_least);
  for (const auto& path : scripts) {
    DYNAMIC_SECTION(path.stem().string()) {
      const auto script = load<Options>(path);
      Player<Rig, Options>(script, Play::whole).play();
      if (script.cut) Player<Rig, Options>(script, Play::cut).play();
      if (script.pipelined) Player<Rig, Options>(script, Play::pipelined).play();
    }
  }
}

TEST_CASE("conversations inbound: each goes as written, cut after every octet, and pipelined") {
  play_all<inbound_rig::Rig, inbound_rig::Options>("inbound", 80);
}

TEST_CASE("conversations outbound: each goes as written, cut after every octet, and pipelined") {
  play_all<outbound_rig::Rig, outbound_rig::Options>("outbound", 90);
}

}  // namespace postern::smtp::conversation_test
