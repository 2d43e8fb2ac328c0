"""Remote mail hosts: one Postfix that is many, each with an address, a certificate and TLS settings of its own."""

import dataclasses
import os
import re

from harness.maildir import Maildir
from harness.ports import PATIENCE
from harness.postfix import MailSystem

# It takes mail for everybody.
_MAIN = """
myhostname = remote.example
mynetworks =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
inet_interfaces = loopback-only
inet_protocols = all
virtual_mailbox_domains = static:all
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
# Whoever is refused or leaves is not to wait.
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtp_tls_security_level = none
disable_dns_lookups = yes
"""


@dataclasses.dataclass
class RemoteHost:
    """One smtpd. `options` are parameters of main.cf for it alone; without a pair it has no TLS."""

    name: str
    addresses: list
    pair: object = None
    options: tuple = ()


@dataclasses.dataclass
class Delivery:
    """A message as it was stored: its octets, the host that took it, the address that it came from, and TLS as that
    host saw it ("" for none).
    """

    content: bytes
    host: str
    client: str
    tls: str


class RemotePostfix(MailSystem):
    """Mail to each of `domains` is kept in a Maildir of its own."""

    def __init__(self, build_folder, folder, namespace, hosts, domains):
        services = "".join(self._service(host, address) for host in hosts for address in host.addresses)
        files = {"mailboxes": "".join(f"/@{re.escape(domain)}$/ {domain}/\n" for domain in domains)}
        super().__init__(build_folder, folder, _MAIN, services, files, namespace)
        self.start([25 for host in hosts for _ in host.addresses])

    @staticmethod
    def _service(host, address):
        options = [f"myhostname={host.name}"]
        if host.pair:
            options += ["smtpd_tls_security_level=may", f"smtpd_tls_chain_files={host.pair.key}, {host.pair.chain}"]
        else:
            options += ["smtpd_tls_security_level=none"]
        options += host.options
        endpoint = f"[{address}]:25" if ":" in address else f"{address}:25"
        return f"{endpoint} inet n - n - - smtpd\n" + "".join(f" -o {{{option}}}\n" for option in options)

    def maildir(self, domain):
        return Maildir(os.path.join(self.folder, "mail", domain))

    def wait_for(self, domain, token, timeout=PATIENCE):
        """The one message to the domain that holds the token."""
        content = self.maildir(domain).wait_for(token.encode(), timeout)
        header = re.sub(rb"\n[ \t]+", b" ", content.partition(b"\n\n")[0]).decode("utf-8", "replace")
        received = re.search(r"^Received: from .*", header, re.MULTILINE)[0]
        client, host = re.search(r"\(unknown \[(?:IPv6:)?(\S+)\]\).* by (\S+) \(Postfix\)", received).groups()
        tls = re.search(r"\(using (\S+) with cipher", received)
        return Delivery(content, host, client, tls[1] if tls else "")
