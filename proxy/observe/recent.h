// What counters cannot tell, since it has a name: who was here last with TLS older than 1.3, and which mail a policy
// has held back last. Bounded, whatever peers come and whatever they are called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace postern::observe {

class Recent {
 public:
  static constexpr std::size_t kept = 16;           // of each kind
  static constexpr std::size_t longest_text = 200;  // octets of a text, beyond which it is cut

  // Sessions of one peer. Texts are as they came from the network.
  struct OldTls {
    std::string side;       // client or server: the peer's
    std::string version;    // TLSv1, TLSv1.1, TLSv1.2
    std::string peer;       // its address
    std::string name;       // what it called itself, or was looked for by; may be empty
    std::int64_t last = 0;  // seconds since 1970
    std::uint64_t times = 1;
  };
  // A decision about a domain that was not satisfied.
  struct Unsatisfied {
    std::string domain;
    std::string host;
    std::string policy;
    std::string result;  // refused, or observed: delivered all the same
    std::string reason;
    std::string detail;
    std::int64_t last = 0;
    std::uint64_t times = 1;
  };

  // Whoever is known already counts once more. Beyond `kept` of a side and version the one goes that was seen longest
  // ago.
  void note(OldTls peer);
  void note(Unsatisfied decision);
  void add(const Recent& other);

  // The latest first.
  const std::vector<OldTls>& old_tls() const { return old_tls_; }
  const std::vector<Unsatisfied>& unsatisfied() const { return unsatisfied_; }

 private:
  std::vector<OldTls> old_tls_;
  std::vector<Unsatisfied> unsatisfied_;
};

}  // namespace postern::observe
