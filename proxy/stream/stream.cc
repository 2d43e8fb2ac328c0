#include "proxy/stream/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "config/assert.h"

namespace postern::stream {

namespace {
constexpr std::size_t full_record = 16 * 1024;
}

Scratch::Scratch() : raw(read_size), plain(read_size + tls::Engine::max_record), record(full_record) {}

// Bytes that the kernel did not take; owned until the callback.
struct Stream::WriteRequest {
  uv_write_t request{};
  std::string bytes;
};

Stream::Stream(Owner& owner, Scratch::Lane& lane, net::StreamPtr socket)
    : owner_(owner), lane_(lane), socket_(std::move(socket)) {
  socket_->data = this;
}

Stream::~Stream() {
  forget_signature();
  forget_queued(queued_);
}

void Stream::send(std::string_view bytes) {
  if (!bytes.empty() && !broken_ && !finishing_) lane_.gather.push_back(bytes);
}

bool Stream::flush() {
  return !broken_ && (!engine_ || encrypt_gathered()) ? write_out() : forget_unsent();
}

// The buffers are the worker's: what one stream left there, another would send. False, for callers that failed.
bool Stream::forget_unsent() {
  lane_.gather.clear();
  lane_.cipher.clear();
  return false;
}

// Small pieces (the replies of a pipelined group) share a record; large ones are encrypted where they lie.
bool Stream::encrypt_gathered() {
  auto& pieces = lane_.gather;
  auto& cipher = lane_.cipher;
  if (pieces.empty()) return true;
  if (handshaking_) {  // neither in plaintext nor in TLS can they leave now
    pieces.clear();
    return true;
  }
  std::size_t filled = 0;
  bool good = true;
  const auto emit = [&](std::string_view bytes) {
    good = good && !bytes.empty() ? !engine_->send(bytes, cipher) : good;
  };
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string_view piece = pieces[i];
    if (filled == 0 && (piece.size() >= full_record || i + 1 == pieces.size())) {
      emit(piece);
      continue;
    }
    while (!piece.empty()) {
      const std::size_t size = std::min(piece.size(), full_record - filled);
      std::memcpy(lane_.scratch.record.data() + filled, piece.data(), size);
      filled += size;
      piece.remove_prefix(size);
      if (filled == full_record) {
        emit({lane_.scratch.record.data(), filled});
        filled = 0;
      }
    }
  }
  emit({lane_.scratch.record.data(), filled});
  pieces.clear();
  broken_ = !good;
  return good;
}

bool Stream::write_out() {
  if (broken_) return forget_unsent();
  auto& pieces = lane_.gather;
  auto& cipher = lane_.cipher;
  auto& buffers = lane_.scratch.buffers;
  buffers.clear();
  const auto add = [&](std::string_view bytes) {
    // libuv's buffers are not const; it only reads them.
    buffers.push_back(uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size())));
  };
  if (engine_) {
    if (!cipher.empty()) add(cipher.view());
  } else {
    for (const std::string_view piece : pieces) add(piece);
  }
  if (buffers.empty()) return true;

  std::size_t total = 0;
  for (const uv_buf_t& buffer : buffers) total += buffer.len;
  bytes_out_ += total;
  const int sent =
      queued_ != 0 ? UV_EAGAIN : uv_try_write(socket_.get(), buffers.data(), static_cast<unsigned>(buffers.size()));
  bool good = true;
  if (sent < 0 && sent != UV_EAGAIN) {
    broken_ = true;
    good = false;
  } else if (const std::size_t gone = sent > 0 ? static_cast<std::size_t>(sent) : 0; gone < total) {
    good = enqueue(gone);
  }
  pieces.clear();
  cipher.clear();
  return good;
}

bool Stream::enqueue(std::size_t already_sent) {
  auto request = std::make_unique<WriteRequest>();
  for (const uv_buf_t& buffer : lane_.scratch.buffers) {
    const std::size_t skip = std::min<std::size_t>(already_sent, buffer.len);
    already_sent -= skip;
    request->bytes.append(buffer.base + skip, buffer.len - skip);
  }
  const uv_buf_t rest = uv_buf_init(request->bytes.data(), static_cast<unsigned>(request->bytes.size()));
  const int status = uv_write(&request->request, socket_.get(), &rest, 1, [](uv_write_t* done, int result) noexcept {
    const std::unique_ptr<WriteRequest> self(reinterpret_cast<WriteRequest*>(done));
    auto* stream = static_cast<Stream*>(done->handle->data);
    if (stream != nullptr) stream->on_written(self->bytes.size(), result);
  });
  if (status != 0) {
    broken_ = true;
    return false;
  }
  const std::size_t size = request.release()->bytes.size();
  queued_ += size;
  lane_.scratch.waiting.add(size);
  return true;
}

void Stream::forget_queued(std::size_t size) {
  queued_ -= size;
  lane_.scratch.waiting.take(size);
}

void Stream::on_written(std::size_t size, int status) {
  forget_queued(size);
  if (status != 0) {
    broken_ = true;
    if (!ended_) end(uv_strerror(status));
    return;
  }
  if (queued_ == 0) owner_.on_drained(*this);
}

