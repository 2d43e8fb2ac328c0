#include "proxy/smtp/envelope_notes.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/text.h"
#include "proxy/smtp/command.h"

namespace postern::smtp {

namespace {

constexpr std::size_t path_limit = 256;         // RFC 5321 4.5.3.1.3; a longer one is cut
constexpr std::size_t noted_reply_limit = 160;  // room for a status, a reason and a queue id

// At most `limit` octets, and no half of a UTF-8 sequence.
std::string cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && config::is_continuation(text[end])) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string line_of(std::string_view reply) {
  return cut(reply.substr(0, reply.find('\r')), noted_reply_limit);
}

std::string path_of(std::string_view argument, std::string_view keyword) {
  const auto parsed = parse_path_argument(argument, keyword);
  return cut(parsed ? parsed->path : argument, path_limit);
}

struct Recipient {
  std::string path;
  std::string refusal;
  bool ours = false;  // refused by us: the server never heard of it
  bool answered = false;

  std::size_t cost() const { return sizeof(Recipient) + path.size() + refusal.size(); }
};

// "name=entry,entry and 3 more"; nothing at all: empty.
class List {
 public:
  explicit List(std::string_view name) : text_(' ' + std::string(name) + "="), empty_(text_.size()) {}

  void add(const std::string& entry) { text_ += (text_.size() > empty_ ? "," : "") + entry; }
  void add_more(std::uint32_t count) {
    if (count > 0) text_ += (text_.size() > empty_ ? " and " : "") + std::to_string(count) + " more";
  }
  std::string take() { return text_.size() > empty_ ? std::move(text_) : std::string(); }

 private:
  std::string text_;
  std::size_t empty_;
};

}  // namespace

struct EnvelopeNotes::Message {
  std::uint64_t number = 0;  // replies find their message by it when others are no longer kept
  std::string from;
  std::vector<Recipient> to;
  std::size_t answered = 0;  // recipients before this one have had their reply
  std::uint32_t more_accepted = 0;
  std::uint32_t more_refused = 0;
  bool full = false;  // replies are told apart by their order: after one that is not kept no other may be
  std::string reply;
  std::optional<MessageResult> ended;

  std::size_t cost() const {
    std::size_t sum = sizeof(Message) + from.size() + reply.size();
    for (const Recipient& each : to) sum += each.cost();
    return sum;
  }

  bool open() const { return reply.empty() && !ended; }

  // Empty: it was accepted.
  void answer(std::string refusal) {
    while (answered < to.size() && to[answered].ours) ++answered;
    if (answered == to.size()) {
      ++(refusal.empty() ? more_accepted : more_refused);
      return;
    }
    if (cost() + refusal.size() > budget) refusal.resize(3);
    to[answered].answered = true;
    to[answered++].refusal = std::move(refusal);
  }

  std::string print() const {
    List accepted("to");
    List refused("refused");
    List unanswered("unanswered");
    for (const Recipient& each : to) {
      const std::string shown = "<" + each.path + ">";
      if (!each.refusal.empty()) {
        refused.add(shown + " (" + each.refusal + ")");
      } else {
        (each.answered ? accepted : unanswered).add(shown);
      }
    }
    accepted.add_more(more_accepted);
    refused.add_more(more_refused);
    std::string text = "from=<" + from + ">" + accepted.take() + refused.take() + unanswered.take();
    if (!reply.empty()) text += " reply=(" + reply + ")";
    if (ended == MessageResult::lost) text += " lost";
    if (ended == MessageResult::in_doubt) text += " possibly delivered twice";
    return text;
  }
};

struct EnvelopeNotes::Kept {
  std::vector<Message> messages;
  std::uint64_t begun = 0;     // messages, kept or not: the next one's number
  std::uint64_t answered = 0;  // their MAILs: replies belong to the message with the number before this
  std::uint64_t left_out = 0;
  std::string heard;  // the first line of the reply under way
};

EnvelopeNotes::EnvelopeNotes() = default;
EnvelopeNotes::~EnvelopeNotes() = default;

