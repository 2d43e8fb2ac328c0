#include "proxy/resolver/messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/packing.h"
#include "proxy/dns/records.h"

namespace postern::resolver {

namespace {

// The first octet of each message.
enum class Kind : std::uint8_t { question = 1, answer = 2, settings = 3, report = 4, new_clients = 5 };

constexpr std::uint32_t longest_ttl = 0x7fff'ffff;  // RFC 2181 8

class Writer : public config::Packer {
 public:
  explicit Writer(Kind kind) { number(static_cast<std::uint8_t>(kind)); }
};

class Reader : public config::Unpacker {
 public:
  Reader(std::string_view message, Kind kind) : Unpacker(message) {
    demand(message.size() <= max_message && number<std::uint8_t>() == static_cast<std::uint8_t>(kind));
  }
};

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
  writer.flag(answer.secure);
  writer.number(static_cast<std::uint32_t>(std::clamp<std::int64_t>(answer.ttl.count(), 0, longest_ttl)));
  writer.text(answer.canonical_name);
  writer.text(answer.reason);
  writer.text(sentence(std::move(answer.asked)));
  const bool each_fits = all_fit(answer.rdata, dns::max_records, 0xffff);
  if (each_fits) writer.list(answer.rdata);
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
  writer.flag(settings.servers.recursive);
  writer.flag(settings.follow_resolv_conf);
  writer.text(sentence(settings.servers.origin));
  writer.text(fits ? settings.user : std::string());
  writer.number(static_cast<std::uint8_t>(settings.sandbox));
  if (fits) writer.list(settings.servers.servers);
  if (fits) writer.list(settings.trust_anchor);
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
  settings.sandbox = reader.choice(config::SandboxMode::off);
  settings.servers.servers = reader.list(max_servers, max_server);
  settings.trust_anchor = reader.list(max_anchors, max_anchor);
  const auto is_text = [](const std::string& text) { return text.find('\0') == std::string::npos; };
  reader.demand(is_text(settings.user) && std::ranges::all_of(settings.servers.servers, is_text) &&
                std::ranges::all_of(settings.trust_anchor, is_text));
  if (!reader.done()) return broken("what is to be asked of whom");
  return settings;
}

std::string encode(const NewClients&) {
  return Writer(Kind::new_clients).take();
}

Result<NewClients> parse_new_clients(std::string_view message) {
  if (!Reader(message, Kind::new_clients).done()) return broken("more connections");
  return NewClients{};
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
