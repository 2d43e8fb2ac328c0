"""The rules of docs/firewall, as administrators run them."""

import contextlib
import os
import shutil

import pytest

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/firewall")
PORT = 10025
SOCKET_MARK = 0x2525  # as the rules for a host have it


@contextlib.contextmanager
def firewall(host, name, port=PORT):
    """The rules of docs/firewall/NAME.sh on that host, twice: they may be run again."""
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
