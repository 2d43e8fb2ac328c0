// PEM: what was found lies in the text, nothing that begins is lost without a word, and a byte order mark changes
// nothing.
#include "tests/fuzz/fuzz_input.h"
#include "tls/pem_text.h"

using namespace postern::tls;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(postern::fuzz::Input(data, size).rest());
  const PemText found = scan_pem(text);
  std::size_t line = 0;
  for (const PemText::Block& block : found.blocks) {
    POSTERN_ASSERT(block.line >= line, "blocks are in order");
    line = block.line;
    POSTERN_ASSERT(
        block.body.data() >= text.data() && block.body.data() + block.body.size() <= text.data() + text.size(),
        "a body is of the text");
    POSTERN_ASSERT(block.body.find("-----BEGIN ") == std::string_view::npos, "a block holds no other");
    POSTERN_ASSERT(clean_body(block.body).size() <= block.body.size() + 1, "cleaning adds nothing");
  }
  const bool begins = text.find("-----BEGIN ") != std::string::npos;
  POSTERN_ASSERT(!begins || !found.blocks.empty() || !found.notes.empty(), "what begins is a block, or noted");

  const std::string marked = "\xef\xbb\xbf" + text;
  const PemText again = scan_pem(marked);
  POSTERN_ASSERT(again.blocks.size() == found.blocks.size() && again.notes.size() == found.notes.size(),
                 "a byte order mark changes nothing");
  for (std::size_t i = 0; i < found.blocks.size(); ++i) {
    POSTERN_ASSERT(again.blocks[i].label == found.blocks[i].label && again.blocks[i].line == found.blocks[i].line,
                   "a byte order mark changes no block");
  }
  return 0;
}
