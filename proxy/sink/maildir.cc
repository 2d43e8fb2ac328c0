#include "proxy/sink/maildir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "config/file.h"
#include "proxy/wire/json.h"

namespace postern::sink {
namespace {

constexpr std::size_t write_size = 64 * 1024;

bool sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::fsync(fd) == 0;
  return ::close(fd) == 0 && done;
}

int create_file(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

std::string to_json(const Envelope& envelope, std::uint64_t size) {
  wire::JsonWriter json({}, wire::JsonWriter::NotUtf8::shown);
  json.begin_object();
  json.value("client", envelope.client);
  json.value("helo", envelope.helo);
  json.value("from", envelope.from);
  json.value("mail_parameters", envelope.mail_parameters);
  json.values("recipients", envelope.recipients);
  json.value("via", envelope.chunked ? "BDAT" : "DATA");
  json.value("size", size);
  json.end_object();
  return json.take() + "\n";
}

}  // namespace

Message::Message(const Maildir& maildir, std::string name) : maildir_(maildir), name_(std::move(name)) {
  if (maildir_.directory_.empty()) return;
  fd_ = create_file(maildir_.path("tmp", name_));
  if (fd_ < 0) error_ = errno;
}

Message::~Message() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(maildir_.path("tmp", name_).c_str());
}

void Message::append(std::string_view content) {
  size_ += content.size();
  if (fd_ < 0 || error_ != 0) return;
  waiting_ += content;
  if (waiting_.size() >= write_size) flush();
}

bool Message::flush() {
  if (error_ == 0 && !config::write_all(fd_, waiting_)) error_ = errno;
  waiting_.clear();
  return error_ == 0;
}

Result<std::string> Message::keep(const Envelope& envelope) {
  if (maildir_.directory_.empty()) return name_;
  const auto cannot = [&] { return fail(Errc::io, std::string("cannot store the message: ") + std::strerror(error_)); };
  if (error_ != 0 || !flush()) return cannot();

  const std::string envelope_path = maildir_.path("envelopes", name_ + ".json");
  const int envelope_fd = create_file(envelope_path);
  const std::string temporary = maildir_.path("tmp", name_);
  const bool stored = envelope_fd >= 0 && config::write_all(envelope_fd, to_json(envelope, size_)) &&
                      (!maildir_.sync_ || (::fsync(envelope_fd) == 0 && ::fsync(fd_) == 0)) &&
                      ::rename(temporary.c_str(), maildir_.path("new", name_).c_str()) == 0;
  if (!stored) error_ = errno;
  if (envelope_fd >= 0) ::close(envelope_fd);
  if (!stored) {
    ::unlink(envelope_path.c_str());
    return cannot();
  }
  ::close(fd_);
  fd_ = -1;
  if (maildir_.sync_ && !sync_directory(maildir_.path("new", ""))) {
    error_ = errno;
    return cannot();
  }
  return name_;
}

Result<std::unique_ptr<Maildir>> Maildir::open(const std::string& directory, bool sync) {
  std::unique_ptr<Maildir> maildir(new Maildir(directory, sync));
  if (directory.empty()) return maildir;
  for (const char* folder : {"", "tmp", "new", "cur", "envelopes"}) {
    const std::string path = maildir->path(folder, "");
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return fail(Errc::io, "cannot make " + path + ": " + std::strerror(errno));
    }
  }
  return maildir;
}

// As maildir(5) wants it: never the same name twice, in this process or another.
std::unique_ptr<Message> Maildir::begin() {
  using namespace std::chrono;
  const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  const std::string name = std::to_string(now / 1000000) + ".M" + std::to_string(now % 1000000) + "P" +
                           std::to_string(::getpid()) + "Q" + std::to_string(++count_) + ".sink";
  return std::unique_ptr<Message>(new Message(*this, name));
}

std::string Maildir::path(std::string_view folder, std::string_view name) const {
  std::string path = directory_;
  for (const std::string_view part : {folder, name}) {
    if (!part.empty()) path.append("/").append(part);
  }
  return path;
}

}  // namespace postern::sink
