// What an option's value may be: how to read it from the file, how to print it, and what to call it in a message.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "config/cursor.h"
#include "config/file_use.h"
#include "config/suggest.h"
#include "config/values.h"

namespace postern::config {

template <class V>
struct Kind {
  std::string expected;                         // completes "expected …"
  std::function<void(const Cursor&, V&)> read;  // reports what is wrong and then leaves the value alone
  std::function<std::string(const V&)> print;   // as YAML, on one line; empty where there is nothing to print
  FileUse use = FileUse::none;                  // of a path
};

// As a YAML scalar: plain where that is safe, else in quotes. Dollars are doubled.
std::string print_yaml_text(std::string_view text);

Kind<bool> boolean();
Kind<std::uint32_t> between(std::uint32_t least, std::uint32_t most);
Kind<std::uint32_t> auto_or_between(std::uint32_t least, std::uint32_t most);  // auto is 0
Kind<Duration> between(Duration least, Duration most);
Kind<ByteSize> between(ByteSize least, ByteSize most);
Kind<std::string> text(const std::string& expected);           // empty means the same as leaving the option out
Kind<std::string> required_text(const std::string& expected);  // not empty
Kind<std::string> file(FileUse use, Kind<std::string> path);   // the path of a file that is read for that
Kind<std::string> host_name(const std::string& expected);      // may be empty, too
Kind<std::string> server_name();                               // a host name, not empty
Kind<std::string> ehlo_keyword();                              // RFC 5321 4.1.1.1; becomes upper case
Kind<std::string> fingerprint();                               // SHA-256; becomes lower case without colons
Kind<std::uint16_t> port();                                    // one to connect to
Kind<std::uint32_t> socket_mark();                             // decimal, or hexadecimal as in 0x2525
Kind<Network> network();
Kind<DomainPattern> domain();
Kind<Endpoint> listen_address();   // an IP address and a port
Kind<Endpoint> admin_address();    // likewise, or a unix socket
Kind<Endpoint> connect_address();  // anything to connect to
Kind<Endpoint> name_server();      // an IP address, port 53 unless there is another

// `word` stands for `value`; everything else is read by `kind`.
template <class V>
Kind<V> word_or(std::string_view word, V value, Kind<V> kind) {
  const auto read = [word, value, kind](const Cursor& cursor, V& out) {
    if (cursor.node.kind == Node::Kind::scalar && cursor.node.scalar == word) {
      out = value;
    } else {
      kind.read(cursor, out);
    }
  };
  const auto print = [word, value, kind](const V& v) { return v == value ? std::string(word) : kind.print(v); };
  return {kind.expected, read, print};
}

// An option that may be absent and has no default.
template <class V>
Kind<std::optional<V>> maybe(Kind<V> kind) {
  const auto read = [kind](const Cursor& cursor, std::optional<V>& out) {
    const std::size_t before = cursor.loaded.diagnostics.size();
    V value{};
    kind.read(cursor, value);
    if (cursor.loaded.diagnostics.size() == before) out = value;
  };
  const auto print = [kind](const std::optional<V>& value) { return value ? kind.print(*value) : std::string(); };
  return {kind.expected, read, print};
}

// What somebody meant who wrote a list as one text, "a, b" or "/bin/a b": "[a, b]".
std::string as_list(std::string_view text);

// "; write "off" …" where a word is a boolean that one of the words was turned into; else nothing.
std::string word_for_boolean(std::string_view text, const std::vector<std::string_view>& words);

// "none, starttls or implicit"
std::string enumerate(const std::vector<std::string_view>& words);

template <class E>
Kind<E> one_of(const std::vector<E>& values) {
  std::vector<std::string_view> words;
  words.reserve(values.size());
  for (const E value : values) words.push_back(to_string(value));
  const std::string expected = enumerate(words);
  const auto read = [values, words, expected](const Cursor& cursor, E& out) {
    const std::string* word = cursor.text(expected);
    if (word == nullptr) return;
    const auto found = std::ranges::find(words, *word);
    if (found != words.end()) {
      out = values[static_cast<std::size_t>(found - words.begin())];
    } else {
      const std::string boolean = word_for_boolean(*word, words);
      cursor.error("expected " + expected + ", not " + quote(*word) +
                   (boolean.empty() ? did_you_mean(*word, words) : boolean));
    }
  };
  return {expected, read, [](const E& value) { return std::string(to_string(value)); }};
}

// A list; with no items, and with nothing at all behind its key, it means none. An item that cannot be read is reported
// and keeps its place, so that indices are as in the file.
template <class V>
Kind<std::vector<V>> list_of(Kind<V> item, std::size_t most = 1000) {
  const std::string expected = "a list, each item " + item.expected;
  const auto read = [item, expected, most](const Cursor& cursor, std::vector<V>& out) {
    if (cursor.node.kind == Node::Kind::scalar) {
      return cursor.error("expected " + expected + ", not a single value: put it in brackets, as in " +
                          as_list(cursor.node.scalar));
    }
    if (!cursor.node.is_nothing() && !cursor.is_sequence(expected)) return;
    if (cursor.node.children.size() > most) {
      return cursor.error("the list has more than " + std::to_string(most) + " items");
    }
    out.clear();
    for (std::size_t i = 0; i < cursor.node.children.size(); ++i) item.read(cursor.item(i), out.emplace_back());
  };
  const auto print = [item](const std::vector<V>& values) {
    std::string printed;
    for (const V& value : values) printed += (printed.empty() ? "[" : ", ") + item.print(value);
    return printed.empty() ? printed : printed + "]";
  };
  return {expected, read, print};
}

// A list of which something must be there.
template <class V>
Kind<std::vector<V>> not_empty(Kind<std::vector<V>> list) {
  list.read = [inner = list.read, expected = list.expected](const Cursor& cursor, std::vector<V>& out) {
    if (cursor.node.kind == Node::Kind::null) return cursor.error_expected(expected);
    if (cursor.node.is_nothing()) return cursor.error("the list is empty: give at least one item, or remove the line");
    inner(cursor, out);
  };
  return list;
}

// A list where leaving it out is not the same as none: which of them is meant has to be written.
template <class V>
Kind<std::vector<V>> stated(Kind<std::vector<V>> list) {
  list.read = [inner = list.read](const Cursor& cursor, std::vector<V>& out) {
    if (cursor.node.kind != Node::Kind::null) return inner(cursor, out);
    cursor.error("has no value: write [] for none, or remove the line");
  };
  return list;
}

// The same as list_of, where a single value may stand without its brackets.
template <class V>
Kind<std::vector<V>> one_or_list_of(const Kind<V>& item) {
  Kind<std::vector<V>> list = list_of(item);
  const std::string expected = item.expected + ", or a list of such";
  const auto read = [item, list, expected](const Cursor& cursor, std::vector<V>& out) {
    if (cursor.node.kind == Node::Kind::sequence) return list.read(cursor, out);
    if (cursor.node.kind != Node::Kind::scalar) return cursor.error_expected(expected);
    item.read(cursor, out.emplace_back());
  };
  return {expected, read, list.print};
}

}  // namespace postern::config
