"""Mail servers from before TLS: Postfix and Exim, which deliver by MX records, in plaintext, and keep what waits."""

import os
import shutil
import subprocess
import time

from harness.client import Client
from harness.debian import unpack
from harness.exim import USER, ensure_user
from harness.maildir import Maildir
from harness.ports import PATIENCE, wait_until
from harness.postfix import MailSystem

DOMAIN = "legacy.example"  # of the senders: what bounces is kept

_POSTFIX_MAIN = """
myhostname = host.{domain}
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
inet_interfaces = 127.0.0.1
inet_protocols = all
virtual_mailbox_domains = {domain}
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_connect_timeout = 5s
# Tests send one message at a time and want each tried.
smtp_destination_concurrency_failed_cohort_limit = 0
smtp_connection_cache_on_demand = no
transport_maps = regexp:{folder}/etc/routes
"""

_EXIM = r"""
primary_hostname = host.{domain}
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log/%slog
exim_user = {user}
exim_group = {user}
keep_environment = LD_LIBRARY_PATH
rfc1413_hosts =
host_lookup =
deliver_drop_privilege = true
local_from_check = false
untrusted_set_sender = *

begin routers
by_mx:
  driver = dnslookup
  domains = !{domain}
  transport = plaintext
here:
  driver = accept
  transport = maildir

begin transports
plaintext:
  driver = smtp
  hosts_avoid_tls = *
  hosts_try_dane =
maildir:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory

begin retry
* * F,1h,1s
"""


class LegacyPostfix(MailSystem):
    """`bounces` is where reports about undeliverable mail come. `routes` maps domains to addresses, for which it asks
    no DNS.
    """

    def __init__(self, build_folder, folder, namespace, routes):
        self.bounces = Maildir(os.path.join(folder, "mail", "bounces"))
        files = {
            "mailboxes": "/./ bounces/\n",
            "routes": "".join(f"/@{domain}$/ smtp:[{address}]\n" for domain, address in routes.items()),
        }
        services = "127.0.0.1:25 inet n - n - - smtpd\n"
        main = _POSTFIX_MAIN.format(domain=DOMAIN, folder=folder)
        # A message that is tried again so soon may still be locked ("skipped, still being delivered").
        super().__init__(build_folder, folder, main, services, files, namespace, wakeup=1)
        self.start([25])

    def submit(self, recipients, message, sender=f"sender@{DOMAIN}"):
        """Queues a message (bytes, CRLF line ends) for delivery; one transaction for all recipients. Returns its
        identifier in the log.
        """
        with self.namespace.entered():
            client = Client(25)
        with client:
            client.greeted()
            return client.send_message(sender, recipients, message).text.split()[-1]

    def wait_until_done(self, identifier, timeout=PATIENCE):
        """Until nothing of that message waits any more. A message that is tried again so soon may still be locked
        ("skipped, still being delivered") and is then left alone: then all are tried at once.
        """
        flush_at = time.monotonic() + 10

        def is_done():
            nonlocal flush_at
            if time.monotonic() > flush_at:
                flush_at += 5
                flush = self.namespace.command(self.unpacked.path("usr/sbin/postqueue"), "-f")
                subprocess.run(flush, env=self.environment(), check=True)
            return f" {identifier}: removed\n" in self.log()

        try:
            wait_until(is_done, f"the legacy Postfix is done with {identifier}", timeout, 0.1)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-4000:]}") from None


class LegacyExim:
    def __init__(self, build_folder, folder, namespace):
        self.folder, self.namespace = str(folder), namespace
        self.unpacked = unpack(build_folder, "exim", ["exim4-daemon-light", "exim4-base"])
        ensure_user()
        for name in ("", "spool", "spool/log", "mail"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
            shutil.chown(f"{self.folder}/{name}", USER, USER)
        configuration = f"{self.folder}/exim.conf"
        with open(configuration, "w", encoding="ascii") as file:
            file.write(_EXIM.format(domain=DOMAIN, folder=self.folder, user=USER).lstrip("\n"))
        self._command = namespace.command(self.unpacked.path("usr/sbin/exim4"), "-C", configuration)

    def submit(self, recipients, message, sender=f"sender@{DOMAIN}"):
        """Hands in a message and tries to deliver it; returns when that is done."""
        self._run("-odf", "-i", "-f", sender, *recipients, input=message)

    def try_again(self):
        """A queue run, to its end."""
        self._run("-qff")

    def log(self):
        with open(f"{self.folder}/spool/log/mainlog", encoding="utf-8", errors="replace") as log:
            return log.read()

    def _run(self, *words, **options):
        subprocess.run([*self._command, *words], env=self.unpacked.environment(), check=True, timeout=2 * PATIENCE, **options)
