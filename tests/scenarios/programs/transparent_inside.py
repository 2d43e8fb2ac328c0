"""Runs inside a fresh network namespace, which is the gateway's machine; a second one, behind a veth pair, is the
client's. The rules are those that the server's machine needs: what it sends back goes to the gateway. They are made by hand, or
by `postern intercept`.
"""

import json
import os
import subprocess
import sys

from harness.client import Client
from harness.gateway import Gateway
from harness.messages import message
from harness.ports import PATIENCE, wait_until
from harness.scripted_server import ScriptedServer

CLIENT = {"four": "198.51.100.7", "six": "2001:db8:1::7"}
GATEWAY = {"four": "198.51.100.1", "six": "2001:db8:1::1"}
SERVER = {"four": "10.9.9.2", "six": "2001:db8:9::2"}

GATEWAY_MACHINE = [
    "ip link set lo up",
    "ip addr add 10.9.9.2/32 dev lo",
    "ip -6 addr add 2001:db8:9::2/128 dev lo nodad",
    "ip addr add 198.51.100.1/24 dev inner",
    "ip -6 addr add 2001:db8:1::1/64 dev inner nodad",
    "ip link set inner up",
]
BACK_TO_THE_GATEWAY = [
    # Replies of the server, to whomever, end at this machine: at the gateway's transparent socket.
    "ip rule add from 10.9.9.2 lookup 100",
    "ip route add local 0.0.0.0/0 dev lo table 100",
    "ip -6 rule add from 2001:db8:9::2 lookup 100",
    "ip -6 route add local ::/0 dev lo table 100",
]
CLIENT_MACHINE = [
    "ip link set lo up",
    "ip addr add 198.51.100.7/24 dev outer",
    "ip -6 addr add 2001:db8:1::7/64 dev outer nodad",
    "ip link set outer up",
]


def configure(commands):
    for words in commands:
        subprocess.run(words.split(), check=True)


def be_the_client():
    """Waits for the word, then sends one message over IPv4 and one over IPv6."""
    assert sys.stdin.readline() == "go\n"
    configure(CLIENT_MACHINE)
    for name in ("four", "six"):
        with Client(2525, host=GATEWAY[name]) as client:
            client.greeted()
            client.starttls()
            client.expect(250, "EHLO client.example")
            client.send_message("a@example.net", ["b@example.org"], message())
            client.quit()


def start_client_machine():
    process = subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, "client"], stdin=subprocess.PIPE, text=True
    )
    subprocess.run(["ip", "link", "add", "inner", "type", "veth", "peer", "name", "outer"], check=True)
    wait_until(lambda: _network_of(process.pid) != _network_of("self"), "the client's machine is another")
    subprocess.run(["ip", "link", "set", "outer", "netns", str(process.pid)], check=True)
    return process


def _network_of(process):
    return os.readlink(f"/proc/{process}/ns/net")


def be_the_gateway(postern, folder, rules):
    client = start_client_machine()
    configure(GATEWAY_MACHINE)
    with open(f"{folder}/pair.json", encoding="ascii") as file:
        pair = json.load(file)
    servers = {name: ScriptedServer(host=address) for name, address in SERVER.items()}
    inbound = {
        name: {
            "listen": [_endpoint(GATEWAY[name], 2525)],
            "certificates": ["mx"],
            "backend": {"address": _endpoint(SERVER[name], servers[name].port), "client_address": "transparent"},
        }
        for name in SERVER
    }
    gateway = Gateway(postern, f"{folder}/gateway", inbound, certificates={"mx": [pair]}).start()
    by_postern = [f"{postern} intercept on --confirm --config {gateway.configuration}"]
    configure(BACK_TO_THE_GATEWAY if rules == "by-hand" else by_postern)
    try:
        client.communicate("go\n", timeout=PATIENCE)
        assert client.returncode == 0, gateway.log()
    finally:
        client.kill()
        gateway.stop()
    print(json.dumps({name: [server.connections[0].address[0], len(server.messages())] for name, server in servers.items()}))


def _endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


if sys.argv[1] == "client":
    be_the_client()
else:
    be_the_gateway(*sys.argv[1:])
