#include "config/settings.h"

namespace postern::config {

std::string_view to_string(LogLevel value) {
  switch (value) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "unknown";
}

std::string_view to_string(LogFormat value) {
  switch (value) {
    case LogFormat::text: return "text";
    case LogFormat::json: return "json";
  }
  return "unknown";
}

std::string_view to_string(TlsVersion value) {
  switch (value) {
    case TlsVersion::tls1_0: return "TLSv1.0";
    case TlsVersion::tls1_1: return "TLSv1.1";
    case TlsVersion::tls1_2: return "TLSv1.2";
    case TlsVersion::tls1_3: return "TLSv1.3";
  }
  return "unknown";
}

std::string_view to_string(TlsMode value) {
  switch (value) {
    case TlsMode::none: return "none";
    case TlsMode::starttls: return "starttls";
    case TlsMode::implicit: return "implicit";
  }
  return "unknown";
}

std::string_view to_string(PrivateKeys value) {
  switch (value) {
    case PrivateKeys::separate: return "separate";
    case PrivateKeys::inside: return "inside";
  }
  return "unknown";
}

std::string_view to_string(SandboxMode value) {
  switch (value) {
    case SandboxMode::on: return "on";
    case SandboxMode::log: return "log";
    case SandboxMode::off: return "off";
  }
  return "unknown";
}

std::string_view to_string(ClientCertificateMode value) {
  switch (value) {
    case ClientCertificateMode::off: return "off";
    case ClientCertificateMode::request: return "request";
    case ClientCertificateMode::require: return "require";
  }
  return "unknown";
}

std::string_view to_string(ClientAddress value) {
  switch (value) {
    case ClientAddress::none: return "none";
    case ClientAddress::xclient: return "xclient";
    case ClientAddress::proxy_v1: return "proxy_v1";
    case ClientAddress::proxy_v2: return "proxy_v2";
    case ClientAddress::transparent: return "transparent";
  }
  return "unknown";
}

std::string_view to_string(GreetingMode value) {
  switch (value) {
    case GreetingMode::backend: return "backend";
    case GreetingMode::gateway: return "gateway";
  }
  return "unknown";
}

std::string_view to_string(Guard value) {
  switch (value) {
    case Guard::off: return "off";
    case Guard::warn: return "warn";
    case Guard::hold: return "hold";
  }
  return "unknown";
}

bool is_guarded(const InboundListener& listener, const Settings& settings) {
  if (listener.mode == TlsMode::none || listener.guard == Guard::off) return false;
  return listener.guard == Guard::hold || !settings.outbound.empty() || settings.dns.recursive ||
         !settings.dns.servers.empty();
}

std::string_view to_string(BareNewline value) {
  switch (value) {
    case BareNewline::normalize: return "normalize";
    case BareNewline::reject: return "reject";
    case BareNewline::pass: return "pass";
  }
  return "unknown";
}

std::string_view to_string(OutboundRoute value) {
  switch (value) {
    case OutboundRoute::original_destination: return "original_destination";
    case OutboundRoute::relay: return "relay";
    case OutboundRoute::mx: return "mx";
  }
  return "unknown";
}

std::string_view to_string(Interception value) {
  switch (value) {
    case Interception::redirect: return "redirect";
    case Interception::tproxy: return "tproxy";
  }
  return "unknown";
}

std::string_view to_string(OutboundSource value) {
  switch (value) {
    case OutboundSource::gateway: return "gateway";
    case OutboundSource::client: return "client";
    case OutboundSource::address: return "address";
  }
  return "unknown";
}

std::string_view to_string(Enforcement value) {
  switch (value) {
    case Enforcement::enforce: return "enforce";
    case Enforcement::observe: return "observe";
  }
  return "unknown";
}

std::string_view to_string(AuthMechanism value) {
  switch (value) {
    case AuthMechanism::plain: return "plain";
    case AuthMechanism::login: return "login";
    case AuthMechanism::xoauth2: return "xoauth2";
    case AuthMechanism::oauthbearer: return "oauthbearer";
  }
  return "unknown";
}

std::vector<Network> loopback_networks() {
  Network v4{.address = {}, .prefix_length = 8};
  v4.address.bytes[0] = 127;
  Network v6{.address = {}, .prefix_length = 128};
  v6.address.family = IpAddress::Family::v6;
  v6.address.bytes[15] = 1;
  return {v4, v6};
}

bool is_loopback(const IpAddress& address) {
  return contains(loopback_networks(), address);
}

}  // namespace postern::config
