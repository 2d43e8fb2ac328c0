"""qpsmtpd from its Debian packages, in Perl: plugins decide what it does."""

from harness.real_server import RealServer


class Qpsmtpd(RealServer):
    NAME = "qpsmtpd"
    PACKAGES = ("qpsmtpd",)

    def configure(self):
        installed = self.installed
        installed.add_users("qpsmtpd")
        plugins = ["rcpt_ok", f"queue/maildir {self.maildir.path}"]
        if self.pair:
            for path, name in ((self.pair.chain, "chain.pem"), (self.pair.key, "key.pem")):
                self.own_copy(path, f"etc/qpsmtpd/{name}", 0o644)
            plugins.insert(0, "tls /etc/qpsmtpd/chain.pem /etc/qpsmtpd/key.pem /etc/qpsmtpd/chain.pem")
        installed.write("etc/qpsmtpd/plugins", "\n".join(plugins) + "\n")
        installed.write("etc/qpsmtpd/logging", "logging/warn LOGINFO\n")
        installed.write("etc/qpsmtpd/rcpthosts", "".join(f"{domain}\n" for domain in self.domains))
        installed.write("etc/qpsmtpd/me", "qpsmtpd.example.org\n")
        installed.write("etc/qpsmtpd/databytes", "200000000\n")
        installed.make_folder("var/spool/qpsmtpd", "qpsmtpd", 0o700)

    def start(self):
        daemon = self.daemon(
            "/usr/bin/env", "QPSMTPD_CONFIG=/etc/qpsmtpd", "/usr/bin/qpsmtpd-forkserver", "--port", str(self.port),
            "--listen-address", self.address, "--user", "qpsmtpd", "--limit-connections", "40", "--max-from-ip", "40",
        )  # fmt: skip
        self.wait_until_listening(daemon)
