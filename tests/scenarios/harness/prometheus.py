"""A Prometheus that scrapes one gateway every second."""

import http.client
import json
import urllib.parse

from harness.daemon import Daemon
from harness.ports import free_port, is_listening


def get(port, path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheader("Content-Type")
    finally:
        connection.close()


class Prometheus:
    """Use with `with`. `unpacked` has it; `target` is the port of an admin server."""

    def __init__(self, unpacked, folder, target):
        self.port = free_port()
        settings = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "postern", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }
        with open(f"{folder}/prometheus.yml", "w", encoding="ascii") as file:
            json.dump(settings, file)
        self.daemon = Daemon(
            [
                unpacked.path("usr/bin/prometheus"), f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            f"{folder}/prometheus.log",
        )  # fmt: skip

    def __enter__(self):
        # It listens before it can be asked.
        self.daemon.wait_ready(
            lambda: is_listening(self.port) and get(self.port, "/-/ready")[0] == 200, "Prometheus is ready"
        )
        return self

    def __exit__(self, *_):
        self.daemon.kill()

    def query(self, expression):
        """The series that it finds."""
        status, text, _ = get(self.port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        assert status == 200, f"{expression}: {text}"
        return json.loads(text)["data"]["result"]
