#include "tls/span_bio.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

#include "config/assert.h"

namespace postern::tls {
SpanBioRound& round_of(BIO* bio) {
  return *static_cast<SpanBioRound*>(BIO_get_data(bio));
}

namespace {

int read_span(BIO* bio, char* out, int size) noexcept {
  BIO_clear_retry_flags(bio);
  std::string_view& input = round_of(bio).input;
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(input.size(), static_cast<std::size_t>(std::max(size, 0)));
  std::memcpy(out, input.data(), taken);
  input.remove_prefix(taken);
  return static_cast<int>(taken);
}

int write_output(BIO* bio, const char* data, int size) noexcept {
  BIO_clear_retry_flags(bio);
  OutputBuffer* output = round_of(bio).output;
  POSTERN_ASSERT(output != nullptr, "the TLS library writes outside of a round");
  output->append(data, static_cast<std::size_t>(std::max(size, 0)));
  return size;
}

long control(BIO*, int command, long, void*) noexcept {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* span_bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index(), "span");
    POSTERN_ASSERT(made != nullptr, "out of memory");
    BIO_meth_set_read(made, read_span);
    BIO_meth_set_write(made, write_output);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

}  // namespace

BIO* new_span_bio(SpanBioRound* round) {
  BIO* bio = BIO_new(span_bio_method());
  POSTERN_ASSERT(bio != nullptr, "out of memory");
  BIO_set_data(bio, round);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace postern::tls
