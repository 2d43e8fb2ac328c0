#include "proxy/resolver/messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/dns/records.h"

namespace postern::resolver {

namespace {

// The first octet of each message.
enum class Kind : std::uint8_t { question = 1, answer = 2, settings = 3, report = 4 };

constexpr std::uint32_t longest_ttl = 0x7fff'ffff;  // RFC 2181 8

class Writer {
 public:
  explicit Writer(Kind kind) { number(static_cast<std::uint8_t>(kind)); }

  template <class Number>
  void number(Number value) {
    for (std::size_t octet = sizeof value; octet-- > 0;) {
      bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * octet) & 0xffU);
    }
  }
  void text(std::string_view text) {
    number(static_cast<std::uint16_t>(text.size()));
    bytes_ += text;
  }
  std::string take() { return std::move(bytes_); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

// Reads what Writer writes. After something that is not there all else is empty, and ok() says so.
class Reader {
 public:
  Reader(std::string_view bytes, Kind kind) : rest_(bytes) {
    ok_ = bytes.size() <= max_message && number<std::uint8_t>() == static_cast<std::uint8_t>(kind);
  }

  template <class Number>
  Number number() {
    const std::string_view octets = take(sizeof(Number));
    std::uint64_t value = 0;
    for (const char octet : octets) value = value << 8U | static_cast<unsigned char>(octet);
    return static_cast<Number>(value);
  }
  // One of the enumerators up to `last`, which are numbered from 0.
  template <class Enum>
  Enum choice(Enum last) {
    const auto value = number<std::uint8_t>();
    demand(value <= static_cast<std::uint8_t>(last));
    return ok_ ? static_cast<Enum>(value) : Enum{};
  }
  bool flag() { return choice(One::yes) == One::yes; }
  std::string text(std::size_t longest) {
    const auto length = number<std::uint16_t>();
    demand(length <= longest);
    return std::string(ok_ ? take(length) : std::string_view());
  }
  std::vector<std::string> list(std::size_t most, std::size_t longest) {
    const auto count = number<std::uint16_t>();
    demand(count <= most);
    std::vector<std::string> found;
    for (std::size_t i = 0; ok_ && i < count; ++i) found.push_back(text(longest));
    return found;
  }
  void demand(bool condition) { ok_ = ok_ && condition; }
  // Everything was there, and nothing more.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  enum class One : std::uint8_t { no, yes };

  std::string_view take(std::size_t count) {
    demand(count <= rest_.size());
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

void write_list(Writer& writer, const std::vector<std::string>& list) {
  writer.number(static_cast<std::uint16_t>(list.size()));
  for (const std::string& text : list) writer.text(text);
}

bool all_fit(const std::vector<std::string>& list, std::size_t most, std::size_t longest) {
  return list.size() <= most && std::ranges::all_of(list, [&](const auto& text) { return text.size() <= longest; });
}

bool is_known(dns::Type type) {
  using dns::Type;
  constexpr Type types[] = {Type::a, Type::cname, Type::mx, Type::txt, Type::aaaa, Type::dnskey, Type::tlsa};
  return std::ranges::find(types, type) != std::end(types);
}

// Names travel as C strings later on. What is in DNS beside these octets, nobody here asks for.
bool is_name(std::string_view name) {
  return name.size() <= max_name && std::ranges::all_of(name, [](char octet) { return octet > ' ' && octet < '\x7f'; });
}

// Sentences end in logs and in replies.
std::string sentence(std::string text) {
  if (text.size() > max_text) text.resize(max_text);
  std::ranges::replace_if(
      text, [](char octet) { return octet < ' ' || octet > '~'; }, '?');
  return text;
}

tl::unexpected<Error> broken(std::string_view what) {
  return fail(Errc::protocol, std::string(what) + " between gateway and resolver breaks a bound");
}

bool has_meaning(const dns::Answer& answer) {
  using dns::Status;
  const bool known = answer.exists() || answer.absent();
  return answer.exists() == !answer.rdata.empty() && (known || !answer.secure) && known == answer.reason.empty() &&
         (known ? is_name(answer.canonical_name) : answer.canonical_name.empty());
}

}  // namespace

bool can_be_asked(const dns::Question& question) {
  return is_name(question.name) && is_known(question.type);
}

std::string encode(const Question& question) {
  Writer writer(Kind::question);
  writer.number(question.id);
  writer.number(static_cast<std::uint8_t>(question.how));
  writer.number(static_cast<std::uint16_t>(question.question.type));
  writer.text(question.question.name);
  return writer.take();
}

Result<Question> parse_question(std::string_view message) {
  Reader reader(message, Kind::question);
  Question question;
  question.id = reader.number<std::uint32_t>();
  question.how = reader.choice(How::system);
  question.question.type = static_cast<dns::Type>(reader.number<std::uint16_t>());
  question.question.name = reader.text(max_name);
  reader.demand(can_be_asked(question.question));
  reader.demand(question.how != How::system || question.question.type == dns::Type::a);
  if (!reader.done()) return broken("a question");
  return question;
}

std::string encode(const Answer& message) {
  dns::Answer answer = message.answer;
  answer.reason = sentence(std::move(answer.reason));
  const bool known = answer.exists() || answer.absent();
  if (!known && answer.reason.empty()) answer.reason = dns::to_string(answer.status);
  if (!known) answer.canonical_name.clear();
  if (known) answer.reason.clear();
  if (!has_meaning(answer) || answer.rdata.size() > dns::max_records) answer = dns::failure("an answer of no meaning");
  Writer writer(Kind::answer);
  writer.number(message.id);
  writer.number(static_cast<std::uint8_t>(answer.status));
  writer.number(static_cast<std::uint8_t>(answer.secure));
  writer.number(static_cast<std::uint32_t>(std::clamp<std::int64_t>(answer.ttl.count(), 0, longest_ttl)));
  writer.text(answer.canonical_name);
  writer.text(answer.reason);
  writer.text(sentence(std::move(answer.asked)));
  const bool each_fits = all_fit(answer.rdata, dns::max_records, 0xffff);
  if (each_fits) write_list(writer, answer.rdata);
  if (!each_fits || writer.size() > max_message) {
    return encode(Answer{message.id, dns::failure("the answer is larger than any that mail needs")});
  }
  return writer.take();
}

Result<Answer> parse_answer(std::string_view message) {
  Reader reader(message, Kind::answer);
  Answer found;
  found.id = reader.number<std::uint32_t>();
  found.answer.status = reader.choice(dns::Status::bogus);
  found.answer.secure = reader.flag();
  const auto ttl = reader.number<std::uint32_t>();
  reader.demand(ttl <= longest_ttl);
  found.answer.ttl = std::chrono::seconds(ttl);
  found.answer.canonical_name = reader.text(max_name);
  found.answer.reason = sentence(reader.text(max_text));
  found.answer.asked = sentence(reader.text(max_text));
  found.answer.rdata = reader.list(dns::max_records, max_message);
  reader.demand(has_meaning(found.answer));
  if (!reader.done()) return broken("an answer");
  return found;
}

Result<std::string> encode(const Settings& settings) {
  const bool fits = all_fit(settings.servers.servers, max_servers, max_server) &&
                    all_fit(settings.trust_anchor, max_anchors, max_anchor) && settings.user.size() <= max_user;
  Writer writer(Kind::settings);
  writer.number(version);
  writer.number(static_cast<std::uint8_t>(settings.servers.recursive));
  writer.number(static_cast<std::uint8_t>(settings.follow_resolv_conf));
  writer.text(sentence(settings.servers.origin));
  writer.text(fits ? settings.user : std::string());
  if (fits) write_list(writer, settings.servers.servers);
  if (fits) write_list(writer, settings.trust_anchor);
  if (!fits || writer.size() > max_message) {
    return fail(Errc::limit_exceeded, "the trust anchor, or what else the resolver has to know, is too large");
  }
  return writer.take();
}

Result<Settings> parse_settings(std::string_view message) {
  Reader reader(message, Kind::settings);
  if (reader.number<std::uint16_t>() != version) {
    return fail(Errc::unsupported, "gateway and resolver are of different versions: restart postern");
  }
  Settings settings;
  settings.servers.recursive = reader.flag();
  settings.follow_resolv_conf = reader.flag();
  settings.servers.origin = sentence(reader.text(max_text));
  settings.user = reader.text(max_user);
  settings.servers.servers = reader.list(max_servers, max_server);
  settings.trust_anchor = reader.list(max_anchors, max_anchor);
  const auto is_text = [](const std::string& text) { return text.find('\0') == std::string::npos; };
  reader.demand(is_text(settings.user) && std::ranges::all_of(settings.servers.servers, is_text) &&
                std::ranges::all_of(settings.trust_anchor, is_text));
  if (!reader.done()) return broken("what is to be asked of whom");
  return settings;
}

std::string encode(const Report& report) {
  Writer writer(Kind::report);
  writer.number(static_cast<std::uint8_t>(report.kind));
  writer.text(sentence(report.text));
  return writer.take();
}

Result<Report> parse_report(std::string_view message) {
  Reader reader(message, Kind::report);
  Report report;
  report.kind = reader.choice(Report::Kind::trouble);
  report.text = sentence(reader.text(max_text));
  if (!reader.done()) return broken("a report");
  return report;
}

}  // namespace postern::resolver
