#include "proxy/sink/sink_session.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/catch.h"

namespace sink_session_test {

using namespace postern::sink;

struct Fixture {
  explicit Fixture(const std::string& directory = "", Capabilities offered = {})
      : capabilities(offered), maildir(std::move(*Maildir::open(directory, false))) {}

  // The replies to `input`, given in pieces of `size` octets.
  std::string say(std::string_view input, std::size_t size = std::string_view::npos) {
    std::string out;
    while (!input.empty()) {
      session.on_bytes(input.substr(0, size), out);
      input.remove_prefix(std::min(size, input.size()));
    }
    return out;
  }
  // The codes of the replies alone: "250 354 250".
  std::string codes(std::string_view input, std::size_t size = std::string_view::npos) {
    std::istringstream replies(say(input, size));
    std::string out;
    for (std::string line; std::getline(replies, line);) {
      if (line[3] == ' ') out += (out.empty() ? "" : " ") + line.substr(0, 3);
    }
    return out;
  }

  Capabilities capabilities;
  std::unique_ptr<Maildir> maildir;
  std::vector<std::uint64_t> sizes;
  Envelope last;
  SinkSession::OnStored on_stored = [this](const Envelope& envelope, std::uint64_t size, const std::string&) {
    last = envelope;
    sizes.push_back(size);
  };
  SinkSession session{capabilities, *maildir, "192.0.2.1:40000", on_stored};
};

constexpr std::string_view conversation =
    "EHLO c.example\r\nMAIL FROM:<a@example.org> SIZE=5\r\nRCPT TO:<b@example.org>\r\nRCPT "
    "TO:<c@example.org>\r\nDATA\r\n"
    "..x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@example.org>\r\nBDAT 2\r\n.\rBDAT 3 LAST\r\n\n\r\nQUIT\r\n";

TEST_CASE("sink session: DATA and BDAT in one conversation, however it is cut") {
  for (std::size_t size = 1; size < 80; ++size) {
    Fixture sink;
    CHECK(sink.codes(conversation, size) == "250 250 250 250 354 250 250 250 250 250 221");
    CHECK(sink.sizes == std::vector<std::uint64_t>{4, 5});
    CHECK(sink.session.over());
  }
}

TEST_CASE("sink session: the envelope is what the client said") {
  Fixture sink;
  sink.say(conversation.substr(0, conversation.find("MAIL FROM:<>")));
  CHECK(sink.last.client == "192.0.2.1:40000");
  CHECK(sink.last.helo == "c.example");
  CHECK(sink.last.from == "a@example.org");
  CHECK(sink.last.mail_parameters == "SIZE=5");
  CHECK(sink.last.recipients == std::vector<std::string>{"b@example.org", "c@example.org"});
  CHECK_FALSE(sink.last.chunked);
}

TEST_CASE("sink session: commands out of order are refused") {
  Fixture sink;
  CHECK(sink.codes("RCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\n") == "503 503 250 503 503");
  CHECK(sink.codes("BDAT 3\r\nabcRSET\r\nNOOP\r\n") == "503 250 250");
  CHECK(sink.codes("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nxDATA\r\nRCPT TO:<a@b>\r\nRSET\r\n") ==
        "250 250 250 503 503 250");
  CHECK(sink.codes("VRFY x\r\nEXPN x\r\nSTARTTLS\r\nAUTH PLAIN\r\nHELP\r\nWAT\r\n\r\n") ==
        "252 502 502 502 214 500 500");
  CHECK(sink.codes("NOOP\nNOOP\r\n") == "500 250");
  CHECK(sink.sizes.empty());
}

TEST_CASE("sink session: it can play a server that knows less") {
  Fixture old_server("", {false, false, false});
  CHECK(old_server.codes("EHLO x\r\nHELO x\r\n") == "502 250");
  Fixture plain("", {false, false, true});
  const std::string reply = plain.say("EHLO x\r\n");
  CHECK(reply.find("PIPELINING") == std::string::npos);
  CHECK(reply.find("CHUNKING") == std::string::npos);
  CHECK(reply.find("SMTPUTF8") != std::string::npos);
  CHECK(plain.codes("BDAT 0 LAST\r\n") == "502");
}

TEST_CASE("sink session: a message is filed whole with its envelope, an unfinished one leaves no trace") {
  namespace fs = std::filesystem;
  const fs::path directory = fs::temp_directory_path() / ("postern-sink-test-" + std::to_string(::getpid()));
  {
    Fixture sink(directory.string());
    CHECK(sink.codes("HELO x\r\nMAIL FROM:<\"\x01\"@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n..dot\r\n\xff\r\n.\r\n") ==
          "250 250 250 354 250");
    sink.say("MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\nlost");
  }
  const auto files = [&](const char* folder) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory / folder)) found.push_back(entry.path());
    return found;
  };
  const auto content = [](const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  REQUIRE(files("new").size() == 1);
  CHECK(content(files("new").front()) == ".dot\r\n\xff\r\n");
  REQUIRE(files("envelopes").size() == 1);
  CHECK(files("envelopes").front().filename() == files("new").front().filename().string() + ".json");
  CHECK(content(files("envelopes").front()) ==
        R"({"client":"192.0.2.1:40000","helo":"x","from":"\"\u0001\"@b","mail_parameters":"","recipients":["c@d"],)"
        R"("via":"DATA","size":9})"
        "\n");
  CHECK(files("tmp").empty());
  fs::remove_all(directory);
}

}  // namespace sink_session_test
