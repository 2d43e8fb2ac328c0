#include "config/extensions.h"

#include <algorithm>
#include <array>

#include "config/text.h"

namespace postern::config {
namespace {

using enum Offer;

constexpr std::string_view before_judgement = "it would be said to a server before anybody has judged that";
constexpr std::string_view turns_round = "it turns the session round, and the client becomes the server";
constexpr std::string_view own_business = "it is between the gateway and the server";
constexpr std::string_view own_dialogue = "what follows its command only the server could tell from commands";
constexpr std::string_view own_encryption = "it begins an encryption or authentication of its own";
constexpr std::string_view among_exchange = "it is for Exchange servers of one organization among themselves";
constexpr std::string_view starts_mail = "it begins a transaction in another way than MAIL";
constexpr std::string_view early = "what the server takes before its greeting, the gateway does not";

constexpr std::array rows = {
    // Understood, and without effect on which reply answers what.
    Extension{"PIPELINING", "", "", "", shown, shown, ""},
    Extension{"SIZE", "SIZE", "", "", shown, shown, ""},
    Extension{"8BITMIME", "BODY", "", "", shown, shown, ""},
    Extension{"BINARYMIME", "BODY=BINARYMIME", "", "", shown, shown, ""},  // with CHUNKING only
    Extension{"CHUNKING", "", "", "BDAT", shown, shown, ""},
    Extension{"SMTPUTF8", "SMTPUTF8", "", "", shown, shown, ""},
    Extension{"DSN", "RET ENVID", "NOTIFY ORCPT", "", shown, shown, ""},
    Extension{"ENHANCEDSTATUSCODES", "", "", "", shown, shown, ""},
    Extension{"AUTH", "AUTH", "", "AUTH", shown, shown, ""},
    Extension{"DELIVERBY", "BY", "", "", shown, shown, ""},
    Extension{"FUTURERELEASE", "HOLDFOR HOLDUNTIL", "", "", shown, shown, ""},
    Extension{"MT-PRIORITY", "MT-PRIORITY", "", "", shown, shown, ""},
    Extension{"MTRK", "MTRK", "", "", shown, shown, ""},
    Extension{"NO-SOLICITING", "SOLICIT", "", "", shown, shown, ""},
    Extension{"SUBMITTER", "SUBMITTER", "", "", shown, shown, ""},
    Extension{"RRVS", "", "RRVS", "", shown, shown, ""},
    Extension{"LIMITS", "", "", "", shown, shown, ""},
    Extension{"HELP", "", "", "HELP", shown, never, before_judgement},
    Extension{"VRFY", "", "", "VRFY", shown, never, before_judgement},
    Extension{"EXPN", "", "", "EXPN", shown, never, before_judgement},
    Extension{"ETRN", "", "", "ETRN", shown, never, before_judgement},
    // Understood, and not what a client that only wants to hand over mail can use.
    Extension{"REQUIRETLS", "REQUIRETLS", "", "", on_request, never,
              "it promises TLS all the way, and the client's connection ends here"},
    Extension{"CONPERM", "CONPERM", "CONPERM", "", on_request, on_request, "nobody uses it"},
    Extension{"CONNEG", "", "CONNEG", "", on_request, on_request, "nobody uses it"},
    Extension{"UTF8SMTP", "ALT-ADDRESS", "ALT-ADDRESS", "", on_request, on_request, "SMTPUTF8 has taken its place"},
    Extension{"XVERP", "XVERP", "", "", on_request, on_request,
              "servers offer it by the address of the client, which may be the gateway's"},
    Extension{"ONEX", "", "", "ONEX", on_request, never, "it says what no server needs to know any more"},
    Extension{"XUSR", "", "", "XUSR", on_request, never, "it says what no server needs to know any more"},
    // They change what the server's replies answer, or what the client's octets mean.
    Extension{"PRDR", "PRDR", "", "", never, never, "the end of data gets a reply for each recipient"},
    Extension{"CHECKPOINT", "TRANSID", "", "", never, never,
              "MAIL is answered by 355, and content begins in its middle"},
    Extension{"VERB", "", "", "VERB", never, never, "lines that are no replies (050) come between replies"},
    Extension{"BURL", "", "", "BURL", never, never, "the content comes from elsewhere, past every rule for content"},
    Extension{"SEND", "", "", "SEND", never, never, starts_mail},
    Extension{"SOML", "", "", "SOML", never, never, starts_mail},
    Extension{"SAML", "", "", "SAML", never, never, starts_mail},
    Extension{"TURN", "", "", "TURN", never, never, turns_round},
    Extension{"ATRN", "", "", "ATRN", never, never, turns_round},
    Extension{"PIPECONNECT", "", "", "", never, never, early},
    Extension{"X_PIPE_CONNECT", "", "", "", never, never, early},
    Extension{"STARTTLS", "", "", "STARTTLS", never, never, "the gateway offers its own (mode: starttls)"},
    Extension{"XCLIENT", "", "", "XCLIENT", never, never, own_business},
    Extension{"XFORWARD", "", "", "XFORWARD", never, never, own_business},
    Extension{"XEXCH50", "", "", "XEXCH50", never, never, own_dialogue},
    Extension{"X-EXCH50", "", "", "XEXCH50", never, never, own_dialogue},
    Extension{"X-LINK2STATE", "", "", "X-LINK2STATE", never, never, own_dialogue},
    Extension{"XSHADOW", "", "", "XSHADOW", never, never, own_dialogue},
    Extension{"XSHADOWREQUEST", "", "", "XSHADOWREQUEST", never, never, own_dialogue},
    Extension{"X-EXPS", "", "", "X-EXPS", never, never, own_encryption},
    Extension{"X-ANONYMOUSTLS", "", "", "X-ANONYMOUSTLS", never, never, own_encryption},
    Extension{"XPROXY", "", "", "XPROXY", never, never, among_exchange},
    Extension{"XPROXYFROM", "", "", "XPROXYFROM", never, never, among_exchange},
    Extension{"XPROXYTO", "", "", "XPROXYTO", never, never, among_exchange},
    Extension{"XRSETPROXYTO", "", "", "XRSETPROXYTO", never, never, among_exchange},
    Extension{"XMESSAGECONTEXT", "XMESSAGECONTEXT", "", "", never, never, among_exchange},
    Extension{"XOORG", "XOORG", "", "", never, never, among_exchange},
};
static_assert(rows.size() <= sizeof(ExtensionSet) * 8, "a row has no bit");

const Extension* who_lists(std::string_view word, Envelope of) {
  const auto found = std::ranges::find_if(
      rows, [&](const Extension& row) { return has_word(of == Envelope::mail ? row.mail : row.rcpt, word); });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

std::span<const Extension> extensions() {
  return rows;
}

const Extension* find_extension(std::string_view keyword) {
  const auto found = std::ranges::find(rows, keyword, &Extension::keyword);
  return found == rows.end() ? nullptr : &*found;
}

const Extension* extension_of_parameter(std::string_view word, Envelope of) {
  if (const Extension* exact = who_lists(word, of)) return exact;
  return who_lists(word.substr(0, word.find('=')), of);
}

ExtensionSet bit_of(const Extension& extension) {
  return ExtensionSet{1} << (&extension - rows.data());
}

}  // namespace postern::config
