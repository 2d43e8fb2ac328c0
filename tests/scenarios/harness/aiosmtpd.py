"""aiosmtpd from its Debian package: the SMTP server of many Python programs."""

from harness.real_server import RealServer

_HANDLER = """
from aiosmtpd.handlers import Mailbox


class Picky(Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith("@refused.example.org"):
            return "550 5.7.1 not here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"
"""


class AioSmtpd(RealServer):
    NAME = "aiosmtpd"
    PACKAGES = ("python3-aiosmtpd", "python3-public", "python3-attr", "python3-pkg-resources", "python3-typing-extensions")

    def configure(self):
        self.installed.write("etc/aiosmtpd/picky.py", _HANDLER)
        self.tls = []
        if self.pair:
            chain = self.own_copy(self.pair.chain, "etc/aiosmtpd/chain.pem")
            self.tls = ["--tlscert", chain, "--tlskey", self.own_copy(self.pair.key, "etc/aiosmtpd/key.pem")]
            self.tls += ["--no-requiretls"]

    def start(self):
        daemon = self.daemon(
            "/usr/bin/env", "PYTHONPATH=/etc/aiosmtpd", "/usr/bin/python3", "-m", "aiosmtpd", "-n",
            "-l", f"{self.address}:{self.port}", "-s", "200000000", *self.tls, "-c", "picky.Picky", self.maildir.path,
        )  # fmt: skip
        self.wait_until_listening(daemon)
