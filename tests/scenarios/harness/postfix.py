"""Postfix from its Debian package, run out of a folder.

MailSystem is any Postfix; Postfix is the one on loopback, a server without TLS and a client of the gateway.
"""

import os
import re
import shutil

from harness.client import Client
from harness.daemon import Daemon
from harness.debian import unpack
from harness.maildir import Maildir
from harness.ports import PATIENCE, free_port, listeners, wait_until

# What every Postfix needs to run out of a folder.
_FOLDERS = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {folder}/etc
mail_owner = daemon
setgid_group = mail
default_privs = nobody
import_environment = LD_LIBRARY_PATH TZ LANG=C MAIL_CONFIG={folder}/etc
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{folder}/etc/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 209715200
smtpd_peername_lookup = no
smtputf8_enable = yes
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""

_SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n {wakeup} 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# Mail to anybody@example.org ends in one Maildir. Mail to anybody@KIND.test goes to the port for STARTTLS or for
# implicit TLS on which a test lets its gateway listen, in the way that KIND says.
CLIENT_KINDS = {
    "starttls12": ["smtp_tls_security_level=encrypt", "smtp_tls_mandatory_protocols=TLSv1.2"],
    "starttls13": ["smtp_tls_security_level=encrypt", "smtp_tls_mandatory_protocols=>=TLSv1.3"],
    "implicit12": [
        "smtp_tls_security_level=encrypt", "smtp_tls_wrappermode=yes", "smtp_tls_mandatory_protocols=TLSv1.2",
    ],
    "implicit13": [
        "smtp_tls_security_level=encrypt", "smtp_tls_wrappermode=yes", "smtp_tls_mandatory_protocols=>=TLSv1.3",
    ],
}  # fmt: skip

# 127.0.0.1, the gateway, may relay and say XCLIENT; the rest of 127.0.0.0/8 is as foreign as anybody.
_MAIN = """
myhostname = postfix.example.org
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
inet_interfaces = 127.0.0.1
inet_protocols = all
virtual_mailbox_domains = example.org
transport_maps = regexp:{folder}/etc/transport
disable_dns_lookups = yes
smtpd_recipient_limit = 20000
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtp_tls_CAfile = {ca_file}
smtp_tls_loglevel = 1
"""

_SERVERS = """
127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{xclient} inet n - n - - smtpd
 -o smtpd_authorized_xclient_hosts=127.0.0.1
127.0.0.1:{proxy} inet n - n - - smtpd
 -o smtpd_upstream_proxy_protocol=haproxy
"""


class MailSystem:
    """One Postfix. `main` and `services` go to main.cf and master.cf before what every instance has; `files` maps
    more names in its configuration folder to texts, `mailboxes` among them. It runs in `namespace`, where one is given.
    Every `wakeup` seconds its queue manager looks after messages that it may have overlooked.
    """

    def __init__(self, build_folder, folder, main, services, files, namespace=None, wakeup=300):
        self.folder = str(folder)
        self.namespace = namespace
        self.unpacked = unpack(build_folder, "postfix", ["postfix"])
        os.makedirs(f"{self.folder}/etc")
        everything = {
            "main.cf": _FOLDERS.format(folder=self.folder, root=self.unpacked.root) + main.lstrip("\n"),
            "master.cf": services.lstrip("\n") + _SERVICES.format(wakeup=wakeup),
            **files,
        }
        for name, text in everything.items():
            with open(f"{self.folder}/etc/{name}", "w", encoding="ascii") as file:
                file.write(text.lstrip("\n"))
        self._make_folders()
        self.daemon = None

    def start(self, ports):
        """Returns when it listens on all these ports, on each as often as it stands there."""
        program = [self.unpacked.path("usr/lib/postfix/sbin/master"), "-c", f"{self.folder}/etc", "-d"]
        self.daemon = Daemon(
            self.namespace.command(*program) if self.namespace else program,
            f"{self.folder}/master.out",
            env=self.environment(),
        )
        self.daemon.wait_ready(
            lambda: all(listeners(port, self.daemon.pid) >= ports.count(port) for port in ports), "Postfix listens"
        )

    def environment(self):
        return self.unpacked.environment(MAIL_CONFIG=f"{self.folder}/etc")

    def _make_folders(self):
        queue = f"{self.folder}/queue"
        for name in ("active bounce corrupt defer deferred flush hold incoming private saved trace maildrop").split():
            self._folder(f"{queue}/{name}", "daemon", 0o700)
        self._folder(f"{queue}/public", "daemon", 0o710)
        self._folder(f"{queue}/pid", "root", 0o755)
        self._folder(f"{self.folder}/data", "daemon", 0o700)
        self._folder(f"{self.folder}/mail", "nobody", 0o755)

    @staticmethod
    def _folder(path, owner, mode):
        os.makedirs(path, exist_ok=True)
        shutil.chown(path, owner)
        os.chmod(path, mode)

    def log(self):
        try:
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def wait_for_log(self, pattern, timeout=PATIENCE):
        """Waits until a line of the log matches; returns the match."""
        try:
            return wait_until(lambda: re.search(pattern, self.log()), f"Postfix logs {pattern}", timeout, 0.1)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-4000:]}") from None

    def stop(self):
        self.daemon.terminate()
        self.daemon.kill()


class Postfix(MailSystem):
    """plain, xclient and proxy are the ports of its three servers, none of which knows TLS.

    target["starttls"] and target["implicit"] are the ports where its client looks for a gateway.
    """

    def __init__(self, build_folder, folder, authority):
        self.plain, self.xclient, self.proxy = (free_port() for _ in range(3))
        self.target = {"starttls": free_port(), "implicit": free_port()}
        self.maildir = Maildir(os.path.join(folder, "mail", "inbox"))
        services = _SERVERS.format(plain=self.plain, xclient=self.xclient, proxy=self.proxy)
        for kind, options in CLIENT_KINDS.items():
            services += f"{kind} unix - - n - - smtp\n" + "".join(f" -o {{{option}}}\n" for option in options)
        routes = (f"/@{kind}\\.test$/ {kind}:[127.0.0.1]:{self.target[kind[:-2]]}\n" for kind in CLIENT_KINDS)
        files = {"mailboxes": "/@example\\.org$/ inbox/\n", "transport": "".join(routes)}
        main = _MAIN.format(folder=folder, ca_file=authority.certificate)
        super().__init__(build_folder, folder, main, services, files)
        self.start([self.plain, self.xclient, self.proxy])

    def submit(self, sender, recipient, message):
        """Queues a message (bytes, CRLF line ends) for delivery."""
        with Client(self.plain) as client:
            client.greeted()
            client.send_message(sender, [recipient], message)
