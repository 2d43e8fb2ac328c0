// What the client sends, as what it is: commands, answers to challenges, content that is wanted and content that is
// not. It knows where each of them ends; what becomes of it is for others to say.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/settings.h"
#include "proxy/smtp/client_standing.h"
#include "proxy/smtp/command.h"
#include "proxy/smtp/content.h"
#include "proxy/smtp/effects.h"
#include "proxy/smtp/lines.h"

namespace postern::smtp {

class ClientInput {
 public:
  // What comes next.
  enum class Mode : std::uint8_t {
    commands,
    response,         // one line, which answers a challenge
    content,          // after 354, up to CRLF.CRLF
    chunk,            // the octets of a BDAT
    discard_content,  // as content, thrown away
    discard_chunk,    // as chunk, thrown away
  };
  // What has come. Commands are next after all of these but `more` and, where its end has not come, too_large.
  enum class Item : std::uint8_t {
    more,          // nothing is whole, and all of the input was used
    no_command,    // TLS, or other octets in place of a command; all of the input was used
    command,       // a line
    response,      // a line
    content_end,   // of wanted content: all of it has been sent on
    chunk_end,     // of a wanted chunk
    discarded,     // the end of what was thrown away
    bare_newline,  // in content that must have none: the message can only be refused, and nothing after it understood
    too_large,     // content is: no more of it is sent on, the rest goes nowhere
  };
  struct Taken {
    Item item = Item::more;
    Line line = {};  // of command, response
  };

  explicit ClientInput(const config::Listener& listener) : listener_(&listener), scanner_(listener.bare_newline) {}

  // The next item off the front of `rest`. Wanted content goes straight to `out`, as views into `rest`.
  Taken take(std::string_view& rest, const ClientStanding& standing, Effects& out);

  void expect_response();  // 334 came
  void expect_content();   // 354 came
  // The octets of a BDAT, if it has any, go on to the server, or nowhere.
  void expect_chunk(const BdatArgument& argument);
  void discard_chunk(const BdatArgument& argument);
  // What is left of content or a chunk under way goes nowhere.
  void discard();

  // A message of so many octets more than it has is within the listener's limit.
  bool fits(std::uint64_t octets) const;
  void begin_message() { octets_ = 0; }

  const config::Listener& listener() const { return *listener_; }
  Mode mode() const { return mode_; }
  // A message or a part of one is coming, wanted or not.
  bool in_message() const { return mode_ != Mode::commands && mode_ != Mode::response; }
  // … and the server is given it: it is left in the middle of it if nothing more comes.
  bool sends_on() const { return mode_ == Mode::content || mode_ == Mode::chunk; }
  // A line has begun.
  bool partial() const { return lines_.partial(); }

 private:
  Taken command(std::string_view& rest, const ClientStanding& standing);
  Taken response(std::string_view& rest);
  Taken content(std::string_view& rest, Effects& out);
  Taken chunk(std::string_view& rest, Effects& out);
  Taken discard_content(std::string_view& rest);
  Taken whole(Item item, const Line& line = {});

  const config::Listener* listener_;
  LineReader lines_;
  ContentScanner scanner_;
  std::uint64_t octets_ = 0;      // of the message: content sent on so far, or chunks
  std::uint64_t chunk_left_ = 0;  // BDAT octets still to come
  Mode mode_ = Mode::commands;
};

}  // namespace postern::smtp
