"""Postfix's posttls-finger: what Postfix would make of a domain's mail hosts."""

import re
import subprocess

# What its words mean for a message; the first that it says counts.
_NO_HOST = [
    (r"does not accept mail \(nullMX\)", "5.1.10"),
    (r"Name service error .* try again", "4.4.3"),
    (r"Name service error .* Host not found$", "5.1.2"),
]
_MATCH = {"verify": ["hostname"], "secure": ["nexthop"]}


class PosttlsFinger:
    """Runs in the namespace, with its resolver, out of the folder of a MailSystem."""

    def __init__(self, mail_system, namespace, ca_file):
        self._command = namespace.command(mail_system.unpacked.path("usr/sbin/posttls-finger"))
        self._environment = mail_system.environment()
        self._ca_file = ca_file

    def outcome(self, domain, level):
        """What becomes of mail to the domain: "tls", "plain", or a status code as Postern's replies have it.

        The level `may` is DANE where the domain publishes it, else whatever TLS there is, else none.
        """
        words = self.ask(domain, "dane" if level == "may" else level)
        established = re.search(r"(\w+) TLS connection established to", words)
        if not established:
            return self._without_tls(words, level)
        return "tls" if self._good_enough(words, level, established[1]) else "4.7.5"

    def ask(self, domain, level):
        """All that it says."""
        done = subprocess.run(
            [*self._command, "-F", self._ca_file, "-l", level, "-L", "summary,verbose", "-p", ">=TLSv1.2",
             "-t", "10", "-T", "10", domain, *_MATCH.get(level, [])],
            env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    @staticmethod
    def _good_enough(words, level, trust):
        if level in ("verify", "secure", "dane-only"):
            return trust == "Verified" and "resorting to" not in words
        if level == "may" and "TLSA record:" in words:  # those that can be used
            return trust == "Verified" or "MX RRset insecure" in words and trust == "Trusted"
        return True

    @staticmethod
    def _without_tls(words, level):
        for pattern, meaning in _NO_HOST:
            if re.search(pattern, words, re.MULTILINE):
                return meaning
        if level == "dane-only" and "resorting to" in words:
            return "4.7.5"
        if not re.search(r"< 250[ -]", words):
            return "4.4.1"
        demanded = level != "may" or "TLSA record:" in words or "unsupported TLSA" in words
        offered = re.search(r"< 250[ -]STARTTLS", words)
        if not offered or re.search(r"> STARTTLS\n.*< [45]", words):
            return "4.7.4" if demanded else "plain"
        return "4.7.5" if demanded else "plain"
