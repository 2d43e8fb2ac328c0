#include "tests/fuzz/twin/reply.h"

#include "tests/fuzz/twin/octets.h"

namespace postern::smtp::before {

std::optional<ReplyLine> parse_reply_line(std::string_view line) {
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2])) {
    return std::nullopt;
  }
  ReplyLine reply;
  reply.code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (line.size() == 3) return reply;
  if (line[3] != '-' && line[3] != ' ') return std::nullopt;
  reply.last = line[3] == ' ';
  reply.text = line.substr(4);
  return reply;
}

}  // namespace postern::smtp::before
