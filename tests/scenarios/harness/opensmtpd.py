"""OpenSMTPD from its Debian package. It refuses a second EHLO on a connection, and any HELO behind it."""

import subprocess

from harness.real_server import RealServer

_RELAY = {"plain": "smtp+notls", "starttls": "smtp+tls", "implicit": "smtps"}


class OpenSmtpd(RealServer):
    NAME = "opensmtpd"
    PACKAGES = ("opensmtpd",)
    USERS = ("opensmtpd", "opensmtpq")

    def configure(self):
        self.installed.add_users(*self.USERS)
        self.installed.make_folder("var/spool/smtpd", mode=0o711)
        lines = ["smtp max-message-size 200M"]
        tls = ""
        if self.pair:
            chain = self.own_copy(self.pair.chain, "etc/ssl/smtpd.pem")
            key = self.own_copy(self.pair.key, "etc/ssl/smtpd.key")
            lines += [f'pki own cert "{chain}"', f'pki own key "{key}"']
            tls = "tls pki own "
        lines += [
            f"listen on {self.address} port {self.port} {tls}hostname opensmtpd.example.org",
            f'action "here" maildir "{self.maildir.path}" virtual {{ "@" = nobody }}',
            f'action "out" relay helo opensmtpd.example.org{self._smarthost()}',
            'match from any for domain "refused.example.org" reject',
            *(f'match from any for domain "{domain}" action "here"' for domain in self.domains),
            f'match from src "{self.address}" for any action "out"',
        ]
        self.installed.write("etc/smtpd.conf", "\n".join(lines) + "\n")

    def _smarthost(self):
        if not self.relay:
            return ""
        address, port, how = self.relay
        verified = " tls no-verify" if how != "plain" else ""
        return f' host "{_RELAY[how]}://{address}:{port}"{verified}'

    def start(self):
        self.wait_until_listening(self.daemon("/usr/sbin/smtpd", "-d", "-v"))

    def retry(self):
        """Whatever waits is tried now."""
        subprocess.run(self.installed.command("/usr/sbin/smtpctl", "schedule", "all"), check=True, capture_output=True)
