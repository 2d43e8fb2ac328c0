"""certbot and an ACME server for it, which asks a name server that knows one address only: this machine's."""

import json
import os
import subprocess

from harness.daemon import Daemon
from harness.debian import unpack
from harness.ports import free_port, is_listening

_MAIN = "import sys; from certbot.main import main; sys.exit(main(sys.argv[1:]))"


class Acme:
    """Use with `with`. Certificates are where certbot has them, below `folder`: live/NAME/fullchain.pem, privkey.pem."""

    def __init__(self, build_folder, folder, authority):
        unpacked = unpack(build_folder, "acme", ["pebble", "certbot"], needed=("lib", "python3-"))
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._port, names, self._http = free_port(), free_port(), free_port()
        self._environment = {
            **unpacked.environment(), "PYTHONPATH": unpacked.path("usr/lib/python3/dist-packages"),
            "REQUESTS_CA_BUNDLE": authority.certificate, "HOME": self.folder,
        }  # fmt: skip
        pair = authority.issue("localhost")
        settings = {
            "listenAddress": f"127.0.0.1:{self._port}", "managementListenAddress": f"127.0.0.1:{free_port()}",
            "certificate": pair.chain, "privateKey": pair.key, "httpPort": self._http, "tlsPort": free_port(),
            "ocspResponderURL": "", "externalAccountBindingRequired": False,
        }  # fmt: skip
        with open(f"{self.folder}/pebble.json", "w", encoding="ascii") as file:
            json.dump({"pebble": settings}, file)
        environment = {**unpacked.environment(), "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        nobody = f"127.0.0.1:{free_port()}"
        self._daemons = []
        try:
            self._start(
                unpacked, names, environment, "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
                "-dns01", f"127.0.0.1:{names}", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", nobody,
            )  # fmt: skip
            self._start(
                unpacked, self._port, environment, "pebble", "-config", f"{self.folder}/pebble.json", "-dnsserver",
                f"127.0.0.1:{names}",
            )  # fmt: skip
        except BaseException:
            self.__exit__()
            raise

    def _start(self, unpacked, port, environment, program, *arguments):
        daemon = Daemon([unpacked.path("usr/bin", program), *arguments], f"{self.folder}/{program}.log", env=environment)
        self._daemons.append(daemon)
        daemon.wait_ready(lambda: is_listening(port), f"{program} listens")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in self._daemons:
            daemon.kill()

    def obtain(self, name):
        """The first certificate for a name; the settings of the pair."""
        self._certbot(
            "certonly", "--standalone", "--http-01-port", str(self._http), "--http-01-address", "127.0.0.1", "--agree-tos",
            "--register-unsafely-without-email", "--domain", name, "--server", f"https://localhost:{self._port}/dir",
        )  # fmt: skip
        return {"chain": f"{self.folder}/live/{name}/fullchain.pem", "key": f"{self.folder}/live/{name}/privkey.pem"}

    def renew(self):
        """All of them, though it is not time yet."""
        self._certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")

    def _certbot(self, *words):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", _MAIN, *words, "--non-interactive", "--config-dir", self.folder, "--work-dir",
             f"{self.folder}/work", "--logs-dir", f"{self.folder}/logs"],
            env=self._environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + "".join(daemon.output() for daemon in self._daemons)
