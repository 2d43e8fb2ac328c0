"""What the mail servers that run out of their Debian packages have in common."""

import os
import re
import shutil

from harness.client import Client
from harness.daemon import Daemon
from harness.installed import Installed
from harness.maildir import Maildir
from harness.no_names import NoNames
from harness.ports import PATIENCE, free_port, wait_until


class RealServer:
    """Stores mail to anybody at one of `domains` in `maildir`, and refuses mail to anybody@refused.example.org. A subclass
    says which packages it is made of, writes its configuration and names the program.

    pair: its certificate; without one it has no TLS. namespace: the host that it runs on. relay: (address, port, how) of
    the host to which mail for other domains goes, `how` being "plain", "starttls" or "implicit"; None: by MX. resolver: the
    address of the name server that it asks; without one no name exists.
    """

    NAME = ""
    PACKAGES = ()

    def __init__(
        self, build_folder, folder, address="127.0.0.1", port=None, pair=None, namespace=None, relay=None,
        resolver=None, domains=("example.org",),
    ):  # fmt: skip
        self.folder = str(folder)
        self.address, self.port = address, port or free_port()
        self.pair, self.namespace, self.relay, self.domains = pair, namespace, relay, domains
        self.daemons = []
        os.makedirs(self.folder, exist_ok=True)
        self.maildir = Maildir(f"{self.folder}/mail")
        for part in ("", "new", "cur", "tmp"):
            os.makedirs(f"{self.maildir.path}/{part}", exist_ok=True)
            os.chmod(f"{self.maildir.path}/{part}", 0o777)
        self.installed = Installed(build_folder, f"{self.folder}/installed", self.NAME, self.PACKAGES)
        self.no_names = None if resolver else NoNames()
        try:
            self.installed.use_resolver(resolver or self.no_names.address)
            self.configure()
            self.start()
        except BaseException:
            self.stop()
            raise

    def configure(self):
        raise NotImplementedError

    def start(self):
        raise NotImplementedError

    def wait_until_listening(self, daemon):
        """By connecting to it: others may have the same port on other addresses."""

        def answers():
            try:
                self.session().close()
            except ConnectionRefusedError:
                return False
            return True

        daemon.wait_ready(answers, f"{self.NAME} listens")

    def daemon(self, *argv):
        """Starts a program of the packages in the foreground."""
        command = self.installed.command(*argv)
        if self.namespace:
            command = self.namespace.command(*command)
        self.daemons.append(Daemon(command, f"{self.folder}/log"))
        return self.daemons[-1]

    def own_copy(self, path, name, mode=0o600):
        """A file of the test's among theirs: programs that drop privileges, or are picky, get at it there."""
        target = self.installed.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)
        os.chmod(target, mode)
        return f"/{name}"

    def submit(self, sender, recipient, message):
        """Hands in a message for delivery elsewhere."""
        with self.session() as client:
            client.greeted()
            return client.send_message(sender, [recipient], message)

    def session(self):
        if not self.namespace:
            return Client(self.port, host=self.address)
        with self.namespace.entered():
            return Client(self.port, host=self.address)

    def log(self):
        path = f"{self.folder}/log"
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for_log(self, pattern, timeout=PATIENCE):
        try:
            return wait_until(lambda: re.search(pattern, self.log()), f"{self.NAME} logs {pattern}", timeout, 0.1)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-4000:]}") from None

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.kill()
        self.installed.remove()
        if self.no_names:
            self.no_names.close()
