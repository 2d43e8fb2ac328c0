#include "proxy/keeper/bundle.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace bundle_test {

using namespace postern;
using namespace postern::keeper;
using config::File;

Bundle whole() {
  Bundle bundle;
  bundle.name = "/etc/postern.yaml";
  bundle.text = "workers: 1\n";
  bundle.variables = {{"EMPTY", ""}, {"HOST", "mail.example.org"}};
  bundle.hostname = "mail.example.org";
  bundle.name_servers = {true, {"192.0.2.1@53", "fe80::1%eth0@53"}, "/etc/resolv.conf"};
  bundle.files.put("/chain.pem", File{"chain", true});
  bundle.files.put("/key.pem", File{"public key", false, true});
  bundle.files.put("/absent", fail(Errc::not_found, "cannot read /absent: No such file or directory"));
  bundle.files.put("/empty", File{std::string(1, '\0')});
  bundle.files.put_authorities({"/cas.pem", File{"CAs", true}});
  return bundle;
}

std::string octets_of(const Bundle& bundle) {
  const auto packed = pack(bundle);
  REQUIRE(packed);
  std::string octets = packed->index;
  for (const auto content : packed->contents) octets += content;
  return octets;
}

std::string reason(const Bundle& bundle) {
  const auto packed = pack(bundle);
  return packed ? "" : packed.error().message;
}

UniqueFd memory_with(const std::string& octets, int seals) {
  UniqueFd memory(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(config::write_all(memory.get(), octets));
  REQUIRE(::fcntl(memory.get(), F_ADD_SEALS, seals) == 0);
  return memory;
}

constexpr int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

TEST_CASE("bundle: what was sealed is there when it is unsealed") {
  const auto sealed = seal(whole());
  REQUIRE(sealed);
  const auto bundle = unseal(*sealed);
  REQUIRE(bundle);
  CHECK(bundle->name == "/etc/postern.yaml");
  CHECK(bundle->text == "workers: 1\n");
  CHECK(bundle->variables == whole().variables);
  CHECK(bundle->hostname == "mail.example.org");
  CHECK(bundle->name_servers.recursive);
  CHECK(bundle->name_servers.servers == whole().name_servers.servers);
  CHECK(bundle->name_servers.origin == "/etc/resolv.conf");
  const config::Files& files = bundle->files;
  CHECK(files.by_path().size() == 4);
  CHECK(files.at("/chain.pem")->content == "chain");
  CHECK(files.at("/chain.pem")->world_readable);
  CHECK_FALSE(files.at("/chain.pem")->key_elsewhere);
  CHECK(files.at("/key.pem")->key_elsewhere);
  CHECK_FALSE(files.at("/key.pem")->world_readable);
  CHECK(files.at("/empty")->content.size() == 1);
  CHECK(files.at("/absent").error().code == Errc::not_found);
  CHECK(files.at("/absent").error().message == "cannot read /absent: No such file or directory");
  CHECK(files.at("/never").error().code == Errc::not_found);
  CHECK(files.authorities().path == "/cas.pem");
  CHECK(files.authorities().file->content == "CAs");
}

TEST_CASE("bundle: an empty one is one, too") {
  const auto bundle = unseal(seal(Bundle()).value());
  REQUIRE(bundle);
  CHECK(bundle->text.empty());
  CHECK(bundle->files.by_path().empty());
  CHECK(bundle->files.authorities().file.error().code == Errc::not_found);
}

TEST_CASE("bundle: nobody changes what was sealed, whoever has its descriptor") {
  const auto sealed = seal(whole());
  REQUIRE(sealed);
  const int fd = sealed->get();
  CHECK(::pwrite(fd, "x", 1, 0) < 0);
  CHECK(::ftruncate(fd, 1) < 0);
  CHECK(::ftruncate(fd, 1 << 20) < 0);
  CHECK(::mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("bundle: memory that is not sealed in every way is not looked at, nor is anything else") {
  const std::string octets = octets_of(whole());
  CHECK(unseal(memory_with(octets, all)));
  for (const int missing : {F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL}) {
    CHECK(unseal(memory_with(octets, all & ~missing)).error().code == Errc::protocol);
  }
  const test_support::TempDirectory directory;
  const UniqueFd file(::open(directory.write("bundle", octets).c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(unseal(file).error().code == Errc::protocol);
  CHECK(unseal(UniqueFd(::open("/dev/zero", O_RDONLY | O_CLOEXEC))).error().code == Errc::protocol);
  CHECK(unseal(UniqueFd()).error().code == Errc::protocol);
  CHECK(unseal(memory_with("", all)).error().code == Errc::protocol);
  const UniqueFd large = memory_with("", 0);
  REQUIRE(::ftruncate(large.get(), static_cast<off_t>(max_bundle) + 1) == 0);
  REQUIRE(::fcntl(large.get(), F_ADD_SEALS, all) == 0);
  CHECK(unseal(large).error().code == Errc::protocol);
}

TEST_CASE("bundle: one that is cut short, has more, or is changed in its index is none or another one") {
  const std::string octets = octets_of(whole());
  for (std::size_t size = 0; size < octets.size(); ++size)
    CHECK_FALSE(unpack(std::string_view(octets).substr(0, size)));
  CHECK_FALSE(unpack(octets + "x"));
  const std::size_t index = pack(whole())->index.size();
  for (std::size_t at = 0; at < index; ++at) {
    std::string changed = octets;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    if (const auto bundle = unpack(changed)) CHECK(octets_of(*bundle) == changed);
  }
  std::string other = octets;
  other[5] = 2;
  CHECK(unpack(other).error().code == Errc::unsupported);
}

TEST_CASE("bundle: what is beyond a bound is refused before it is sealed, by its name") {
  const auto refused = [](auto change) {
    Bundle bundle = whole();
    change(bundle);
    return reason(bundle);
  };
  const auto begins = [&](const char* beginning, auto change) { CHECK(refused(change).starts_with(beginning)); };
  CHECK(refused([](Bundle&) {}).empty());
  begins("the configuration ", [](Bundle& b) { b.text.assign(max_configuration + 1, 'x'); });
  begins("the configuration's name ", [](Bundle& b) { b.name.assign(max_path + 1, 'x'); });
  begins("the environment variable HOST ", [](Bundle& b) { b.variables["HOST"].assign(max_variable + 1, 'x'); });
  begins("this machine's name ", [](Bundle& b) { b.hostname.assign(max_hostname + 1, 'x'); });
  begins("the list of name servers ", [](Bundle& b) { b.name_servers.servers.assign(max_servers + 1, "x"); });
  begins("the list of name servers ", [](Bundle& b) { b.name_servers.servers[0].assign(max_server + 1, 'x'); });
  begins("a path ", [](Bundle& b) { b.files.put(std::string(max_path + 1, 'x'), File()); });
  begins("/large ", [](Bundle& b) { b.files.put("/large", File{std::string(max_file + 1, 'x')}); });
  begins("the environment ", [](Bundle& b) {
    for (std::size_t i = 0; i <= max_variables; ++i) b.variables["V" + std::to_string(i)] = "x";
  });
  CHECK(refused([](Bundle& b) { b.files.put("/large", File{std::string(max_file, 'x')}); }).empty());
}

TEST_CASE("bundle: why a file could not be read is cut where it is too long") {
  Bundle bundle;
  bundle.files.put("/absent", fail(Errc::io, std::string(max_reason + 1, 'x')));
  const auto read = unseal(seal(bundle).value());
  REQUIRE(read);
  CHECK(read->files.at("/absent").error().message.size() == max_reason);
}

}  // namespace bundle_test
