"""client_address: transparent: the server sees the client's own address, in a network namespace made for the test."""

import json
import os
import subprocess
import sys

import pytest

from harness.client import Client
from harness.messages import message, new_token
from harness.netns import need_namespaces

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("rules", ["by-hand", "intercept"])
def test_the_server_sees_the_address_of_the_client(postern, folder, certificates, rules):
    """The part inside the namespace is a program of its own: programs/transparent_inside.py."""
    need_namespaces()
    with open(f"{folder}/pair.json", "w", encoding="ascii") as file:
        json.dump(certificates.ecdsa.as_setting(), file)
    done = subprocess.run(
        ["unshare", "--net", sys.executable, f"{HERE}/programs/transparent_inside.py", postern, folder, rules],
        capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "PYTHONPATH": HERE},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"four": ["198.51.100.7", 1], "six": ["2001:db8:1::7", 1]}


def test_without_it_the_server_sees_the_gateway(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port(), source="127.0.0.99") as client:
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message(token=new_token()))
    assert server.connections[0].address[0] == "127.0.0.1"
