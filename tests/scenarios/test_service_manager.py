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
from harness.prometheus import get


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
            gateway.daemon = Daemon(argv, f"{gateway.folder}/gateway.1.log", env=variables, pass_fds=kept)
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
    wait_until(lambda: manager.times("STATUS", "serving, 0 sessions"), "it says what it does")
    threading.Event().wait(1)  # a thousand times that
    assert manager.times("WATCHDOG") < 10


def test_sockets_that_were_handed_over_are_served_and_nothing_else_is_bound(start_service, scripted_server):
    first, second, admin = listening_socket(), listening_socket(), listening_socket()
    server = scripted_server()
    gateway = start_service(
        sockets=[("postern.socket", second), ("admin", admin), ("mx", first)],
        server=server,
        listen=[address_of(first), address_of(second)],
        top={"admin": {"listen": address_of(admin)}, "workers": 3},
    )
    for _ in range(5):
        for each in (first, second):
            with secure_client(each.getsockname()[1], "starttls") as client:
                client.send_message("a@example.net", ["b@example.org"], message())
    assert len(server.messages()) == 10
    assert get(admin.getsockname()[1], "/readyz")[0] == 200
    # Whoever has them keeps them: nobody is refused while there is no gateway.
    gateway.stop()
    assert is_listening(first.getsockname()[1])
    for each in (first, second, admin):
        each.close()


@pytest.mark.parametrize("name", ["mx", "postern.socket"])
def test_one_that_no_listener_has_is_a_mistake(start_service, name):
    listening = listening_socket()
    gateway = start_service(sockets=[(name, listening)], waits=False)
    assert gateway.daemon.process.wait(PATIENCE) == 1
    log, gateway.daemon = gateway.log(), None
    assert f'socket \\"{name}\\"' in log and address_of(listening) in log and "no listener listens" in log
    listening.close()


def test_one_that_is_no_listening_address_is_a_mistake(start_service):
    unbound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gateway = start_service(sockets=[("mx", unbound)], waits=False)
    assert gateway.daemon.process.wait(PATIENCE) == 1
    assert re.search(r"mx.* no stream socket", gateway.log())
    gateway.daemon = None
    unbound.close()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd here")
def test_by_systemd_s_own_tool(start_service, scripted_server):
    port = free_port()
    server = scripted_server()
    gateway = start_service(
        command=["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=mx"],
        listen=[f"127.0.0.1:{port}"],
        server=server,
        waits=False,
    )
    wait_until(lambda: is_listening(port), "it listens")
    with secure_client(port, "starttls") as client:  # starts it
        client.send_message("a@example.net", ["b@example.org"], message())
    assert len(server.messages()) == 1
    gateway.stop()
