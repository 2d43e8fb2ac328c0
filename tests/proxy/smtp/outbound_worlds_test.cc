// Every script with every kind of server and every judgement: whole, cut after every octet, and pipelined. What goes
// out too early the rig's watch asserts; here, that the three ways of saying the same come to the same.
#include <functional>
#include <string>
#include <vector>

#include "tests/proxy/smtp/outbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::outbound_worlds_test {

using outbound_rig::Link;
using outbound_rig::Options;
using outbound_rig::Rig;
using Action = PolicyAnswer::Action;

enum class Play { whole, cut, pipelined };

// A remote server: answers what it is sent, line by line.
struct Remote {
  std::string name;
  bool tls = true;
  bool esmtp = true;
  bool pipelining = true;
  std::string starttls_reply = "220 go\r\n";
  std::string mail_reply = "250 sender\r\n";
  std::string verdict = "250 queued\r\n";  // "": it goes away instead
};

std::vector<Remote> remotes() {
  std::vector<Remote> all(9);
  all[0].name = "modern";
  all[1] = {.name = "plaintext", .tls = false};
  all[2] = {.name = "ancient", .tls = false, .esmtp = false, .pipelining = false};
  all[3] = {.name = "one at a time", .pipelining = false};
  all[4] = {.name = "no TLS today", .starttls_reply = "454 4.7.0 later\r\n"};
  all[5] = {.name = "injected", .starttls_reply = "220 go\r\n250 x\r\n"};
  all[6] = {.name = "against the sender", .mail_reply = "550 sender\r\n"};
  all[7] = {.name = "against the message", .verdict = "554 no\r\n"};
  all[8] = {.name = "mortal", .verdict = ""};
  return all;
}

struct Judge {
  std::string name;
  std::function<PolicyAnswer(Rig&)> decide;
};

PolicyAnswer proceed_or(Rig& rig, bool good) {
  if (good) return {Action::proceed, {}};
  return {Action::refuse, "451 4.7.5 " + rig.domain_judged + " is not served"};
}

std::vector<Judge> judges() {
  const auto secure = [](Rig& rig) { return rig.stage() == "open"; };
  const auto there = [](Rig& rig) { return rig.stage() == "open" || rig.stage().starts_with("tls_"); };
  return {{"lenient", [=](Rig& rig) { return proceed_or(rig, there(rig)); }},
          {"strict", [=](Rig& rig) { return proceed_or(rig, secure(rig)); }},
          {"strict with some",
           [=](Rig& rig) { return proceed_or(rig, there(rig) && rig.domain_judged != "strict.example"); }}};
}

const std::vector<std::string>& scripts() {
  static const std::vector<std::string> all = {
      "EHLO c\nMAIL FROM:<a@b.example>\nRCPT TO:<x@one.example>\nDATA\ncontent\n.\nQUIT",
      "HELO c\nMAIL FROM:<a@b.example>\nRCPT TO:<x@one.example>\nRCPT "
      "TO:<no@one.example>\nDATA\ncontent\n.\nNOOP\nQUIT",
      "EHLO c\nMAIL FROM:<>\nRCPT TO:<x@strict.example>\nRCPT TO:<x@one.example>\nDATA\nRCPT TO:<x@other.example>\n.\n"
      "MAIL FROM:<c@d.example>\nRCPT TO:<y@one.example>\nRSET\nMAIL FROM:<e@f.example>\nRCPT "
      "TO:<z@strict.example>\nDATA\n"
      "x\n.\nQUIT",
      "EHLO c\nMAIL FROM:<a@b.example>\nRCPT TO:<x@one.example>\nEHLO c\nMAIL FROM:<c@d.example>\nRCPT "
      "TO:<no@two.example>\n"
      "RCPT TO:<y@one.example>\nDATA\n..dots\n.\nRSET\nQUIT",
      "EHLO c\nNOOP\nVRFY x\nRSET\nMAIL FROM:<a@b.example>\nRCPT TO:<postmaster>\nRCPT "
      "TO:<x@[192.0.2.1]>\nDATA\n.\nQUIT",
      "MAIL FROM:<early@b.example>\nEHLO c\nDATA\nRCPT TO:<x@one.example>\nMAIL FROM:<a@b.example>\nMAIL "
      "FROM:<twice@b.example>\n"
      "RCPT TO:<x@one.example>\nRCPT TO:<x@two.example>\nRCPT TO:<y@one.example>\nRSET\nQUIT"};
  return all;
}

class World {
 public:
  World(const Options& options, Remote remote, Judge judge)
      : rig_(options), remote_(std::move(remote)), judge_(std::move(judge)) {}

  void play(const std::string& script, bool pipelined) {
    rig_.start();
    turn();
    std::string burst;
    for (const std::string& line : lines(script)) {
      if (in_content_) {
        rig_.client(line);
        in_content_ = line != ".\r\n";
        turn();
        continue;
      }
      burst += line;
      const bool last_of_burst = line == "DATA\r\n" || line == "QUIT\r\n";
      if (pipelined && !last_of_burst) continue;
      rig_.client(std::exchange(burst, {}));
      turn();
      in_content_ = line == "DATA\r\n" && heard.ends_with("354 go\r\n");
    }
  }

