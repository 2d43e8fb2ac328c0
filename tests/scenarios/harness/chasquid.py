"""chasquid from its Debian package: written in Go, whose TLS it speaks. It offers STARTTLS of its own, always."""

from harness.real_server import RealServer

_MAIN = """
hostname: "chasquid.example.org"
max_data_size_mb: 200
smtp_address: "{address}:{port}"
submission_address: "127.0.0.1:0"
submission_over_tls_address: "127.0.0.1:0"
data_dir: "/var/lib/chasquid"
mail_log_path: "<stderr>"
"""

_STORE = """
#!/bin/sh
cat >{maildir}/tmp/$$ && mv {maildir}/tmp/$$ {maildir}/new/$$
"""


class Chasquid(RealServer):
    NAME = "chasquid"
    PACKAGES = ("chasquid",)

    def __init__(self, build_folder, folder, authority=None, **options):
        """authority: makes it a certificate where it has no pair, for without one it does not start."""
        self.authority = authority
        super().__init__(build_folder, folder, **options)

    def configure(self):
        installed = self.installed
        pair = self.pair or self.authority.issue("chasquid.example.org")
        for path, name in ((pair.chain, "fullchain.pem"), (pair.key, "privkey.pem")):
            self.own_copy(path, f"etc/chasquid/certs/chasquid.example.org/{name}")
        installed.write("etc/chasquid/chasquid.conf", _MAIN.format(address=self.address, port=self.port))
        installed.write("etc/chasquid/store", _STORE.format(maildir=self.maildir.path), 0o755)
        for domain in self.domains:
            aliases = "".join(f"{name}: | /etc/chasquid/store\n" for name in ("b", "user"))
            installed.write(f"etc/chasquid/domains/{domain}/aliases", aliases)
        installed.make_folder("var/lib/chasquid", mode=0o700)
        installed.run("rm", "-f", "/etc/chasquid/hooks/post-data")

    def start(self):
        self.wait_until_listening(self.daemon("/usr/bin/chasquid", "-config_dir=/etc/chasquid"))
