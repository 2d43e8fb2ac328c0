#include "proxy/dns/records.h"

#include <algorithm>

#include "config/text.h"

namespace postern::dns {

namespace {

constexpr std::size_t max_name_octets = 255;
constexpr std::size_t max_label = 63;
constexpr std::uint16_t type_soa = 6;
// RFC 2181 8: a TTL with the top bit set is to be taken as 0. And nothing is worth keeping for longer than a week.
constexpr std::uint32_t max_ttl = 7 * 86400;

// Reads a message from left to right; once it has run over the end, or met nonsense, it stays bad and gives zeros.
class Reader {
 public:
  explicit Reader(std::string_view message, std::size_t at = 0) : message_(message), at_(at) {}

  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  bool at_end() const { return at_ == message_.size(); }

  std::uint8_t octet() {
    if (!has(1)) return 0;
    return static_cast<std::uint8_t>(message_[at_++]);
  }
  std::uint16_t number16() {
    const unsigned high = octet();
    return static_cast<std::uint16_t>(high << 8 | octet());
  }
  std::uint32_t number32() {
    const std::uint32_t high = number16();
    return high << 16 | number16();
  }
  std::string_view octets(std::size_t count) {
    if (!has(count)) return {};
    at_ += count;
    return message_.substr(at_ - count, count);
  }
  // A name in text, lower case. Compression pointers must lead backwards, so that every chain of them ends. A label
  // with a dot, a blank or a byte outside ASCII in it has no plain text: such a name reads as bad.
  std::string name();

 private:
  bool has(std::size_t count) {
    ok_ = ok_ && count <= message_.size() - at_;
    return ok_;
  }
  void append_label(std::string& name, std::string_view label);

  std::string_view message_;
  std::size_t at_;
  bool ok_ = true;
};

void Reader::append_label(std::string& name, std::string_view label) {
  if (!name.empty()) name.push_back('.');
  for (const char c : label) {
    if (c <= ' ' || c >= 0x7f || c == '.') ok_ = false;
    name.push_back(config::lower(c));
  }
  if (name.size() > max_name_octets) ok_ = false;
}

std::string Reader::name() {
  std::string name;
  std::size_t resume = 0;  // behind the first pointer; 0: none met
  std::size_t limit = at_;
  while (ok_) {
    const std::uint8_t length = octet();
    if (length == 0) break;
    if (length <= max_label) {
      append_label(name, octets(length));
      continue;
    }
    const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | octet();
    if (length < 0xc0 || target >= limit) ok_ = false;
    if (resume == 0) resume = at_;
    limit = target;
    if (ok_) at_ = target;
  }
  if (resume != 0) at_ = resume;
  return ok_ ? name : std::string();
}

struct Record {
  std::string owner;
  bool readable = true;  // the owner has a plain text form
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::size_t rdata_at = 0;
  std::string_view rdata;
};

// Skips a name whose text nobody needs, or that has none.
void skip_name(Reader& reader) {
  while (reader.ok()) {
    const std::uint8_t length = reader.octet();
    if (length == 0) return;
    if (length >= 0xc0) {
      reader.octet();
      return;
    }
    reader.octets(length);
  }
}

std::optional<Record> next_record(std::string_view message, Reader& reader) {
  Record record;
  Reader owner(message, reader.at());
  record.owner = owner.name();
  record.readable = owner.ok();
  skip_name(reader);
  record.type = reader.number16();
  reader.number16();  // class: we asked for IN
  record.ttl = reader.number32();
  const std::uint16_t size = reader.number16();
  record.rdata_at = reader.at();
  record.rdata = reader.octets(size);
  if (!reader.ok()) return std::nullopt;
  return record;
}

struct Header {
  std::uint16_t flags = 0, questions = 0, answers = 0, authorities = 0;
  bool is_response() const { return (flags & 0x8000) != 0; }
  bool truncated() const { return (flags & 0x0200) != 0; }
  unsigned rcode() const { return flags & 0x000f; }
};

Header read_header(Reader& reader) {
  reader.number16();  // id
  Header header;
  header.flags = reader.number16();
  header.questions = reader.number16();
  header.answers = reader.number16();
  header.authorities = reader.number16();
  reader.number16();  // additional
  return header;
}

// Names inside RDATA may point into the message; what leaves here stands alone. Nothing: malformed.
std::optional<std::string> standalone_rdata(std::string_view message, const Record& record) {
  const bool mx = record.type == static_cast<std::uint16_t>(Type::mx);
  if (!mx && record.type != static_cast<std::uint16_t>(Type::cname)) return std::string(record.rdata);
  const std::size_t fixed = mx ? 2 : 0;
  if (record.rdata.size() <= fixed) return std::nullopt;
  Reader reader(message, record.rdata_at + fixed);
  const std::string name = reader.name();
  if (!reader.ok() || reader.at() != record.rdata_at + record.rdata.size()) return std::nullopt;
  const auto wire = name_to_wire(name);
  if (!wire) return std::nullopt;
  return std::string(record.rdata.substr(0, fixed)) + *wire;
}

std::uint32_t sane_ttl(std::uint32_t ttl) {
  return (ttl & 0x80000000U) != 0 ? 0 : std::min(ttl, max_ttl);
}

// How long the absence may be remembered: the SOA's own TTL or its MINIMUM field, whichever is less (RFC 2308 5).
std::uint32_t negative_ttl(const std::vector<Record>& authorities) {
  for (const Record& record : authorities) {
    if (record.type != type_soa || record.rdata.size() < 20) continue;
    Reader minimum(record.rdata, record.rdata.size() - 4);
    return std::min(sane_ttl(record.ttl), sane_ttl(minimum.number32()));
  }
  return 0;
}

struct Sections {
  Header header;
  std::vector<Record> answers, authorities;
};

bool read_section(std::string_view message, Reader& reader, std::size_t count, std::vector<Record>& section) {
  for (std::size_t i = 0; i < std::min(count, max_records); ++i) {
    auto record = next_record(message, reader);
    if (!record) return false;
    section.push_back(std::move(*record));
  }
  return true;
}

std::optional<Sections> read_sections(std::string_view message) {
  Reader reader(message);
  Sections sections;
  sections.header = read_header(reader);
  if (!reader.ok() || !sections.header.is_response() || sections.header.questions > 1) return std::nullopt;
  for (unsigned i = 0; i < sections.header.questions; ++i) {
    skip_name(reader);
    reader.number32();  // type and class
  }
  if (!reader.ok() || !read_section(message, reader, sections.header.answers, sections.answers)) return std::nullopt;
  // Without all of the answers the authorities cannot be found, nor are they needed.
  if (sections.header.answers <= max_records) {
    if (!read_section(message, reader, sections.header.authorities, sections.authorities)) return std::nullopt;
  }
  return sections;
}

const Record* find(const std::vector<Record>& records, const std::string& owner, Type type) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const Record& record) {
    return record.readable && record.type == static_cast<std::uint16_t>(type) && record.owner == owner;
  });
  return found == records.end() ? nullptr : &*found;
}

