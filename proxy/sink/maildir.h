// Messages on disk, in the maildir format: written to tmp/, moved into new/ once whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::sink {

struct Envelope {
  std::string client;           // "127.0.0.1:40000"
  std::string helo;             // what the client called itself
  std::string from;             // as in MAIL FROM:<…>
  std::string mail_parameters;  // "SIZE=10 BODY=8BITMIME"
  std::vector<std::string> recipients;
  bool chunked = false;  // came by BDAT
};

// One message on its way: the sink never holds it in memory. Destroyed before keep(), it leaves no trace.
class Message {
 public:
  ~Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  void append(std::string_view content);
  std::uint64_t size() const { return size_; }
  // Ends the message and files it, envelope first; its file name, or why it could not be stored (disk full, …).
  Result<std::string> keep(const Envelope& envelope);

 private:
  friend class Maildir;
  Message(const class Maildir& maildir, std::string name);
  bool flush();

  const Maildir& maildir_;
  std::string name_;
  std::string waiting_;  // octets not yet written: small pieces share one write
  std::uint64_t size_ = 0;
  int fd_ = -1;  // -1 where messages are only counted
  int error_ = 0;
};

// DIR/new/NAME holds exactly the octets of a message, DIR/envelopes/NAME.json who sent it to whom.
class Maildir {
 public:
  // Makes the folders. Without a `directory` messages are counted and forgotten. `sync`: a message is on the disk
  // before it is acknowledged, as a real server has it.
  static Result<std::unique_ptr<Maildir>> open(const std::string& directory, bool sync);

  std::unique_ptr<Message> begin();

 private:
  friend class Message;
  Maildir(std::string directory, bool sync) : directory_(std::move(directory)), sync_(sync) {}
  std::string path(std::string_view folder, std::string_view name) const;

  std::string directory_;
  bool sync_;
  std::uint64_t count_ = 0;
};

}  // namespace postern::sink
