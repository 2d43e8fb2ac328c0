// The log: one line per event on stderr, written by a thread of its own. A reader of stderr that stalls costs lines
// (the oldest, counted), never a session's time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "config/settings.h"
#include "proxy/observe/log_line.h"

namespace postern::log {

// How lines look that are written before start(): in text the plain sentence behind "postern: ".
void set_early_format(config::LogFormat format);

// How many lines may wait for stderr: some 400 octets each, which are there from the start. A burst that fills the
// queue in less time than stderr takes to drain it loses its oldest lines.
constexpr std::size_t queue_of_sessions = 8192;
constexpr std::size_t queue_of_events = 1024;  // of a process that has no sessions

// Starts the writing thread. Once in a process's life, before other threads log.
void start(config::LogLevel level, config::LogFormat format, std::size_t queue_length = queue_of_sessions);
// Another level and format for what is written from now on. Thread-safe; after start().
void change(config::LogLevel level, config::LogFormat format);
// Writes what is queued, says how many lines were lost if any were, and ends the thread. Harmless without start().
void stop();

// Whether a line of this level would be written: to spare the making of costly fields.
bool enabled(config::LogLevel level);

// Thread-safe; neither blocks on stderr nor throws. `message` is a short constant sentence, what varies goes into
// fields. Everything is escaped. Before start() warnings and errors are written at once, the rest is dropped.
void write(config::LogLevel level, std::string_view message, std::span<const Field> fields);

void debug(std::string_view message, std::initializer_list<Field> fields = {});
void info(std::string_view message, std::initializer_list<Field> fields = {});
void warning(std::string_view message, std::initializer_list<Field> fields = {});
void error(std::string_view message, std::initializer_list<Field> fields = {});

// Lines dropped since start() because the queue was full.
std::uint64_t dropped();

}  // namespace postern::log
