#include "proxy/keeper/bundle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "config/packing.h"

namespace postern::keeper {

namespace {

constexpr std::uint32_t magic = 0x50'53'54'4e;  // "PSTN"
constexpr std::uint16_t version = 1;            // of what follows: two builds may meet after an upgrade
constexpr std::size_t prologue = 4 + 2 + 4;     // these two, and the size of the index
constexpr int all_seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

tl::unexpected<Error> too_large(const std::string& what) {
  return fail(Errc::limit_exceeded, what + " is too large, or too many are named, to be handed to the gateway");
}

Error broken() {
  return {Errc::protocol, "what the keeper hands to the gateway breaks a bound"};
}

// Lengths into the index, contents behind it.
class Writer : public config::Packer {
 public:
  void content(std::string_view octets, std::size_t most, const std::string& what) {
    demand(octets.size() <= most, what);
    number(static_cast<std::uint32_t>(octets.size()));
    contents_.push_back(octets);
    total_ += octets.size();
  }
  void bounded(std::string_view octets, std::size_t most, const std::string& what) {
    demand(octets.size() <= most, what);
    text(octets.substr(0, most));
  }
  void demand(bool condition, const std::string& what) {
    if (!condition && wrong_.empty()) wrong_ = what;
  }
  Result<Packed> finish() {
    demand(size() <= max_index && total_ <= max_bundle - max_index, "the configuration with all its files");
    if (!wrong_.empty()) return too_large(wrong_);
    Packer whole;
    whole.number(magic);
    whole.number(version);
    whole.number(static_cast<std::uint32_t>(size()));
    return Packed{whole.take() + take(), std::move(contents_)};
  }

 private:
  std::vector<std::string_view> contents_;
  std::size_t total_ = 0;
  std::string wrong_;
};

void write_file(Writer& writer, const Result<config::File>& file, const std::string& path) {
  writer.flag(file.has_value());
  if (file) {
    writer.flag(file->world_readable);
    writer.flag(file->key_elsewhere);
    writer.content(file->content, max_file, path);
  } else {
    writer.number(static_cast<std::uint8_t>(file.error().code));
    writer.text(std::string_view(file.error().message).substr(0, max_reason));
  }
}

// Takes lengths from the index, and contents from what is behind it.
class Reader : public config::Unpacker {
 public:
  Reader(std::string_view index, std::string_view contents) : Unpacker(index), contents_(contents) {}

  std::string content(std::size_t most) {
    const auto length = number<std::uint32_t>();
    demand(length <= most && length <= contents_.size());
    if (!ok()) return {};
    const std::string_view taken = contents_.substr(0, length);
    contents_.remove_prefix(length);
    return std::string(taken);
  }
  // So that each bundle is said in one way.
  void demand_order(const std::string& key, const std::string& before, bool first) { demand(first || before < key); }
  bool all_taken() const { return done() && contents_.empty(); }

