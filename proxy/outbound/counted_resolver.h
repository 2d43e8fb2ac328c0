// A resolver whose answers are counted in a worker's book.
#pragma once

#include <memory>

#include "proxy/dns/resolver.h"
#include "proxy/net/loop.h"
#include "proxy/observe/book.h"

namespace postern::outbound {

class CountedResolver final : public dns::Resolver {
 public:
  // `book` and `loop` outlive it.
  CountedResolver(std::unique_ptr<dns::Resolver> resolver, observe::Book& book, const net::Loop& loop)
      : resolver_(std::move(resolver)), book_(book), loop_(loop) {}

  std::unique_ptr<dns::Lookup> lookup(const dns::Question& question, Callback callback) override;

 private:
  std::unique_ptr<dns::Resolver> resolver_;
  observe::Book& book_;
  const net::Loop& loop_;
};

}  // namespace postern::outbound
