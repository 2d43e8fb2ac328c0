#include "proxy/gateway/signer_link.h"

#include <utility>

namespace postern::gateway {

namespace {

constexpr std::chrono::seconds patience_with_answer(30);

}  // namespace

SignerLink::SignerLink(net::Loop& loop) : loop_(loop), again_(loop.raw(), [this] { seek(); }), client_(loop) {}

void SignerLink::connect(UniqueFd connection, Ask ask, Told told) {
  ask_ = std::move(ask);
  again_.stop();
  pauses_.begun(loop_.now());
  client_.connect(std::move(connection), [this, told = std::move(told)](const std::string& why) {
    again_.start(pauses_.ended(loop_.now()));
    told(why);
  });
}

// What is asked for may not be had just now, or get lost.
void SignerLink::seek() {
  again_.start(patience_with_answer);
  ask_();
}

}  // namespace postern::gateway
