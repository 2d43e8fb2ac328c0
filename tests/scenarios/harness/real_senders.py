"""Small programs of Debian that hand mail to a smarthost, each out of its package."""

import os
import subprocess

from harness.installed import Installed


class Sender:
    """One that was told the smarthost, as (address, port, how), `how` being "plain", "starttls" or "implicit". It runs on
    the host `namespace`, where one is given.
    """

    NAME = ""
    PACKAGES = ()

    def __init__(self, build_folder, folder, smarthost, ca_file=None, namespace=None):
        self.folder, self.ca_file, self.namespace = str(folder), ca_file, namespace
        self.address, self.port, self.how = smarthost
        os.makedirs(self.folder, exist_ok=True)
        self.installed = Installed(build_folder, f"{self.folder}/installed", self.NAME, self.PACKAGES)
        try:
            self.installed.write("etc/mailname", "sender.example.net\n")
            self.configure()
        except BaseException:
            self.stop()
            raise

    def configure(self):
        pass

    def submit(self, sender, recipient, message):
        """Returns when the smarthost has it, for what this program can tell."""
        raise NotImplementedError

    def run(self, *argv, message):
        """Runs a program of the package on a message (CRLF line ends; the program gets LF, as is usual)."""
        done = subprocess.run(
            self.command(*argv), input=message.replace(b"\r\n", b"\n"), capture_output=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"

    def command(self, *argv):
        command = self.installed.command(*argv)
        return self.namespace.command(*command) if self.namespace else command

    def stop(self):
        self.installed.remove()


class Msmtp(Sender):
    """Without a queue; it verifies the certificate."""

    NAME = "msmtp"
    PACKAGES = ("msmtp",)

    def submit(self, sender, recipient, message):
        tls = ["--tls=off"]
        if self.how != "plain":
            starttls = "on" if self.how == "starttls" else "off"
            tls = ["--tls=on", f"--tls-starttls={starttls}", f"--tls-trust-file={self.ca_file}"]
            tls.append("--tls-host-override=mx.example.org")
        self.run(
            "/usr/bin/msmtp", f"--host={self.address}", f"--port={self.port}", *tls, f"--from={sender}", "--", recipient,
            message=message,
        )  # fmt: skip


class Ssmtp(Sender):
    NAME = "ssmtp"
    PACKAGES = ("ssmtp",)

    def configure(self):
        lines = [f"mailhub={self.address}:{self.port}", "hostname=sender.example.net", "FromLineOverride=YES"]
        lines += ["UseTLS=YES"] if self.how != "plain" else []
        lines += ["UseSTARTTLS=YES"] if self.how == "starttls" else []
        self.installed.write("etc/ssmtp/ssmtp.conf", "\n".join(lines) + "\n")

    def submit(self, sender, recipient, message):
        self.run("/usr/sbin/ssmtp", f"-f{sender}", recipient, message=message)


class Dma(Sender):
    """The DragonFly Mail Agent; here it delivers before it returns."""

    NAME = "dma"
    PACKAGES = ("dma",)

    def configure(self):
        lines = [f"SMARTHOST {self.address}", f"PORT {self.port}", "MAILNAME sender.example.net"]
        lines += ["SECURETRANSFER"] if self.how != "plain" else []
        lines += ["STARTTLS"] if self.how == "starttls" else []
        self.installed.write("etc/dma/dma.conf", "\n".join(lines) + "\n")
        self.installed.write("etc/dma/auth.conf", "")
        self.installed.make_folder("var/spool/dma", "mail", 0o775)

    def submit(self, sender, recipient, message):
        self.run("/usr/sbin/dma", "-D", "-i", "-f", sender, recipient, message=message)


class Nullmailer(Sender):
    """It has a queue, and a daemon that empties it."""

    NAME = "nullmailer"
    PACKAGES = ("nullmailer",)

    def configure(self):
        options = {"plain": "", "starttls": " starttls insecure", "implicit": " tls insecure"}[self.how]
        self.installed.write("etc/nullmailer/remotes", f"{self.address} smtp port={self.port}{options}\n")
        self.installed.write("etc/nullmailer/me", "sender.example.net\n")
        self.installed.write("etc/nullmailer/pausetime", "1\n")
        for name in ("", "/queue", "/tmp", "/failed"):
            self.installed.make_folder(f"var/spool/nullmailer{name}", "mail", 0o770)
        self.installed.run("mkfifo", "-m", "666", "/var/spool/nullmailer/trigger")
        self.installed.run("chown", "mail:mail", "/var/spool/nullmailer/trigger")
        with open(f"{self.folder}/log", "wb") as log:
            command = self.command("/usr/sbin/nullmailer-send")
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def submit(self, sender, recipient, message):
        self.run("/usr/bin/nullmailer-inject", "-f", sender, recipient, message=message)

    def stop(self):
        super().stop()
        if hasattr(self, "daemon"):
            self.daemon.wait(60)


SENDERS = {kind.NAME: kind for kind in (Msmtp, Ssmtp, Dma, Nullmailer)}
