"""The rules of docs/firewall, as administrators run them, and those of `postern intercept`."""

import contextlib
import os
import shutil
import tempfile

import pytest
import world as places

from harness.gateway import write_configuration

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/firewall")
PORT = 10025
SOCKET_MARK = 0x2525  # as the rules for a host have it


@contextlib.contextmanager
def firewall(host, name, port=PORT):
    """The rules of docs/firewall/NAME.sh on that host, twice: they may be run again. postern-BY-WHERE are those of
    `postern intercept`.
    """
    if name.startswith("postern-"):
        with intercepted(host, name, port):
            yield
        return
    tool = name.partition("-")[0]
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}")
    settings = ["LEGACY_INTERFACE=inside", f"PORT={port}"]
    try:
        for _ in range(2):
            host.run("env", *settings, "sh", f"{_FOLDER}/{name}.sh")
        yield
    finally:
        # Those of iptables are among them: Debian's is the one on top of nftables.
        host.run("nft", "flush", "ruleset")
        for family in ("-4", "-6"):
            with contextlib.suppress(AssertionError):
                host.run("ip", family, "rule", "delete", "fwmark", "0x170")


@contextlib.contextmanager
def intercepted(host, name, port):
    _, by, where = name.split("-")
    listener = {
        "listen": [f"0.0.0.0:{port}", f"[::]:{port}"],
        "interception": by,
        "socket_mark": SOCKET_MARK,
        "allow_clients": list(places.LEGACY.values()),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = write_configuration(f"{folder}/postern.yaml", {"outbound": {"internet": listener}})
        command = [os.environ["POSTERN"], "intercept"]
        before = host.run("nft", "list", "ruleset")
        try:
            for _ in range(2):
                # As a router, or not: by itself it knows.
                done = host.run(*command, "on", "--config", path, "--confirm", "--force")
            yield done
        finally:
            host.run(*command, "off", "--config", path)
        assert host.run("nft", "list", "ruleset") == before
