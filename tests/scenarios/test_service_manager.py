"""What a service manager such as systemd hears, and the sockets that it hands over."""

import os
import re
import shutil
import signal
import socket
import threading

import pytest

from harness.client import Client, secure_client
from harness.daemon import Daemon
from harness.gateway import Gateway
from harness.messages import message
from harness.ports import PATIENCE, free_port, is_listening, wait_until


class Manager:
    """Remembers each thing that it is told, as a dictionary."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.heard = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                packet = self.socket.recv(65536)
            except OSError:
                return
            self.heard.append(dict(line.split("=", 1) for line in packet.decode().split("\n")))

    def times(self, name, value=None):
        return sum(name in each and value in (None, each[name]) for each in self.heard)

    def close(self):
        self.socket.close()


@pytest.fixture
def manager(folder):
    manager = Manager(f"{folder}/notify")
    yield manager
    manager.close()


@pytest.fixture
def start_service(postern, folder, certificates, gateways, scripted_server):
    """Starts `run` as a service manager would: with an environment, and with sockets, each under a name."""

    def start(environment=None, sockets=(), server=None, top=None, command=None, waits=True, **listener):
        inbound = {
            "mx": {
                "certificates": ["mx"],
                "allow_open_relay_risk": True,
                "backend": {"address": (server or scripted_server()).address},
                **listener,
            }
        }
        settings = {"certificates": {"mx": [certificates.ecdsa.as_setting()]}, **(top or {})}
        gateway = Gateway(postern, f"{folder}/gateway{len(gateways)}", inbound, **settings)
        gateways.append(gateway)
        variables = {**os.environ, **(environment or {})}
        run = [postern, "run", "--config", gateway.configuration]
        if command:
            argv = [*command, *run]
        else:
            # Descriptors from 3 on, and a process id that only the one that is executed knows.
            moves = " ".join(f"{3 + i}<&{100 + i}" for i in range(len(sockets)))
            variables["LISTEN_FDS"] = str(len(sockets))
            variables["LISTEN_FDNAMES"] = ":".join(name for name, _ in sockets)
            argv = ["bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves}', "bash", *run]
        kept = [os.dup2(each.fileno(), 100 + i) for i, (_, each) in enumerate(sockets)]
        try:
            gateway.daemon = Daemon(argv, f"{gateway.folder}/gateway.1.log", env=variables)
        finally:
            for descriptor in kept:
                os.close(descriptor)
        if waits:
            gateway.wait_for_log(" listening ")
        return gateway

    return start


def listening_socket(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind((host, free_port()))
    made.listen(64)
    return made


def address_of(listening):
    return "{}:{}".format(*listening.getsockname()[:2])


@pytest.mark.parametrize("abstract", [False, True])
def test_it_hears_of_every_stage(start_service, folder, abstract):
    manager = Manager(f"@postern-{os.getpid()}-{free_port()}" if abstract else f"{folder}/notify")
    gateway = start_service({"NOTIFY_SOCKET": manager.address})
    wait_until(lambda: manager.times("READY", "1") == 1, "it is ready")
    wait_until(lambda: manager.times("STATUS", "serving, 0 sessions"), "it says what it does")
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: manager.times("STOPPING", "1") == 1, "it is stopping")
        wait_until(lambda: manager.times("STATUS", "draining, 1 session"), "it says for whom")
        assert manager.times("WATCHDOG") >= 2 and manager.times("READY") == 1
    gateway.stop()
    manager.close()


def test_the_watchdog_hears_of_the_gateway_only_while_it_answers(start_service, manager):
    gateway = start_service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000"})
    before = manager.times("WATCHDOG")
    wait_until(lambda: manager.times("WATCHDOG") > before + 3, "all is well")
    os.kill(gateway.serving, signal.SIGSTOP)

    def silent():
        heard = manager.times("WATCHDOG")
        threading.Event().wait(2)
        return manager.times("WATCHDOG") == heard

    wait_until(silent, "nothing is well")
    os.kill(gateway.serving, signal.SIGCONT)
    before = manager.times("WATCHDOG")
    wait_until(lambda: manager.times("WATCHDOG") > before + 3, "all is well again")
    # One that was lost is not answered for by the next one's silence.
    lost = gateway.serving
    os.kill(lost, signal.SIGKILL)
    wait_until(lambda: gateway.serving not in (None, lost), "there is another one")
    before = manager.times("WATCHDOG")
    wait_until(lambda: manager.times("WATCHDOG") > before + 3, "all is well with the next one")


def test_another_process_s_watchdog_is_none_of_ours(start_service, manager):
    start_service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    wait_until(lambda: manager.times("READY"), "it is ready")
    assert manager.times("WATCHDOG") < 10
