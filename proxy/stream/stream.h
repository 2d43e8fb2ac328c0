// A connected socket with an optional TLS engine: gathers what is to be sent, writes it at once where the kernel
// takes it, and queues only the rest. Idle, it owns no buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/limits/buffered.h"
#include "proxy/net/handle.h"
#include "tls/engine.h"

namespace postern::stream {

// Buffers of a worker, used by one stream at a time within one turn of the loop.
struct Scratch {
  // One read at most is all that may ever wait for a peer that does not take it: with a record that was under way,
  // 256 KiB a direction. Half of it costs bulk mail a few per cent more on one connection and a fifth more on four.
  static constexpr std::size_t read_size = 240 * 1024;
  // During a handshake, which is small, and may have to be kept while it waits for its signature.
  static constexpr std::size_t handshake_read_size = 16 * 1024;
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::vector<char> raw;     // what read() brought
  std::vector<char> plain;   // raw, decrypted
  std::vector<char> record;  // small sends on their way into one TLS record
  std::vector<uv_buf_t> buffers;
  tls::Signer* signer = nullptr;  // whom the worker's handshakes ask where a key is elsewhere; outlives their streams
  limits::BufferAccount waiting;  // what is kept for peers that do not read, by streams and their owners

  // What a stream has to send in this turn. Two may have something at once: those of a session.
  struct Lane {
    Scratch& scratch;
    std::vector<std::string_view> gather{};
    tls::OutputBuffer cipher{};
  };
  Lane first{*this};
  Lane second{*this};
};

class Stream {
 public:
  class Owner {
   public:
    // Plaintext came; the view lives until the callback returns.
    virtual void on_bytes(Stream& stream, std::string_view bytes) = 0;
    virtual void on_handshake(Stream& stream, Result<tls::SessionFacts> facts) = 0;
    // No more bytes will come. `error` is empty after an orderly end.
    virtual void on_end(Stream& stream, std::string_view error) = 0;
    // All that was queued has gone out; and after finish() that everything has been sent.
    virtual void on_drained(Stream& stream) = 0;

   protected:
    ~Owner() = default;
  };

  // `owner` and `lane` outlive the stream. Reading is off.
  Stream(Owner& owner, Scratch::Lane& lane, net::StreamPtr socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Notes bytes to be sent; they must live until the flush() of the same turn.
  void send(std::string_view bytes);
  // Sends what was noted, as few records and one write; copies only what the kernel did not take.
  // False: the connection is broken (on_end is not called for that).
  bool flush();

  // What was sent before leaves as it was. A client engine speaks first; its error, if any, is returned.
  std::optional<Error> start_tls(std::unique_ptr<tls::Engine> engine);
  // Bytes that were read on the owner's behalf before it knew what they are: they come back as if just read.
  void feed(std::string_view raw);

  void set_reading(bool on);
  // Something waits for the kernel to take it: its producer should pause.
  bool congested() const { return queued_ != 0; }

  // Sends close_notify and FIN behind all that was sent. Bytes that still come are dropped.
  // True: on_drained follows. False: the connection is broken, nothing follows.
  bool finish();
  // Closes at once; no callback follows. The object must outlive the callback that it may be in.
  void drop();
  // Somebody found out that the peer is gone: as if reading had told so.
  void break_off(std::string_view error) { end(error); }
  bool reading() const { return reading_; }
  bool handshaking() const { return handshaking_; }
  bool finished() const { return finishing_; }
  bool ended() const { return ended_; }
  // The end was announced within TLS (close_notify): nobody on the way has cut anything off.
  bool peer_said_goodbye() const { return peer_said_goodbye_; }

  uv_stream_t* socket() const { return socket_.get(); }
  const tls::Engine* engine() const { return engine_.get(); }  // null: plaintext
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  struct WriteRequest;
  void on_read(ssize_t count, const char* bytes);
  void receive(std::string_view raw);
  void take(const tls::Engine::Received& got);
  void forget_signature();
  void on_signature();
  void update_reading();
  void end(std::string_view error);
  bool encrypt_gathered();
  bool write_out();
  bool forget_unsent();
  bool enqueue(std::size_t already_sent);
  void on_written(std::size_t size, int status);
  void forget_queued(std::size_t size);

  Owner& owner_;
  Scratch::Lane& lane_;
  net::StreamPtr socket_;
  std::unique_ptr<tls::Engine> engine_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::size_t queued_ = 0;
  bool wants_to_read_ = false;  // the owner does
  bool reading_ = false;
  bool handshaking_ = false;
  bool ended_ = false;
  bool finishing_ = false;
  bool broken_ = false;
  bool peer_said_goodbye_ = false;
};

}  // namespace postern::stream