EnvelopeNotes::Message* EnvelopeNotes::last() const {
  return kept_ && !kept_->messages.empty() ? &kept_->messages.back() : nullptr;
}

EnvelopeNotes::Message* EnvelopeNotes::answering() const {
  if (!kept_) return nullptr;
  for (auto each = kept_->messages.rbegin(); each != kept_->messages.rend(); ++each) {
    if (each->number + 1 == kept_->answered) return &*each;
  }
  return nullptr;
}

// Envelopes that came to nothing go first, then the oldest; the message that has begun last never.
void EnvelopeNotes::make_room(std::size_t wanted) {
  auto& messages = kept_->messages;
  std::size_t spent = wanted;
  for (const Message& each : messages) spent += each.cost();
  while (spent > budget && messages.size() > 1) {
    const auto abandoned = std::ranges::find_if(
        messages, [this](const Message& each) { return each.open() && each.number + 1 < kept_->answered; });
    const auto victim = abandoned == messages.end() ? messages.begin() : abandoned;
    spent -= victim->cost();
    messages.erase(victim);
    ++kept_->left_out;
  }
}

void EnvelopeNotes::mail(std::string_view argument, bool answered) {
  if (!enabled_) return;
  if (!kept_) kept_ = std::make_unique<Kept>();
  Message& message = kept_->messages.emplace_back();
  message.number = kept_->begun++;
  message.from = path_of(argument, "FROM");
  if (answered) kept_->answered = kept_->begun;
  make_room(0);
}

void EnvelopeNotes::recipient(std::string_view argument) {
  if (last() == nullptr) return;
  Recipient next{path_of(argument, "TO"), {}, false, false};
  make_room(next.cost());
  Message& message = *last();
  message.full = message.full || message.cost() + next.cost() > budget;
  if (!message.full) message.to.push_back(std::move(next));
}

void EnvelopeNotes::recipient_refused(std::string_view argument, std::string_view reply) {
  if (last() == nullptr) return;
  Recipient next{path_of(argument, "TO"), line_of(reply), true, true};
  make_room(next.cost());
  Message& message = *last();
  if (message.cost() + next.cost() > budget) {
    ++message.more_refused;
  } else {
    message.to.push_back(std::move(next));
  }
}

void EnvelopeNotes::replied(Expected to, const ReplyPiece& piece) {
  const bool verdict =
      to == Expected::end_of_data || to == Expected::last_chunk || (to == Expected::data && piece.negative());
  if (!kept_ || !(verdict || to == Expected::mail || to == Expected::recipient)) return;
  if (piece.first) kept_->heard = line_of(std::to_string(piece.code) + " " + std::string(piece.text));
  if (!piece.last) return;
  std::string heard = std::exchange(kept_->heard, {});
  if (to == Expected::mail && kept_->answered < kept_->begun) ++kept_->answered;
  Message* message = answering();
  if (message == nullptr) return;
  if (to == Expected::recipient) return message->answer(piece.positive() ? std::string() : std::move(heard));
  if (verdict || piece.negative()) message->reply = std::move(heard);
}

void EnvelopeNotes::recipient_answered(std::string_view reply) {
  if (Message* message = answering()) message->answer(line_of(reply));
}

void EnvelopeNotes::message_answered(std::string_view reply) {
  if (Message* message = answering()) message->reply = line_of(reply);
}

std::string EnvelopeNotes::message_ended(MessageResult result) {
  Message* message = answering();
  while (message != nullptr && !message->open() && message != last()) ++message;
  if (message == nullptr || !message->open()) return {};
  message->ended = result;
  return message->print();
}

std::vector<std::string> EnvelopeNotes::items() const {
  std::vector<std::string> items;
  if (!kept_) return items;
  for (const Message& each : kept_->messages) items.push_back(each.print());
  return items;
}

std::uint64_t EnvelopeNotes::left_out() const {
  return kept_ ? kept_->left_out : 0;
}

}  // namespace postern::smtp
