#include "proxy/smtp/envelope_notes.h"

#include "tests/support/catch.h"

namespace postern::smtp::envelope_notes_test {

ReplyPiece line(int code, std::string_view text, bool first = true, bool last = true) {
  ReplyPiece piece;
  piece.code = code;
  piece.text = text;
  piece.first = first;
  piece.last = last;
  return piece;
}

// MAIL and its 250.
void begin(EnvelopeNotes& notes, std::string_view sender) {
  notes.mail(sender);
  notes.replied(Expected::mail, line(250, "ok"));
}

TEST_CASE("envelope notes: a message has its sender, its recipients and the server's reply") {
  EnvelopeNotes notes;
  CHECK(notes.items().empty());
  begin(notes, "FROM:<a@x> SIZE=7");
  notes.recipient("TO:<b@y>");
  notes.recipient("to: <c@y> NOTIFY=NEVER");
  notes.replied(Expected::recipient, line(250, "ok"));
  notes.replied(Expected::recipient, line(550, "5.1.1 unknown"));
  notes.recipient_refused("TO:<d@z>", "452 4.5.3 One domain\r\n");
  notes.replied(Expected::end_of_data, line(250, "2.0.0 Ok: queued as 4711"));
  CHECK(notes.items() ==
        std::vector<std::string>{"from=<a@x> to=<b@y> refused=<c@y> (550 5.1.1 unknown),<d@z> (452 4.5.3 One domain) "
                                 "reply=(250 2.0.0 Ok: queued as 4711)"});
}

TEST_CASE("envelope notes: the first line of a reply is kept, once its last has come") {
  EnvelopeNotes notes;
  begin(notes, "FROM:<>");
  notes.recipient("TO:<b@y>");
  notes.replied(Expected::recipient, line(550, "no", true, false));
  CHECK(notes.items() == std::vector<std::string>{"from=<> unanswered=<b@y>"});
  notes.replied(Expected::recipient, line(550, "see elsewhere", false, true));
  CHECK(notes.items() == std::vector<std::string>{"from=<> refused=<b@y> (550 no)"});
}

TEST_CASE("envelope notes: replies to pipelined transactions find theirs") {
  EnvelopeNotes notes;
  notes.mail("FROM:<a@x>");
  notes.recipient("TO:<b@y>");
  notes.mail("FROM:<c@x>");
  notes.recipient("TO:<d@y>");
  notes.replied(Expected::mail, line(250, "ok"));
  notes.replied(Expected::recipient, line(250, "ok"));
  notes.replied(Expected::last_chunk, line(250, "first"));
  notes.replied(Expected::mail, line(451, "later"));
  notes.replied(Expected::recipient, line(503, "MAIL first"));
  CHECK(notes.items() == std::vector<std::string>{"from=<a@x> to=<b@y> reply=(250 first)",
                                                  "from=<c@x> refused=<d@y> (503 MAIL first) reply=(451 later)"});
}

TEST_CASE("envelope notes: a refused DATA is the reply to the message") {
  EnvelopeNotes notes;
  begin(notes, "FROM:<a@x>");
  notes.replied(Expected::data, line(554, "no valid recipients"));
  CHECK(notes.items().at(0) == "from=<a@x> reply=(554 no valid recipients)");
}

TEST_CASE("envelope notes: what is lost or in doubt is told, one after the other") {
  EnvelopeNotes notes;
  for (const char* sender : {"FROM:<a@x>", "FROM:<b@x>", "FROM:<c@x>"}) notes.mail(sender);
  notes.replied(Expected::mail, line(250, "ok"));
  CHECK(notes.message_ended(MessageResult::in_doubt) == "from=<a@x> possibly delivered twice");
  CHECK(notes.message_ended(MessageResult::lost) == "from=<b@x> lost");
  CHECK(notes.message_ended(MessageResult::lost) == "from=<c@x> lost");
  CHECK(notes.message_ended(MessageResult::lost).empty());
}

TEST_CASE("envelope notes: many recipients are counted, not kept, and their refusals too") {
  EnvelopeNotes notes;
  begin(notes, "FROM:<a@x>");
  for (int i = 0; i < 1000; ++i) notes.recipient("TO:<someone.with.a.long.name@example.org>");
  for (int i = 0; i < 998; ++i) notes.replied(Expected::recipient, line(250, "ok"));
  notes.replied(Expected::recipient, line(550, "no"));
  notes.replied(Expected::recipient, line(550, "no"));
  const std::string item = notes.items().at(0);
  CHECK(item.size() < EnvelopeNotes::budget);
  CHECK(item.find(" more refused=2 more") != std::string::npos);
  CHECK(item.find("unanswered") == std::string::npos);
}

TEST_CASE("envelope notes: long refusals of many recipients stay within the budget") {
  EnvelopeNotes notes;
  begin(notes, "FROM:<a@x>");
  for (int i = 0; i < 40; ++i) notes.recipient("TO:<b@y>");
  for (int i = 0; i < 40; ++i) notes.replied(Expected::recipient, line(550, std::string(4000, 'x')));
  CHECK(notes.items().at(0).size() < 2 * EnvelopeNotes::budget);
}

TEST_CASE("envelope notes: the oldest messages make room, and replies still find theirs") {
  EnvelopeNotes notes;
  for (int i = 0; i < 500; ++i) {
    notes.mail("FROM:<a@x>");
    notes.recipient("TO:<b@y>");
  }
  CHECK(notes.items().size() + notes.left_out() == 500);
  CHECK(notes.items().size() < 60);
  for (int i = 0; i < 500; ++i) {
    notes.replied(Expected::mail, line(250, "ok"));
    notes.replied(Expected::recipient, line(250, "ok"));
    notes.replied(Expected::last_chunk, line(250, std::to_string(i)));
  }
  CHECK(notes.items().back() == "from=<a@x> to=<b@y> reply=(250 499)");
}

TEST_CASE("envelope notes: envelopes without a message make room before messages do") {
  EnvelopeNotes notes;
  begin(notes, "FROM:<sent@x>");
  notes.recipient("TO:<b@y>");
  notes.replied(Expected::recipient, line(250, "ok"));
  notes.replied(Expected::end_of_data, line(250, "queued"));
  for (int i = 0; i < 500; ++i) {
    begin(notes, "FROM:<probe@x>");
    notes.recipient("TO:<b@y>");
    notes.replied(Expected::recipient, line(250, "ok"));
  }
  CHECK(notes.items().front() == "from=<sent@x> to=<b@y> reply=(250 queued)");
  CHECK(notes.items().size() + notes.left_out() == 501);
}

TEST_CASE("envelope notes: long paths and replies are cut between characters") {
  EnvelopeNotes notes;
  std::string path(255, 'a');
  path += "\xc3\xbc@x";
  begin(notes, "FROM:<" + path + ">");
  CHECK(notes.items().at(0) == "from=<" + std::string(255, 'a') + "...>");
}

TEST_CASE("envelope notes: a path that cannot be read stands as it came") {
  EnvelopeNotes notes;
  begin(notes, "FROM<a@x");
  CHECK(notes.items().at(0) == "from=<FROM<a@x>");
}

TEST_CASE("envelope notes: nothing is noted where that is switched off") {
  EnvelopeNotes notes;
  notes.disable();
  begin(notes, "FROM:<a@x>");
  notes.recipient("TO:<b@y>");
  notes.recipient_refused("TO:<b@y>", "550 no");
  notes.message_answered("550 no");
  CHECK(notes.message_ended(MessageResult::in_doubt).empty());
  CHECK(notes.items().empty());
}

}  // namespace postern::smtp::envelope_notes_test