 private:
  std::string_view contents_;
};

Result<config::File> read_entry(Reader& reader) {
  if (!reader.flag()) {
    const Errc code = reader.choice(Errc::unsupported);
    return fail(code, reader.text(max_reason));
  }
  config::File file;
  file.world_readable = reader.flag();
  file.key_elsewhere = reader.flag();
  file.content = reader.content(max_file);
  return file;
}

void read_variables(Reader& reader, config::Variables& variables) {
  const auto count = reader.number<std::uint32_t>();
  reader.demand(count <= max_variables);
  std::string before;
  for (std::uint32_t i = 0; reader.ok() && i < count; ++i) {
    std::string name = reader.text(max_variable_name);
    std::string value = reader.content(max_variable);
    reader.demand_order(name, before, i == 0);
    reader.demand(name.find('\0') == std::string::npos && value.find('\0') == std::string::npos);
    before = name;
    if (reader.ok()) variables.insert_or_assign(std::move(name), std::move(value));
  }
}

void read_files(Reader& reader, config::Files& files) {
  std::string authorities = reader.text(max_path);
  files.put_authorities({std::move(authorities), read_entry(reader)});
  const auto count = reader.number<std::uint32_t>();
  reader.demand(count <= max_files);
  std::string before;
  for (std::uint32_t i = 0; reader.ok() && i < count; ++i) {
    const std::string path = reader.text(max_path);
    reader.demand_order(path, before, i == 0);
    files.put(path, read_entry(reader));
    before = path;
  }
}

// Memory is not unmapped before what was read of it.
class Mapping {
 public:
  Mapping(const UniqueFd& fd, std::size_t size)
      : octets_(::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0)), size_(size) {}
  ~Mapping() {
    if (ok()) ::munmap(octets_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  bool ok() const { return octets_ != MAP_FAILED; }
  std::string_view octets() const { return {static_cast<const char*>(octets_), size_}; }

 private:
  void* octets_;
  std::size_t size_;
};

tl::unexpected<Error> system_failure(const char* what) {
  return fail(Errc::io, std::string(what) + ": " + std::strerror(errno));
}

// Kernels before 6.3 do not know that memory need not be executable; those that do may insist on hearing so.
UniqueFd make_memory() {
  constexpr unsigned no_exec = 8;  // MFD_NOEXEC_SEAL, which Debian 12 does not name
  constexpr unsigned wanted = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd memory(::memfd_create("postern-bundle", wanted | no_exec));
  if (memory.get() < 0 && errno == EINVAL) memory = UniqueFd(::memfd_create("postern-bundle", wanted));
  return memory;
}

}  // namespace

Result<Packed> pack(const Bundle& bundle) {
  Writer writer;
  writer.bounded(bundle.name, max_path, "the configuration's name");
  writer.content(bundle.text, max_configuration, "the configuration");
  writer.demand(bundle.variables.size() <= max_variables, "the environment");
  writer.number(static_cast<std::uint32_t>(bundle.variables.size()));
  for (const auto& [name, value] : bundle.variables) {
    writer.bounded(name, max_variable_name, "the name of an environment variable");
    writer.content(value, max_variable, "the environment variable " + name.substr(0, max_variable_name));
  }
  writer.bounded(bundle.hostname, max_hostname, "this machine's name");
  const dns::NameServers& servers = bundle.name_servers;
  writer.flag(servers.recursive);
  writer.bounded(servers.origin, max_path, "where the name servers are named");
  writer.demand(servers.servers.size() <= max_servers &&
                    std::ranges::all_of(servers.servers, [](const auto& each) { return each.size() <= max_server; }),
                "the list of name servers");
  writer.list(servers.servers.size() <= max_servers ? servers.servers : std::vector<std::string>());
  const auto& authorities = bundle.files.authorities();
  writer.bounded(authorities.path, max_path, "the path of this system's list of CAs");
  write_file(writer, authorities.file, authorities.path);
  writer.demand(bundle.files.by_path().size() <= max_files, "the list of files");
  writer.number(static_cast<std::uint32_t>(bundle.files.by_path().size()));
  for (const auto& [path, file] : bundle.files.by_path()) {
    writer.bounded(path, max_path, "a path");
    write_file(writer, file, path);
  }
  return writer.finish();
}

Result<Bundle> unpack(std::string_view octets) {
  config::Unpacker begin(octets);
  begin.demand(octets.size() <= max_bundle && begin.number<std::uint32_t>() == magic);
  if (begin.number<std::uint16_t>() != version && begin.ok()) {
    return fail(Errc::unsupported, "keeper and gateway are of different versions: restart postern");
  }
  const auto size = begin.number<std::uint32_t>();
  begin.demand(size <= max_index);
  const std::string_view index = begin.octets(size);
  if (!begin.ok()) return tl::unexpected(broken());
  Reader reader(index, octets.substr(prologue + size));
  Bundle bundle;
  bundle.name = reader.text(max_path);
  bundle.text = reader.content(max_configuration);
  read_variables(reader, bundle.variables);
  bundle.hostname = reader.text(max_hostname);
  bundle.name_servers.recursive = reader.flag();
  bundle.name_servers.origin = reader.text(max_path);
  bundle.name_servers.servers = reader.list(max_servers, max_server);
  read_files(reader, bundle.files);
  if (!reader.all_taken()) return tl::unexpected(broken());
  return bundle;
}

Result<UniqueFd> seal(const Bundle& bundle) {
  const auto packed = pack(bundle);
  if (!packed) return tl::unexpected(packed.error());
  UniqueFd memory = make_memory();
  if (memory.get() < 0) return system_failure("memfd_create");
  bool written = config::write_all(memory.get(), packed->index);
  for (const std::string_view content : packed->contents) {
    written = written && config::write_all(memory.get(), content);
  }
  if (!written || ::fcntl(memory.get(), F_ADD_SEALS, all_seals) != 0) {
    return system_failure("memory for what the gateway has to know");
  }
  return memory;
}

Result<Bundle> unseal(const UniqueFd& sealed) {
  struct stat status {};
  const int seals = ::fcntl(sealed.get(), F_GET_SEALS);
  const bool usable = seals >= 0 && (seals & all_seals) == all_seals && ::fstat(sealed.get(), &status) == 0 &&
                      S_ISREG(status.st_mode) && status.st_size > 0 &&
                      static_cast<std::size_t>(status.st_size) <= max_bundle;
  if (!usable) return fail(Errc::protocol, "what the keeper hands to the gateway is no sealed memory");
  const Mapping mapping(sealed, static_cast<std::size_t>(status.st_size));
  if (!mapping.ok()) return system_failure("mmap");
  return unpack(mapping.octets());
}

}  // namespace postern::keeper