// Moves `answer.canonical_name` to where the aliases end; false: they do not, or not in a name.
bool follow_aliases(std::string_view message, const std::vector<Record>& records, Answer& answer, std::uint32_t& ttl) {
  for (std::size_t hops = 0; hops <= max_aliases; ++hops) {
    const Record* alias = find(records, answer.canonical_name, Type::cname);
    if (alias == nullptr) return true;
    Reader target(message, alias->rdata_at);
    answer.canonical_name = target.name();
    if (!target.ok()) return false;
    ttl = std::min(ttl, sane_ttl(alias->ttl));
  }
  return false;
}

void collect(std::string_view message, const std::vector<Record>& records, Type type, Answer& answer,
             std::uint32_t& ttl) {
  for (const Record& record : records) {
    if (!record.readable || record.type != static_cast<std::uint16_t>(type) || record.owner != answer.canonical_name) {
      continue;
    }
    auto rdata = standalone_rdata(message, record);
    if (!rdata) continue;
    answer.rdata.push_back(std::move(*rdata));
    ttl = std::min(ttl, sane_ttl(record.ttl));
  }
}

}  // namespace

Answer parse_message(std::string_view message, const Question& question) {
  const auto sections = read_sections(message);
  if (!sections) return failure("malformed DNS message");
  const unsigned rcode = sections->header.rcode();
  constexpr unsigned no_error = 0, nxdomain = 3;
  if (sections->header.truncated()) return failure("truncated DNS message");
  if (rcode != no_error && rcode != nxdomain) return failure("DNS response code " + std::to_string(rcode));

  Answer answer;
  std::uint32_t ttl = max_ttl;
  answer.canonical_name = normalize_name(question.name);
  if (question.type != Type::cname && !follow_aliases(message, sections->answers, answer, ttl)) {
    return failure("the aliases of " + question.name + " lead nowhere");
  }
  collect(message, sections->answers, question.type, answer, ttl);
  if (answer.rdata.empty()) {
    // Records that are there but cannot be read must not pass for proven absence.
    if (find(sections->answers, answer.canonical_name, question.type) != nullptr) return failure("malformed records");
    answer.status = rcode == nxdomain ? Status::no_such_name : Status::no_data;
    ttl = std::min(ttl, negative_ttl(sections->authorities));
  } else {
    answer.status = Status::exists;
  }
  answer.ttl = std::chrono::seconds(ttl);
  return answer;
}

Result<Mx> parse_mx(std::string_view rdata) {
  Reader reader(rdata);
  Mx mx;
  mx.preference = reader.number16();
  mx.exchange = reader.name();
  if (!reader.ok() || !reader.at_end()) return fail(Errc::protocol, "malformed MX record");
  return mx;
}

Result<config::IpAddress> parse_address(Type type, std::string_view rdata) {
  const bool v4 = type == Type::a;
  if (rdata.size() != (v4 ? 4U : 16U)) return fail(Errc::protocol, "malformed address record");
  // A mapped address is an IPv4 address in disguise: nothing that a mail host can have in an AAAA record.
  if (rdata.starts_with(std::string_view("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12))) {
    return fail(Errc::protocol, "an AAAA record with an IPv4-mapped address");
  }
  config::IpAddress address;
  address.family = v4 ? config::IpAddress::Family::v4 : config::IpAddress::Family::v6;
  std::transform(rdata.begin(), rdata.end(), address.bytes.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return address;
}

Result<std::string> parse_txt(std::string_view rdata) {
  Reader reader(rdata);
  std::string text;
  do {
    const std::uint8_t size = reader.octet();
    text += reader.octets(size);
  } while (reader.ok() && !reader.at_end());
  if (!reader.ok()) return fail(Errc::protocol, "malformed TXT record");
  return text;
}

std::optional<std::string> name_to_wire(std::string_view name) {
  std::string wire;
  if (name.ends_with('.')) name.remove_suffix(1);
  while (!name.empty()) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > max_label || dot == name.size() - 1) return std::nullopt;
    wire.push_back(static_cast<char>(label.size()));
    wire += label;
    name.remove_prefix(dot == std::string_view::npos ? name.size() : dot + 1);
  }
  wire.push_back('\0');
  if (wire.size() > max_name_octets) return std::nullopt;
  return wire;
}

std::string normalize_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return config::lower_case(name);
}

}  // namespace postern::dns
