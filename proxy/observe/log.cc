#include "proxy/observe/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>

#include "config/assert.h"

namespace postern::log {
namespace {

// "%v" is what log_line made of message and fields.
constexpr const char* text_pattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr const char* json_pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

struct Running {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  // One for each format, whose lines look as that wants it; all write by the pool's one thread.
  std::shared_ptr<spdlog::async_logger> text, json;
  std::atomic<config::LogFormat> format{config::LogFormat::text};
};

// Set by start() and stop() alone, while no other thread logs.
std::unique_ptr<Running> running;  // NOLINT(cert-err58-cpp)
std::atomic<config::LogLevel> threshold{config::LogLevel::warning};

spdlog::level::level_enum spdlog_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug: return spdlog::level::debug;
    case config::LogLevel::info: return spdlog::level::info;
    case config::LogLevel::warning: return spdlog::level::warn;
    case config::LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

config::LogFormat early_format = config::LogFormat::text;

// As json_pattern has it.
std::string beginning_of_json(config::LogLevel level) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto fraction = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char time[24];
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
  char beginning[80];
  std::snprintf(beginning, sizeof beginning, R"({"time":"%s.%03dZ","level":"%s",)", time, static_cast<int>(fraction),
                config::to_string(level).data());
  return beginning;
}

void write_early(config::LogLevel level, std::string_view message, std::span<const Field> fields) {
  std::string line;
  if (early_format == config::LogFormat::json) {
    line = beginning_of_json(level);
    append_json(line, message, fields);
    line += '}';
  } else {
    line = "postern: ";
    append_text(line, message, fields);
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::shared_ptr<spdlog::async_logger> make_logger(const std::shared_ptr<spdlog::details::thread_pool>& pool,
                                                  const char* pattern) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();  // only the pool's one thread writes to it
  sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
  auto logger = std::make_shared<spdlog::async_logger>("postern", std::move(sink), pool,
                                                       spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(spdlog::level::trace);  // `threshold` decides
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

}  // namespace

void set_early_format(config::LogFormat format) {
  early_format = format;
}

void start(config::LogLevel level, config::LogFormat format, std::size_t queue_length) {
  POSTERN_ASSERT(running == nullptr, "the log was started twice");
  auto fresh = std::make_unique<Running>();
  fresh->pool = std::make_shared<spdlog::details::thread_pool>(queue_length, 1);
  fresh->text = make_logger(fresh->pool, text_pattern);
  fresh->json = make_logger(fresh->pool, json_pattern);
  running = std::move(fresh);
  change(level, format);
}

void change(config::LogLevel level, config::LogFormat format) {
  POSTERN_ASSERT(running != nullptr, "only a log that was started can change");
  running->format.store(format, std::memory_order_relaxed);
  threshold.store(level, std::memory_order_relaxed);
}

void stop() {
  if (running == nullptr) return;
  const std::uint64_t lost = dropped();
  if (lost != 0) warning("log lines were dropped", {{"count", lost}});
  running->pool.reset();  // its destructor waits until the queue is written; what is queued holds the logger
  running->text.reset();
  running->json.reset();
  running.reset();
  threshold.store(config::LogLevel::warning, std::memory_order_relaxed);
}

bool enabled(config::LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void write(config::LogLevel level, std::string_view message, std::span<const Field> fields) {
  if (!enabled(level)) return;
  if (running == nullptr) {
    write_early(level, message, fields);
    return;
  }
  std::string line;
  line.reserve(256);
  const bool json = running->format.load(std::memory_order_relaxed) == config::LogFormat::json;
  if (json) {
    append_json(line, message, fields);
  } else {
    append_text(line, message, fields);
  }
  (json ? running->json : running->text)->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

void debug(std::string_view message, std::initializer_list<Field> fields) {
  write(config::LogLevel::debug, message, {fields.begin(), fields.size()});
}
void info(std::string_view message, std::initializer_list<Field> fields) {
  write(config::LogLevel::info, message, {fields.begin(), fields.size()});
}
void warning(std::string_view message, std::initializer_list<Field> fields) {
  write(config::LogLevel::warning, message, {fields.begin(), fields.size()});
}
void error(std::string_view message, std::initializer_list<Field> fields) {
  write(config::LogLevel::error, message, {fields.begin(), fields.size()});
}

std::uint64_t dropped() {
  return running == nullptr ? 0 : running->pool->overrun_counter();
}

}  // namespace postern::log
