"""Exim from its Debian package, run out of a folder: `exim -bs` for exec, a TCP daemon, and a client of the gateway."""

import os
import pwd
import re
import shutil
import subprocess

from harness.daemon import Daemon
from harness.debian import unpack
from harness.maildir import Maildir
from harness.ports import PATIENCE, free_port, is_listening, wait_until

# Debian's Exim was compiled to run as this user and refuses to start where it does not exist.
USER = "Debian-exim"

# Mail to anybody@KIND.pPORT.test goes to 127.0.0.1:PORT in the way that KIND says.
CLIENT_KINDS = {
    "starttls12": ("smtp", "NORMAL:-VERS-ALL:+VERS-TLS1.2"),
    "starttls13": ("smtp", "NORMAL:-VERS-ALL:+VERS-TLS1.3"),
    "implicit12": ("smtps", "NORMAL:-VERS-ALL:+VERS-TLS1.2"),
    "implicit13": ("smtps", "NORMAL:-VERS-ALL:+VERS-TLS1.3"),
}

_MAIN = """
primary_hostname = exim.example.org
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log/%slog
pid_file_path = {folder}/spool/exim.pid
exim_user = {user}
exim_group = {user}
keep_environment = LD_LIBRARY_PATH
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
message_size_limit = 200M
smtp_accept_max = 100
accept_8bitmime = true
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
log_selector = +tls_cipher +incoming_port +smtp_confirmation
prdr_enable = true
domainlist here = {domains}
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
acl_smtp_data_prdr = check_prdr

begin acl
check_rcpt:
  deny local_parts = unknown
  accept domains = +here
  accept hosts = 127.0.0.1 : ::::1 :
  deny message = relay not permitted

# Of several recipients that came by PRDR, and of no others.
check_prdr:
  deny local_parts = unwilling
  accept

begin routers
to_maildir:
  driver = accept
  domains = +here
  transport = maildir
"""

_ROUTER = r"""
{kind}:
  driver = manualroute
  domains = ^{kind}\\.p[0-9]+\\.test\$
  route_data = 127.0.0.1
  host_find_failed = defer
  self = send
  transport = {kind}
"""

_TRANSPORT = r"""
{kind}:
  driver = smtp
  protocol = {protocol}
  port = ${{sg{{$domain}}{{^[^.]*\\.p([0-9]+)\\.test\$}}{{\$1}}}}
  hosts_require_tls = *
  tls_require_ciphers = {priority}
  tls_verify_certificates = {ca_file}
  tls_try_verify_hosts =
  tls_verify_hosts =
  allow_localhost
"""

_MAILDIR_TRANSPORT = """
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
  envelope_to_add
"""


class Exim:
    """`port` is its plaintext TCP server; `exec_argv` starts one SMTP session on standard input and output. Mail for
    `domains` (an Exim list) stays here. PRDR is on, as Debian's configuration has it, for both directions.
    """

    def __init__(self, build_folder, folder, authority, domains="example.org"):
        self.folder = str(folder)
        self.domains = domains
        self.unpacked = unpack(build_folder, "exim", ["exim4-daemon-light", "exim4-base"])
        ensure_user()
        self.port = free_port()
        self.maildir = Maildir(f"{self.folder}/mail")
        os.makedirs(self.folder, exist_ok=True)
        self.configuration = f"{self.folder}/exim.conf"
        self._write_configuration(authority)
        for name in ("spool", "spool/log", "mail"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
            shutil.chown(f"{self.folder}/{name}", USER, USER)
        program = self.unpacked.path("usr/sbin/exim4")
        self.command = [program, "-C", self.configuration]
        # -oMa would tell it the client; as a UCSPI program it finds that in the environment by itself.
        self.exec_argv = ["/usr/bin/env", f"LD_LIBRARY_PATH={self.unpacked.library_path()}", *self.command, "-bs"]
        self.daemon = Daemon(
            [*self.command, "-bdf", "-q1s"], f"{self.folder}/daemon.out", env=self.unpacked.environment()
        )
        self.daemon.wait_ready(lambda: is_listening(self.port), "Exim listens")

    def _write_configuration(self, authority):
        text = _MAIN.format(folder=self.folder, user=USER, port=self.port, domains=self.domains)
        for kind in CLIENT_KINDS:
            text += _ROUTER.format(kind=kind)
        text += _MAILDIR_TRANSPORT.format(folder=self.folder)
        for kind, (protocol, priority) in CLIENT_KINDS.items():
            text += _TRANSPORT.format(
                kind=kind, protocol=protocol, priority=priority, ca_file=authority.certificate
            )
        text += "\nbegin retry\n* * F,1h,1s\n"
        with open(self.configuration, "w", encoding="ascii") as file:
            file.write(text.lstrip("\n"))
        os.chmod(self.configuration, 0o644)

    def submit(self, sender, recipient, message):
        """Hands a message (bytes) to its sendmail command, and delivers it at once. One recipient, or a list."""
        recipients = [recipient] if isinstance(recipient, str) else recipient
        subprocess.run(
            [*self.command, "-odf", "-i", "-f", sender, *recipients],
            input=message,
            env=self.unpacked.environment(),
            check=True,
            timeout=120,
        )

    def log(self):
        text = ""
        for name in ("mainlog", "paniclog", "rejectlog"):
            path = f"{self.folder}/spool/log/{name}"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as log:
                    text += log.read()
        return text

    def wait_for_log(self, pattern, timeout=PATIENCE):
        """Waits until a line of the log matches; returns the match."""
        try:
            return wait_until(lambda: re.search(pattern, self.log()), f"Exim logs {pattern}", timeout, 0.1)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-4000:]}") from None

    def stop(self):
        self.daemon.terminate()
        self.daemon.kill()


def ensure_user():
    """Makes the user that Debian's Exim runs as, where it does not exist."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin",
             "--user-group", USER],
            check=False, capture_output=True,
        )  # fmt: skip
        pwd.getpwnam(USER)  # made by us, or meanwhile by another process of scenarios
