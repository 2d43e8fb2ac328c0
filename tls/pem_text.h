// PEM as people store it (RFC 7468, and what editors, consoles and templates make of it): its blocks, and whatever
// looks like one, each with its line. Nothing that could be a certificate is passed over without a word.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::tls {

struct PemText {
  struct Block {
    std::string_view label;  // "CERTIFICATE"
    std::string_view body;   // what stands between the two marks
    std::size_t line = 0;    // of its BEGIN, from 1
  };
  struct Note {
    std::size_t line = 0;
    bool is_error = false;  // a block is lost, or could be
    std::string message;
  };
  std::vector<Block> blocks;
  std::vector<Note> notes;
};

// Byte order marks, blanks around lines and any line ends are passed over. Blocks joined without a line end are read,
// and noted. A block in front of which text stands, as in a comment, is none, and noted. The views are of `text`.
PemText scan_pem(std::string_view text);

// A block's body without byte order marks, blanks around lines, empty lines and other line ends than LF. Of a key: to
// be wiped.
std::string clean_body(std::string_view body);

}  // namespace postern::tls