std::optional<Error> Stream::start_tls(std::unique_ptr<tls::Engine> engine) {
  flush();  // what was noted before belongs to the time before TLS
  engine_ = std::move(engine);
  handshaking_ = true;
  if (auto* const signer = lane_.scratch.signer) engine_->sign_with(*signer, [this] { on_signature(); });
  const auto started = engine_->start(lane_.cipher);
  write_out();
  return started.error;
}

void Stream::drop() {
  finishing_ = ended_ = broken_ = true;
  reading_ = false;
  forget_signature();
  socket_.reset();
  forget_queued(queued_);
  forget_unsent();
}

void Stream::set_reading(bool on) {
  wants_to_read_ = on;
  update_reading();
}

void Stream::forget_signature() {
  if (!engine_ || !engine_->waits()) return;
  lane_.scratch.waiting.take(engine_->kept());
  engine_->forget_signature();
}

void Stream::on_signature() {
  lane_.scratch.waiting.take(engine_->kept());
  POSTERN_ASSERT(lane_.cipher.empty(), "a stream left octets that another one would send");
  const auto got = engine_->resume(lane_.scratch.plain, lane_.cipher);
  update_reading();
  take(got);
}

// A handshake that waits for its signature: a peer that has nothing to say until we have is the rule, and reading goes
// on, so that it is noticed when it goes. Once there is something to keep, the rest stays with the kernel, and with the
// peer.
void Stream::update_reading() {
  const bool on = wants_to_read_ && !ended_ && !(engine_ && engine_->waits() && engine_->kept() > 0);
  if (on == reading_) return;
  reading_ = on;
  if (!on) {
    uv_read_stop(socket_.get());
    return;
  }
  uv_read_start(
      socket_.get(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
        auto* self = static_cast<Stream*>(handle->data);
        *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                                  : uv_buf_init(self->lane_.scratch.raw.data(),
                                                self->handshaking_ ? Scratch::handshake_read_size : Scratch::read_size);
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
        auto* self = static_cast<Stream*>(handle->data);
        if (self != nullptr && count != 0) self->on_read(count, buffer->base);
      });
}

void Stream::on_read(ssize_t count, const char* bytes) {
  if (count < 0) {
    end(count == UV_EOF ? "" : uv_strerror(static_cast<int>(count)));
    return;
  }
  bytes_in_ += static_cast<std::uint64_t>(count);
  const std::string_view raw(bytes, static_cast<std::size_t>(count));
  feed(raw);
}

void Stream::feed(std::string_view raw) {
  if (finishing_) return;  // too late; read only so that closing does not become a reset
  if (engine_) {
    receive(raw);
  } else {
    owner_.on_bytes(*this, raw);
  }
}

void Stream::receive(std::string_view raw) {
  if (engine_->waits()) {
    engine_->keep(raw);
    lane_.scratch.waiting.add(raw.size());
    return update_reading();
  }
  POSTERN_ASSERT(lane_.cipher.empty(), "a stream left octets that another one would send");
  take(engine_->receive(raw, lane_.scratch.plain, lane_.cipher));
}

void Stream::take(const tls::Engine::Received& got) {
  auto& cipher = lane_.cipher;
  if (got.waits) {
    lane_.scratch.waiting.add(engine_->kept());
    update_reading();
  }
  if (handshaking_ && (got.error || got.peer_closed) && !got.handshake_completed) {
    handshaking_ = false;
    write_out();  // the alert
    owner_.on_handshake(*this, got.error ? Result<tls::SessionFacts>(tl::unexpected<Error>(*got.error))
                                         : fail(Errc::closed, "the peer closed during the TLS handshake"));
    return;
  }
  if (got.handshake_completed) {
    handshaking_ = false;
    owner_.on_handshake(*this, engine_->facts());
  } else if (got.plaintext == 0 || got.error || handshaking_) {
    write_out();  // handshake messages and alerts; otherwise they ride with the answer
  }
  if (got.plaintext != 0 && !finishing_) owner_.on_bytes(*this, {lane_.scratch.plain.data(), got.plaintext});
  if (!cipher.empty()) write_out();  // there was no answer
  peer_said_goodbye_ = peer_said_goodbye_ || (got.peer_closed && !got.error);
  if (got.error || got.peer_closed) end(got.error ? got.error->message : "");
}

void Stream::end(std::string_view error) {
  if (ended_) return;
  ended_ = true;
  forget_signature();
  update_reading();
  if (handshaking_) {
    handshaking_ = false;
    owner_.on_handshake(
        *this, fail(Errc::closed, error.empty() ? "the peer closed during the TLS handshake" : std::string(error)));
    return;
  }
  owner_.on_end(*this, error);
}

bool Stream::finish() {
  if (finishing_) return !broken_;
  if (engine_ && !broken_ && encrypt_gathered()) engine_->close(lane_.cipher);
  write_out();  // the last words and close_notify in one
  finishing_ = true;
  forget_signature();
  update_reading();
  auto request = std::make_unique<uv_shutdown_t>();
  const int status =
      broken_ ? UV_EPIPE : uv_shutdown(request.get(), socket_.get(), [](uv_shutdown_t* done, int) noexcept {
        auto* stream = static_cast<Stream*>(done->handle->data);
        delete done;
        if (stream != nullptr) stream->owner_.on_drained(*stream);
      });
  if (status == 0) (void)request.release();
  return status == 0;
}

}  // namespace postern::stream
