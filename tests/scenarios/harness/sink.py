"""`postern sink`: the plaintext server that accepts everything."""

import os

from harness.daemon import Daemon
from harness.maildir import Maildir
from harness.ports import free_port, is_listening


class Sink:
    def __init__(self, binary, folder, namespace=None):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.maildir = Maildir(f"{self.folder}/mail")
        argv = [binary, "sink", "--listen", self.address, "--maildir", self.maildir.path]
        self.daemon = Daemon(namespace.command(*argv) if namespace else argv, f"{self.folder}/sink.log")
        self.daemon.wait_ready(lambda: is_listening(self.port, self.daemon.pid), "the sink listens")

    def stop(self):
        status = self.daemon.terminate()
        self.daemon.kill()
        assert status == 0, f"the sink ended with {status}:\n{self.daemon.output()}"