  std::string heard;  // by the client
  std::size_t accepted() { return rig_.accepted; }
  std::size_t given = 0;  // 250 to content

 private:
  static std::vector<std::string> lines(const std::string& script) {
    std::vector<std::string> result(1);
    for (const char octet : script) {
      if (octet != '\n') {
        result.back() += octet;
        continue;
      }
      result.back() += "\r\n";
      result.emplace_back();
    }
    result.back() += "\r\n";
    return result;
  }

  // All that follows of itself.
  void turn() {
    while (!rig_.ended() && step()) heard += rig_.take_client();
    heard += rig_.take_client();
  }

  bool step() {
    if (rig_.link == Link::dialing) {
      rig_.take_server();
      sent_.clear();
      content_ = false;
      secure_ = false;
      rig_.connected();
      rig_.server("220 mx.example\r\n");
      return true;
    }
    if (rig_.link == Link::handshake) {
      secure_ = true;
      rig_.tls(Side::server);
      return true;
    }
    sent_ += rig_.take_server();
    if (const auto end = sent_.find("\r\n"); end != std::string::npos && rig_.link == Link::up) {
      const std::string line = sent_.substr(0, end);
      sent_.erase(0, end + 2);
      answer(line);
      return true;
    }
    if (!rig_.judging) return false;
    const PolicyAnswer judgement = judge_.decide(rig_);
    rig_.judge(judgement.action, judgement.reply);
    return true;
  }

  void answer(const std::string& line) {
    if (content_) return content(line);
    const std::string verb = line.substr(0, 4);
    if (verb == "EHLO") return rig_.server(remote_.esmtp ? hello() : "502 what\r\n");
    if (verb == "HELO") return rig_.server("250 mx.example\r\n");
    if (verb == "STAR") return rig_.server(remote_.starttls_reply);
    if (verb == "MAIL" || verb == "RSET") recipients_ = 0;
    if (verb == "MAIL") sender_ = remote_.mail_reply.starts_with("2");
    if (verb == "MAIL") return rig_.server(remote_.mail_reply);
    if (verb == "RCPT" && line.find("<no@") != std::string::npos) return rig_.server("550 no " + line + "\r\n");
    if (verb == "RCPT") ++recipients_;
    if (verb == "DATA" && (!sender_ || recipients_ == 0)) return rig_.server("503 5.5.1 No valid recipients\r\n");
    if (verb == "DATA") {
      content_ = true;
      return rig_.server("354 go\r\n");
    }
    rig_.server(verb == "QUIT" ? "221 bye\r\n" : "250 " + line + "\r\n");
  }

  void content(const std::string& line) {
    if (line != ".") return;
    content_ = false;
    recipients_ = 0;
    if (remote_.verdict.empty()) return rig_.close(Side::server);
    if (remote_.verdict.starts_with("250")) ++given;
    rig_.server(remote_.verdict);
  }

  std::string hello() const {
    std::string reply = "250-mx.example\r\n";
    if (remote_.pipelining) reply += "250-PIPELINING\r\n";
    if (remote_.tls && !secure_) reply += "250-STARTTLS\r\n";
    return reply + "250 SIZE\r\n";
  }

  Rig rig_;
  Remote remote_;
  Judge judge_;
  std::string sent_;
  bool content_ = false;     // the remote reads content
  bool sender_ = false;      // … has accepted MAIL
  int recipients_ = 0;       // … and these
  bool in_content_ = false;  // … and the client writes it
  bool secure_ = false;
};

// The session of `route: mx` has to be asked for a connection.
Judge dialling(Judge judge) {
  const auto decide = judge.decide;
  judge.decide = [decide](Rig& rig) {
    const std::string stage = rig.stage();
    if (stage == "none" || stage == "lost") return PolicyAnswer{Action::reconnect, {}};
    return decide(rig);
  };
  return judge;
}

TEST_CASE("outbound worlds: whole, cut and pipelined come to the same, and no success is made up") {
  for (const bool mx : {false, true}) {
    for (const Remote& remote : remotes()) {
      for (const Judge& judge : judges()) {
        for (const std::string& script : scripts()) {
          INFO((mx ? "mx, " : "") << remote.name << ", " << judge.name << "\n" << script);
          Options options;
          options.greets_itself = mx;
          const Judge asked = mx ? dialling(judge) : judge;
          World whole(options, remote, asked);
          whole.play(script, false);
          World pipelined(options, remote, asked);
          pipelined.play(script, true);
          CHECK(pipelined.heard == whole.heard);
          CHECK(pipelined.accepted() == pipelined.given);
          CHECK(whole.accepted() == whole.given);
          if (remote.name == "injected") continue;  // cut, the handshake gets the octets instead
          options.cut = true;
          World cut(options, remote, asked);
          cut.play(script, false);
          CHECK(cut.heard == whole.heard);
        }
      }
    }
  }
}

}  // namespace postern::smtp::outbound_worlds_test
